"""The regular clock of time stamps, which may be seconds off.

The step is the most common difference between stamps, taken together where they differ by jitter; a step that stamps show only
roughly is rounded to a whole number of seconds or minutes. Stamps follow the clock in runs: each one step after the one before,
and off the median of the stamps around it by `TOLERANCE` steps at most. So a clock may drift, or begin anew after a gap. Where
nearly all stamps of a run lie that near to whole steps since midnight, these are the clock.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from framecast.errors import counted

TOLERANCE = 0.1
"""Steps by which a stamp may be off the clock."""
_AROUND = 12
"""Stamps on each side whose median is the clock at a stamp."""
_FEW = 8
"""One in so many stamps of a run may be off a clock of whole steps since midnight."""
_SURE = 5
"""Equal differences, if they are most, that are the step to the nanosecond."""
_ROUND_SECONDS = (86400, 43200, 21600, 10800, 3600, 1800, 900, 600, 300, 60, 30, 15, 10, 5, 1)
"""Steps are rounded to the greatest of these of which they may be a multiple."""


YEARS = (1678, 2261)
"""The first and the last whole year that datetime64[ns] can store."""


class Clock(NamedTuple):
    """The clock of `times (T,)`: its `step`; `times` as they are on the clock, those that are off as they are; `on_clock (T,)`;
    `unbroken (T - 1,)`, whether each neighbouring two are on the clock and one step apart."""

    step: np.timedelta64
    times: np.ndarray
    on_clock: np.ndarray
    unbroken: np.ndarray


def most_common_step(times: np.ndarray) -> Any:
    """The step of two or more sorted `times (T,)`: a timedelta64, or a number where the times are numbers."""
    steps, counts = np.unique(np.diff(times), return_counts=True)
    if times.dtype.kind != "M":
        return steps[np.argmax(counts)]
    lengths = steps.astype("timedelta64[ns]").astype(np.int64)
    positive = lengths > 0
    if not positive.any():
        return steps[0]
    lengths, counts = lengths[positive], counts[positive]
    # the most differences that jitter of two stamps can make of one step
    totals = np.append(0, np.cumsum(counts))
    ends = np.searchsorted(lengths, lengths * ((1 + 2 * TOLERANCE) / (1 - 2 * TOLERANCE)), side="left")
    first = int(np.argmax(totals[ends] - totals[:-1]))
    alike = slice(first, ends[first])
    most, total = int(counts[alike].max()), int(counts[alike].sum())
    if most == total or (2 * most > total and most >= _SURE):
        return np.timedelta64(int(lengths[alike][np.argmax(counts[alike])]), "ns")
    centre = int(np.median(np.repeat(lengths[alike], counts[alike])))
    return np.timedelta64(_rounded(times.astype("datetime64[ns]").astype(np.int64), centre), "ns")


def clock_of(times: np.ndarray) -> Clock:
    """The clock of two or more sorted `times (T,)`, datetime64."""
    stamps = times.astype("datetime64[ns]").astype(np.int64)
    step = most_common_step(times).astype("timedelta64[ns]")
    length = int(step.astype(np.int64))
    gaps = np.diff(stamps)
    near = np.abs(gaps - length) <= 2 * TOLERANCE * length
    clock, on_clock = stamps.copy(), np.ones(len(stamps), dtype=bool)
    starts = np.append(0, np.flatnonzero(~near) + 1)
    exact = np.append(True, gaps == length)
    for start, stop in zip(starts, np.append(starts[1:], len(stamps)), strict=True):
        if not exact[start + 1 : stop].all():
            clock[start:stop], on_clock[start:stop] = _run_on_clock(stamps[start:stop], length)
    return Clock(step, clock.astype("datetime64[ns]"), on_clock, near & on_clock[1:] & on_clock[:-1])


def describe_clock(times: np.ndarray) -> list[str]:
    """What is to be said of the clock of sorted `times (T,)`, in words; nothing where all stamps are on it."""
    if len(times) < 3 or times.dtype.kind != "M":
        return []
    step, clock, on_clock, _ = clock_of(times)
    second, messages = np.timedelta64(1, "s"), []
    off = float(np.abs(times - clock).max() / second)
    name = f"the clock of {step_in_words(step)}"
    if off >= 1:
        messages.append(f"time stamps are up to {off:.0f} s off {name}; windows, gaps and valid times are on the clock")
    together = np.flatnonzero(np.diff(times) < step / 2)
    if len(together):
        messages.append(
            f"{counted(len(together), 'frame lies', 'frames lie')} less than half a step after the one before, "
            f"on one tick of {name}: {_first(times, together + 1)}"
        )
    if not on_clock.all():
        places = np.flatnonzero(~on_clock)
        messages.append(
            f"{counted(len(places), 'frame lies', 'frames lie')} more than {TOLERANCE * float(step / second):.3g} s off {name}, "
            f"and in no window: {_first(times, places)}"
        )
    return messages


def step_in_words(step: np.timedelta64) -> str:
    """A step as people read it."""
    seconds = float(step / np.timedelta64(1, "s"))
    return f"{seconds:g} s" if seconds < 60 else f"{seconds / 60:g} minutes"


def _first(times: np.ndarray, places: np.ndarray) -> str:
    names = ", ".join(f"{np.datetime_as_string(times[place], unit='s')} UTC" for place in places[:3])
    return names + (" and more" if len(places) > 3 else "")


def _run_on_clock(stamps: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """A run of stamps on the clock, and which of them are near enough to be."""
    ticks = np.arange(len(stamps)) * length
    offsets = stamps - ticks
    since_midnight = np.round(offsets / length).astype(np.int64) * length  # days are whole numbers of most steps
    middle = int(np.median(since_midnight) / length) * length
    near = np.abs(offsets - middle) <= TOLERANCE * length
    if 86400 * 10**9 % length == 0 and (~near).sum() <= len(stamps) // _FEW:
        return np.where(near, middle + ticks, stamps), near
    width = min(2 * _AROUND + 1, len(offsets))
    medians = np.median(np.lib.stride_tricks.sliding_window_view(offsets, width), axis=1)
    before = (width - 1) // 2
    medians = np.pad(medians, (before, len(offsets) - len(medians) - before), mode="edge")
    near = np.abs(offsets - medians) <= TOLERANCE * length
    on_second = np.round(medians / 10**9).astype(np.int64) * 10**9
    return np.where(near, on_second + ticks, stamps), near


def _rounded(stamps: np.ndarray, centre: int) -> int:
    """The step of about `centre` nanoseconds that jittering stamps show, rounded."""
    gaps = np.diff(stamps)
    ends = np.append(np.flatnonzero(np.abs(gaps - centre) > 2 * TOLERANCE * centre), len(gaps))
    starts = np.append(0, ends[:-1] + 1)
    longest = int(np.argmax(ends - starts))
    run = stamps[starts[longest] : ends[longest] + 1].astype(np.float64)
    ticks = np.arange(len(run)) - (len(run) - 1) / 2
    slope = float(ticks @ (run - run.mean()) / (ticks @ ticks))
    exact = 2 * TOLERANCE * slope / max(len(run) - 1, 1)
    for seconds in _ROUND_SECONDS:
        nearest = round(slope / (seconds * 1e9)) * seconds * 10**9
        if nearest > 0 and abs(nearest - slope) <= exact:
            return int(nearest)
    return max(round(slope / 1e9), 1) * 10**9 if slope > 10e9 else round(slope)
