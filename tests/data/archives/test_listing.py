"""Thousands of files listed by their names: three are opened, and what is wrong with another is said when it is read."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import framecast
from framecast.data.archives import opening
from framecast.data.datasets import ArchiveData
from framecast.data.readers import netcdf
from framecast.data.readers.options import ReadOptions
from framecast.data.store.conversion import convert
from framecast.errors import DataError

START, STEP = np.datetime64("2020-05-01T00:00", "ns"), np.timedelta64(5, "m")


def write(folder: Path, number: int, size: int = 12, shift: int = 0, prefix: str = "rain") -> Path:
    """One frame; its own time may be some minutes after that of its name."""
    folder.mkdir(exist_ok=True)
    time = START + number * STEP
    values = np.random.default_rng(number).gamma(0.3, 3.0, (1, size, 16)).astype(np.float32)
    stamp = str(time)[:16].replace("-", "").replace("T", "_").replace(":", "")
    path = folder / f"{prefix}_{stamp}.nc"
    frame = xr.Dataset(
        {"rain": (("time", "y", "x"), values, {"units": "mm/h"})},
        coords={"time": [time + np.timedelta64(shift, "m")], "y": np.arange(size) * 1e3, "x": np.arange(16) * 1e3},
    )
    frame.to_netcdf(path, engine="h5netcdf", encoding={"time": {"units": "minutes since 2020-01-01"}})
    return path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that the reader is asked to read."""
    seen: list[Path] = []
    read = netcdf.read
    monkeypatch.setattr(netcdf, "read", lambda path, options: (seen.append(path), read(path, options))[1])
    return seen


@pytest.mark.parametrize("shift", [0, 5])
def test_three_files_are_opened_and_the_frames_are_the_same(tmp_path: Path, opened: list[Path], shift: int) -> None:
    for number in range(40):
        write(tmp_path, number, shift=shift)
    (tmp_path / "README.txt").write_text("about")
    frames = framecast.open(tmp_path, by_name=True)
    assert len(opened) == 3
    assert "40 files are listed by their names: 3 were opened (by_name=False opens all)" in frames.attrs["repairs"]
    everything = framecast.open(tmp_path)
    np.testing.assert_array_equal(frames["time"].values, everything["time"].values)
    np.testing.assert_array_equal(frames["source"].values, everything["source"].values)
    opened.clear()
    np.testing.assert_array_equal(frames.isel(time=17).values, everything.isel(time=17).values)
    assert len(opened) == 1
    xr.testing.assert_identical(frames.load().drop_attrs(), everything.load().drop_attrs())


def test_what_is_wrong_is_said_when_it_is_read(tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path, number)
    wrong = write(tmp_path, 3, size=14)
    late = write(tmp_path, 4, shift=7)
    broken = write(tmp_path, 5)
    broken.write_bytes(broken.read_bytes()[:900])
    frames = framecast.open(tmp_path, by_name=True)
    for number, file, what in (
        (3, wrong, r"differs.*\n.*one by one"),
        (4, late, r"its name says.*\n.*take the times that the files hold: by_name=False"),
        (5, broken, r"(format|cannot|incomplete).*\n.*left out: by_name=False"),
    ):
        with pytest.raises(DataError, match=what) as error:
            frames.isel(time=number).load()
        assert str(error.value.where) == str(file)
    assert np.isfinite(frames.isel(time=6).values).all()
    done = convert(tmp_path, tmp_path.with_suffix(".zarr"), options=ReadOptions(by_name=True))
    assert (done.frames, len(done.missing)) == (12, 3)


@pytest.mark.parametrize("why", ["names", "few", "sizes", "times"])
def test_all_are_opened_where_names_do_not_tell(tmp_path: Path, why: str) -> None:
    count = 3 if why == "few" else 8
    for number in range(count):
        path = write(tmp_path, number, size=12, shift=number if why == "times" else 0)
        if why == "names":
            path.rename(tmp_path / f"frame_{number}.nc")
    if why == "sizes":
        write(tmp_path, 7, size=14)
        with pytest.raises(DataError, match="14 x 16"):
            framecast.open(tmp_path, by_name=True)
        return
    frames = framecast.open(tmp_path, by_name=True)
    assert frames.sizes["time"] == count
    assert "files could not be listed by their names: all were opened" in frames.attrs["repairs"]


def test_more_than_a_thousand_are_listed_unless_all_are_wanted(
    tmp_path: Path, opened: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "MANY", 11)
    for number in range(12):
        write(tmp_path, number)
    many = [framecast.open(source).load() for source in (tmp_path, str(tmp_path / "*.nc"), sorted(tmp_path.iterdir()))]
    assert len(opened) == 3 * (3 + 12)
    assert "12 files are listed by their names: 3 were opened (by_name=False opens all)" in many[0].attrs["repairs"]
    opened.clear()
    convert(tmp_path, tmp_path.with_suffix(".zarr"))
    assert set(opened[:12]) == set(tmp_path.iterdir()), "what is wrong with one is left out and said"
    opened.clear()
    everything = framecast.open(tmp_path, by_name=False)
    assert len(opened) == 12
    for each in many:
        xr.testing.assert_identical(each.drop_attrs(), everything.load().drop_attrs())


def test_a_file_without_a_time_in_its_name_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MANY", 3)
    for number in range(8):
        write(tmp_path, number)
    (tmp_path / "README.txt").write_text("about")
    assert "passed over what is not understood: README.txt" in framecast.open(tmp_path).attrs["repairs"]
    write(tmp_path, 8).rename(tmp_path / "last.nc")
    assert framecast.open(tmp_path).sizes["time"] == 9


def test_windows_of_training_can_be_listed_too(tmp_path: Path, opened: list[Path]) -> None:
    for number in range(30):
        write(tmp_path, number)
    data = ArchiveData(path=str(tmp_path), context=3, horizon=3, by_name=True, min_valid=0)
    assert len(data.open_archives()[0]["time"]) == 30
    assert len(opened) == 3
