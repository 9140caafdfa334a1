"""Windows: context and horizon at a regular step, as an index into Frames.

The step is the most common difference between time stamps; stamps may be off by a tenth of it. A window never crosses a
gap, never covers a frame that is missing (no data at all), and never a frame with too little valid area: `min_valid` is
the least share of the pixels of the best covered frame, so that a radar disc in a large grid is not held against the
archive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import xarray as xr

from framecast.data.frames import coverage, impossible
from framecast.data.quantities import of
from framecast.errors import DataError


class Window(NamedTuple):
    """Frames `start`, `start + 1`, ... of a `sequence` (0 where there is one only) of an `archive`."""

    archive: int
    sequence: int
    start: int


@dataclass(frozen=True)
class WindowList:
    """The windows of some archives, how many were refused for what reason, and what was read as no data on the way because
    it cannot be (infinite values, rain below 0)."""

    windows: tuple[Window, ...]
    length: int
    refused: dict[str, int] = field(default_factory=dict)
    impossible: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.windows)


def time_step(frames: xr.DataArray) -> np.timedelta64 | int:
    """The most common difference between times: a timedelta64, or frames where there is no clock.

    Raises `DataError` for a single frame, which has none.
    """
    times = frames["time"].values
    if len(times) < 2:
        raise DataError("a single frame has no time step", remedy="open at least context + horizon frames")
    steps, counts = np.unique(np.diff(times), return_counts=True)
    step = steps[np.argmax(counts)]
    return step if times.dtype.kind == "M" else int(step)


def regular(frames: xr.DataArray) -> np.ndarray:
    """For each pair of neighbouring frames `(time - 1,)`, whether they are one step apart."""
    step = time_step(frames)
    tolerance = step // 10 if isinstance(step, np.timedelta64) else 0
    return np.asarray(np.abs(np.diff(frames["time"].values) - step) <= tolerance)


def list_windows(
    archives: Sequence[xr.DataArray],
    *,
    context: int,
    horizon: int,
    stride: int = 1,
    min_valid: float = 0.5,
    covered: Sequence[xr.DataArray] | None = None,
) -> WindowList:
    """All windows of `context + horizon` frames, starting at every `stride`-th frame of an unbroken run.

    `covered` is the `coverage` of each archive where it is known already. With `min_valid=0` it is not looked at and
    nothing is read. Raises `DataError` if archives differ in their step, or if there is no window at all.
    """
    length = context + horizon
    steps = {str(time_step(frames)) for frames in archives if frames.sizes["time"] > 1}
    if len(steps) > 1:
        raise DataError(
            f"archives with different time steps: {', '.join(sorted(steps))}", remedy="train on archives with one step"
        )
    windows: list[Window] = []
    refused: Counter[str] = Counter()
    impossible_pixels: tuple[str, ...] = ()
    for number, frames in enumerate(archives):
        shares = np.ones((frames.sizes.get("sequence", 1), frames.sizes["time"]))
        if min_valid > 0:
            found = coverage(frames) if covered is None else covered[number]
            impossible_pixels += impossible(found, of(frames))
            shares = found.values.reshape(shares.shape)
        windows += _of_archive(number, frames, length, stride, min_valid, shares, refused)
    if not windows:
        raise DataError(_why_none(archives, context, horizon, refused), remedy="use a shorter context or horizon")
    return WindowList(tuple(windows), length, dict(refused), impossible_pixels)


def _of_archive(
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
    joined = regular(frames)
    least = min_valid * covered.max(initial=0.0)
    windows = []
    for sequence in range(len(covered)):
        start = 0
        while start + length <= count:
            breaks = np.flatnonzero(~joined[start : start + length - 1])
            part = covered[sequence, start : start + length]
            if len(breaks):
                refused["crosses a gap"] += 1
            elif (part == 0).any():
                refused["covers a frame without any data"] += 1
            elif (part < least).any():
                refused[f"covers a frame with less than {min_valid:.0%} of the usual coverage"] += 1
            else:
                windows.append(Window(number, sequence, start))
                start += stride
                continue
            start += 1
    return windows


def _why_none(archives: Sequence[xr.DataArray], context: int, horizon: int, refused: Counter[str]) -> str:
    longest = max(frames.sizes["time"] for frames in archives)
    what = f"no window of {context + horizon} frames ({context} context + {horizon} horizon) in {longest} frames found"
    return what + "".join(f"; {count} {reason}" for reason, count in refused.items())
