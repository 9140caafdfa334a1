"""Inspection: what is in the data, before an hour of training is spent on it.

Frames are read once, one at a time, so memory does not grow with the archive.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from framecast.data.frames import stamp
from framecast.data.opening import open as open_frames
from framecast.data.quantities import INTENSITY, Quantity, of
from framecast.data.windows import list_windows, regular, time_step
from framecast.errors import DataError

WET = {"rain_rate": 0.1, "reflectivity": 15.0}
"""From which value on a pixel counts as wet."""


@dataclass(frozen=True)
class Inspection:
    """`facts` describe the data; `concerns` are what would spoil training or deserves a look."""

    facts: dict[str, str]
    concerns: tuple[str, ...]


def inspect(
    data: xr.DataArray | str | Path,
    *,
    context: int = 10,
    horizon: int = 10,
    units: str | None = None,
    time_step: float | None = None,
) -> Inspection:
    """Look at opened Frames, or at what `framecast.open` takes. Raises `DataError` where it cannot be opened.

    `context` and `horizon` are those of the windows to count.
    """
    frames = data if isinstance(data, xr.DataArray) else open_frames(data, units=units, time_step=time_step)
    quantity = of(frames)
    facts = _description(frames, quantity)
    concerns = [*frames.attrs["repairs"], *_gaps(frames)]
    seen = _Seen(quantity, frames)
    facts |= seen.facts()
    concerns += seen.concerns()
    try:
        windows = list_windows([frames], context=context, horizon=horizon)
        facts[f"windows of {context} + {horizon} frames"] = f"{len(windows):,}"
        concerns += [f"{count} window starts refused: {reason}" for reason, count in windows.refused.items()]
    except DataError as error:
        facts[f"windows of {context} + {horizon} frames"] = "none"
        concerns.append(error.what)
    return Inspection(facts, tuple(concerns))


def _description(frames: xr.DataArray, quantity: Quantity) -> dict[str, str]:
    facts = {
        "variable": f"{frames.name}: {quantity.name.replace('_', ' ')} in {quantity.units}, dry is {quantity.dry:g}",
        "size": ", ".join(f"{frames.sizes[dim]} {dim}" for dim in frames.dims),
        "in memory": f"{frames.nbytes / 2**20:,.0f} MiB as float32",
    }
    times = frames["time"].values
    if times.dtype.kind == "M":
        facts["time"] = f"{stamp(times[0])} to {stamp(times[-1])}"
        if len(times) > 1:
            step = time_step(frames)
            facts["step"] = (
                f"{step / np.timedelta64(1, 'm'):g} minutes" if isinstance(step, np.timedelta64) else f"{step}"
            )
    else:
        facts["time"] = "frames without clock"
    for axis in ("y", "x"):
        if axis in frames.coords and frames.sizes[axis] > 1:
            values = frames[axis].values
            facts[axis] = (
                f"{values[0]:g} to {values[-1]:g} {frames[axis].attrs.get('units', '')}, every {values[1] - values[0]:g}"
            )
    if "crs" in frames.coords:
        facts["projection"] = str(frames["crs"].attrs.get("grid_mapping_name", "stated, without a name"))
    return facts


def _gaps(frames: xr.DataArray) -> list[str]:
    if frames.sizes["time"] < 2:
        return ["a single frame"]
    times = frames["time"].values
    broken = np.flatnonzero(~regular(frames))
    named = [
        f"{stamp(times[k])} - {stamp(times[k + 1])}" if times.dtype.kind == "M" else str(times[k]) for k in broken[:5]
    ]
    return [f"{len(broken)} gap(s) in time: {', '.join(named)}"] if len(broken) else []


class _Seen:
    """What one pass over the frames finds."""

    def __init__(self, quantity: Quantity, frames: xr.DataArray) -> None:
        self.quantity = quantity
        self.pixels = self.missing = self.wet = self.empty = 0
        self.low, self.high = np.inf, -np.inf
        self.stuck: list[str] = []
        before: np.ndarray | None = None
        for label, frame in _one_by_one(frames):
            self.pixels += frame.size
            observed = frame[np.isfinite(frame)]
            self.missing += frame.size - observed.size
            if observed.size:
                self.low, self.high = min(self.low, float(observed.min())), max(self.high, float(observed.max()))
                self.wet += int((observed >= WET.get(quantity.name, np.inf)).sum())
            else:
                self.empty += 1
            if (
                before is not None
                and observed.size
                and np.ptp(observed) > 0
                and np.array_equal(frame, before, equal_nan=True)
            ):
                self.stuck.append(label)
            before = frame

    def facts(self) -> dict[str, str]:
        """Range, no data and wet share."""
        seen = self.pixels - self.missing
        facts = {
            "range": f"{self.low:g} to {self.high:g} {self.quantity.units}" if seen else "no value at all",
            "no data": f"{self.missing / max(self.pixels, 1):.2%} of the pixels",
        }
        if self.quantity.name in WET:
            limit = f"{WET[self.quantity.name]:g} {self.quantity.units} or more"
            facts["wet"] = f"{self.wet / max(seen, 1):.2%} of the observed pixels ({limit})"
        return facts

    def concerns(self) -> list[str]:
        """What is suspicious about the values."""
        found = []
        if self.empty:
            found.append(f"{self.empty} frame(s) without any data: no window covers them")
        if self.stuck:
            found.append(f"{len(self.stuck)} frame(s) equal to the one before (stuck?): {', '.join(self.stuck[:5])}")
        if self.pixels > self.missing and self.high > self.quantity.plausible:
            scale = (
                " (8-bit pictures? state units 0-255)"
                if self.quantity.name == INTENSITY.name and self.high <= 255
                else ""
            )
            found.append(f"the highest value, {self.high:g} {self.quantity.units}, is implausible{scale}")
        if self.quantity.name in WET and self.wet == 0:
            found.append("no wet pixel at all: event scores will be undefined")
        return found


def _one_by_one(frames: xr.DataArray) -> Iterator[tuple[str, np.ndarray]]:
    clock = frames["time"].dtype.kind == "M"
    for sequence in range(frames.sizes.get("sequence", 1)):
        clip = frames.isel(sequence=sequence) if "sequence" in frames.dims else frames
        for k, time in enumerate(frames["time"].values):
            yield stamp(time) if clock else f"frame {time}", clip.isel(time=k).values
