"""Windows cover unbroken, observed frames only; splits share no frame, whatever the rule."""

import datetime
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from framecast.data.datasets import ArchiveData
from framecast.data.frames import build
from framecast.data.windows.index import list_windows, time_step
from framecast.data.windows.splits import ByBlocks, ByDates, ByFile, Split, split
from framecast.errors import ConfigError, DataError

STEP = np.timedelta64(5, "m")
BEGIN = np.datetime64("2020-01-01", "ns")


def archive(at: list[int], values: np.ndarray | None = None, files: list[str] | None = None) -> xr.DataArray:
    """Rain at the steps `at` after the beginning of 2020."""
    if values is None:
        values = np.ones((len(at), 4, 4), dtype=np.float32)
    frames = build(
        xr.DataArray(
            values,
            dims=("time", "y", "x"),
            coords={"time": BEGIN + np.array(at) * STEP},
            attrs={"units": "mm h-1"},
        ),
        where="test",
    )
    return frames.assign_coords(source=("time", files or ["a.nc"] * len(at)))


def clips(count: int, length: int) -> xr.DataArray:
    values = np.ones((count, length, 4, 4), dtype=np.float32)
    frames = build(xr.DataArray(values, dims=("sequence", "time", "y", "x"), attrs={"units": "1"}), where="test")
    return frames.assign_coords(time=np.arange(length))


times = st.lists(st.integers(1, 3), min_size=7, max_size=60).map(lambda steps: [0, *np.cumsum(steps).tolist()])
"""Steps that differ by more than the jitter of stamps."""


@given(
    at=times, context=st.integers(1, 3), horizon=st.integers(1, 3), stride=st.integers(1, 4), seed=st.integers(0, 99)
)
def test_windows_are_exactly_the_unbroken_observed_ones(
    at: list[int], context: int, horizon: int, stride: int, seed: int
) -> None:
    """Against a search over all starts that knows nothing but the definition."""
    values = np.ones((len(at), 4, 4), dtype=np.float32)
    chance = np.random.default_rng(seed)
    values[chance.random(len(at)) < 0.05] = np.nan
    frames = archive(at, values)
    step = time_step(frames) / STEP
    good = [
        k
        for k in range(len(at) - context - horizon + 1)
        if all(later - earlier == step for earlier, later in pairwise(at[k : k + context + horizon]))
        and not np.isnan(values[k : k + context + horizon]).any()
    ]
    if not good:
        with pytest.raises(DataError, match="no window of"):
            list_windows([frames], context=context, horizon=horizon, stride=stride)
        return
    found = [window.start for window in list_windows([frames], context=context, horizon=horizon).windows]
    assert found == good
    spread = [
        window.start for window in list_windows([frames], context=context, horizon=horizon, stride=stride).windows
    ]
    assert set(spread) <= set(good)
    assert all(later - earlier >= stride for earlier, later in pairwise(spread))


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        (
            archive([0, 1, 2, 3, 5, 6]),
            r"in 6 frames, of which at most 4 in a row.*refused: crosses a gap\n.* of 4 frames",
        ),
        (
            archive([0, 1, 2], files=["a.nc", "b.nc", "c.nc"]),
            r"^a\.nc and 2 more files, variable 'frames': .*most 3 in a row",
        ),
        (
            archive(list(range(9)), np.full((9, 4, 4), np.nan)),
            r"at most 0 in a row(.|\n)*-> look at the variable, its units",
        ),
        (archive([0]), "at most 1 in a row can be used\n  -> give more frames in a row$"),
    ],
)
def test_where_there_is_no_window_it_is_said_why_and_what_helps(frames: xr.DataArray, said: str) -> None:
    with pytest.raises(DataError) as refusal:
        list_windows([frames], context=3, horizon=2)
    assert str(refusal.value).startswith("a.nc")
    assert re.search(said, str(refusal.value)), str(refusal.value)


def test_what_the_split_leaves_for_training_is_said() -> None:
    data = ArchiveData(path="a.nc", context=3, horizon=2, split=ByBlocks(validation=0.4, test=0))
    sources = data.open(frames=[archive([*range(9), *range(10, 16)])])
    with pytest.raises(ConfigError) as refusal:
        sources.shape(None)
    said = str(refusal.value)
    assert said.startswith("a.nc, variable 'frames': no window is left for training: windows take 5 frames in a row")
    assert "of 15 frames there are 4 for training (at most 4 in a row), 6 for validation" in said
    assert "none for test, 5 between them" in said
    with pytest.raises(DataError, match=r"left for the test(.|\n)*none for test(.|\n)*data=PATH"):
        sources.held_out()


def dates(first: int, last: int) -> tuple[datetime.datetime, datetime.datetime]:
    begin = datetime.datetime(2020, 1, 1)
    return begin + datetime.timedelta(minutes=5 * first), begin + datetime.timedelta(minutes=5 * last)


rules = st.one_of(
    st.builds(ByBlocks, validation=st.floats(0, 0.4), test=st.floats(0, 0.4)),
    st.builds(
        ByDates,
        validation=st.integers(0, 60).map(lambda k: dates(k, k + 15)),
        test=st.integers(60, 110).map(lambda k: dates(k, k + 15)),
    ),
    st.just(ByFile(validation=("b*",), test=("c*",))),
)


@given(rule=rules, at=times, context=st.integers(1, 3), horizon=st.integers(1, 3), second=st.booleans())
def test_no_frame_is_in_two_splits(rule: Split, at: list[int], context: int, horizon: int, second: bool) -> None:
    files = [f"{'abc'[k * 3 // len(at)]}.nc" for k in range(len(at))]
    archives = [archive(at, files=files), archive(at, files=files)] if second else [archive(at, files=files)]
    try:
        found = list_windows(archives, context=context, horizon=horizon)
    except DataError:
        return
    owner: dict[tuple[int, int], str] = {}
    for name, part in split(found, archives, rule).items():
        for window in part:
            for frame in range(window.start, window.start + context + horizon):
                assert owner.setdefault((window.archive, frame), name) == name


@given(validation=st.floats(0.1, 0.3), test=st.floats(0.1, 0.3), context=st.integers(1, 4), horizon=st.integers(1, 4))
def test_a_gap_of_one_window_lies_between_blocks(validation: float, test: float, context: int, horizon: int) -> None:
    frames = archive(list(range(100)))
    found = list_windows([frames], context=context, horizon=horizon)
    parts = split(found, [frames], ByBlocks(validation=validation, test=test))
    length = context + horizon
    assert all(parts.values())
    assert parts["train"][-1].start + length - 1 + length < parts["validation"][0].start
    assert parts["validation"][-1].start + length - 1 + length < parts["test"][0].start


@pytest.mark.parametrize("length", [4, 20])
def test_a_gap_of_one_window_lies_beside_dates(length: int) -> None:
    """In an archive that is shorter than the gaps on both sides and a frame too."""
    labels = ByDates(test=dates(25, 28)).labels([archive(list(range(30)))], length)[0][0]
    assert np.flatnonzero(labels == 0).tolist() == [*range(25 - length), *range(28 + length, 30)]
    assert np.flatnonzero(labels == 2).tolist() == [25, 26, 27]


@given(st.lists(st.integers(-25, 25), min_size=30, max_size=30))
def test_stamps_seconds_off_are_split_by_their_ticks(seconds: list[int]) -> None:
    """So that a frame at a border lies where its tick lies, whichever side of it the stamp is on."""
    frames, rule = archive(list(range(30))), ByDates(validation=dates(12, 16), test=dates(25, 28))
    exact = rule.labels([frames], 4)[0]
    jittered = frames.assign_coords(time=frames["time"].values + np.array(seconds) * np.timedelta64(1, "s"))
    np.testing.assert_array_equal(rule.labels([jittered], 4)[0], exact)


@given(validation=st.floats(0.1, 0.3), test=st.floats(0.1, 0.3))
def test_sets_of_clips_are_split_by_clip(validation: float, test: float) -> None:
    frames = clips(20, 6)
    parts = split(list_windows([frames], context=2, horizon=2), [frames], ByBlocks(validation=validation, test=test))
    sequences = {name: {window.sequence for window in part} for name, part in parts.items()}
    assert sum(len(part) for part in sequences.values()) == 20
    assert set.union(*sequences.values()) == set(range(20))


def test_too_little_valid_area_is_measured_against_the_best_frame() -> None:
    values = np.ones((12, 4, 4), dtype=np.float32)
    values[:, :2] = np.nan
    values[5, 2] = np.nan
    values[5, 3, :2] = np.nan
    found = list_windows([archive(list(range(12)), values)], context=2, horizon=2, min_valid=0.5)
    assert not any(window.start <= 5 < window.start + 4 for window in found.windows)
    assert found.refused == {"covers a frame with less than 50% of the usual coverage": 4}
    assert len(list_windows([archive(list(range(12)), values)], context=2, horizon=2, min_valid=0.1)) == 9


def test_stamps_may_be_off_by_a_tenth_of_the_step() -> None:
    frames = archive(list(range(8)))
    shifted = frames["time"].values.copy()
    shifted[3] += np.timedelta64(20, "s")
    assert len(list_windows([frames.assign_coords(time=shifted)], context=2, horizon=2)) == 5
    shifted[3] += np.timedelta64(20, "s")
    assert len(list_windows([frames.assign_coords(time=shifted)], context=2, horizon=2)) == 1


def test_archives_of_different_steps_are_refused() -> None:
    with pytest.raises(DataError, match="different time steps"):
        list_windows([archive(list(range(8))), archive(list(range(0, 16, 2)))], context=2, horizon=2)


def test_a_pattern_that_matches_no_file_is_refused() -> None:
    frames = archive(list(range(8)))
    with pytest.raises(ConfigError, match=r"'2017\*' matches no file"):
        split(list_windows([frames], context=1, horizon=1), [frames], ByFile(test=("2017*",)))


def test_frames_without_clock_are_not_split_by_dates() -> None:
    with pytest.raises(ConfigError, match="without clock"):
        split(list_windows([clips(2, 4)], context=1, horizon=1), [clips(2, 4)], ByDates(test=dates(0, 1)))


@pytest.mark.parametrize(("validation", "test"), [(-0.1, 0.1), (0.5, 0.5)])
def test_shares_leave_some_training(validation: float, test: float) -> None:
    with pytest.raises(ConfigError, match="leave some training"):
        ByBlocks(validation=validation, test=test)


def test_one_file_named_twice_is_refused(radar: Path) -> None:
    """Its frames would be in the training of one archive and the test of the other."""
    event = str(radar / "mch_20150515.nc")
    with pytest.raises(ConfigError, match="same file in two archives"):
        ArchiveData(path=(event, f"{radar}/mch_*.nc")).open()
