"""The scale of frames in time and space: minutes a step, kilometres a pixel, and the order of their rows and columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from framecast.data.clock import most_common_step
from framecast.data.orientation import CURVILINEAR, ColumnOrder, RowOrder, column_order, row_order
from framecast.data.spacing import metres_of, spacing

KILOMETRES_PER_DEGREE = 111.2


class Scale(NamedTuple):
    """Minutes a step and kilometres a pixel. `assumed` names what the frames do not state and is therefore `ASSUMED`; `row_order`
    and `column_order` are None where they are not known."""

    minutes: float
    kilometres: float
    assumed: tuple[str, ...] = ()
    row_order: RowOrder | None = None
    column_order: ColumnOrder | None = None

    @property
    def note(self) -> str:
        """What is assumed, in words; empty if nothing is."""
        values = {"time step": f"{self.minutes:g} minutes", "pixel size": f"{self.kilometres:g} km"}
        return "; ".join(f"the {name} is not known, {values[name]} is assumed" for name in self.assumed)


ASSUMED = Scale(5.0, 1.0)
"""The most common scale of radar composites."""


def scale_of(frames: xr.DataArray) -> Scale:
    """The scale of Frames: the most common step between their times, and the mean of the spacings of their rows and columns; in
    degrees, a column is as wide as it is in the middle of the frame."""
    minutes, kilometres = _minutes(frames), _kilometres(frames)
    assumed = tuple(name for name, value in (("time step", minutes), ("pixel size", kilometres)) if value is None)
    orders = row_order(frames), column_order(frames)
    return Scale(minutes or ASSUMED.minutes, kilometres or ASSUMED.kilometres, assumed, *orders)


def _minutes(frames: xr.DataArray) -> float | None:
    times = frames["time"].values
    if len(times) < 2 or times.dtype.kind != "M":
        return None
    return float(most_common_step(times) / np.timedelta64(1, "s")) / 60


def _kilometres(frames: xr.DataArray) -> float | None:
    spacings = [_spacing(frames, axis) for axis in ("y", "x")]
    known = [spacing for spacing in spacings if spacing] or _curvilinear_spacings(frames)
    return float(np.mean(known)) if known else None


def _curvilinear_spacings(frames: xr.DataArray) -> list[float]:
    """Kilometres between rows and between columns of a grid with two-dimensional coordinates; none without them."""
    if not set(CURVILINEAR) <= set(frames.coords) or min(frames.sizes["y"], frames.sizes["x"]) < 2:
        return []
    latitude, longitude = (frames[name].values for name in CURVILINEAR)
    width = np.cos(np.radians(np.nanmean(latitude)))
    degrees = [np.hypot(np.diff(latitude, axis=k), np.diff(longitude, axis=k) * width) for k in (0, 1)]
    return [float(np.nanmedian(each)) * KILOMETRES_PER_DEGREE for each in degrees]


def _spacing(frames: xr.DataArray, axis: str) -> float | None:
    if axis not in frames.coords or frames.sizes[axis] < 2:
        return None
    values, units = frames[axis].values, str(frames[axis].attrs.get("units", "")).lower()
    step = abs(spacing(values))
    if units.startswith("degree"):
        middle = float(np.mean(frames["y"].values)) if axis == "x" and "y" in frames.coords else 0.0
        return step * KILOMETRES_PER_DEGREE * float(np.cos(np.radians(middle)))
    metres = metres_of(units)
    return None if metres is None else step * metres / 1000
