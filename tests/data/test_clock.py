"""The regular clock of stamps that are seconds off; windows, gaps and valid times are on it."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import framecast
from framecast.data.clock import clock_of, describe_clock, most_common_step
from framecast.data.frames import build
from framecast.data.readers.single import single_frame
from framecast.data.windows.index import list_windows
from framecast.errors import DataError
from framecast.forecasting.baselines.persistence import Persistence
from framecast.forecasting.labels import forecast_frames

SECOND = np.timedelta64(1, "s")
BEGIN = np.datetime64("2024-03-30T18:00", "ns")


def stamps(count: int, step: int, jitter: int, seed: int, offset: int = 0) -> np.ndarray:
    """Times every `step` seconds, each up to `jitter` seconds early or late."""
    late = np.random.default_rng(seed).integers(-jitter, jitter + 1, count)
    return BEGIN + (np.arange(count) * step + offset + late) * SECOND


def frames_at(times: np.ndarray) -> xr.DataArray:
    values = np.ones((len(times), 4, 4), np.float32)
    array = xr.DataArray(values, dims=("time", "y", "x"), coords={"time": times}, attrs={"units": "mm h-1"})
    return build(array, where="test").assign_coords(source=("time", ["a.nc"] * len(times)))


@given(
    step=st.sampled_from([60, 120, 150, 300, 450, 600, 900, 3600]),
    count=st.integers(6, 80),
    share=st.floats(0, 0.09),
    seed=st.integers(0, 999),
)
def test_jitter_changes_neither_step_nor_clock(step: int, count: int, share: float, seed: int) -> None:
    clock = clock_of(stamps(count, step, int(share * step), seed))
    assert clock.step / SECOND == step
    assert clock.unbroken.all()
    np.testing.assert_array_equal(clock.times, BEGIN + np.arange(count) * step * SECOND)


@given(seed=st.integers(0, 999), missing=st.sets(st.integers(2, 57), max_size=5))
def test_a_frame_that_is_missing_is_a_gap(seed: int, missing: set[int]) -> None:
    kept = np.setdiff1d(np.arange(60), sorted(missing))
    clock = clock_of(stamps(60, 300, 25, seed)[kept])
    np.testing.assert_array_equal(~clock.unbroken, np.diff(kept) > 1)


def test_a_clock_that_wanders_is_followed() -> None:
    """As stamps of MRMS do: every two minutes, at 38 s and a slowly changing number of seconds."""
    random = np.random.default_rng(1)
    wander = np.clip(np.cumsum(random.integers(-1, 2, 700)), -40, 40)
    clock = clock_of(BEGIN + (np.arange(700) * 120 + 38 + wander) * SECOND)
    assert clock.step / SECOND == 120
    assert clock.unbroken.all()


@pytest.mark.parametrize(
    ("seconds", "step", "breaks"),
    [
        ([0, 300, 600, 900], 300, []),
        ([20, 320, 620, 920], 300, []),
        ([0, 300, 640, 900, 1200, 1500, 1800, 2100], 300, [1, 2]),
        ([0, 300, 310, 600, 900, 1200, 1500, 1800, 2100, 2400], 300, [1]),
        ([0, 300, 600, 1200, 1800, 2100], 300, [2, 3]),
        ([0, 122, 244, 366], 122, []),
    ],
)
def test_clocks_of_a_few_stamps(seconds: list[int], step: int, breaks: list[int]) -> None:
    times = BEGIN + np.array(seconds) * SECOND
    clock = clock_of(times)
    assert clock.step / SECOND == step
    assert np.flatnonzero(~clock.unbroken).tolist() == breaks
    if not breaks:
        np.testing.assert_array_equal(clock.times, times)


def test_numbers_of_frames_and_parts_of_a_second() -> None:
    assert most_common_step(np.array([0, 1, 2, 5, 6])) == 1
    film = BEGIN + np.arange(20) * np.timedelta64(33_366_700, "ns")
    assert clock_of(film).step == np.timedelta64(33_366_700, "ns")
    assert clock_of(film).unbroken.all()
    assert describe_clock(np.arange(9)) == []


def test_what_is_off_the_clock_is_said() -> None:
    assert describe_clock(stamps(60, 300, 0, 0)) == []
    (said,) = describe_clock(stamps(60, 300, 20, 0))
    assert said.startswith("time stamps are up to 20 s off the clock of 5 minutes; windows, gaps and valid times")
    two = np.sort(np.append(stamps(60, 300, 0, 0), BEGIN + 3010 * SECOND))
    said = " ".join(describe_clock(two))
    assert "1 frame lies less than half a step after the one before, on one tick of the clock of 5 minutes" in said
    assert "2024-03-30T18:50:10 UTC" in said
    late = stamps(60, 300, 0, 0)
    late[30] += 60 * SECOND
    assert "1 frame lies more than 30 s off the clock of 5 minutes, and in no window" in describe_clock(late)[0]


def test_windows_and_valid_times_are_on_the_clock() -> None:
    frames = frames_at(stamps(60, 300, 25, 3))
    assert len(list_windows([frames], context=5, horizon=6)) == 50
    forecast = forecast_frames(Persistence(), frames, 12)
    assert forecast["init_time"].values[0] == BEGIN + 59 * 300 * SECOND
    assert (forecast["lead_time"].values[-1] / SECOND) == 3600
    short = forecast_frames(Persistence(), frames.isel(time=slice(-5, None)), 3, context=5)
    assert short["init_time"].values[0] == BEGIN + 59 * 300 * SECOND


def test_newest_frames_off_the_clock_and_a_gap_are_told_apart() -> None:
    times = stamps(30, 300, 0, 0)
    with pytest.raises(DataError, match="a frame is missing among them"):
        forecast_frames(Persistence(), frames_at(np.delete(times, 28)), 2, context=4)
    with pytest.raises(DataError, match="are not both on the regular clock"):
        forecast_frames(Persistence(), frames_at(np.sort(np.append(times, times[28] + 9 * SECOND))), 2, context=4)


def test_valid_times_after_2262_are_refused() -> None:
    frames = frames_at(np.datetime64("2262-04-11T23:00", "ns") + np.arange(6) * np.timedelta64(5, "m"))
    assert forecast_frames(Persistence(), frames, 3).sizes["lead_time"] == 3
    with pytest.raises(DataError, match="5 frames after 2262-04-11T23:25:00 UTC lie after the year 2262"):
        forecast_frames(Persistence(), frames, 5)


@pytest.mark.parametrize("year", [1, 1500, 2300, 3000])
def test_times_that_cannot_be_stored_are_refused(tmp_path: Path, year: int) -> None:
    """They would wrap to another century."""
    times = np.datetime64(f"{year:04d}-01-01", "s") + np.arange(3) * np.timedelta64(300, "s")
    array = xr.DataArray(
        np.ones((3, 2, 2), "f4"), dims=("time", "y", "x"), coords={"time": times}, attrs={"units": "1"}
    )
    with pytest.raises(DataError, match=f"times from the year {year} to {year} cannot be stored"):
        build(array, where="test")
    with pytest.raises(DataError, match=r"a\.h5: the time .* cannot be stored"):
        single_frame(
            tmp_path / "a.h5", lambda: np.ones((2, 2)), name="rain", shape=(2, 2), time=times[0].astype(datetime)
        )


def test_the_archive_of_the_field_has_no_gap(shared_data: Path) -> None:
    inspection = framecast.inspect(shared_data / "field" / "02_stamps_with_seconds" / "rain.nc", context=5, horizon=6)
    assert inspection.axes["step"] == "5 minutes"
    assert (inspection.windows, inspection.gaps, inspection.refused) == (50, (), {})
    assert any("up to 20 s off the clock of 5 minutes" in repair for repair in inspection.repairs)
