"""The times of frames are those that the file states, wherever it states them; a time of something else is not taken for them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import framecast
from framecast.errors import DataError

MINUTES = np.array([0, 5, 10, 60, 65])
TIMES = np.datetime64("2024-03-31", "ns") + MINUTES * np.timedelta64(1, "m")
UNITS = {"units": "minutes since 2024-03-31"}
STANDARD = {**UNITS, "standard_name": "time"}


def rain(dim: str = "time") -> xr.Dataset:
    """Frames without times along `dim`."""
    values = np.arange(5, dtype=np.float32)[:, None, None] + np.zeros((3, 4), np.float32)
    return xr.Dataset({"rain": ((dim, "y", "x"), values, {"units": "mm h-1"})})


def frame(**scalars: Any) -> xr.Dataset:
    """A single frame, with scalars in minutes since 2024-03-31; those in a list are coordinates."""
    dataset = rain().isel(time=0)
    for name, value in scalars.items():
        minutes, attributes = value if isinstance(value, tuple) else (value, UNITS)
        one = xr.Variable((), np.ravel(minutes)[0], attributes)
        dataset = dataset.assign_coords({name: one}) if isinstance(minutes, list) else dataset.assign({name: one})
    return dataset


def opened(dataset: xr.Dataset, path: Path, name: str = "a.nc", **options: Any) -> xr.DataArray:
    dataset.to_netcdf(path / name)
    return framecast.open(path / name, **options)


def text(separator: str, kind: str = "S19") -> np.ndarray:
    return np.array([str(time)[:19].replace("T", separator) for time in TIMES], dtype=kind)


ALONG = {
    "a coordinate of another name": rain().assign_coords(valid_time=("time", MINUTES, UNITS)),
    "a variable of another name": rain().assign(valid_time=("time", MINUTES, UNITS)),
    "the only times": rain().assign(observed=("time", MINUTES, UNITS)),
    "numbers with times along them": rain().assign(time=np.arange(5), obs=("time", MINUTES, STANDARD)),
    "the characters of WRF": rain("Time").assign(Times=("Time", text("_"))),
    "the characters of WRF beside others": rain("Time").assign(
        Times=("Time", text("_")), XTIME=("Time", MINUTES + 60, UNITS)
    ),
    "text": rain().assign(time=("time", text("T", "U19"))),
    "an axis": rain("record").assign_coords(record=("record", MINUTES, {**UNITS, "axis": "T"})),
    "times of an unknown dimension": rain("record").assign_coords(record=("record", MINUTES, UNITS)),
    "an auxiliary coordinate": rain("record").assign_coords(time=("record", MINUTES, STANDARD)),
    "an auxiliary variable": rain("record").assign(time=("record", MINUTES, UNITS)),
    "the standard name among others": rain("record").assign(
        received=("record", MINUTES + 90, UNITS), obs=("record", MINUTES, STANDARD)
    ),
    "the end of an interval": rain().assign(start_time=("time", MINUTES - 5, UNITS), end_time=("time", MINUTES, UNITS)),
    "an axis beside a run of length 1": rain("record")
    .assign_coords(record=("record", MINUTES, {**UNITS, "axis": "T"}))
    .expand_dims("analysed")
    .assign_coords(analysed=("analysed", [0], {**UNITS, "axis": "T"})),
}


@pytest.mark.parametrize("kind", ALONG)
def test_times_along_the_frames_are_read(tmp_path: Path, kind: str) -> None:
    frames = opened(ALONG[kind], tmp_path)
    np.testing.assert_array_equal(frames["time"].values, TIMES)
    np.testing.assert_array_equal(frames.values[:, 0, 0, 0], np.arange(5))


def test_times_of_another_name_are_reported(tmp_path: Path) -> None:
    (report,) = opened(ALONG["the end of an interval"], tmp_path).attrs["repairs"][:1]
    assert report == "the time of frames is the end of their interval, 'end_time', and not 'start_time'"
    (tmp_path / "b").mkdir()
    (report,) = opened(ALONG["the only times"], tmp_path / "b").attrs["repairs"][:1]
    assert report.startswith("the time of frames is 'observed'")


def test_several_times_along_the_frames_are_refused(tmp_path: Path) -> None:
    several = rain().assign(seen=("time", MINUTES, UNITS), received=("time", MINUTES + 3, UNITS))
    with pytest.raises(DataError, match=r"several times along 'time': seen, received\n.*standard name time"):
        opened(several, tmp_path)


def test_times_that_are_no_times_of_frames_are_not_taken(tmp_path: Path) -> None:
    rows = rain("record").assign(scanned=("y", [0, 1, 2], UNITS))
    with pytest.raises(DataError, match=r"of which record is no axis"):
        opened(rows, tmp_path)
    with pytest.raises(DataError, match=r"have no time coordinate\n.*time_step=5"):
        opened(rain().assign(Times=("time", text("x"))), tmp_path, "b.nc")


def test_forecasts_by_times_of_another_name_are_refused(tmp_path: Path) -> None:
    run = ((), 0, {**UNITS, "standard_name": "forecast_reference_time"})
    with pytest.raises(DataError, match=r"a forecast .*not observations"):
        opened(rain("record").assign(seen=("record", MINUTES, UNITS), reference=run), tmp_path)


@pytest.mark.parametrize(
    ("scalars", "minute"),
    [
        ({"processing_time": 37.0}, 5),
        ({"processing_time": 37.0, "received": 38.0}, 5),
        ({"start_time": 0.0}, 5),
        ({"time": 10.0, "processing_time": 37.0}, 10),
        ({"valid_time": 10.0}, 10),
        ({"processing_time": 37.0, "seen": (10.0, STANDARD)}, 10),
        ({"processing_time": 37.0, "seen": [10.0]}, 10),
        ({"start_time": 10.0, "end_time": 15.0}, 15),
        ({"start_time": [10.0], "end_time": [15.0], "processing_time": 37.0}, 15),
        ({"time_begin": (10.0, STANDARD), "time_end": (15.0, STANDARD)}, 15),
    ],
)
def test_only_the_time_of_a_frame_replaces_that_of_the_name(
    tmp_path: Path, scalars: dict[str, Any], minute: int
) -> None:
    frames = opened(frame(**scalars), tmp_path, "rain_20240331_0005.nc")
    assert frames["time"].values[0] == TIMES[0] + np.timedelta64(minute, "m")
    reports = [repair for repair in frames.attrs["repairs"] if "time of frames" in repair]
    assert len(reports) == int(minute == 15 or isinstance(scalars.get("seen"), list))


def test_a_time_of_length_1_that_the_frame_does_not_have_is_read(tmp_path: Path) -> None:
    frames = opened(rain().isel(time=0).assign(time=("time", [10.0], UNITS)), tmp_path)
    assert frames["time"].values[0] == TIMES[2]


def test_a_single_scalar_is_the_time_where_the_name_has_none(tmp_path: Path) -> None:
    frames = opened(frame(nominal=10.0), tmp_path)
    assert frames["time"].values[0] == TIMES[2]
    assert frames.attrs["repairs"][0].startswith("the time of frames is 'nominal'")
    with pytest.raises(
        DataError, match=r"several times, nominal, received, and the name of the file has none\n.*rain_2020"
    ):
        opened(frame(nominal=10.0, received=12.0), tmp_path, "b.nc")
