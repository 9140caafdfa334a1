"""Files on several grids in one folder."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import framecast
from framecast.errors import DataError


def write(path: Path, minute: int, size: int = 6, shift: float = 0.0) -> None:
    given = {
        "time": [np.datetime64("2020-01-01", "ns") + np.timedelta64(minute, "m")],
        "y": ("y", 1000.0 * np.arange(size)[::-1] + shift, {"units": "m"}),
        "x": ("x", 1000.0 * np.arange(size), {"units": "m"}),
    }
    values = np.full((1, size, size), minute, np.float32)
    array = xr.DataArray(values, dims=("time", "y", "x"), coords=given, attrs={"units": "mm h-1"}, name="rain")
    array.to_netcdf(path, engine="h5netcdf")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for minute in (0, 5, 10):
        write(tmp_path / f"national_{minute:02d}.nc", minute)
    for minute in (0, 5):
        write(tmp_path / f"europe_{minute:02d}.nc", minute, size=8)
    write(tmp_path / "moved_00.nc", 0, shift=500.0)
    return tmp_path


def test_grids_are_listed_as_groups(folder: Path) -> None:
    with pytest.raises(DataError) as error:
        framecast.open(folder)
    assert error.value.what == (
        "the files lie on 3 grids: 8 x 8 pixels (y 7000 to 0, x 0 to 7000) in 2 files such as europe_00.nc; "
        "6 x 6 pixels (y 5500 to 500, x 0 to 5000) in 1 file such as moved_00.nc; "
        "6 x 6 pixels (y 5000 to 0, x 0 to 5000) in 3 files such as national_00.nc"
    )
    assert "like='national_00.nc'" in str(error.value)
    assert str(folder) in str(error.value)


@pytest.mark.parametrize(
    ("like", "frames", "size"), [("national_05.nc", 3, 6), ("europe_00.nc", 2, 8), ("moved_00.nc", 1, 6)]
)
def test_the_setting_of_the_message_picks_one(folder: Path, like: str, frames: int, size: int) -> None:
    for given in (like, str(folder / like)):
        opened = framecast.open(folder, like=given)
        assert opened.sizes["time"] == frames
        assert opened.sizes["y"] == size
        assert any("left out were files on other grids" in repair for repair in opened.attrs["repairs"])


def test_a_file_that_is_not_among_them(folder: Path) -> None:
    with pytest.raises(DataError, match=r"'absent\.nc' is not among those that were read: 8 x 8"):
        framecast.open(folder, like="absent.nc")


def test_convert_takes_the_grid_that_is_named(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    out = tmp_path_factory.mktemp("out") / "store.zarr"
    framecast.convert(folder, out, options=framecast.ReadOptions(like="national_00.nc"))
    assert framecast.open(out).shape == (3, 1, 6, 6)
