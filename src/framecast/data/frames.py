"""Frames: what a reader returns, brought to one form.

`xarray.DataArray` with dims `([sequence,] time, channel, y, x)`, float32, lazy, physical units in `attrs["units"]`, the
quantity in `attrs["quantity"]`, the value that means dry in `attrs["dry"]`, what was repaired in `attrs["repairs"]`.
Missing pixels are NaN; infinite values and values below what the quantity can be are missing too.

Times, always UTC: a time stamp that repeats is an error unless the frames are equal (then the copy is dropped and
reported); frames out of order are sorted and reported; absent steps stay absent.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
import xarray as xr

from framecast.data.quantities import Quantity, identify, with_dry
from framecast.errors import DataError

DIMS = ("time", "channel", "y", "x")


def build(
    array: xr.DataArray,
    *,
    where: str,
    units: str | None,
    dry: float | None = None,
    repairs: Iterable[str] = (),
) -> xr.DataArray:
    """Frames from an array with dims `([sequence,] [time,] [channel,] y, x)`.

    `units` are those of the values, `where` is the file for messages. Raises `DataError` for units that are not
    understood and for dims that are not those of frames.
    """
    quantity, factor = identify(units, variable=str(array.name or "frames"), where=where)
    for dim in ("time", "channel"):
        if dim not in array.dims:
            array = array.expand_dims(dim)
    known = ("sequence", *DIMS) if "sequence" in array.dims else DIMS
    if set(array.dims) != set(known):
        raise DataError(
            f"dims {tuple(array.dims)} are not those of frames", where=where, remedy=f"expected {known} in any order"
        )
    array = array.transpose(*known)
    values = array.astype(np.float32) * np.float32(factor) if factor != 1 else array.astype(np.float32)
    values = values.where(np.isfinite(values) & (values >= quantity.lowest))
    quantity = quantity if dry is None else with_dry(quantity, dry)
    values.attrs = {
        "units": quantity.units,
        "quantity": quantity.name,
        "dry": quantity.dry,
        "repairs": list(repairs),
        **{key: array.attrs[key] for key in ("long_name", "standard_name", "grid_mapping") if key in array.attrs},
    }
    return values.rename(array.name or "frames")


def order_times(frames: xr.DataArray, where: str) -> xr.DataArray:
    """Sort frames by time and drop exact copies, each reported; conflicting copies raise `DataError`."""
    if "time" not in frames.coords or "sequence" in frames.dims:
        return frames
    times = frames["time"].values
    repairs = list(frames.attrs["repairs"])
    if (np.diff(times) < np.timedelta64(0)).any():
        late = int((np.diff(times) < np.timedelta64(0)).sum())
        frames = frames.isel(time=np.argsort(times, kind="stable"))
        times = frames["time"].values
        repairs.append(f"{where}: time goes back {late} time(s); the frames were sorted by their time stamps")
    copies = np.flatnonzero(np.diff(times) == np.timedelta64(0)) + 1
    for index in copies:
        one, other = frames.isel(time=index - 1).values, frames.isel(time=index).values
        if not np.array_equal(one, other, equal_nan=True):
            raise DataError(
                f"two different frames have the time {stamp(times[index])}",
                where=where,
                remedy="remove one of them, or correct its time stamp",
            )
    if len(copies):
        frames = frames.isel(time=np.setdiff1d(np.arange(len(times)), copies))
        repairs.append(f"{where}: {len(copies)} frame(s) with a repeated time were exact copies and were dropped")
    frames.attrs["repairs"] = repairs
    return frames


def stamp(time: np.datetime64) -> str:
    """A time to the second, for messages."""
    return f"{np.datetime_as_string(time, unit='s')} UTC"


def same_grid(one: xr.DataArray, other: xr.DataArray) -> bool:
    """Whether two Frames lie on the same pixels."""
    if one.sizes["y"] != other.sizes["y"] or one.sizes["x"] != other.sizes["x"]:
        return False
    axes: tuple[Hashable, ...] = ("y", "x")
    for axis in axes:
        if (axis in one.coords) != (axis in other.coords):
            return False
        if axis in one.coords:
            spacing = abs(float(one[axis][1] - one[axis][0])) if one.sizes[axis] > 1 else 1.0
            if not np.allclose(one[axis].values, other[axis].values, rtol=0, atol=1e-3 * spacing):
                return False
    return True


def quantity_bounds(quantity: Quantity) -> str:
    """What values are read as missing, for reports."""
    return "infinite" if quantity.lowest == -np.inf else f"infinite or below {quantity.lowest:g} {quantity.units}"
