"""Which way up frames are: whether their rows run from north to south and their columns from west to east.

It follows from the coordinates: y that falls (or latitudes that do) is north first. Rows whose coordinates only number them, and
those without coordinates, as of images, have no known order. Pages, films and figures are drawn with north at the top.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import xarray as xr

RowOrder = Literal["north_first", "south_first"]
ColumnOrder = Literal["west_first", "east_first"]
_NUMBERS = ("", "1", "pixel", "pixels", "px", "count")
"""Units of coordinates that number rows or columns."""
_NAMES = {"y": "rows", "x": "columns"}
CURVILINEAR = ("latitude", "longitude")
"""The coordinates `(y, x)` of frames on a grid that has none along its rows and columns."""


class Orientation(NamedTuple):
    """What must be turned so that north is at the top and west at the left."""

    south_first: bool = False
    east_first: bool = False

    def upright(self, values: np.ndarray) -> np.ndarray:
        """Frames `(..., H, W)` with north at the top and west at the left."""
        rows, columns = (slice(None, None, -1 if turned else None) for turned in self)
        return values[..., rows, columns]


AS_STORED = Orientation()


def row_order(frames: xr.DataArray) -> RowOrder | None:
    """The order of the rows of frames; None where it is not known."""
    ascending = _ascends(frames, "y")
    return None if ascending is None else "south_first" if ascending else "north_first"


def column_order(frames: xr.DataArray) -> ColumnOrder | None:
    """The order of the columns of frames; None where it is not known."""
    ascending = _ascends(frames, "x")
    return None if ascending is None else "west_first" if ascending else "east_first"


def orientation_of(frames: xr.DataArray) -> Orientation:
    """How frames must be turned to be drawn."""
    return Orientation(row_order(frames) == "south_first", column_order(frames) == "east_first")


def turned_like(frames: xr.DataArray, example: xr.DataArray) -> xr.DataArray:
    """The frames with their rows and columns in the order of those of `example`, lazily; unchanged where one is not known."""
    axes = differing_axes(frames, example)
    if not axes:
        return frames
    turned = frames.isel(dict.fromkeys(axes, slice(None, None, -1)))
    if turned.chunks is not None:  # a reversed view of a chunk has negative strides, which PyTorch does not take
        turned = turned.copy(
            data=turned.data.map_blocks(np.ascontiguousarray, dtype=turned.dtype, meta=turned.data._meta)
        )
    turned.attrs = {
        **frames.attrs,
        "repairs": [
            *frames.attrs.get("repairs", ()),
            *(f"{_NAMES[axis]} were turned, as those of the others" for axis in axes),
        ],
    }
    return turned


def differing_axes(frames: xr.DataArray, other: xr.DataArray) -> tuple[str, ...]:
    """The axes, y and x, along which frames are known to run the other way than others."""
    orders = {"y": (row_order(frames), row_order(other)), "x": (column_order(frames), column_order(other))}
    return tuple(axis for axis, (one, another) in orders.items() if None not in (one, another) and one != another)


def _ascends(frames: xr.DataArray, axis: Literal["y", "x"]) -> bool | None:
    """Whether the coordinate of an axis grows from the first row or column to the last; None where that is not known."""
    if axis in frames.coords and frames.sizes[axis] > 1:
        coordinate = frames[axis]
        values = coordinate.values
        if values.dtype.kind not in "fiu" or (numbers_pixels(coordinate) and "crs" not in frames.coords):
            return None
        return bool(values[-1] > values[0])
    plane = frames.coords.get(CURVILINEAR[axis == "x"])
    if plane is None or plane.ndim != 2 or frames.sizes[axis] < 2:
        return None
    steps = np.diff(plane.transpose("y", "x").values, axis=0 if axis == "y" else 1)
    return bool(np.nanmedian(steps) > 0)


def numbers_pixels(coordinate: xr.DataArray) -> bool:
    """Whether a coordinate numbers rows or columns, and is no position."""
    attributes = coordinate.attrs
    if str(attributes.get("units", "")).strip() not in _NUMBERS:
        return False
    if "standard_name" in attributes or "axis" in attributes:
        return False
    values = coordinate.values
    first = min(values[0], values[-1])
    return first in (0, 1) and bool((np.abs(np.diff(values)) == 1).all())
