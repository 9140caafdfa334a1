"""The newest frames that a forecast may use: in a row on the regular clock, without those that are damaged, frozen or shrunken.

The frames are examined from the newest back; no more are read than the longest context needs and a few before it. A single frame
that is left out is interpolated along the motion between its neighbours. What is found is reported by the names of
`framecast.forecasting.faults`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from framecast.data.clock import TOLERANCE, clock_of, step_in_words
from framecast.data.frames import describe_source, stamp
from framecast.data.quantities import Quantity, quantity_of
from framecast.data.windows.index import time_step
from framecast.forecasting.bridging import interpolate_frame
from framecast.forecasting.faults import Reason, reason

SHRUNKEN, SMALLER = 0.5, 0.9
"""The share of the coverage of another frame below which a frame is left out, and below which the area is restricted."""
_SEARCHED = 12
"""The times before the newest one that are searched for a usable frame, and the stamps that tell the clock."""

Step = np.timedelta64 | int


@dataclass(frozen=True)
class UsableFrames:
    """The newest usable frames of an archive: `frames`, loaded, on the clock and the last `count` of them in a row without a
    gap; the time of the `newest`; the `reasons` for what was left out or interpolated; and the `step` of the clock. Without
    usable frames `frames` is None and `count` 0. A single frame is preceded by one without data, so that the step is known."""

    frames: xr.DataArray | None = None
    count: int = 0
    newest: np.datetime64 | int | None = None
    reasons: tuple[Reason, ...] = ()
    step: Step | None = None


def find_usable(frames: xr.DataArray, count: int, *, step: Step | None = None) -> UsableFrames:
    """The newest usable frames, up to `count` in a row; `step` is that of the clock, by default the most common of `frames`."""
    step = _step_of(frames, step)
    if step is None:
        return UsableFrames(reasons=(reason("unknown_step", describe_source(frames)),))
    series = _Series(frames, step)
    newest = series.newest()
    if newest is None:
        return UsableFrames(reasons=(*series.all_reasons(), reason("no_frames", describe_source(frames))))
    row = _row(series, newest, count)
    series.note_dry(newest)
    labelled, reasons = series.label(_restrict(row, series), newest), series.reasons_until(newest + count)
    return UsableFrames(labelled, len(row), series.time(newest), reasons, step)


def _step_of(frames: xr.DataArray, step: Step | None) -> Step | None:
    clock = frames["time"].dtype.kind == "M"
    if clock and step is not None:
        return step
    if frames.sizes["time"] > 1:
        return time_step(frames)
    return None if clock else 1


def _row(series: _Series, newest: int, count: int) -> list[np.ndarray]:
    """The fields in a row, the newest first; one that is left out is interpolated."""
    row, tick, bridged = [series.known(newest)], newest + 1, False
    while len(row) < count:
        values = series.usable(tick)
        if values is not None and series.has_shrunken(tick, newest):
            values = None
        if values is None:
            before = None if bridged else series.usable(tick + 1)
            if before is None or series.has_shrunken(tick + 1, newest):
                break
            values, bridged = interpolate_frame(before, row[-1], series.quantity), True
            series.note(tick, "bridged", f"{stamp(series.time(tick))} is interpolated between its neighbours")
        row.append(values)
        tick += 1
    return row


def _restrict(row: list[np.ndarray], series: _Series) -> list[np.ndarray]:
    """The row with older frames restricted to the area of the newest, if that has become smaller."""
    newest, *older = row
    most = max(map(_coverage, row))
    if _coverage(newest) >= SMALLER * most:
        return row
    series.note(
        0, "smaller", f"the newest frame covers {_coverage(newest):.0%} of the pixels, one before it {most:.0%}"
    )
    return [newest, *(np.where(np.isnan(newest), np.float32(np.nan), values) for values in older)]


def _coverage(values: np.ndarray) -> float:
    return float(np.isfinite(values).mean())


@dataclass
class _Series:
    """Frames by their tick of the clock, 0 the newest, 1 the one before, read when they are asked for."""

    frames: xr.DataArray
    step: Any
    quantity: Quantity = field(init=False)

    def __post_init__(self) -> None:
        self.quantity = quantity_of(self.frames)
        self._fields: dict[int, np.ndarray | None] = {}
        self._reasons: dict[tuple[int, str], Reason] = {}
        self._index, off, self._anchor = _ticks(self.frames["time"].values, self.step)
        for tick, time in off:
            words = step_in_words(self.step) if isinstance(self.step, np.timedelta64) else f"{self.step} frames"
            self.note(tick, "off_clock", f"{stamp(time)} is not on the clock of {words}")

    def note(self, tick: int, fault: str, particulars: str) -> None:
        """Note what was found at a tick, once."""
        self._reasons.setdefault((tick, fault), reason(fault, particulars))

    def time(self, tick: int) -> Any:
        """The time of a tick."""
        return self._anchor - tick * self.step

    def reasons_until(self, tick: int) -> tuple[Reason, ...]:
        """What was found before a tick, the newest first."""
        return tuple(each for (at, _), each in sorted(self._reasons.items(), key=lambda item: item[0][0]) if at < tick)

    def all_reasons(self) -> tuple[Reason, ...]:
        """What was found."""
        return self.reasons_until(max((tick for tick, _ in self._reasons), default=0) + 1)

    def newest(self) -> int | None:
        """The tick of the newest usable frame; None if there is none among those searched."""
        for tick in range(_SEARCHED):
            values = self.usable(tick)
            if values is None or self._shrinks(tick, values):
                continue
            return tick
        return None

    def _shrinks(self, tick: int, values: np.ndarray) -> bool:
        """Whether a frame covers less than half of what the one before it covers."""
        before = self.usable(tick + 1)
        if before is None or _coverage(values) >= SHRUNKEN * _coverage(before):
            return False
        self._note_shrunken(tick, values, before)
        return True

    def has_shrunken(self, tick: int, newest: int) -> bool:
        """Whether an older frame covers less than half of what the newest covers."""
        values, latest = self.known(tick), self.known(newest)
        if _coverage(values) >= SHRUNKEN * _coverage(latest):
            return False
        self._note_shrunken(tick, values, latest)
        return True

    def _note_shrunken(self, tick: int, values: np.ndarray, other: np.ndarray) -> None:
        text = f"{stamp(self.time(tick))} covers {_coverage(values):.0%} of the pixels, another {_coverage(other):.0%}"
        self.note(tick, "shrunken", text)

    def known(self, tick: int) -> np.ndarray:
        """The field of a tick that is usable."""
        values = self._fields[tick]
        assert values is not None
        return values

    def usable(self, tick: int) -> np.ndarray | None:
        """The field `(C, H, W)` of a tick; None if it is missing, damaged, empty or a copy of the one before."""
        values = self._read(tick)
        if values is None:
            return None
        before = self._read(tick + 1) if tick + 1 in self._index else None
        if before is not None and (values > self.quantity.dry).any() and np.array_equal(values, before, equal_nan=True):
            self.note(tick, "frozen", f"{stamp(self.time(tick))} is identical to the frame before it")
            return None
        return values

    def _read(self, tick: int) -> np.ndarray | None:
        if tick not in self._fields:
            self._fields[tick] = self._load(tick)
        return self._fields[tick]

    def _load(self, tick: int) -> np.ndarray | None:
        name = stamp(self.time(tick))
        if tick not in self._index:
            self.note(tick, "missing", f"no frame of {name}")
            return None
        try:
            values = np.asarray(self.frames.isel(time=self._index[tick]).values, dtype=np.float32)
        except Exception as error:  # whatever a file of others makes a library raise
            self.note(tick, "damaged", f"{name} cannot be read ({error})")
            return None
        impossible = ~(values >= self.quantity.lowest) & ~np.isnan(values) | np.isinf(values)
        if self.quantity.precipitation:
            impossible |= values > self.quantity.plausible
        if impossible.any():
            self.note(tick, "impossible", f"{int(impossible.sum())} pixel(s) of {name} count as no data")
            values = np.where(impossible, np.float32(np.nan), values)
        if np.isnan(values).all():
            self.note(tick, "empty", f"{name} has no data at all")
            return None
        return values

    def note_dry(self, newest: int) -> None:
        """Note a newest frame that is wholly dry."""
        least = self.quantity.wet if np.isfinite(self.quantity.wet) else np.nextafter(self.quantity.dry, np.inf)
        if not (self.known(newest) >= least).any():
            self.note(newest, "dry", f"{stamp(self.time(newest))} is dry everywhere")

    def label(self, row: list[np.ndarray], newest: int) -> xr.DataArray:
        """The fields of a row, the newest first, as Frames in order of time."""
        fields = row if len(row) > 1 else [*row, np.full_like(row[0], np.nan)]
        ticks = range(newest + len(fields) - 1, newest - 1, -1)
        latest = self.frames.isel(time=self._index[newest])
        coords: dict[str, Any] = {
            str(name): each for name, each in latest.coords.items() if name not in ("time", "source")
        }
        coords = {name: each for name, each in coords.items() if not name.startswith("action_")}
        coords["time"] = np.array([self.time(tick) for tick in ticks])
        if "source" in latest.coords:
            files = [int(self._index.get(tick, self._index[newest])) for tick in ticks]
            coords["source"] = ("time", self.frames["source"].values[files])
        return xr.DataArray(
            np.stack(fields[::-1]), dims=self.frames.dims, coords=coords, name=self.frames.name, attrs=self.frames.attrs
        )


def _ticks(times: np.ndarray, step: Any) -> tuple[dict[int, int], list[tuple[int, Any]], Any]:
    """The index of the frame at each tick, the frames that are off the clock with the tick before them, and the time of tick 0.

    The clock is the one that most of the newest stamps are on, and of equals the one of the newest."""
    recent = times[-_SEARCHED:]
    phases = [_phase(recent - stamp_, step) for stamp_ in recent[::-1]]
    agreeing = [int((np.abs(phase) <= TOLERANCE).sum()) for phase in phases]
    chosen = recent[::-1][int(np.argmax(agreeing))]
    phase = _phase(times - chosen, step)
    on = np.abs(phase) <= TOLERANCE
    newest = int(np.flatnonzero(on)[-1])
    anchor = times[newest]
    if times.dtype.kind == "M" and on.sum() > 1:
        anchor = clock_of(times[on]).times[-1]
    ticks = np.round((anchor - times) / step).astype(np.int64)
    index = {int(tick): int(number) for number, tick in enumerate(ticks) if on[number]}
    return index, [(int(ticks[number]), times[number]) for number in np.flatnonzero(~on)], anchor


def _phase(differences: np.ndarray, step: Any) -> np.ndarray:
    """Differences of times as steps off the nearest whole number of steps."""
    steps = differences / step
    return np.asarray(steps - np.round(steps))
