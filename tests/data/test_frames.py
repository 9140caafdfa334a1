"""What becomes of values and times on the way in."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import framecast
from framecast.data.coverage import coverage, describe_impossible
from framecast.data.frames import build, same_grid
from framecast.data.quantities import RAIN_RATE
from framecast.errors import DataError

STEP = np.timedelta64(5, "m")
START = np.datetime64("2020-01-01T00:00", "ns")


def stored(values: np.ndarray, units: str = "mm h-1") -> xr.DataArray:
    times = START + np.arange(len(values)) * STEP
    return xr.DataArray(values, dims=("time", "y", "x"), coords={"time": times}, name="rain", attrs={"units": units})


def written(array: xr.DataArray, path: Path) -> Path:
    array.to_netcdf(path, engine="h5netcdf")
    return path


def test_three_states_stay_three_and_what_cannot_be_is_counted() -> None:
    values = np.zeros((3, 2, 4))
    values[0, 0] = [np.nan, 0.0, 0.01, 7.0]
    values[1, 0] = [np.inf, -np.inf, -0.1, 1.0]
    frames = build(stored(values), where="f.nc")
    np.testing.assert_array_equal(frames.values[0, 0, 0], np.float32([np.nan, 0.0, 0.01, 7.0]))
    np.testing.assert_array_equal(frames.values[1, 0, 0], np.float32([np.nan, np.nan, np.nan, 1.0]))
    assert coverage(frames)["infinite"].values.tolist() == [0, 2, 0]
    assert coverage(frames)["below"].values.tolist() == [0, 1, 0]
    assert describe_impossible(coverage(frames), RAIN_RATE) == (
        "2 pixels in 1 frame are infinite, which cannot be: no data",
        "1 pixel in 1 frame is below 0 mm/h, which cannot be: no data",
    )


def test_what_cannot_be_is_counted_in_the_pixels_that_are_looked_at() -> None:
    """Cut out, put in another order, joined: the count is that of the pixels that are there."""
    values = np.ones((4, 6, 5))
    values[1, 2, 3], values[3, :, 0] = np.inf, -4
    frames = build(stored(values), where="f.nc")
    part = frames.isel(y=slice(1, 4), x=slice(0, 4), time=[3, 1])
    twice = xr.concat([part, part], "time")
    for some, copies in ((part, 1), (twice, 2), (twice.load(), 2)):
        found = coverage(some)
        assert found["below"].values.tolist() == [3, 0] * copies
        assert found["infinite"].values.tolist() == [0, 1] * copies
    assert coverage(frames.isel(x=slice(1, 3)))["below"].sum() == 0


def test_bytes_become_exactly_zero_to_one() -> None:
    frames = build(stored(np.arange(256, dtype=np.uint8).reshape(1, 16, 16), "0-255"), where="f.npy")
    assert frames.values.min() == 0
    assert frames.values.max() == 1
    np.testing.assert_array_equal(np.round(frames.values.ravel() * 255), np.arange(256))
    assert frames.attrs["repairs"] == ["values in 0-255 were converted to 1"]


def test_dims_that_are_not_those_of_frames_are_refused() -> None:
    level = stored(np.zeros((2, 4, 4))).expand_dims(level=3)
    with pytest.raises(DataError, match=r"dims .*level.* are not those of frames"):
        build(level, where="f.nc")


def test_a_frame_without_time_stamp_is_refused_by_number(tmp_path: Path) -> None:
    rain = stored(np.random.default_rng(0).random((4, 3, 3)))
    times = rain["time"].values.copy()
    times[2] = np.datetime64("NaT")
    rain["time"] = times
    with pytest.raises(DataError, match=r"holes\.nc: frame 2 has no time stamp"):
        framecast.open(written(rain, tmp_path / "holes.nc"))


def test_frames_out_of_order_with_copies_are_sorted_then_thinned(tmp_path: Path) -> None:
    rain = stored(np.random.default_rng(0).random((5, 3, 3)))
    frames = framecast.open(written(rain.isel(time=[3, 0, 1, 3, 2, 4, 3]), tmp_path / "mess.nc"))
    np.testing.assert_array_equal(frames["time"].values, rain["time"].values)
    np.testing.assert_array_equal(frames.values[:, 0], rain.values.astype(np.float32))
    assert ["sorted by their time stamps" in said for said in frames.attrs["repairs"]] == [True, False]
    assert "2 frames with a repeated time dropped: exact copies" in frames.attrs["repairs"][1]


def test_absent_steps_stay_absent(tmp_path: Path) -> None:
    rain = stored(np.random.default_rng(0).random((6, 3, 3))).isel(time=[0, 1, 4, 5])
    frames = framecast.open(written(rain, tmp_path / "gap.nc"))
    np.testing.assert_array_equal(np.diff(frames["time"].values) / STEP, [1, 3, 1])


@pytest.mark.parametrize("suffix", ["nc", "zarr"])
def test_opened_frames_can_be_written_and_opened_again(bad: Path, tmp_path: Path, suffix: str) -> None:
    """Values, times, grid, projection, units and a dry value of their own, as opened."""
    frames = framecast.open(bad / "good_reference.nc", dry=0.1).isel(time=slice(4, 8))
    path = tmp_path / f"part.{suffix}"
    if suffix == "nc":
        frames.to_netcdf(path, engine="h5netcdf")
    else:
        frames.drop_vars("source").to_zarr(path, zarr_format=2)
    again = framecast.open(path)
    np.testing.assert_array_equal(again.values, frames.values)
    for name in ("time", "y", "x"):
        np.testing.assert_array_equal(again[name].values, frames[name].values)
    assert again["y"].attrs == frames["y"].attrs
    assert again["crs"].attrs["crs_wkt"] == frames["crs"].attrs["crs_wkt"]
    for name in ("units", "quantity", "dry", "grid_mapping", "standard_name"):
        assert again.attrs[name] == frames.attrs[name]
    assert again.attrs["dry"] == 0.1


@pytest.mark.parametrize(
    ("units", "stated", "name"),
    [
        ("mm h-1", None, "lwe_precipitation_rate"),
        ("mm h-1", "rainfall_rate", "rainfall_rate"),
        ("kg m-2 s-1", "precipitation_flux", "lwe_precipitation_rate"),
        ("mm per 5 min", "thickness_of_rainfall_amount", "rainfall_rate"),
        ("dBZ", None, "equivalent_reflectivity_factor"),
        ("0-255", None, None),
    ],
)
def test_frames_have_the_standard_name_of_what_they_hold(units: str, stated: str | None, name: str | None) -> None:
    """Not that of the file where its values were converted to another quantity."""
    attributes = {"units": units} | ({"standard_name": stated} if stated else {})
    frames = build(stored(np.ones((1, 4, 5))).assign_attrs(attributes), where="x.nc")
    assert frames.attrs.get("standard_name") == name


def test_the_same_grid_is_the_same_pixels() -> None:
    one = stored(np.zeros((1, 4, 5))).assign_coords(y=np.arange(4.0) * 1000, x=np.arange(5.0) * 1000)
    assert same_grid(one, one.assign_coords(y=one["y"] + 0.5))
    assert not same_grid(one, one.assign_coords(y=one["y"] + 500))
    assert not same_grid(one, one.isel(x=slice(4)))
    assert not same_grid(one, one.drop_vars("y"))
