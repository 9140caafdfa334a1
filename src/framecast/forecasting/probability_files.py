"""Probabilities in files: that a rain rate reaches a threshold, as services write them, with no forecast of values.

The threshold is a coordinate with a unit of rain (ours, IMPROVER), or an attribute of each of several variables. Probabilities
of staying below a threshold, and percentages, are turned.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from framecast.data.lazy import Selection, lazy_variable
from framecast.data.quantities import RAIN_RATE, ZR
from framecast.data.units import amount_in_mm, identify
from framecast.errors import DataError

_NAMED = re.compile(r"probab|exceed|(^|_)prob(_|$)", re.IGNORECASE)
_THRESHOLD = re.compile(r"thresh", re.IGNORECASE)
_BELOW = re.compile(r"less|below|under", re.IGNORECASE)
_NUMBER = re.compile(r"\s*[<>]?=?\s*([-+.\deE]+)\s*(.*)")
_RAIN = re.compile(r"rain|precip", re.IGNORECASE)
_METRES = {"m s-1": "mm s-1", "m/s": "mm s-1", "m s^-1": "mm s-1"}
"""Units of rain in metres, in which winds are stated as well, and those of a thousandth."""
_FRACTIONS = ("", "1", "none", "unitless", "%", "percent")


class Level(NamedTuple):
    """The probability `(..., y, x)` that the rain rate reaches `rate` in mm/h: `1 - value / full` of an array if it is that of
    staying `below`, else `value / full`."""

    rate: float
    array: xr.DataArray
    full: float
    below: bool

    def turned(self, values: np.ndarray) -> np.ndarray:
        """Stored values as probabilities of reaching the rate, float32."""
        share = values.astype(np.float32, copy=False) / np.float32(self.full)
        return 1 - share if self.below else share


def is_probability(array: xr.DataArray) -> bool:
    """Whether a variable is a probability, by its unit and its names."""
    names = (array.name, array.attrs.get("standard_name", ""), array.attrs.get("long_name", ""))
    fraction = str(array.attrs.get("units", "")).strip().lower() in _FRACTIONS
    return fraction and any(_NAMED.search(str(name)) for name in names)


def levels_of(dataset: xr.Dataset, names: Sequence[str], units: str | None, path: Path) -> list[Level]:
    """The probabilities in the variables `names`, by ascending rate; `units` are those of thresholds of which the file states
    none. Raises `DataError` without a threshold, for one of another quantity, and for two that are the same."""
    levels = [level for name in names for level in _levels(dataset, name, units, path)]
    levels.sort(key=lambda level: level.rate)
    rates = [level.rate for level in levels]
    if len(set(rates)) < len(rates):
        raise DataError(
            f"several probabilities of one threshold in {', '.join(names)}",
            where=path,
            remedy="name one variable",
            parameter="variable",
            example=names[0],
        )
    return levels


def joined(levels: Sequence[Level], arrays: Sequence[xr.DataArray]) -> xr.DataArray:
    """The probabilities of all levels, with the axes `arrays (init_time, lead_time, y, x)`, as `(init_time, threshold, lead_time,
    y, x)`, lazy."""
    first = arrays[0]
    axes = [str(dim) for dim in first.dims]

    def read(selection: Selection) -> np.ndarray:
        which, rest = selection[1], dict(zip(axes, (selection[0], *selection[2:]), strict=True))
        if not isinstance(which, slice):
            return arrays[which].variable.isel(rest).values
        parts = [each.variable.isel(rest).values for each in arrays[which]]
        return np.stack(parts, axis=0 if isinstance(selection[0], int | np.integer) else 1)

    dims = (axes[0], "threshold", *axes[1:])
    values = lazy_variable(dims, (first.shape[0], len(levels), *first.shape[1:]), read)
    values.attrs = {"units": "1", "long_name": "probability that the rain rate is at or above the threshold"}
    rates = xr.Variable(("threshold",), [level.rate for level in levels], {"units": RAIN_RATE.units})
    return xr.DataArray(values, {**{name: each.variable for name, each in first.coords.items()}, "threshold": rates})


def _levels(dataset: xr.Dataset, name: str, units: str | None, path: Path) -> list[Level]:
    """The probabilities in one variable."""
    array = dataset[name]
    full = 100.0 if str(array.attrs.get("units", "")).strip().lower() in ("%", "percent") else 1.0
    axis = _threshold_of(dataset, array)
    if axis is None:
        value, stated = _stated(array, path)
        below = bool(_BELOW.search(f"{name} {array.attrs.get('long_name', '')}"))
        return [Level(_rate(value, units or stated, name, path), array, full, below)]
    coordinate = dataset[axis]
    relation = str(
        coordinate.attrs.get("spp__relative_to_threshold", coordinate.attrs.get("relative_to_threshold", ""))
    )
    below = bool(_BELOW.search(relation or name))
    values, stated = np.ravel(coordinate.values), coordinate.attrs.get("units")
    parts = [array.isel({axis: k}, drop=True) for k in range(len(values))] if axis in array.dims else [array]
    return [
        Level(_rate(float(value), stated or units, f"{axis} of {name}", path), part, full, below)
        for value, part in zip(values, parts, strict=True)
    ]


def _threshold_of(dataset: xr.Dataset, array: xr.DataArray) -> Hashable | None:
    """The dimension or scalar coordinate that holds the thresholds; None without."""
    candidates = [*array.dims, *(name for name in array.coords if not array[name].ndim)]
    for name in candidates:
        if name in dataset.variables and dataset[name].dtype.kind in "iuf":
            attributes = dataset[name].attrs
            if _THRESHOLD.search(str(name)) or "spp__relative_to_threshold" in attributes:
                return name
    return None


def _stated(array: xr.DataArray, path: Path) -> tuple[float, str | None]:
    """The threshold in the attributes of a variable, with its unit. Raises `DataError` without."""
    named = [name for name in array.attrs if _THRESHOLD.search(str(name)) and "unit" not in str(name).lower()]
    for name in named:
        match = _NUMBER.fullmatch(str(np.ravel(array.attrs[name])[0]))
        if match is not None:
            units = [
                array.attrs[each] for each in array.attrs if re.fullmatch(r".*thresh.*unit.*|unit.*thresh.*", each)
            ]
            return float(match[1]), str(units[0]) if units else match[2] or None
    raise DataError(
        f"probabilities {array.name!r} without a threshold",
        where=path,
        remedy="expected a coordinate or an attribute 'threshold' with a unit of rain, such as mm h-1",
    )


def _rate(value: float, units: str | None, name: str, path: Path) -> float:
    """A threshold in mm/h. Raises `DataError` for one of sums, or of another quantity than rain."""
    if amount_in_mm(units) is not None:
        raise DataError(
            f"probabilities of rain sums ({name} in {units}); frames are verified by rates",
            where=path,
            remedy="give probabilities of rain rates, thresholds in mm h-1",
        )
    if units in _METRES and _RAIN.search(name):
        value, units = 1000 * value, _METRES[str(units)]
    meaning = identify(units, variable=name, where=path)
    if not meaning.quantity.precipitation:
        raise DataError(
            f"probabilities of {meaning.quantity.name} ({name} in {units})", where=path, remedy="expected those of rain"
        )
    own = meaning.factor * value + meaning.offset
    return float(f"{float(meaning.quantity.rain_rate(own, ZR())):.6g}")
