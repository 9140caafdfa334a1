"""What a written forecast says of itself: CF, what the input stated and no more, and where it came from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from test_ladder import rain
from test_trained_model import save_trained

import framecast
from framecast.forecasting.cf import to_dataset

STEREOGRAPHIC = 3035
QUIRKS = ("spatio-temporal dimensions are not in the recommended order",)
"""CF recommends an order of dims; that of framecast, which `open_forecast` promises, is another."""


def write_archive(path: Path, frames: xr.DataArray | None = None, **attributes: str) -> Path:
    """A CF file of rain rates on a projected grid, with these global attributes."""
    from pyproj import CRS

    frames = rain() if frames is None else frames
    plain = frames.isel(channel=0, drop=True).drop_attrs().assign_attrs(units="mm h-1", grid_mapping="crs")
    for axis in ("y", "x"):
        plain[axis].attrs = {"units": "m", "standard_name": f"projection_{axis}_coordinate"}
    dataset = plain.to_dataset(name="rainfall_rate").assign_coords(crs=((), 0, CRS.from_epsg(STEREOGRAPHIC).to_cf()))
    dataset.attrs = attributes
    dataset.to_netcdf(path, engine="h5netcdf")
    return path


def write_amounts(path: Path) -> Path:
    """Amounts of rain over the five minutes before each time."""
    frames = rain().isel(channel=0, drop=True).drop_attrs()
    bounds = np.stack([frames["time"].values - np.timedelta64(5, "m"), frames["time"].values], axis=-1)
    dataset = (frames / 12).assign_attrs(units="mm", cell_methods="time: sum").to_dataset(name="amount")
    dataset["time"].attrs["bounds"] = "time_bnds"
    dataset["time_bnds"] = (("time", "nv"), bounds)
    dataset["time"].encoding = {"units": "minutes since 2026-06-01"}
    dataset.to_netcdf(path, engine="h5netcdf")
    return path


def written(path: Path) -> xr.Dataset:
    with xr.open_dataset(path, engine="h5netcdf", decode_timedelta=True) as dataset:
        return dataset.load()


def test_a_cf_checker_finds_nothing(tmp_path: Path) -> None:
    runner = pytest.importorskip("compliance_checker.runner")
    archive = write_archive(tmp_path / "rain.nc", institution="A weather service", license="CC BY 4.0")
    out = tmp_path / "out.nc"
    framecast.forecast("extrapolation_probability", archive, 3, out=out, quantiles=(0.1, 0.9))
    runner.CheckSuite.load_all_available_checkers()
    report = tmp_path / "report.json"
    runner.ComplianceChecker.run_checker(
        str(out), ["cf:1.10"], 0, "strict", output_filename=str(report), output_format="json"
    )
    from framecast.reading.plain_data import parse_json

    checked = parse_json(report.read_text(), report)["cf:1.10"]
    messages = [
        message
        for priority in ("high_priorities", "medium_priorities", "low_priorities")
        for result in checked[priority]
        for message in result["msgs"]
    ]
    assert checked["possible_points"] > 20
    assert [message for message in messages if not any(quirk in message for quirk in QUIRKS)] == []


def test_a_file_says_where_it_came_from(tmp_path: Path) -> None:
    archive = write_archive(
        tmp_path / "rain.nc", institution="A weather service", license="CC BY 4.0", history="private"
    )
    model = save_trained(tmp_path / "runs")
    for name in ("out.nc", "out.zarr"):
        framecast.forecast(model, archive, 2, out=tmp_path / name)
    attributes = written(tmp_path / "out.nc").attrs
    assert attributes["institution"] == "A weather service"
    assert attributes["license"] == "CC BY 4.0"
    assert attributes["title"] == "rain rate forecast by runs from 2026-06-01T12:35:00Z"
    assert attributes["framecast_version"] == framecast.__version__
    assert attributes["framecast_rung"] == "runs"
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert attributes["framecast_input_files"] == f"rain.nc sha256:{digest}"
    weights = hashlib.sha256((model / "weights.safetensors").read_bytes()).hexdigest()
    assert attributes["framecast_weights_sha256"] == weights
    assert "private" not in attributes["history"]
    assert xr.open_zarr(tmp_path / "out.zarr").attrs["framecast_weights_sha256"] == weights
    again = framecast.open_forecast(tmp_path / "out.nc")
    assert again.attrs["framecast_rung"] == "runs"


def test_the_projection_has_its_code(tmp_path: Path) -> None:
    framecast.forecast("persistence", write_archive(tmp_path / "rain.nc"), 2, out=tmp_path / "out.nc")
    assert written(tmp_path / "out.nc")["crs"].attrs["epsg_code"] == f"EPSG:{STEREOGRAPHIC}"


def test_the_pole_of_a_stereographic_projection_is_stated() -> None:
    mapping = {"grid_mapping_name": "polar_stereographic", "standard_parallel": -71.0}
    frames = rain(grid_mapping="crs").assign_coords(crs=((), 0, mapping))
    dataset = to_dataset(framecast.load("persistence").forecast(frames, 2))
    assert dataset["crs"].attrs["latitude_of_projection_origin"] == -90
    assert "latitude_of_projection_origin" not in frames["crs"].attrs


def test_a_mean_over_the_step_has_bounds(tmp_path: Path) -> None:
    framecast.forecast("persistence", write_amounts(tmp_path / "amounts.nc"), 2, out=tmp_path / "out.nc")
    dataset = written(tmp_path / "out.nc")
    assert dataset["amount"].attrs["cell_methods"] == "time: mean"
    assert dataset["time"].attrs["bounds"] == "time_bounds"
    start, end = dataset["time_bounds"].values[0].T
    np.testing.assert_array_equal(end, dataset["time"].values[0])
    np.testing.assert_array_equal(end - start, np.timedelta64(5, "m"))
    np.testing.assert_allclose(dataset["amount"].values[0, 0], rain().values[-1], rtol=1e-5)
    assert framecast.open_forecast(tmp_path / "out.nc").attrs["values"] == "amount"


@pytest.mark.parametrize(
    ("stated", "expected"),
    [("time: point", "time: point"), ("area: mean", "area: mean"), ("lon: mean", None), (None, None)],
)
def test_cell_methods_are_those_of_the_input(stated: str | None, expected: str | None) -> None:
    frames = rain() if stated is None else rain(cell_methods=stated)
    dataset = to_dataset(framecast.load("persistence").forecast(frames, 2))
    assert dataset["rain"].attrs.get("cell_methods") == expected
    assert "time_bounds" not in dataset


def test_quantiles_are_written_and_read_back(tmp_path: Path) -> None:
    forecast = framecast.forecast(
        "extrapolation_probability", rain(), 2, out=tmp_path / "out.nc", quantiles=(0.5, 0.95)
    )
    again = framecast.open_forecast(tmp_path / "out.nc")
    assert again["rain_rate_quantile"].dims == ("init_time", "quantile", "lead_time", "channel", "y", "x")
    np.testing.assert_allclose(again["rain_rate_quantile"].values, forecast["rain_rate_quantile"].values)
    assert (forecast["rain_rate_quantile"].diff("quantile").fillna(0) >= 0).all()
    for wrong in ((0.5, 0.1), (0.0,), (1.5,)):
        with pytest.raises(framecast.ArgumentError, match="rising numbers between 0 and 1"):
            framecast.forecast("extrapolation_probability", rain(), 2, quantiles=wrong)
    with pytest.raises(framecast.ArgumentError, match="quantiles: persistence predicts values"):
        framecast.forecast("persistence", rain(), 2, quantiles=(0.5,))


def test_probabilities_of_earlier_versions_still_open(tmp_path: Path) -> None:
    """They had steps of 1/10,000 in uint16, and no attributes of coordinates."""
    forecast = framecast.load("extrapolation_probability").forecast(rain(), 2)
    dataset = to_dataset(forecast)
    for name in ("exceedance_probability", "likely_event"):
        dataset[name].encoding |= {"dtype": "uint16", "_FillValue": np.uint16(2**16 - 1), "scale_factor": 1e-4}
    for name in ("threshold", "time", "lead_time"):
        dataset[name].attrs.pop("long_name")
    dataset.attrs = {"Conventions": "CF-1.10", "source": "framecast, extrapolation_probability"}
    dataset.to_netcdf(tmp_path / "earlier.nc", engine="h5netcdf")
    again = framecast.open_forecast(tmp_path / "earlier.nc")
    for name in ("rain", "exceedance_probability", "likely_event"):
        np.testing.assert_allclose(again[name].values, forecast[name].values, atol=5.1e-5)
