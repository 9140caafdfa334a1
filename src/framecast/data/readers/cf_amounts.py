"""Amounts of rain in CF files (mm, kg m-2, m) as rates: the bounds of the times say over what time they fell."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import xarray as xr

from framecast.data.readers.cf_times import decode_times, is_time
from framecast.data.readers.options import ReadOptions
from framecast.data.units import amount_in_mm
from framecast.errors import DataError

_NO_SUMS = (
    "mean",
    "maximum",
    "minimum",
    "median",
    "point",
    "range",
    "variance",
    "standard_deviation",
    "mid_range",
    "mode",
)


_JITTER = 0.02
"""By which part of their length intervals may differ: bounds may be a second or two off."""
_BOUNDS = "correct the bounds, or divide each amount by its own time and write rates (mm h-1)"
_DIFFERENCES = "take the differences of following amounts (xarray: diff('time')), with bounds of their own"


def as_rate(array: xr.DataArray, dataset: xr.Dataset, path: object, options: ReadOptions) -> xr.DataArray:
    """An amount between the bounds of its times, or between `start_time` and `valid_time`, as the rate over that time: its units
    become "mm per 5 min". Other variables, and amounts without bounds, as they are. Raises `DataError` if the intervals differ
    and `options.units` is not set."""
    units = str(array.attrs.get("units", "")).strip()
    if amount_in_mm(units) is None:
        return array
    try:
        interval = _interval(array, dataset, path)
    except DataError:
        if options.units is None:
            raise
        return array
    if interval is None:
        return array
    name, start, end = interval
    if (method := _method_of_time(array)) in _NO_SUMS:
        raise DataError(
            f"variable {array.name!r} is the {method} of amounts in {units} (cell_methods), not their sum",
            where=str(path),
            remedy="read the rate, or an amount over a stated time",
        )
    if np.isnat(start).any() or np.isnat(end).any():
        if options.units is not None:
            return array
        raise _no_single_span(array, name, "hold no time for some of the frames", path, _BOUNDS)
    spans = np.unique(np.abs(np.round((end - start) / np.timedelta64(1, "s"))))
    length = float(np.median(spans)) if len(spans) else 0.0
    if not length or np.ptp(spans) > _JITTER * length:
        if options.units is not None:
            return array
        if len(np.unique(start)) == 1 and len(spans) > 1:
            raise _no_single_span(array, name, "begin at one time: they are sums since then", path, _DIFFERENCES)
        apart = f"are {', '.join(f'{span / 60:g}' for span in spans[:5])} minutes apart"
        raise _no_single_span(array, name, apart, path, _BOUNDS)
    minutes = round(length) / 60
    position = _position(array, np.minimum(start, end), np.maximum(start, end))
    rate = array.copy()
    rate.attrs = {
        **array.attrs,
        "long_name": "Rain rate",
        "standard_name": "rainfall_rate",
        "units": f"{units} per {minutes:g} min",
        "repairs": [
            *array.attrs.get("repairs", []),
            f"amounts in {units} are read as rates over the {minutes:g} minutes between {name}"
            + (f"; the time of a frame is the {position} of its interval" if position else ""),
        ],
        "cell_methods": "time: mean",
    }
    if position == "end":
        rate.attrs["mean_over_seconds"] = 60 * minutes
    return rate


def _interval(array: xr.DataArray, dataset: xr.Dataset, path: object) -> tuple[str, np.ndarray, np.ndarray] | None:
    """The names of the variables that hold the beginning and the end of each amount, and those times; None without any."""
    if {"start_time", "valid_time"} <= set(dataset.variables):
        ends = [dataset[name] for name in ("start_time", "valid_time")]
        if not all(end.dtype.kind == "M" for end in ends):
            raise _no_single_span(array, "start_time and valid_time", "hold no dates", path, _BOUNDS)
        start, end = xr.broadcast(*ends)
        return "start_time and valid_time", start.values.ravel(), end.values.ravel()
    for name in ("time", "valid_time", *map(str, dataset.coords)):
        if name not in dataset.variables or dataset[name].dtype.kind != "M":
            continue
        bounds = str(dataset[name].attrs.get("bounds", f"{name}_bnds"))
        if bounds in dataset.variables and dataset[bounds].sizes and dataset[bounds].shape[-1] == 2:
            values = _times(dataset[bounds].variable, dataset[name], bounds, path)
            return f"its bounds {bounds}", values[..., 0].ravel(), values[..., 1].ravel()
    return None


def _times(bounds: xr.Variable, times: xr.DataArray, name: str, path: object) -> np.ndarray:
    """Bounds as times; they have the units of the times that they bound, unless they state their own."""
    if bounds.dtype.kind == "M":
        return np.asarray(bounds.values)
    attributes = {key: times.encoding[key] for key in ("units", "calendar") if key in times.encoding} | bounds.attrs
    variable = xr.Variable(bounds.dims, bounds.values, attributes)
    if not is_time(variable):
        raise DataError(
            f"variable {name!r} holds no times", where=str(path), remedy="expected bounds in the units of time"
        )
    return np.asarray(decode_times(variable, name, path).values)


def _method_of_time(array: xr.DataArray) -> str:
    """What `cell_methods` says of time ("sum"); empty without."""
    words = str(array.attrs.get("cell_methods", "")).replace("(", " ").split()
    return next((after.lower() for word, after in pairwise(words) if word.lower() in ("time:", "t:")), "")


def _position(array: xr.DataArray, start: np.ndarray, end: np.ndarray) -> str:
    """Where in its interval the time of a frame lies: end, beginning or middle; empty where it is not known."""
    times = np.atleast_1d(array["time"].values) if "time" in array.coords else np.array([])
    if times.dtype.kind != "M" or times.shape != start.shape:
        return ""
    for place, stamp in (("end", end), ("beginning", start), ("middle", start + (end - start) / 2)):
        if (np.abs(times - stamp) <= np.timedelta64(1, "s")).all():
            return place
    return ""


def _no_single_span(array: xr.DataArray, name: str, problem: str, path: object, remedy: str) -> DataError:
    units = str(array.attrs.get("units", "")).strip()
    return DataError(
        f"variable {array.name!r} is an amount in {units}, but {name} {problem}", where=str(path), remedy=remedy
    )
