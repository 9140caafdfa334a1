"""Join several files along time to one archive on one grid; the coordinate `source` holds the file of each frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from framecast.data.archives.names import check_numbers, frame_number
from framecast.data.chunking import READ_LENGTHS
from framecast.data.frames import action_names, same_grid
from framecast.data.lazy import stack_files
from framecast.data.readers.benchmark_sets import set_of_name
from framecast.data.readers.file_names import time_in_name
from framecast.errors import DataError, counted

_NAMES_SHOWN = 5
"""The number of names that a report lists."""


def first_names(names: Sequence[str]) -> str:
    """The first of many names, for a report."""
    more = len(names) - _NAMES_SHOWN
    return "; ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def find_other_shapes(arrays: Mapping[Path, xr.DataArray]) -> dict[Path, str]:
    """Files whose frames differ in height or width from those of the first file, with the reason."""
    (first, one), *others = arrays.items()
    return {
        file: f"frames of {_size(array)}, but {first.name} has {_size(one)}"
        for file, array in others
        if any(array.sizes.get(axis) != one.sizes.get(axis) for axis in ("y", "x"))
    }


def find_mismatches(parts: Mapping[Path, xr.DataArray]) -> dict[Path, str]:
    """Files whose Frames cannot be joined with those of the first file, with the reason."""
    (first_file, first), *others = parts.items()
    return {file: f"{reason} of {first_file.name}" for file, part in others if (reason := _difference(part, first))}


def _size(array: xr.DataArray) -> str:
    return f"{array.sizes.get('y')} x {array.sizes.get('x')}"


def stack_single_frames(arrays: Mapping[Path, xr.DataArray]) -> xr.DataArray | None:
    """Stack single frames, as readers return them, along time to one lazy array. None if they differ in anything but time and
    repairs, or if their times are not of one kind.

    Dask then plans one array, however many files there are.
    """
    files, frames = list(arrays), list(arrays.values())
    frames = [array.isel(time=0) if array.sizes.get("time") == 1 else array for array in frames]
    first = frames[0]
    if "time" in first.dims or "sequence" in first.dims or not all(same_but_time(first, other) for other in frames[1:]):
        return None
    times: list[Any] = [
        array["time"].values if "time" in array.coords else time_in_name(file.stem)
        for array, file in zip(frames, files, strict=True)
    ]
    if all(time is None for time in times):
        times = [frame_number(file) for file in files]
        check_numbers(files)
        if len(set(times)) < len(times):
            return None
    elif any(time is None or np.asarray(time).dtype.kind != "M" for time in times):
        return None
    repairs = dict.fromkeys(repair for array in frames for repair in array.attrs.get("repairs", []))
    lazy = stack_files([str(file) for file in files], lambda number: frames[number].variable, first.variable)
    return along_time(lazy, first, times, list(repairs))


def along_time(lazy: xr.Variable, first: xr.DataArray, times: Sequence[Any], repairs: list[str]) -> xr.DataArray:
    """One array `(time, ...)` of single frames, with coordinates, name and attributes of the `first`."""
    coordinates = {name: value for name, value in first.coords.items() if name != "time"}
    joined = xr.DataArray(lazy, coords=coordinates | {"time": ("time", times)}, name=first.name)
    joined.attrs = {**first.attrs, "repairs": repairs}
    joined.encoding[READ_LENGTHS] = {"time": 1}  # where one file is damaged, the others can be read
    return joined


def same_but_time(first: xr.DataArray, other: xr.DataArray) -> bool:
    """Whether two single frames, as read, differ only in time, values and repairs."""
    if other.dims != first.dims or other.shape != first.shape or other.name != first.name:
        return False
    if action_names(first):  # actions differ from frame to frame
        return False
    if other.coords.keys() - {"time"} != first.coords.keys() - {"time"}:
        return False
    attributes, first_attributes = (
        {k: v for k, v in array.attrs.items() if k != "repairs"} for array in (other, first)
    )
    return str(attributes) == str(first_attributes) and same_grid(first, other)


def join(parts: Mapping[Path, xr.DataArray]) -> xr.DataArray:
    """Several Frames along time, each frame with the file it came from in the coordinate `source`.

    Raises `DataError` where they differ in grid, quantity or kind of time.
    """
    labelled = [part.assign_coords(source=("time", [str(file)] * part.sizes["time"])) for file, part in parts.items()]
    if len(parts) == 1:
        return labelled[0]
    for file, reason in find_mismatches(parts).items():
        raise DataError(
            f"{reason}: they cannot be joined along time", where=file, remedy="open archives that differ one by one"
        )
    first = labelled[0]
    if first["time"].dtype.kind != "M":
        labelled = _renumber(labelled)
    joined = xr.concat(labelled, "time", coords="minimal", compat="override", join="override", combine_attrs="override")
    repairs = dict.fromkeys(repair for part in parts.values() for repair in part.attrs["repairs"])
    joined.attrs = {**first.attrs, "repairs": list(repairs)}
    return joined


def _difference(part: xr.DataArray, first: xr.DataArray) -> str | None:
    """Why two Frames cannot be joined; None if they can."""
    if "sequence" in part.dims or "sequence" in first.dims:
        return f"a set of clips with dims {part.dims} among the frames"
    if part.attrs["quantity"] != first.attrs["quantity"]:
        return f"{part.attrs['quantity']} ({part.attrs['units']}) and not the {first.attrs['quantity']}"
    if part.attrs["dry"] != first.attrs["dry"]:
        return f"dry is {part.attrs['dry']:g} and not the {first.attrs['dry']:g}"
    if part.sizes["channel"] != first.sizes["channel"]:
        return f"{counted(part.sizes['channel'], 'channel')} and not the {first.sizes['channel']}"
    if len(action_names(part)) != len(action_names(first)):
        return f"{counted(len(action_names(part)), 'action')} and not the {len(action_names(first))}"
    if not same_grid(first, part):
        return "other y or x coordinates than those"
    if part["time"].dtype.kind != first["time"].dtype.kind:
        return "times of another kind (dates, numbers of frames) than those"
    return None


def _renumber(parts: list[xr.DataArray]) -> list[xr.DataArray]:
    """Number frames without a clock. Single frames keep the numbers of their names, which must differ; the frames of clips are
    numbered through, with a gap between files, so that no window crosses files. Raises `DataError`."""
    if all(part.sizes["time"] == 1 for part in parts):
        check_numbers([Path(str(part["source"].values[0])) for part in parts])
        file_of: dict[int, str] = {}
        for part in parts:
            number, file = int(part["time"].values[0]), str(part["source"].values[0])
            if number in file_of:
                benchmark = set_of_name(Path(file))
                raise DataError(
                    f"frame number {number}, as {Path(file_of[number]).name}: which comes first?"
                    + (f" Its name is that of a file of {benchmark.title}" if benchmark else ""),
                    where=file,
                    remedy=benchmark.remedy
                    if benchmark
                    else "number the frames of one clip through; open several clips one by one",
                )
            file_of[number] = file
        return parts
    renumbered, start = [], 0
    for part in parts:
        renumbered.append(part.assign_coords(time=np.arange(start, start + part.sizes["time"])))
        start += part.sizes["time"] + 1
    return renumbered
