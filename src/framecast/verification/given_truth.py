"""The truth of forecasts that were made before: windows of an archive at their initial times and lead times.

The window of an initial time has the frames up to it, and those at each lead time after it. A frame that the archive lacks is all
NaN, and so is scored nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import xarray as xr

from framecast.data.clock import TOLERANCE, clock_of
from framecast.data.frames import describe_source, same_grid
from framecast.data.lazy import ArrayReader
from framecast.data.orientation import CURVILINEAR
from framecast.data.quantities import ZR, Quantity, quantity_of
from framecast.data.region import Region
from framecast.data.scale import Scale, scale_of
from framecast.data.spacing import is_same
from framecast.data.windows.index import time_step
from framecast.data.windows.sources import no_actions, no_inputs
from framecast.errors import DataError
from framecast.types import FrameShape


@dataclass(frozen=True)
class Target:
    """What is to be forecast: `frames` of the truth, at the lead times `leads (L,)`, timedelta64[ns], with events at `rates` in
    mm/h; `zr` converts reflectivity to rain. Forecasts on another grid are put on that of the truth if `regrid`."""

    frames: xr.DataArray
    leads: np.ndarray
    rates: tuple[float, ...] = ()
    zr: ZR = field(default_factory=ZR)
    regrid: bool = False

    @property
    def quantity(self) -> Quantity:
        """The quantity of the truth."""
        return quantity_of(self.frames)

    @property
    def channels(self) -> int:
        """The number of channels."""
        return int(self.frames.sizes["channel"])

    def difference(self, values: xr.DataArray) -> str:
        """How the grid of `values` differs, in words; empty if it does not, as far as both are known."""
        for axis in ("y", "x"):
            if values.sizes[axis] != self.frames.sizes[axis]:
                sizes = [f"{each.sizes['y']} x {each.sizes['x']}" for each in (values, self.frames)]
                return " and ".join(sizes) + " pixels"
        both = (values, self.frames)
        stated = [
            axes for axes in (("x", "y"), CURVILINEAR) if all(name in each.coords for name in axes for each in both)
        ]
        if not stated or same_grid(*both):
            return ""
        if all(is_same(*(each[name].values for each in both)) for axes in stated for name in axes):
            return "the same coordinates, but in another projection"
        return " and ".join(", ".join(_span(each, name) for name in stated[0]) for each in both)


def _span(frames: xr.DataArray, name: str) -> str:
    values = frames[name].values.ravel()
    return f"{name} {values[0]:g} to {values[-1]:g}"


class Clockwork:
    """The times of frames as they are on their clock: finds the frame of a time."""

    def __init__(self, frames: xr.DataArray) -> None:
        times = frames["time"].values
        if times.dtype.kind != "M":
            raise DataError(
                "the truth has no times",
                where=describe_source(frames),
                remedy="give it a start and a step",
                parameter="time_step",
                example=5,
            )
        if len(times) < 2:
            self.step, self.times = np.timedelta64(0, "ns"), times.astype("datetime64[ns]")
        else:
            self.step, self.times = np.timedelta64(time_step(frames), "ns"), clock_of(times).times

    def places(self, wanted: np.ndarray) -> np.ndarray:
        """The position of each of the `wanted` times, -1 where there is no frame within a tenth of a step."""
        after = np.searchsorted(self.times, wanted).clip(0, len(self.times) - 1)
        before = (after - 1).clip(0)
        nearer = np.abs(self.times[before] - wanted) < np.abs(self.times[after] - wanted)
        nearest = np.where(nearer, before, after)
        tolerance = np.timedelta64(int(TOLERANCE * self.step.astype(np.int64)), "ns")
        return np.where(np.abs(self.times[nearest] - wanted) <= tolerance, nearest, -1)


class TruthWindows:
    """The windows of the initial times `inits (N,)`: a `WindowSource` with `context` frames before and the lead times of
    `target`."""

    def __init__(self, target: Target, inits: np.ndarray, context: int) -> None:
        frames = target.frames
        self.target, self.inits, self.quantity = target, inits.astype("datetime64[ns]"), target.quantity
        self.shape = FrameShape(target.channels, frames.sizes["y"], frames.sizes["x"], context, len(target.leads), 0, 0)
        self.clock, self._reader, self._scale = Clockwork(frames), ArrayReader(frames), scale_of(frames)
        past = np.arange(1 - context, 1) * self.clock.step
        offsets = np.concatenate([past, target.leads])
        self.places = self.clock.places(self.inits[:, None] + offsets)
        """The positions in the archive of the frames of each window `(N, T + L)`, -1 for one that is not there."""

    def __len__(self) -> int:
        return len(self.inits)

    def restricted(self, cases: np.ndarray) -> TruthWindows:
        """The same source with some of its windows, `cases (N,)` bool."""
        return TruthWindows(self.target, self.inits[cases], self.shape.context)

    @cached_property
    def has_context(self) -> np.ndarray:
        """Whether all frames of the context are there `(N,)`."""
        return np.asarray((self.places[:, : self.shape.context] >= 0).all(1))

    @cached_property
    def has_truth(self) -> np.ndarray:
        """Whether the frame of each lead time is there `(N, L)`."""
        return self.places[:, self.shape.context :] >= 0

    def size_of(self, index: int) -> tuple[int, int]:
        """Height and width."""
        return self.shape.height, self.shape.width

    def read(self, index: int, region: Region | None = None) -> np.ndarray:
        """`(T + L, C, H, W)` float32; NaN for a frame that is not there."""
        return self._read(self.places[index], region)

    def newest(self, index: int, count: int) -> np.ndarray:
        """The newest `count` frames of the context."""
        length = self.shape.context
        return self._read(self.places[index, max(0, length - count) : length], None)

    def _read(self, places: np.ndarray, region: Region | None) -> np.ndarray:
        rows, columns = (slice(None), slice(None)) if region is None else region.slices
        known = places[places >= 0]
        height, width = (self.shape.height, self.shape.width) if region is None else (region.height, region.width)
        values = np.full((len(places), self.target.channels, height, width), np.nan, dtype=np.float32)
        if len(known):
            first = int(known.min())
            part = self._reader.read(time=slice(first, int(known.max()) + 1), y=rows, x=columns)
            values[places >= 0] = part[known - first]
        return values

    def scale(self, index: int) -> Scale:
        """Minutes a step and kilometres a pixel."""
        return self._scale

    def valid_mask(self, index: int) -> np.ndarray | None:
        """Everywhere."""
        return None

    def actions(self, index: int) -> np.ndarray:
        """None."""
        return no_actions(self.shape.context + self.shape.horizon)

    def inputs(self, index: int, region: Region | None = None) -> np.ndarray:
        """None."""
        return no_inputs(self.shape.context + self.shape.horizon, self.size_of(index), region)

    def init_time(self, index: int) -> np.datetime64:
        """The initial time."""
        return np.datetime64(self.inits[index])

    def block(self, index: int) -> tuple[int, ...]:
        """Windows that start within one window length of each other share a block, as those of an archive do."""
        step = self.clock.step if self.clock.step else np.timedelta64(1, "ns")
        start = round(float((self.inits[index] - self.clock.times[0]) / step)) - self.shape.context + 1
        length = self.shape.context + max(1, round(float(self.target.leads[-1] / step)))
        return (0, 0, start // length)


def steps_of(leads: np.ndarray, step: np.timedelta64) -> np.ndarray | None:
    """Lead times as numbers of steps `(L,)` from 1; None if they are no multiples of the step."""
    if not step or not len(leads):
        return None
    counts = leads / step
    near = np.abs(counts - np.rint(counts)) <= TOLERANCE
    return np.rint(counts).astype(int) if near.all() and (counts > 0.5).all() else None
