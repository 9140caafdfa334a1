"""Frames, the common form of all data: conversion from readers, checks, order of times, coverage and actions.

`xarray.DataArray` with dims `([sequence,] time, channel, y, x)`, float32, lazy, physical units in `attrs["units"]`, the
quantity in `attrs["quantity"]`, the dry value in `attrs["dry"]`, repairs in words in `attrs["repairs"]`.

Missing pixels are NaN. A pixel that is infinite, or below the lowest value of the quantity (rain below 0), becomes missing; the
bits of its NaN mark the reason, and `coverage.coverage` counts them.

Times, always UTC: a time stamp that repeats is an error unless the frames are equal (then the copy is dropped and
reported); frames out of order are sorted and reported; absent steps stay absent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from framecast.checks import describe
from framecast.data.chunking import READ_LENGTHS, chunk_lengths
from framecast.data.clock import YEARS
from framecast.data.lazy import Change, LazyArray, dask_arrays, lazy_variable
from framecast.data.orientation import CURVILINEAR
from framecast.data.place import has_same_corners
from framecast.data.quantities import QUANTITIES, with_dry
from framecast.data.spacing import is_same
from framecast.data.units import identify, resolve_units, standard_name
from framecast.errors import DataError, FramecastError, ResourceError, counted

DIMS = ("time", "channel", "y", "x")
_ACTION = "action_"
_STATED = ("long_name", "grid_mapping", "cell_methods", "mean_over_seconds", "institution", "license")
"""Attributes of a reader's array that Frames keep."""
INFINITE, BELOW, OUTSIDE = np.uint32(0x7FC00001), np.uint32(0x7FC00002), np.uint32(0x7FC00003)
"""The bits of NaN for a pixel that was infinite, for one below the lowest value of the quantity, and for one outside of the
range that the file declares as valid."""


def build(
    array: xr.DataArray, *, where: str, units: str | None = None, dry: float | None = None, chunked: bool = True
) -> xr.DataArray:
    """Frames from an array with dims `([sequence,] [time,] [channel,] y, x)`, as a reader returns it.

    `units` are used if the attributes have none, `dry` replaces that of the attributes, `where` names the file in
    messages. Unless `chunked`, an array that xarray reads lazily stays one, without Dask. Raises `DataError` for units that
    are not understood or that contradict those of the file, and for dims that are not those of frames.
    """
    name = str(array.name or "frames")
    units = resolve_units(
        units, array.attrs.get("units"), variable=name, where=where, standard_name=array.attrs.get("standard_name")
    )
    quantity, factor, offset, dry_of_units = identify(units, variable=name, where=where)
    repairs = list(array.attrs.get("repairs", []))
    expected = ("sequence", *DIMS) if "sequence" in array.dims else DIMS
    if not set(array.dims) <= set(expected) or not {"y", "x"} <= set(array.dims):
        raise DataError(
            f"dims {tuple(array.dims)} are not those of frames", where=where, remedy=f"expected {expected} in any order"
        )
    if factor != 1 or offset:
        repairs.append(f"values in {units} were converted to {quantity.units}")
    if dry_of_units is not None:
        quantity = with_dry(quantity, dry_of_units)

    def clean(block: np.ndarray) -> np.ndarray:
        block = block.astype(np.float32, copy=False)
        if factor != 1:
            block = block * np.float32(factor) if factor > 1 else block / np.float32(1 / factor)  # 255 / 255 is 1
        if offset:
            block = block + np.float32(offset)
        low, high = (reduce(block, axis=None, initial=np.nan) for reduce in (np.fmin.reduce, np.fmax.reduce))
        if low < quantity.lowest or -low == np.inf or high == np.inf:  # rare: the test is faster than masking
            infinite, below, block = np.isinf(block), block < quantity.lowest, block.copy()
            bits = block.view(np.uint32)
            bits[below], bits[infinite] = BELOW, INFINITE
        return block

    values = _apply_lazily(array, expected, clean, where, chunked=chunked)
    dry = dry if dry is not None else array.attrs.get("dry")
    quantity = quantity if dry is None else with_dry(quantity, float(dry))
    values.attrs = {
        "units": quantity.units,
        "quantity": quantity.name,
        "dry": quantity.dry,
        "repairs": repairs,
        **{key: array.attrs[key] for key in _STATED if key in array.attrs},
    }
    if cf_name := standard_name(array.attrs.get("standard_name"), quantity):
        values.attrs["standard_name"] = cf_name
    if "time" in values.coords and values["time"].dtype.kind == "M":  # frames without clock have numbers
        _check_years(values["time"].values, where)
        values["time"] = values["time"].astype("datetime64[ns]", keep_attrs=True)
    return values.rename(name)


def _check_years(times: np.ndarray, where: str) -> None:
    """Raise `DataError` for times that datetime64[ns] cannot store: they would become others."""
    known = times[~np.isnat(times)]
    years = known.astype("datetime64[Y]").astype(np.int64) + 1970
    if times.dtype != "datetime64[ns]" and known.size and not YEARS[0] <= years.min() <= years.max() <= YEARS[1]:
        raise DataError(
            f"times from the year {years.min()} to {years.max()} cannot be stored: expected {YEARS[0]} to {YEARS[1]}",
            where=where,
            remedy="correct the time stamps",
        )


def check_frames(frames: Any) -> xr.DataArray:
    """The same frames. Raises `DataError` if they are not Frames as `framecast.open` returns them."""
    if not isinstance(frames, xr.DataArray):
        raise DataError(
            f"{describe(frames)} given, expected frames, an xarray.DataArray",
            remedy="framecast.open(PATH) gives them; it opens arrays too, once they are saved: numpy.save('frames.npy', array)",
        )
    where = describe_source(frames)
    if frames.dims not in (DIMS, ("sequence", *DIMS)):
        raise DataError(
            f"dims {frames.dims} are not those of frames, {DIMS}",
            where=where,
            remedy="keep all and their order: frames.isel(channel=[0]), frames.transpose('time', 'channel', 'y', 'x')",
        )
    if not frames.size:
        raise DataError(
            f"frames of {dict(frames.sizes)} hold nothing", where=where, remedy="select at least one of each"
        )
    if frames.attrs.get("quantity") not in QUANTITIES or "dry" not in frames.attrs:
        raise DataError(
            "the attributes quantity and dry that framecast.open gives are gone",
            where=where,
            remedy="keep them: frames.assign_attrs(opened.attrs)",
        )
    if frames.dtype.kind != "f":
        raise DataError(f"{frames.dtype} values", where=where, remedy="frames.astype('float32')")
    times = frames["time"].values
    if times.dtype.kind not in "Miu":
        raise DataError(
            f"times of type {times.dtype}", where=where, remedy="give datetime64, or whole numbers that count frames"
        )
    if (np.diff(times).astype(np.int64) <= 0).any():
        raise DataError("times repeat or go back", where=where, remedy="frames.sortby('time').drop_duplicates('time')")
    return frames


def _apply_lazily(
    array: xr.DataArray, dims: tuple[str, ...], change: Change, where: str, *, chunked: bool
) -> xr.DataArray:
    """The array with these dims and `change` applied, lazily. One that xarray reads lazily is sliced in its file."""
    coordinates = {name: value for name, value in array.coords.items() if name not in dims or name in array.dims}
    if "time" not in array.dims:  # time and actions of a single frame become axes of length 1
        frame_coordinates: list[Any] = [array[name] for name in ("time", *action_names(array)) if name in array.coords]
        coordinates |= {each.name: each.variable.set_dims((*each.dims, "time")) for each in frame_coordinates}
    if array.chunks is None:
        values = LazyArray(array, dims, change, where)
        if not chunked:
            variable = lazy_variable(dims, values.shape, values.__getitem__)
            return xr.DataArray(variable, coords=coordinates, name=array.name, attrs=array.attrs)
        sizes = {dim: array.sizes.get(dim, 1) for dim in dims}
        chunks = chunk_lengths(sizes, array.encoding.get("preferred_chunks")) | array.encoding.get(READ_LENGTHS, {})
        empty = np.empty((0,) * len(dims), np.float32)
        lazy = dask_arrays().from_array(values, chunks=tuple(chunks[dim] for dim in dims), name=False, meta=empty)
    else:
        missing = [dim for dim in dims if dim not in array.dims]
        stored: Any = array.variable
        full_sizes: dict[Any, int] = {**dict.fromkeys(missing, 1), **array.sizes}
        full = stored.set_dims(full_sizes).transpose(*dims)
        lazy = dask_arrays().map_blocks(
            change, full.data, dtype=np.float32, meta=np.empty((0,) * len(dims), np.float32)
        )
    return xr.DataArray(lazy, dims=dims, coords=coordinates, name=array.name, attrs=array.attrs)


def order_times(frames: xr.DataArray, *, keep_first: bool = False) -> xr.DataArray:
    """Sort frames by time and drop exact copies, each reported; conflicting copies raise `DataError`, or, with `keep_first`,
    are dropped and reported too, as are those that cannot be read."""
    times, where = frames["time"].values, _frame_files(frames)
    if times.dtype.kind == "M" and np.isnat(times).any():
        missing = int(np.flatnonzero(np.isnat(times))[0])
        raise DataError(f"frame {missing} has no time stamp", where=where[missing], remedy="give it one, or remove it")
    # sort
    repairs = list(frames.attrs["repairs"])
    steps = np.diff(times).astype(np.int64)
    if (steps < 0).any():
        frames = frames.isel(time=np.argsort(times, kind="stable"))
        repairs.append(
            f"{where[0]}: time goes back {counted(int((steps < 0).sum()), 'time')}; the frames were sorted by their time stamps"
        )
        times, where = frames["time"].values, _frame_files(frames)
    # compare the frames of one time
    copies = np.flatnonzero(np.diff(times).astype(np.int64) == 0) + 1
    dropped: set[int] = set()
    damaged: list[str] = []
    conflicts, kept_index = 0, 0

    def read(index: int) -> np.ndarray | None:
        try:
            return frames.isel(time=index).values
        except FramecastError as error:
            if not keep_first or isinstance(error, ResourceError):
                raise
            return None

    for index in map(int, copies):
        kept_index = kept_index if index - 1 in dropped else index - 1
        one, other = read(kept_index), read(index)
        if one is None or other is None:
            unreadable, kept_index = (index, kept_index) if other is None else (kept_index, index)
            dropped.add(unreadable)
            damaged.append(f"{where[unreadable]} ({stamp(times[unreadable])})")
            continue
        dropped.add(index)
        if not np.array_equal(one, other, equal_nan=True):
            conflicts += 1
            if keep_first:
                continue
            other_file = "" if where[index] == where[index - 1] else f", the other in {where[index - 1]}"
            raise DataError(
                f"two different frames have the time {stamp(times[index])}{other_file}",
                where=where[index],
                remedy="remove one of them, or correct its time stamp",
            )
    # drop copies, and report them
    if len(copies):
        frames = frames.isel(time=np.setdiff1d(np.arange(len(times)), sorted(dropped)))
        if exact_copies := len(copies) - conflicts - len(damaged):
            message = f"{counted(exact_copies, 'frame')} with a repeated time dropped: exact copies"
            repairs.append(f"{where[copies[0]]}: {message}")
        if conflicts:
            repairs.append(
                f"{counted(conflicts, 'frame')} with the time of another, different one dropped: the first was kept"
            )
        if damaged:
            message = f"{counted(len(damaged), 'frame')} that cannot be read dropped, since another has the time"
            repairs.append(f"{message}: {'; '.join(damaged)}")
    frames.attrs["repairs"] = repairs
    return frames


def _frame_files(frames: xr.DataArray) -> list[str]:
    """The file of each frame."""
    return [str(file) for file in frames["source"].values]


def files_of(frames: xr.DataArray) -> set[str]:
    """The files that Frames came from, as absolute paths; none where they were made in memory."""
    if "source" not in frames.coords:
        return set()
    return {str(Path(str(file)).resolve()) for file in frames["source"].values.ravel()}


def describe_source(*archives: xr.DataArray) -> str:
    """Where Frames come from, for messages: the file, or the first of several and how many more, and the variable."""
    sources = []
    for frames in archives:
        files = sorted({str(file) for file in frames["source"].values.flat}) if "source" in frames.coords else []
        others = f" and {len(files) - 1} more file{'s' * (len(files) > 2)}" if len(files) > 1 else ""
        sources.append(f"{files[0] if files else 'frames in memory'}{others}, variable {frames.name!r}")
    return "; ".join(sources)


def with_actions(array: xr.DataArray, actions: np.ndarray, where: object) -> xr.DataArray:
    """Frames as a reader returns them, with the actions `([sequence,] time, A)` of each frame, one
    coordinate for each number. Raises `DataError` if they are not numbers, or not as many as frames."""
    dims = [dim for dim in ("sequence", "time") if dim in array.dims]
    sizes = tuple(array.sizes[dim] for dim in dims)
    if actions.dtype.kind not in "fiub":
        raise DataError(f"actions of {actions.dtype}, not numbers", where=str(where), remedy="save plain numbers")
    if actions.shape[:-1] != sizes or actions.ndim != len(dims) + 1:
        raise DataError(
            f"actions of shape {actions.shape} for frames of {dict(zip(dims, sizes, strict=True))}",
            where=str(where),
            remedy="give one row of actions for each frame; one number each is a row too: actions[..., None]",
        )
    numbers = np.moveaxis(actions.astype(np.float32), -1, 0)
    return array.assign_coords({f"{_ACTION}{k}": (dims, each) for k, each in enumerate(numbers)})


def action_names(frames: xr.DataArray) -> list[str]:
    """The coordinates of Frames that hold actions, in their order; none where they have none."""
    return sorted(
        (name for name in map(str, frames.coords) if name.startswith(_ACTION)), key=lambda name: int(name[7:])
    )


def actions_of(frames: xr.DataArray) -> np.ndarray:
    """The actions of Frames `(sequence, time, A)`, the sequence being 1 where there is one only. Raises `DataError`
    where the frames have none."""
    names = action_names(frames)
    if not names:
        raise DataError(
            "the frames have no actions",
            where=min(files_of(frames), default="frames in memory"),
            remedy="give an array `actions` of one row for each frame in the same file (NetCDF, .npz), or take a model without: "
            "data.actions=false in training",
        )
    actions = np.stack([frames[name].values for name in names], axis=-1)
    return actions if "sequence" in frames.dims else actions[np.newaxis]


def stamp(time: np.datetime64 | int) -> str:
    """A time to the second, or the number of a frame without clock, for messages."""
    return f"{np.datetime_as_string(time, unit='s')} UTC" if isinstance(time, np.datetime64) else f"frame {time}"


def same_grid(one: xr.DataArray, other: xr.DataArray) -> bool:
    """Whether two Frames lie on the same pixels: as many, and at the same coordinates of the same projection but for their
    rounding."""
    if any(one.sizes[axis] != other.sizes[axis] for axis in ("y", "x")):
        return False
    return all(
        (name in one.coords) == (name in other.coords)
        and (name not in one.coords or is_same(one[name].values, other[name].values))
        for name in ("y", "x", *CURVILINEAR)
    ) and has_same_corners(one, other)
