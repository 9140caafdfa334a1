"""The newest frames of a domain, loaded, by their times on the clock of the domain; as many as a forecast may need.

All lie on one grid. A frame on another grid, or of another quantity, is refused, until so many in a row are alike that the source
has changed for good: then these replace the earlier ones.
"""

from __future__ import annotations

import datetime
from typing import NamedTuple

import xarray as xr

from framecast.data.clock import TOLERANCE
from framecast.data.coverage import frame_digests
from framecast.data.frames import same_grid
from framecast.data.orientation import turned_like
from framecast.service.layout import Time, to_stamp
from framecast.service.settings import Domain
from framecast.service.sources import Arrival

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class Clock:
    """The expected times of a domain: `offset` after midnight of 1970, and each `cadence` after."""

    def __init__(self, domain: Domain) -> None:
        self.step = datetime.timedelta(minutes=domain.cadence)
        self._start = _EPOCH + datetime.timedelta(minutes=domain.offset)

    def at(self, time: Time) -> Time:
        """The newest expected time that is not after `time`."""
        return self._start + (time - self._start) // self.step * self.step

    def nearest(self, time: Time) -> Time | None:
        """The expected time whose frame is stamped `time`; None if that is off the clock."""
        tick = self.at(time + self.step / 2)
        return tick if abs(time - tick) <= TOLERANCE * self.step else None

    def count(self, first: Time, last: Time) -> int:
        """The number of expected times from `first` on, up to but without `last`."""
        return max(-((first - last) // self.step), 0)

    def between(self, first: Time, last: Time) -> list[Time]:
        """The expected times from `first` on, up to but without `last`."""
        return [first + number * self.step for number in range(self.count(first, last))]


class Held(NamedTuple):
    """A frame in memory: `frame (1, C, H, W)` with its time on the clock, the digest of its values, its file, when it could be
    read, in seconds of the timer, and the seconds that reading took."""

    frame: xr.DataArray
    digest: int
    file: str
    seen: float
    reading: float


class Memory:
    """The newest `capacity` frames on one grid."""

    def __init__(self, clock: Clock, capacity: int, adopt_after: int) -> None:
        self.capacity = capacity
        self._clock, self._adopt_after = clock, adopt_after
        self._frames: dict[Time, Held] = {}
        self._others: dict[Time, Held] = {}

    @property
    def newest(self) -> Time | None:
        """The time of the newest frame; None if there is none."""
        return max(self._frames, default=None)

    @property
    def oldest(self) -> Time | None:
        """The time of the oldest frame; None if there is none."""
        return min(self._frames, default=None)

    def get(self, time: Time) -> Held | None:
        """The frame of an expected time; None if it has not come."""
        return self._frames.get(time)

    def add(self, arrival: Arrival, now: Time) -> tuple[Time | None, str]:
        """Take in a frame: its time on the clock if it is new or has changed, else None with the reason; no reason for a frame
        that is there already."""
        time = self._clock.nearest(arrival.time)
        if time is None:
            return None, f"off the clock: {arrival.time:%Y-%m-%d %H:%M:%S} UTC in {_name(arrival)}"
        if time > now + self._clock.step:
            return None, f"from the future: {arrival.time:%Y-%m-%d %H:%M:%S} UTC in {_name(arrival)}"
        frame = arrival.frame.assign_coords(time=[to_stamp(time)])
        example = next(iter(self._frames.values()), None)
        if example is not None:
            frame = turned_like(frame, example.frame)
        held = Held(frame, int(frame_digests(frame.values)[0]), arrival.file, arrival.seen, arrival.reading)
        if example is not None and (difference := _difference(frame, example.frame)):
            return self._add_other(time, held, difference)
        known = self._frames.get(time)
        if known is not None and known.digest == held.digest:
            return None, ""
        self._others.clear()
        self._put(self._frames, time, held)
        return (time, "") if time in self._frames else (None, "")

    def context(self, time: Time, length: int) -> xr.DataArray | None:
        """The frames `(T, C, H, W)` of the expected times up to `time`, of the last `length` of them those that came; None if
        there are none."""
        first = time - (length - 1) * self._clock.step
        chosen = [self._frames[each].frame for each in sorted(self._frames) if first <= each <= time]
        if not chosen:
            return None
        joined = xr.concat(
            chosen, "time", coords="minimal", compat="override", join="override", combine_attrs="override"
        )
        repairs = dict.fromkeys(repair for each in chosen for repair in each.attrs.get("repairs", ()))
        return joined.assign_attrs(repairs=list(repairs))

    def _add_other(self, time: Time, held: Held, difference: str) -> tuple[Time | None, str]:
        """Set a frame that is unlike those in memory aside; replace these where so many in a row are alike."""
        first = next(iter(self._others.values()), None)
        if first is not None and _difference(held.frame, first.frame):
            self._others.clear()
        self._put(self._others, time, held)
        if len(self._others) < self._adopt_after:
            return None, f"{difference}: {held.file.rpartition('/')[2]}"
        self._frames, self._others = self._others, {}
        return time, f"{difference}, as in {self._adopt_after} frames in a row: the service goes on with it"

    def _put(self, frames: dict[Time, Held], time: Time, held: Held) -> None:
        frames[time] = held
        while len(frames) > self.capacity:
            del frames[min(frames)]


def _difference(frame: xr.DataArray, example: xr.DataArray) -> str:
    """In what a frame differs from those before it, so that they cannot be one context; empty for nothing."""
    if frame.attrs["quantity"] != example.attrs["quantity"]:
        return f"another quantity: {frame.attrs['quantity']} ({frame.attrs['units']}), not {example.attrs['quantity']}"
    if frame.sizes["channel"] != example.sizes["channel"]:
        return f"{frame.sizes['channel']} channels, not {example.sizes['channel']}"
    if not same_grid(frame, example):
        sizes = [f"{each.sizes['y']} x {each.sizes['x']}" for each in (frame, example)]
        return f"another grid: {sizes[0]} pixels, not {sizes[1]}" if sizes[0] != sizes[1] else "another grid"
    return ""


def _name(arrival: Arrival) -> str:
    return arrival.file.rpartition("/")[2]
