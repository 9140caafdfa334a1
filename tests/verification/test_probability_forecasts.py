"""Forecasts of probabilities alone: judged by their probabilities, and by nothing else."""

import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from moving_rain import write_rain

import framecast
from framecast.data.quantities import RAIN_RATE
from framecast.errors import DataError
from framecast.forecasting.baselines.extrapolation_probability import ExtrapolationProbability
from framecast.forecasting.labels import PROBABILITY, forecast_frames
from framecast.forecasting.products.settings import ProductSettings
from framecast.verification.given_forecasts import GivenForecaster
from framecast.verification.given_parts import split_times
from framecast.verification.given_truth import Target

CONTEXT, HORIZON = 4, 3
RATES = (0.2, 0.5, 1.0, 2.0, 4.0)
SETTINGS = {"rates": (0.5, 2.0), "scales": (1, 5)}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rain(tmp_path_factory.mktemp("truth") / "rain.nc", "2026-06-01T12:00", 10, 40, 48, 2.0)


@pytest.fixture(scope="module")
def forecasts(archive: Path) -> list[xr.Dataset]:
    """Forecasts with a mean and probabilities at five rates."""
    frames = framecast.open(archive)
    return [
        forecast_frames(
            ExtrapolationProbability(RAIN_RATE),
            frames.isel(time=slice(newest + 1)),
            HORIZON,
            context=CONTEXT,
            rates=RATES,
        )
        for newest in (4, 5, 6)
    ]


@pytest.fixture(scope="module")
def complete(
    archive: Path, forecasts: list[xr.Dataset], tmp_path_factory: pytest.TempPathFactory
) -> framecast.Verification:
    folder = tmp_path_factory.mktemp("complete")
    for number, forecast in enumerate(forecasts):
        framecast.write(forecast, folder / f"{number}.nc")
    return framecast.verify_forecasts({"files": folder}, archive, baselines=("extrapolation",), **SETTINGS)


def as_product(forecast: xr.Dataset, path: Path) -> None:
    """The product `exceedance` of framecast."""
    settings = ProductSettings(products=("exceedance",), rates=RATES, formats=("netcdf",))
    (file,) = framecast.write_products(forecast, path.with_suffix(""), settings=settings)
    Path(file).rename(path)


def as_service(forecast: xr.Dataset, path: Path) -> None:
    """As IMPROVER writes it, but for its names of axes: thresholds in m/s, falling, and probabilities in percent of staying
    below."""
    stored = forecast[PROBABILITY].isel(init_time=0, channel=0)[::-1]
    name = "probability_of_lwe_precipitation_rate_below_threshold"
    threshold = xr.Variable(
        ("threshold",),
        (stored["threshold"].values / 3.6e6).astype(np.float32),
        {"units": "m s-1", "spp__relative_to_threshold": "less_than"},
    )
    dataset = xr.Dataset(
        {name: (("threshold", "forecast_period", "y", "x"), 100 * (1 - stored.values), {"units": "%"})},
        {
            "threshold": threshold,
            "y": np.arange(40) * 1000.0,
            "x": np.arange(48) * 1000.0,
            "forecast_period": (
                "forecast_period",
                [5, 10, 15],
                {"standard_name": "forecast_period", "units": "minutes"},
            ),
            "forecast_reference_time": (
                (),
                forecast["init_time"].values[0],
                {"standard_name": "forecast_reference_time"},
            ),
        },
    )
    dataset.to_netcdf(path, engine="h5netcdf")


def as_variables(forecast: xr.Dataset, path: Path) -> None:
    """A variable for each threshold, which its attribute states."""
    stored = forecast[PROBABILITY].isel(init_time=0, channel=0)
    parts = {
        f"prob_{number}": part.drop_vars("threshold").assign_attrs(threshold=f">= {rate:g} mm/h", units="1")
        for number, (rate, part) in enumerate(zip(stored["threshold"].values, stored, strict=True))
    }
    dataset = xr.Dataset(parts).assign_coords(
        init_time=((), forecast["init_time"].values[0], {"standard_name": "forecast_reference_time"})
    )
    dataset.to_netcdf(path, engine="h5netcdf")


def as_files(forecast: xr.Dataset, path: Path) -> None:
    """Several files, of two thresholds or one."""
    for chosen in ([0, 1], [2], [3], [4]):
        as_variables(forecast.isel(threshold=chosen), path.with_stem(f"{path.stem}_{RATES[chosen[0]]:g}mm"))


@pytest.mark.parametrize("write", [as_product, as_service, as_files])
def test_probabilities_alone_have_the_scores_of_probabilities(
    archive: Path, forecasts: list[xr.Dataset], complete: framecast.Verification, tmp_path: Path, write: object
) -> None:
    for number, forecast in enumerate(forecasts):
        write(forecast, tmp_path / f"{number}.nc")  # type: ignore[operator]
    opened = [framecast.open_forecast(path) for path in tmp_path.glob("0*.nc")]
    assert opened[0][PROBABILITY].dims == ("init_time", "threshold", "lead_time", "y", "x")
    np.testing.assert_allclose(sorted(rate for each in opened for rate in each["threshold"].values), RATES, rtol=1e-5)
    out, report = tmp_path / "out", write is as_product
    result = framecast.verify_forecasts(
        {"files": tmp_path}, archive, baselines=("extrapolation",), out=out, report=report, **SETTINGS
    )
    for metric in complete.metrics():
        one, two = (each.curve("files", metric).values for each in (result, complete))
        if metric.name in ("brier", "csi", "pod", "far", "bias", "fss", "crps"):
            assert np.isfinite(one).any()
            np.testing.assert_allclose(one, two, rtol=2e-3, atol=2e-4, err_msg=metric.label)  # stored in 1/10,000
        elif metric.mean:
            assert np.isnan(one).all(), metric.label
        one, two = (each.curve("extrapolation", metric).values for each in (result, complete))
        np.testing.assert_allclose(one, two, rtol=1e-6, err_msg=metric.label)
    assert "files: probabilities alone; scores that need values are absent" in result.repairs
    if report:
        assert "scores that need values are absent" in (out / "report.html").read_text()


def test_few_probabilities_have_no_crps(archive: Path, forecasts: list[xr.Dataset], tmp_path: Path) -> None:
    stored = forecasts[0].isel(threshold=[1, 3])
    as_service(stored, tmp_path / "0.nc")
    result = framecast.verify_forecasts({"files": tmp_path}, archive, baselines=(), **SETTINGS)
    assert np.isnan(result.frame("files", "crps").value)
    assert any("no CRPS from probabilities at 0.5, 2 mm/h" in note for note in result.repairs)


def test_files_of_single_thresholds_that_do_not_fit_are_named(
    archive: Path, forecasts: list[xr.Dataset], tmp_path: Path
) -> None:
    """An initial time without one of its files is left out; files that contradict each other are an error."""
    for number, forecast in enumerate(forecasts[:2]):
        as_files(forecast, tmp_path / f"{number}.nc")
    (tmp_path / "1_2mm.nc").unlink()
    result = framecast.verify_forecasts({"files": tmp_path}, archive, baselines=(), **SETTINGS)
    assert result.cases == 1
    assert "files: 1 forecast left out, without one of the probabilities at 0.5, 2 mm/h" in result.repairs
    part = forecasts[1].isel(threshold=[3])
    for change, message in (
        (forecasts[1].isel(threshold=[2]), r"at 1 mm/h of 2026-06-01T12:25 UTC as in .*1_1mm"),
        (part.isel(lead_time=slice(2)), "other lead times: 2 from 5 to 10 minutes and 3 from 5 to 15 minutes"),
        (part.isel(x=slice(40)), "another grid"),
    ):
        as_variables(change, tmp_path / "1_another.nc")
        with pytest.raises(DataError, match=message):
            framecast.verify_forecasts(tmp_path, archive, baselines=(), **SETTINGS)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [({"threshold": "1 mm"}, "rain sums"), ({}, "without a threshold"), ({"threshold": "280 K"}, "units")],
)
def test_thresholds_that_are_not_understood_are_named(
    forecasts: list[xr.Dataset], tmp_path: Path, attributes: dict[str, str], message: str
) -> None:
    part = forecasts[0][PROBABILITY].isel(threshold=0, channel=0).drop_vars("threshold")
    part.attrs = {"units": "1", **attributes}
    xr.Dataset({"prob": part}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.raises(DataError, match=message):
        framecast.open_forecast(tmp_path / "a.nc")


def test_an_archive_of_forecasts_need_not_fit_into_memory(tmp_path: Path) -> None:
    """1.6 GB of forecasts in one file, whose chunks were never written: what is not asked for is not read."""
    path, side = tmp_path / "forecasts.nc", 256
    axes = {
        "init_time": (np.arange(100) * 5, "minutes since 2026-06-01", "forecast_reference_time"),
        "lead_time": (np.arange(1, 61) * 5, "minutes", "forecast_period"),
        "y": (np.arange(side) * 1000.0, "m", "projection_y_coordinate"),
        "x": (np.arange(side) * 1000.0, "m", "projection_x_coordinate"),
    }
    with h5py.File(path, "w") as file:
        rain = file.create_dataset("rain_rate", (100, 60, side, side), "f4", chunks=(1, 1, side, side), fillvalue=0)
        rain.attrs["units"] = "mm h-1"
        for number, (axis, (values, units, name)) in enumerate(axes.items()):
            file[axis] = values
            file[axis].attrs.update(units=units, standard_name=name)
            file[axis].make_scale(axis)
            rain.dims[number].attach_scale(file[axis])
    tracemalloc.start()
    given = split_times(framecast.open_forecast(path))
    chosen = {each.init_time: each for each in given[40:42]}
    truth = given[0].first.field.isel(lead_time=slice(3)).rename(lead_time="time")
    forecaster = GivenForecaster("files", chosen, Target(truth, given[0].leads[:3]))
    context = framecast.Context(np.zeros((2, 1, 1, side, side), np.float32), times=tuple(chosen))
    assert forecaster.forecast(context, 3).values.shape == (1, 2, 3, 1, side, side)
    assert tracemalloc.get_traced_memory()[1] < 30e6
    tracemalloc.stop()
