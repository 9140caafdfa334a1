"""List the windows of archives: context and horizon at a regular time step, as indices into Frames.

The frames of a window follow each other on the regular clock (`data.clock`), off which stamps may be by a tenth of a step. A
window never crosses a gap, never covers a frame that is missing (no data at all), and never a frame with too little valid area:
`min_valid` is the least share of the pixels of the best covered frame, so that a radar disc in a large grid does not exclude its
frames.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import xarray as xr

from framecast.data.clock import clock_of, most_common_step
from framecast.data.coverage import coverage, describe_impossible
from framecast.data.frames import describe_source
from framecast.data.quantities import quantity_of
from framecast.errors import DataError

NO_DATA = "look at the variable, its units, and what the file declares as missing"
"""The remedy if no frame has any data."""


class Window(NamedTuple):
    """Frames `start`, `start + 1`, ... of a `sequence` (0 where there is one only) of an `archive`."""

    archive: int
    sequence: int
    start: int


@dataclass(frozen=True)
class WindowList:
    """The windows of some archives, the number of refused window starts by reason, and messages about impossible pixels
    (infinite values, rain below 0) that were read as no data."""

    windows: tuple[Window, ...]
    length: int
    refused: dict[str, int] = field(default_factory=dict)
    impossible_pixels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.windows)


def time_step(frames: xr.DataArray) -> np.timedelta64 | int:
    """The step of the clock of the frames: a timedelta64, or frames where there is no clock.

    Raises `DataError` for a single frame, which has none.
    """
    times = frames["time"].values
    if len(times) < 2:
        raise DataError(
            "a single frame has no time step",
            where=describe_source(frames),
            remedy="open at least context + horizon frames",
        )
    step = most_common_step(times)
    return step if isinstance(step, np.timedelta64) else int(step)


def regular_steps(frames: xr.DataArray) -> np.ndarray:
    """For each pair of neighbouring frames `(time - 1,)`, whether they are on the clock, one step apart."""
    times = frames["time"].values
    return clock_of(times).unbroken if times.dtype.kind == "M" else np.diff(times) == time_step(frames)


def longest_run(frames: xr.DataArray, usable: np.ndarray) -> int:
    """The length of the longest run of frames, one step apart, that are all `usable (sequence, time)`."""
    if frames.sizes["time"] < 2:
        return int(usable.any())
    ends = ~regular_steps(frames) | ~usable[:, 1:] | ~usable[:, :-1]
    longest = 0
    for row, end in zip(usable, ends, strict=True):
        starts = np.concatenate([[0], np.flatnonzero(end) + 1])
        lengths = np.diff(np.append(starts, len(row)))
        longest = max(longest, int(lengths[row[starts]].max(initial=0)))
    return longest


def list_windows(
    archives: Sequence[xr.DataArray],
    *,
    context: int,
    horizon: int,
    stride: int = 1,
    min_valid: float = 0.5,
    covered: Sequence[xr.DataArray] | None = None,
    several_steps: bool = False,
) -> WindowList:
    """All windows of `context + horizon` frames, starting at every `stride`-th frame of an unbroken run.

    `covered` is the `coverage` of each archive if it is known already. With `min_valid=0` it is not used and
    no frame is read. Raises `DataError` if archives differ in their step, unless there may be `several_steps`, or if there is
    no window at all.
    """
    length = context + horizon
    steps = {str(time_step(frames)) for frames in archives if frames.sizes["time"] > 1}
    if len(steps) > 1 and not several_steps:
        raise DataError(
            f"archives with different time steps: {', '.join(sorted(steps))}",
            where=describe_source(*archives),
            remedy="train on archives with one step, or a model that reads the step: recipe radar#lagrangian",
        )
    # the usable windows of each archive
    windows: list[Window] = []
    refused: Counter[str] = Counter()
    impossible_pixels: tuple[str, ...] = ()
    usable: list[np.ndarray] = []
    for number, frames in enumerate(archives):
        shares = np.ones((frames.sizes.get("sequence", 1), frames.sizes["time"]))
        if min_valid > 0:
            archive_coverage = coverage(frames) if covered is None else covered[number]
            impossible_pixels += describe_impossible(archive_coverage, quantity_of(frames))
            shares = archive_coverage.values.reshape(shares.shape)
        windows += _archive_windows(number, frames, length, stride, min_valid, shares, refused)
        usable.append((shares > 0) & (shares >= min_valid * shares.max(initial=0.0)))
    if not windows:
        raise _no_window(archives, context, horizon, usable, refused)
    return WindowList(tuple(windows), length, dict(refused), impossible_pixels)


def _archive_windows(
    number: int,
    frames: xr.DataArray,
    length: int,
    stride: int,
    min_valid: float,
    covered: np.ndarray,
    refused: Counter[str],
) -> list[Window]:
    count = frames.sizes["time"]
    if count < length:
        return []
    unbroken = regular_steps(frames)
    lowest_share = min_valid * covered.max(initial=0.0)
    windows = []
    for sequence in range(len(covered)):
        start = 0
        while start + length <= count:
            breaks = np.flatnonzero(~unbroken[start : start + length - 1])
            part = covered[sequence, start : start + length]
            if len(breaks):
                refused["crosses a gap"] += 1
            elif (part == 0).any():
                refused["covers a frame without any data"] += 1
            elif (part < lowest_share).any():
                refused[f"covers a frame with less than {min_valid:.0%} of the usual coverage"] += 1
            else:
                windows.append(Window(number, sequence, start))
                start += stride
                continue
            start += 1
    return windows


def _no_window(
    archives: Sequence[xr.DataArray], context: int, horizon: int, usable: Sequence[np.ndarray], refused: Counter[str]
) -> DataError:
    most = max(longest_run(frames, wanted) for frames, wanted in zip(archives, usable, strict=True))
    what = (
        f"no window of {context + horizon} frames ({context} context + {horizon} horizon) in "
        f"{sum(frames.sizes['time'] for frames in archives)} frames, of which at most {most} in a row can be used"
    )
    remedy = "give more frames in a row"
    if most == 0:
        remedy = NO_DATA
    elif most > 1:
        remedy += f", or take a context and a horizon of {most} frames together"
    reasons = "".join(f"; {count} window starts refused: {reason}" for reason, count in refused.items())
    return DataError(what + reasons, where=describe_source(*archives), remedy=remedy)
