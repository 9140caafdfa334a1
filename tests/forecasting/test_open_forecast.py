"""`framecast.open_forecast`: framecast's own files and those of others, as one kind of Dataset."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pyproj import CRS
from test_trained_model import frames

import framecast
from framecast.errors import DataError
from framecast.forecasting.baselines.persistence import Persistence
from framecast.forecasting.distribution import Distribution
from framecast.forecasting.labels import forecast_frames, label_distribution, label_forecast, values_of
from framecast.forecasting.write import check_forecast

INIT = np.datetime64("2024-03-31T00:00", "ns")
LEADS = np.array([1, 2, 3]) * np.timedelta64(5, "m")
VALUES = np.random.default_rng(0).gamma(1, 2, (3, 6, 8)).astype(np.float32)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
@pytest.mark.parametrize("members", [1, 3])
def test_own_forecasts_come_back_as_they_were(tmp_path: Path, suffix: str, members: int) -> None:
    observed = frames().assign_coords(crs=xr.Variable((), 0, CRS("EPSG:3031").to_cf()))
    for axis in ("y", "x"):
        observed[axis].attrs["units"] = "m"
    forecast = label_forecast(np.tile(observed.values[None, -2:], (members, 1, 1, 1, 1)), observed, "persistence")
    forecast.attrs["repairs"] = "one file was left out\nanother too"
    framecast.write(forecast, tmp_path / f"own{suffix}")
    opened = framecast.open_forecast(tmp_path / f"own{suffix}")
    values = values_of(opened)
    assert values.dims == forecast.dims
    xr.testing.assert_equal(values.drop_vars("member", errors="ignore"), forecast.drop_vars("member", errors="ignore"))
    for name in ("units", "quantity", "dry", "forecaster", "grid_mapping", "repairs"):
        assert values.attrs[name] == forecast.attrs[name]
    assert values["crs"].attrs["grid_mapping_name"] == "polar_stereographic"
    framecast.write(opened, tmp_path / f"again{suffix}")
    check_forecast(opened)


def test_probabilities_come_back(tmp_path: Path) -> None:
    forecast = forecast_frames(Persistence(), frames(), 2)
    rates = np.array([0.5, 2.0])
    probability = np.linspace(1, 0.1, 2 * 2 * 16 * 16).reshape(2, 1, 2, 16, 16).astype(np.float32)
    labelled = label_distribution(Distribution(rates, probability), forecast, [0.5, 2.0])
    framecast.write(labelled, tmp_path / "own.nc")
    opened = framecast.open_forecast(tmp_path / "own.nc")
    assert set(opened.data_vars) == set(labelled.data_vars)
    assert opened["exceedance_probability"].dims == labelled["exceedance_probability"].dims
    np.testing.assert_allclose(opened["exceedance_probability"], labelled["exceedance_probability"], atol=1e-4)


def test_frames_without_clock_have_numbers(tmp_path: Path) -> None:
    numbered = frames().assign_coords(time=np.arange(6))
    forecast = forecast_frames(Persistence(), numbered, 2)
    framecast.write(forecast, tmp_path / "own.nc")
    assert values_of(framecast.open_forecast(tmp_path / "own.nc"))["lead_time"].values.tolist() == [1, 2]


def others() -> dict[str, xr.Dataset]:
    """The same forecast, as others write it."""
    grid = {"y": ("y", 1000.0 * np.arange(6), {"units": "m"}), "x": ("x", 1000.0 * np.arange(8), {"units": "m"})}
    reference = ((), INIT, {"standard_name": "forecast_reference_time"})
    rain = {"units": "mm/h"}
    return {
        "pysteps": xr.Dataset(
            {"precip": (("ens_number", "leadtime", "y", "x"), VALUES[None], rain)},
            {"leadtime": ("leadtime", [300, 600, 900], {"standard_name": "forecast_period", "units": "seconds"}),
             "ens_number": ("ens_number", [1], {"standard_name": "realization"}),
             "forecast_reference_time": reference, **grid},
        ),
        "cfgrib": xr.Dataset(
            {"tprate": (("step", "latitude", "longitude"), VALUES, {"units": "kg m**-2 s**-1"})},
            {"time": ((), INIT, {"standard_name": "forecast_reference_time"}), 
             "step": ("step", [1 / 12, 2 / 12, 3 / 12], {"units": "hours"}),
             "latitude": ("latitude", np.arange(6.0)), "longitude": ("longitude", np.arange(8.0))},
        ),
        "valid times": xr.Dataset(
            {"rain": (("time", "y", "x"), VALUES, rain)}, {"time": INIT + LEADS, "reference": reference, **grid}
        ),
        "runs": xr.Dataset(
            {"rain": (("run", "lead", "y", "x"), VALUES[None], rain)},
            {"run": [INIT], "lead": ("lead", [5, 10, 15], {"units": "minutes"}), **grid},
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["pysteps", "cfgrib", "valid times", "runs"])
def test_forecasts_of_others(tmp_path: Path, name: str) -> None:
    others()[name].to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    values = values_of(framecast.open_forecast(tmp_path / "other.nc"))
    values = values.isel(member=0) if "member" in values.dims else values
    assert values.dims == ("init_time", "lead_time", "channel", "y", "x")
    assert values["init_time"].values.tolist() == [INIT.astype(int)]
    np.testing.assert_array_equal(values["lead_time"].values, LEADS)
    np.testing.assert_allclose(values.values[0, :, 0], VALUES * (3600 if name == "cfgrib" else 1), rtol=1e-5)
    assert values.attrs["units"] == "mm h-1"
    framecast.write(values, tmp_path / "own.nc")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda other: other.drop_vars("reference"),
            "'rain' is no forecast: it has no initial time.*\n.*framecast.open",
        ),
        (
            lambda other: other.drop_vars("reference").expand_dims(member=2),
            r"'rain' has no initial time.*\n.*assign_coords\(forecast_reference_time",
        ),
        (lambda other: other.isel(time=0, drop=True), "has no lead times"),
        (lambda other: other.assign(rain=other["rain"].assign_attrs(units="parsec")), "units 'parsec'"),
        (lambda other: other.assign(more=other["rain"]), "several variables on a grid: rain, more"),
    ],
)
def test_what_is_no_forecast_is_named(tmp_path: Path, change: Any, message: str) -> None:
    change(others()["valid times"]).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(DataError, match=message) as error:
        framecast.open_forecast(tmp_path / "other.nc")
    assert "other.nc" in str(error.value)


def test_paths_that_hold_no_forecast(tmp_path: Path) -> None:
    (tmp_path / "film.gif").write_bytes(b"GIF89a")
    with pytest.raises(DataError, match="an animation holds no values"):
        framecast.open_forecast(tmp_path / "film.gif")
    others()["valid times"].to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    packed = tmp_path / "other.nc.gz"
    packed.write_bytes(gzip.compress((tmp_path / "other.nc").read_bytes()))
    with pytest.raises(DataError, match="expand it first"):
        framecast.open_forecast(packed)
    with pytest.raises(DataError, match="a forecast") as error:
        framecast.open(packed)
    assert f"open_forecast({str(packed)!r})" in str(error.value)
    with pytest.raises(DataError, match="no such file"):
        framecast.open_forecast(tmp_path / "absent.nc")
