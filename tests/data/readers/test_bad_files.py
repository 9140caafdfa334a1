"""Broken and awkward files: each has one outcome (see the README beside them)."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

import framecast
from framecast.data.datasets import ArchiveData
from framecast.data.windows.splits import ByBlocks
from framecast.errors import DataError, UnreadableFile


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("truncated.nc", "incomplete or unreadable"),
        ("truncated.h5", "incomplete or unreadable"),
        ("empty.nc", "is empty.*\n.*CF NetCDF"),
        ("text.h5", "not a format.*\n.*CF NetCDF"),
        ("wrong_units.nc", r"'rainfall_rate' has units 'parsec'; understood are mm h-1.*\n.*units="),
        ("no_units.nc", r"'rainfall_rate' has no units; understood are mm h-1.*\n.*units="),
        ("no_time_coordinate.nc", r"'rainfall_rate' have no time coordinate\n.*time_step=5"),
        (
            "frames_of_two_shapes",
            r"on 2 grids: 64 x 64 pixels in 3 files such as 000.npy; 48 x 64 pixels in 1 file.*\n.*like=",
        ),
        ("pickled_object.npz", "unpickling.*refused"),
        (
            "float_frames_0_255.npz",
            r"has no units, values from 0\.02\d* to 254\.\d*; .*\n.*for 8-bit images 0-255.*units=",
        ),
        ("zero_bomb.npz", "1024 MiB; the limit"),
        ("huge_header.png", "refused before decoding"),
    ],
)
def test_refused_with_file_reason_and_remedy(bad: Path, name: str, said: str) -> None:
    with pytest.raises(DataError, match=r"(?s)" + said) as error:
        framecast.open(bad / name)
    assert name in str(error.value)
    assert "->" in str(error.value)


def test_good_reference_is_accepted(bad: Path) -> None:
    assert framecast.inspect(bad / "good_reference.nc", context=5, horizon=5).concerns == ()


def test_missing_step_is_a_gap_that_no_window_spans(bad: Path) -> None:
    frames = framecast.open(bad / "missing_time_step.nc")
    assert frames.sizes["time"] == 15
    data = ArchiveData(
        path=str(bad / "missing_time_step.nc"), context=2, horizon=2, split=ByBlocks(validation=0, test=0)
    )
    sources = data.open()
    steps = np.diff(frames["time"].values)
    gap = int(np.argmax(steps))
    starts = {window.start for window in sources.train.windows}  # type: ignore[union-attr]
    assert starts
    assert not any(start <= gap < start + 3 for start in starts)
    assert any("crosses a gap" in line for line in sources.repairs)
    assert any(" in time: " in concern for concern in framecast.inspect(frames, context=2, horizon=2).concerns)


def test_exact_copies_are_dropped_and_reported(bad: Path) -> None:
    frames = framecast.open(bad / "duplicated_time.nc")
    assert frames.sizes["time"] == 11
    assert len(np.unique(frames["time"])) == 11
    assert "1 frame with a repeated time dropped: exact copies" in frames.attrs["repairs"][0]


def test_conflicting_copies_are_refused(bad: Path, tmp_path: Path) -> None:
    import xarray as xr

    with xr.open_dataset(bad / "duplicated_time.nc") as dataset:
        conflicting = dataset.load()
    conflicting["rainfall_rate"][3] = conflicting["rainfall_rate"][3] + 1
    conflicting.to_netcdf(tmp_path / "conflict.nc", engine="h5netcdf")
    with pytest.raises(DataError, match="two different frames have the time 2015-05-15T15:55:00"):
        framecast.open(tmp_path / "conflict.nc")


def test_unordered_frames_are_sorted_and_reported(bad: Path) -> None:
    frames, reference = framecast.open(bad / "unordered_time.nc"), framecast.open(bad / "good_reference.nc")
    assert (np.diff(frames["time"].values) > np.timedelta64(0)).all()
    assert "sorted" in frames.attrs["repairs"][0]
    same = reference.sel(time=frames["time"])
    np.testing.assert_array_equal(frames.values, same.values)


def test_frame_without_data_is_missing(bad: Path) -> None:
    seen = framecast.inspect(bad / "all_nodata_frame.nc", context=2, horizon=2)
    assert any("1 frame without any data" in concern for concern in seen.concerns)
    assert any("refused: covers a frame without any data" in concern for concern in seen.concerns)


def test_stuck_frames_are_suspicious(bad: Path) -> None:
    concerns = framecast.inspect(bad / "stuck_frames.nc").concerns
    assert any("2 frames equal to the one before" in concern for concern in concerns)


def test_no_rain_at_all_is_said(bad: Path) -> None:
    assert any("no wet pixel" in concern for concern in framecast.inspect(bad / "all_dry.nc").concerns)


@pytest.mark.parametrize("name", ["infinite_value.nc", "negative_rain.nc", "negative_code.nc"])
def test_impossible_values_are_no_data_and_reported(bad: Path, name: str) -> None:
    frames = framecast.open(bad / name)
    values = frames.values
    assert not np.isinf(values).any()
    assert not (values < 0).any()
    assert np.isnan(values).any()
    assert np.nanmax(values) < 200
    concerns = framecast.inspect(bad / name, context=1, horizon=1).concerns
    assert any("which cannot be: no data" in concern for concern in concerns), concerns


def test_too_short_says_how_many_frames_are_needed(bad: Path) -> None:
    with pytest.raises(DataError, match=r"no window of 20 frames \(10 context \+ 10 horizon\) in 3 frames"):
        ArchiveData(path=str(bad / "too_short.nc")).open()


def test_stated_units_and_steps_are_taken(bad: Path) -> None:
    assert framecast.open(bad / "no_units.nc", units="mm/h").attrs["units"] == "mm h-1"
    assert float(framecast.open(bad / "float_frames_0_255.npz", units="0-255").max()) <= 1
    frames = framecast.open(bad / "no_time_coordinate.nc", time_step=5)
    assert (np.diff(frames["time"].values) == np.timedelta64(5, "m")).all()
    assert "stated step of 5 minutes" in frames.attrs["repairs"][0]


def test_damaged_files_among_others_are_left_out_and_reported(bad: Path, tmp_path: Path) -> None:
    for name in ("good_reference.nc", "truncated.nc"):
        (tmp_path / name).write_bytes((bad / name).read_bytes())
    frames = framecast.open(tmp_path)
    assert frames.sizes["time"] == 16
    assert "1 of 2 files could not be read" in frames.attrs["repairs"][0]
    assert "truncated.nc" in frames.attrs["repairs"][0]


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("rain.nc", b"%PDF-1.7 and more", "a PDF document"),
        ("rain.npy", b"<!DOCTYPE html><title>404</title>", "a web page"),
        ("rain.png", b"GIF89a and more", "a GIF picture"),
        ("rain.nc", "zip", "a zip archive of files, the first 'rain.txt'"),
        ("rain.nc", bytes(2048), None),
    ],
)
def test_another_kind_of_file_is_named_in_spite_of_its_name(
    tmp_path: Path, name: str, content: bytes | str, what: str | None
) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("rain.txt", "rain")
    with pytest.raises(UnreadableFile) as caught:
        framecast.open(path)
    assert (str(what) in caught.value.what and "in spite of its name" in caught.value.what) == (what is not None)
    assert caught.value.remedy
