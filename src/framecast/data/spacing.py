"""Evenly spaced coordinates: their units of length, how far they may lie from their places, where they break, and longitudes over
a border."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

ROUNDED = 0.25
"""Of the spacing: how far a coordinate may lie from its place on an even grid, as one of degrees with few decimals does."""
SAME = 0.1
"""Of the spacing: how far the coordinates of two files of one grid may lie apart, in other precisions for example."""
_UNEVEN = 0.4
"""Of the spacing: by how much a step of rounded coordinates may be longer or shorter."""
_JUMP = 1.4
"""How many times longer than its neighbour a step may be where the spacing changes little by little."""


_LENGTHS = {
    **dict.fromkeys(("m", "metre", "metres", "meter", "meters"), 1.0),
    **dict.fromkeys(("cm", "centimetre", "centimeter"), 0.01),
    **dict.fromkeys(("hm", "hectometre", "hectometer"), 100.0),
    **dict.fromkeys(("km", "kilometre", "kilometres", "kilometer", "kilometers"), 1000.0),
    **dict.fromkeys(("ft", "foot", "feet", "international_foot"), 0.3048),
    **dict.fromkeys(("us_survey_foot", "us_survey_feet"), 1200 / 3937),
}
_LENGTH = re.compile(r"(?:(\d+(?:\.\d*)?(?:e\d+)?)\s*\*?\s*)?([a-z_]+)")


@lru_cache(maxsize=64)
def metres_of(units: str) -> float | None:
    """Metres of "km" or "1000 m"; None for what is no length."""
    match = _LENGTH.fullmatch(units.strip().lower())
    length = _LENGTHS.get(match[2]) if match else None
    return None if match is None or length is None else float(match[1] or 1) * length


def spacing(values: np.ndarray) -> float:
    """The mean step of coordinates, negative where they fall; 1 for a single one."""
    count = len(values) - 1
    return (float(values[-1]) - float(values[0])) / count if count else 1.0


def is_even(values: np.ndarray) -> bool:
    """Whether coordinates are evenly spaced but for their rounding."""
    values, step = values.astype(np.float64), spacing(values)
    apart = np.abs(values - (values[0] + step * np.arange(len(values)))).max()
    longest = np.abs(np.diff(values) - step).max(initial=0.0)
    return step != 0 and bool(apart <= ROUNDED * abs(step) and longest < _UNEVEN * abs(step))


def is_same(values: np.ndarray, others: np.ndarray) -> bool:
    """Whether coordinates of one shape, `(N,)` or `(H, W)`, are those of the same pixels but for their rounding."""
    if np.array_equal(values, others, equal_nan=values.dtype.kind == others.dtype.kind == "f"):
        return True
    if values.shape != others.shape or not {values.dtype.kind, others.dtype.kind} <= {*"fiu"}:
        return False
    steps = [np.abs(np.diff(values, axis=axis)) for axis in range(values.ndim)]
    usual = max((float(np.nanmedian(each)) for each in steps if np.isfinite(each).any()), default=1.0)
    return np.allclose(values, others, rtol=0, atol=SAME * usual, equal_nan=True)


def first_break(values: np.ndarray) -> str | None:
    """Where coordinates that are not even are not finite, repeat, turn back or jump, in words; None where their spacing changes
    little by little, as that of Gaussian latitudes does."""
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        number = int(np.flatnonzero(~np.isfinite(values))[0])
        return f"number {number} is {values[number]:g}"
    steps = np.diff(values)
    usual = float(np.median(steps))
    if (wrong := np.flatnonzero(steps == 0)).size:
        number = int(wrong[0]) + 1
        return f"numbers {number - 1} and {number} are both {values[number]:g}"
    if (wrong := np.flatnonzero(np.sign(steps) != np.sign(usual))).size:
        number = int(wrong[0]) + 1
        return f"they turn back from {values[number - 1]:g} to {values[number]:g} at number {number}"
    ratios = np.abs(np.log(np.abs(steps[1:] / steps[:-1])))
    if ratios.size and ratios.max() > np.log(_JUMP):
        number = 1 + int(np.argmax(np.abs(np.log(steps / usual))))
        return f"they step from {values[number - 1]:g} to {values[number]:g} at number {number}, elsewhere by {usual:g}"
    return None


def continued(longitudes: np.ndarray) -> np.ndarray:
    """Longitudes in degrees without a jump of a whole turn, their middle between -180 and 180; as they are without a jump."""
    if not (np.abs(np.diff(longitudes)) > 180).any():
        return longitudes
    turned = np.unwrap(longitudes.astype(np.float64), period=360)
    middle = turned[len(turned) // 2]
    return np.asarray(turned + ((middle + 180) % 360 - 180 - middle))
