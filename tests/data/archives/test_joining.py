"""Several files become one archive, or are refused; never a guess about their order."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

import framecast
from framecast.data.archives.names import frame_number
from framecast.data.frames import actions_of
from framecast.data.readers.file_names import time_in_name
from framecast.errors import DataError


def day(start: str, count: int, **changes: object) -> xr.DataArray:
    times = np.datetime64(start, "ns") + np.arange(count) * np.timedelta64(10, "m")
    minutes = (times - np.datetime64("2020-01-01", "ns")) / np.timedelta64(1, "m")
    values = minutes[:, None, None] + np.arange(12.0).reshape(3, 4)
    coords = {"time": times, "y": np.arange(3.0) * 500, "x": np.arange(4.0) * 500}
    return xr.DataArray(values, dims=("time", "y", "x"), coords=coords, name="rain", attrs={"units": "mm/h", **changes})


def save(path: Path, array: xr.DataArray) -> Path:
    array.to_netcdf(path, engine="h5netcdf")
    return path


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("RAD_NL25_RAP_5min_201008260005", "2010-08-26T00:05"),
        ("66_20201031_001000.prcp-c10", "2020-10-31T00:10:00"),
        ("radar-2020-10-31T23-55-30Z", "2020-10-31T23:55:30"),
        ("a_20209931_0000_20201031_0010", "2020-10-31T00:10"),
        ("rain_2020010112", "2020-01-01T12:00"),
        ("a_2020010112_20200101_1305", "2020-01-01T13:05"),
        ("frame_2020010124", None),
        ("frame_2020130112", None),
        ("frame_0042", None),
        ("202010", None),
        ("123456789012345678", None),
    ],
)
def test_times_are_found_in_names(name: str, time: str | None) -> None:
    found = time_in_name(name)
    assert found == (None if time is None else np.datetime64(time, "ns"))


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("rain_20240331_1205+0200", "2024-03-31T10:05"),
        ("rain_20240331T1205+02", "2024-03-31T10:05"),
        ("rain_20240331_1205UTC", "2024-03-31T12:05"),
        ("2024-03-31 12:05:00.123Z", "2024-03-31T12:05"),
        ("rain_20240331_0105PM", "2024-03-31T13:05"),
        ("rain_20240331_1205am", "2024-03-31T00:05"),
        ("Screenshot 2024-03-31 at 01.05.00 PM", "2024-03-31T13:05"),
        ("rain_20240331_12h05", "2024-03-31T12:05"),
        ("rain_2024091_1205", "2024-03-31T12:05"),
        ("MOD_A2024091.1205.061", "2024-03-31T12:05"),
        ("20240911205", "2024-03-31T12:05"),
        ("3IMERG.20240331-S120000-E122959.0720.V07B", "2024-03-31T12:00"),
        ("march_20240331_1205_west", "2024-03-31T12:05"),
        ("PPI_20240331_120500_01", "2024-03-31T12:05"),
        ("OR_M6_G16_s20240911200205_e20240911209513_c20240911210000", "2024-03-31T12:00:20"),
        ("rain_20240331", "2024-03-31"),
        ("IMG_20240331_120501", "2024-03-31T12:05:01"),
        ("frame_000010101", None),
        ("frame_1711843800", None),
    ],
)
def test_offsets_halves_of_the_day_and_days_of_the_year_are_read(name: str, time: str | None) -> None:
    assert time_in_name(name) == (None if time is None else np.datetime64(time, "ns"))
    if time is None:
        assert frame_number(Path(f"{name}.png")) == int(name.rpartition("_")[2])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("rain_240331_1205", "a year of two digits"),
        ("raa01-ry_10000-2403310010-dwd---bin", "a year of two digits"),
        ("240911205", "a year of two digits"),
        ("rain_24-03-31_12-05", "a year of two digits"),
        ("31032024_1205", "the year after the day"),
        ("rain_03-31-2024 12-05", "the year after the day"),
        ("rain_20240331_1205_CET", "a time zone by its name"),
        ("rain_20240331_1205EDT", "a time zone by its name"),
        ("2024-03-31T12:05:00-05:00", "an offset from UTC, or the end of an interval"),
        ("2024-03-31T12_05_00-05_00", "an offset from UTC, or the end of an interval"),
        ("rain_20240331_1205_UTC+2", "an offset from UTC, or the end of an interval"),
        ("rain_20240331_1205 GMT-01", "an offset from UTC, or the end of an interval"),
        ("2024-03-31_12-05_MESZ", "a time zone by its name"),
        ("2024-03-31 12.05.00 local", "a time zone by its name"),
        ("20240331_1205_Europe-Berlin", "a time zone by its name"),
        ("LT20240331_1205", "a time zone by its name"),
        ("31-Mar-2024_1205", "a month by its name"),
        ("2024mar31_1205", "a month by its name"),
        ("March 31, 2024", "a month by its name"),
        ("rain_20240331_1305PM", "a clock of 12 hours"),
        ("rain_20240331_0105p", "a clock of 12 hours"),
        ("12-05-00_2024-03-31", "a date, and no time of the day after it"),
        ("gfs.20240331.t12z", "a date, and no time of the day after it"),
        ("rain_20240331_2405", "a date, and no time of the day after it"),
        ("rain_20240230_1205", "a date, and no time of the day after it"),
    ],
)
def test_times_that_are_not_clear_are_refused(tmp_path: Path, name: str, why: str) -> None:
    assert time_in_name(name) is None
    for file in (name, f"other_{name}"):
        Image.new("L", (4, 4)).save(tmp_path / f"{file}.png")
    with pytest.raises(DataError, match=rf"not clear \({why}.*\n.*date and time in UTC"):
        framecast.open(tmp_path)


def test_a_name_without_number_gives_no_order() -> None:
    assert frame_number(Path("run2_frame_007.png")) == 7
    with pytest.raises(DataError, match="neither a date and time nor a number"):
        frame_number(Path("rain.png"))


def test_numbers_too_large_for_a_time_step_are_refused(tmp_path: Path) -> None:
    for number in (2020990112, 2020990113):
        np.save(tmp_path / f"rain_{number}.npy", np.zeros((4, 4), dtype=np.uint8))
    with pytest.raises(DataError, match=r"rain_2020990113\.npy: .* 2020990113 would, at 60 minutes .* 2262"):
        framecast.open(tmp_path, time_step=60)


def test_files_that_overlap_are_one_archive(tmp_path: Path) -> None:
    save(tmp_path / "b.nc", day("2020-01-01T01:00", 4))
    save(tmp_path / "a.nc", day("2020-01-01T00:00", 7))
    frames = framecast.open(tmp_path)
    assert (np.diff(frames["time"].values) == np.timedelta64(10, "m")).all()
    assert [Path(str(file)).name for file in frames["source"].values] == ["a.nc"] * 7 + ["b.nc"] * 3
    assert "1 frame with a repeated time dropped: exact copies" in frames.attrs["repairs"][0]


def test_files_that_contradict_each_other_are_refused_by_name(tmp_path: Path) -> None:
    save(tmp_path / "a.nc", day("2020-01-01T00:00", 3))
    save(tmp_path / "b.nc", day("2020-01-01T00:20", 3) + 1)
    with pytest.raises(DataError, match=r"b\.nc: .*2020-01-01T00:20:00 UTC, the other in .*a\.nc"):
        framecast.open(
            [tmp_path / "a.nc", save(tmp_path / "b.nc", (day("2020-01-01T00:20", 3) + 1).assign_attrs(units="mm/h"))]
        )


def with_actions(path: Path, frames: int, numbers: int) -> np.ndarray:
    actions = np.random.default_rng(len(path.name) + frames).normal(size=(frames, numbers)).astype(np.float32)
    np.savez(path, frames=np.zeros((frames, 1, 8, 8), np.uint8), **({"actions": actions} if numbers else {}))
    return actions


def test_actions_of_files_without_an_axis_of_time_are_each_their_own(tmp_path: Path) -> None:
    """A file is one frame `(y, x)`, and its actions are `(A,)`."""
    folder = tmp_path / "frames"
    folder.mkdir()
    taken = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    for k, actions in enumerate(taken):
        np.savez(folder / f"frame_{k}.npz", frames=np.zeros((8, 9), np.uint8), actions=actions)
    np.testing.assert_array_equal(actions_of(framecast.open(folder)), taken[np.newaxis])
    np.testing.assert_array_equal(actions_of(framecast.open(folder / "frame_2.npz")), taken[np.newaxis, 2:3])
    framecast.convert(folder, tmp_path / "all.zarr")
    np.testing.assert_array_equal(actions_of(framecast.open(tmp_path / "all.zarr")), taken[np.newaxis])


def test_actions_of_single_frames_are_each_their_own(tmp_path: Path) -> None:
    taken = [with_actions(tmp_path / f"frame_{'0' * k}{k}.npz", 1, 3) for k in range(4)]
    np.testing.assert_array_equal(actions_of(framecast.open(tmp_path))[0], np.concatenate(taken))


@pytest.mark.parametrize("numbers", [0, 2])
def test_files_with_other_actions_are_refused(tmp_path: Path, numbers: int) -> None:
    with_actions(tmp_path / "a.npz", 5, 3)
    with_actions(tmp_path / "b.npz", 5, numbers)
    with pytest.raises(DataError, match=rf"b\.npz: {numbers} actions and not the 3"):
        framecast.open(tmp_path)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (day("2020-01-02", 3, units="dBZ"), r"reflectivity \(dBZ\) and not the rain_rate"),
        (day("2020-01-02", 3, dry=-1.0), "dry is -1 and not the 0"),
        (day("2020-01-02", 3).expand_dims(channel=2, axis=1), r"2 channels and not the 1"),
    ],
)
def test_files_that_differ_are_refused_with_the_difference(tmp_path: Path, other: xr.DataArray, said: str) -> None:
    save(tmp_path / "a.nc", day("2020-01-01", 3))
    save(tmp_path / "b.nc", other)
    with pytest.raises(DataError, match=rf"b\.nc: .*{said}"):
        framecast.open(tmp_path)


def test_units_may_differ_as_long_as_the_quantity_does_not(tmp_path: Path) -> None:
    save(tmp_path / "a.nc", day("2020-01-01", 3))
    seconds = (day("2020-01-02", 3) / 3600).assign_attrs(units="mm s-1")
    save(tmp_path / "b.nc", seconds)
    frames = framecast.open(tmp_path)
    np.testing.assert_allclose(frames.values[3:, 0], day("2020-01-02", 3).values, rtol=1e-6)
    assert frames.attrs["repairs"] == ["values in mm s-1 were converted to mm h-1"]


def test_clips_without_clock_are_never_joined_into_one(tmp_path: Path) -> None:
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, np.zeros((5, 8, 8), dtype=np.uint8))
    frames = framecast.open(tmp_path)
    assert frames["time"].values.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]


def test_two_cameras_in_one_folder_are_refused(tmp_path: Path) -> None:
    for name in ("left_1.npy", "left_2.npy", "right_1.npy"):
        np.save(tmp_path / name, np.zeros((4, 4), dtype=np.uint8))
    with pytest.raises(DataError, match=r"right_1\.npy: frame number 1, as left_1\.npy"):
        framecast.open(tmp_path)
    assert framecast.open(f"{tmp_path}/left_*.npy")["time"].values.tolist() == [1, 2]


def test_single_arrays_are_dated_by_their_names(tmp_path: Path) -> None:
    for minute in (10, 0):
        np.save(tmp_path / f"rain_20200101_12{minute:02d}.npy", np.full((4, 4), minute, dtype=np.float32))
    frames = framecast.open(tmp_path, units="mm/h")
    assert frames["time"].values.tolist() == [
        np.datetime64(f"2020-01-01T12:{minute}", "ns").astype(int) for minute in ("00", "10")
    ]
    assert frames.values[:, 0, 0, 0].tolist() == [0, 10]


def test_many_single_frames_are_one_array_to_dask(tmp_path: Path) -> None:
    """Opening reads headers; pixels of a file are read when they are asked for, those of one file at a time."""
    frames = np.random.default_rng(0).integers(0, 255, (30, 8, 9), dtype=np.uint8)
    for minute, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"radar_20200101_00{minute:02d}.png")
    opened = framecast.open(tmp_path)
    assert opened.chunks == ((1,) * 30, (1,), (8,), (9,))
    assert len(opened.data.dask.layers) < 8
    np.testing.assert_allclose(opened.values[:, 0] * 255, frames, rtol=1e-6)
    np.testing.assert_allclose(
        opened.isel(time=[3, 29], y=slice(2, 5)).values[:, 0] * 255, frames[[3, 29], 2:5], rtol=1e-6
    )
    assert opened.isel(time=slice(4, 4)).values.shape == (0, 1, 8, 9)
    (tmp_path / "radar_20200101_0005.png").unlink()
    np.testing.assert_allclose(opened.isel(time=6).values[0] * 255, frames[6], rtol=1e-6)
    with pytest.raises(DataError, match=r"radar_20200101_0005\.png"):
        opened.isel(time=5).values  # noqa: B018
