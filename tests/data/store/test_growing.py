"""Files that are given to a store that exists: late frames, frames at times that it has, and files that have changed."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import framecast
from framecast.data.store import layout, manifest
from framecast.data.store.conversion import convert

START = np.datetime64("2024-03-31T00:00", "ns")


def write(path: Path, minutes: list[int], values: list[float] | float = 5.0) -> Path:
    """A file of frames at these minutes, each of one value."""
    frames = np.full((len(minutes), 8, 8), 1.0, np.float32) * np.reshape(values, (-1, 1, 1))
    frames[:, 0] = np.nan
    rain = xr.DataArray(frames.astype(np.float32), dims=("time", "y", "x"), attrs={"units": "mm h-1"}, name="rain")
    rain = rain.assign_coords(time=START + np.array(minutes) * np.timedelta64(1, "m"))
    rain = rain.assign_coords(
        y=("y", np.arange(8.0)[::-1] * 1e3, {"units": "m"}), x=("x", np.arange(8.0) * 1e3, {"units": "m"})
    )
    path.unlink(missing_ok=True)
    rain.to_netcdf(path, engine="h5netcdf")
    return path


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A file that is in the store `a.zarr`."""
    path = write(tmp_path / "first.nc", [0, 5, 10, 20, 25, 30])
    convert(path, tmp_path / "a.zarr")
    return path


def read_values(store: Path) -> dict[int, float]:
    """The value of the frame of each minute."""
    frames = framecast.open(store)
    minutes = (frames["time"].values - START) // np.timedelta64(1, "m")
    return dict(zip(minutes.tolist(), frames.values[:, 0, -1, -1].tolist(), strict=True))


def read_manifest(store: Path) -> dict[str, list[str] | dict[str, str]]:
    found: dict[str, list[str] | dict[str, str]] = json.loads((store / "manifest.json").read_text())
    return found


def test_frames_of_one_file_that_are_late_at_a_time_of_the_store_and_new(first: Path, tmp_path: Path) -> None:
    store, second = tmp_path / "a.zarr", write(tmp_path / "second.nc", [15, 25, 30, 35, 40], [15, 15, 5, 15, 15])
    for added in (2, 0):  # the report stays when the file is given again
        done = convert(second, store)
        assert (done.frames, done.added) == (8, added)
        assert list(done.left_out) == [str(second)]
        assert done.left_out[str(second)].startswith("late: 1 of 5 frames lies before the end of the store")
        assert "convert all to a new store" in done.left_out[str(second)]
        exact, other = done.repairs
        assert exact == "1 frame with a time that the store has dropped: exact copies " + f"({second})"
        assert other.startswith("1 frame with the time of another, different one in the store dropped: the store keeps")
        assert read_manifest(store)["left_out"] == done.left_out
        assert read_manifest(store)["repairs"] == list(done.repairs)
    assert read_values(store) == {0: 5, 5: 5, 10: 5, 20: 5, 25: 5, 30: 5, 35: 15, 40: 15}
    third = write(tmp_path / "third.nc", [45])
    assert list(convert(third, store).left_out) == [str(second)], "of earlier files too"


def test_interrupted_while_late_frames_are_left_out_the_report_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "SHARD", 4 * 8 * 8 * 4)  # of four frames
    for name, stop in (("a", True), ("b", False)):
        (tmp_path / name).mkdir()
        convert(write(tmp_path / name / "first.nc", [0, 10, 20]), tmp_path / name / "a.zarr")
        second = write(tmp_path / name / "second.nc", [5, 20, *range(30, 330, 10)], 7)

        def interrupt(done: int, of: int, stop: bool = stop) -> None:
            if stop and 3 < done < of:
                raise KeyboardInterrupt

        if stop:
            with pytest.raises(KeyboardInterrupt):
                convert(second, tmp_path / name / "a.zarr", progress=interrupt)
        convert(second, tmp_path / name / "a.zarr")
    a, b = (read_manifest(tmp_path / name / "a.zarr") for name in "ab")
    for key in ("left_out", "repairs"):
        assert json.dumps(a[key]).replace("/a/", "/b/") == json.dumps(b[key])
        assert a[key]


def test_a_file_with_other_values_has_changed(first: Path, tmp_path: Path) -> None:
    store, size = tmp_path / "a.zarr", first.stat().st_size
    write(first, [0, 5, 10, 20, 25, 30], [5, 5, 9, 5, 5, 5])
    assert first.stat().st_size == size
    done = convert(first, store)
    assert done.left_out[str(first)].startswith(
        "changed since it was converted: 1 of 6 frames that the store has from it is different now"
    )
    assert "convert all to a new store" in done.left_out[str(first)]
    assert read_values(store)[10] == 5
    write(first, [0, 5, 10, 20, 25, 30, 35], [5, 5, 9, 5, 5, 9, 7])
    for added in (1, 0):
        done = convert(first, store)
        assert done.added == added
        assert f"2 of {7 - added} frames" in done.left_out[str(first)]
    assert read_values(store)[35] == 7


def test_a_file_that_grew_or_was_written_again_is_not_reported(first: Path, tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    os.utime(first, ns=(1, 1))
    assert convert(first, store).left_out == {}
    write(first, [0, 5, 10, 20, 25, 30, 35])
    done = convert(first, store)
    assert (done.added, done.left_out, done.repairs) == (1, {}, ())


def test_files_that_are_as_they_were_are_not_read_for_their_checksum(
    first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Size and time of change are enough; a store of an earlier version, without times, has them after one checksum."""
    store, summed = tmp_path / "a.zarr", []
    original = manifest.checksums
    monkeypatch.setattr(manifest, "checksums", lambda file: [summed.append(file), original(file)][1])
    convert(first, store)
    assert summed == []
    about = read_manifest(store)
    del about["modified"]
    (store / "manifest.json").write_text(json.dumps(about))
    convert(first, store)
    convert(first, store)
    assert summed == [first]
