"""Which variable of a CF file holds the times of its frames: the coordinate of their dimension, another variable along it, or, of
a single frame, a scalar.

Taken is the one with the CF standard name `time`, else the one named `time`, `valid_time`, `t` or (by WRF) `Times`, else a
coordinate, else the end of an interval. A scalar that is none of these does not replace the time in the name of the file.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from framecast.data.readers.cf_axes import AXES, roles_of
from framecast.data.readers.file_names import time_in_name
from framecast.data.readers.forecast_files import forecast_role
from framecast.errors import DataError

NAMES = (*AXES["time"], "times")
"""The names of variables that hold the times of frames, in small letters."""
_START, _END = r"start|beginning|begin", r"end|stop"
_OF_INTERVAL = ("", "time", "date", "datetime", "interval", "period", "accumulation", "accumulationtime")
"""What is left of the name of the start or the end of an interval, without that word and "_"."""
_REMEDY = "give the one of the frames the CF standard name time, or name it time"


class _Choice(NamedTuple):
    """The variable with the times of frames; a report of what was chosen, None where its name or standard name tells; whether
    it is only the one that is there."""

    name: Hashable
    report: str | None = None
    only: bool = False


def with_frame_times(dataset: xr.Dataset, name: Hashable, path: Path | str) -> xr.Dataset:
    """The decoded dataset with the times along the dimension of variable `name` as the coordinate of that dimension, which gives
    one that was unknown its role. Raises `DataError` where there are several."""
    array = dataset[name]
    roles = roles_of(dataset, array)
    known = [dim for dim, role in roles.items() if role == "time"]
    if known and known[0] in dataset.coords and dataset[known[0]].dtype.kind == "M":
        return dataset
    unknown = [dim for dim, role in roles.items() if role is None and forecast_role(dataset, dim) is None]
    along = {dim: names for dim in known or unknown if (names := _times_along(dataset, (dim,)))}
    if len(along) != 1 or not {"y", "x"} <= set(roles.values()):
        return dataset
    dim, names = along.popitem()
    choice = _choose(dataset, names)
    if choice is None:
        raise DataError(
            f"the frames of variable {name!r} have several times along {dim!r}: {', '.join(map(str, names))}",
            where=path,
            remedy=_REMEDY,
        )
    times = dataset.variables[choice.name]
    attributes = {**times.attrs, "standard_name": "time"}
    if choice.report is not None:
        repairs = [*array.attrs.get("repairs", []), choice.report]
        dataset = dataset.assign({name: array.assign_attrs(repairs=repairs)})
    return dataset.assign_coords({dim: xr.Variable((dim,), times.values, attributes, times.encoding)})


def with_scalar_time(array: xr.DataArray, dataset: xr.Dataset, path: Path | str) -> xr.DataArray:
    """A single frame with the time of a scalar variable; without a time where the name of the file states one, or there is no
    scalar. Raises `DataError` where there are several."""
    names = [name for name, each in dataset.variables.items() if each.size == 1 and _may_be_time(dataset, name)]
    array = array.drop_vars(names, errors="ignore")
    if not names:
        return array
    choice = _choose(dataset, names)
    if (choice is None or choice.only) and time_in_name(Path(path).stem) is not None:
        return array
    if choice is None:
        raise DataError(
            f"the frame of variable {array.name!r} has several times, {', '.join(map(str, names))}, and the name of the file "
            "has none",
            where=path,
            remedy=f"{_REMEDY}; or name the file by date and time in UTC: rain_20200101_1205.nc",
        )
    if choice.report is not None:
        array = array.assign_attrs(repairs=[*array.attrs.get("repairs", []), choice.report])
    time = dataset.variables[choice.name]
    return array.assign_coords(time=xr.Variable((), time.values.reshape(()), time.attrs, time.encoding))


def _times_along(dataset: xr.Dataset, dims: tuple[Hashable, ...]) -> list[Hashable]:
    return [name for name, each in dataset.variables.items() if each.dims == dims and _may_be_time(dataset, name)]


def _may_be_time(dataset: xr.Dataset, name: Hashable) -> bool:
    """Whether a variable holds times, other than the bounds of some and the runs of forecasts."""
    each = dataset.variables[name]
    return each.ndim < 2 and each.dtype.kind == "M" and forecast_role(dataset, name) is None


def _choose(dataset: xr.Dataset, names: Sequence[Hashable]) -> _Choice | None:
    """The variable, of those with times, that holds the times of frames; None where that is not clear."""
    standard = [name for name in names if dataset[name].attrs.get("standard_name") == "time"]
    named = [name for name in names if str(name).lower() in NAMES]
    for group in (standard, named):
        if group and (len(group) == 1 or _are_equal(dataset, group)):
            return _Choice(group[0])
        if group:
            return _end_of_interval(group)
    if (end := _end_of_interval(names)) is not None:
        return end
    coordinates = [name for name in names if name in dataset.coords]
    if len(coordinates) == 1:
        return _Choice(coordinates[0], _report(coordinates[0]))
    return _Choice(names[0], _report(names[0]), only=True) if len(names) == 1 else None


def _report(name: Hashable) -> str:
    return f"the time of frames is {str(name)!r}: no variable is named time or has that standard name"


def _are_equal(dataset: xr.Dataset, names: Sequence[Hashable]) -> bool:
    first, *others = (dataset[name].values.ravel() for name in names)
    return all(np.array_equal(first, other) for other in others)


def _end_of_interval(names: Sequence[Hashable]) -> _Choice | None:
    """The end of the one interval whose start and end are among the names; None without."""
    starts, ends = ({_interval(name, word): name for name in names} for word in (_START, _END))
    pairs = [(starts[key], ends[key]) for key in _OF_INTERVAL if key in starts and key in ends]
    if len(pairs) != 1:
        return None
    start, end = pairs[0]
    return _Choice(end, f"the time of frames is the end of their interval, {str(end)!r}, and not {str(start)!r}")


def _interval(name: Hashable, word: str) -> str | None:
    """What is left of the name of a start or an end without that word; None for another name."""
    key = re.sub(r"[\s_-]", "", str(name).lower())
    rest = re.sub(f"^(?:{word})|(?:{word})$", "", key)
    return rest if rest != key else None
