"""SAL: structure, amplitude and location of rain objects, on arrays. Objects are labelled by the caller.

Heini Wernli, Marcus Paulat, Martin Hagen, Christoph Frei, "SAL - A Novel Quality Measure for the Verification of Quantitative
Precipitation Forecasts", Monthly Weather Review 2008, equations 1 to 11, with the threshold of Wernli, Hofmann and Zimmer
(2009): objects are connected pixels at or above 1/15 of the 95th percentile of the wet pixels. With D the mean rate,
x the centre of mass, R_n, x_n and V_n = R_n / max R the amount, centre and scaled volume of object n, d the diagonal,

    A = (D - D') / ((D + D') / 2)                      from -2 to 2, 0 is perfect
    L = |x - x'| / d + 2 |r - r'| / d                  from 0 to 2,  r = sum R_n |x - x_n| / sum R_n
    S = (V - V') / ((V + V') / 2)                      from -2 to 2, V = sum R_n V_n / sum R_n; above 0: too large or too flat

A score of a frame without rain in forecast or truth is undefined.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from framecast.scores.metric import Better, Metric, ratio

WET = 0.1
"""Pixels at or above this rate, in mm/h, are wet."""


class Scene(NamedTuple):
    """The statistics of a field that SAL needs: the mean rate over the valid pixels, the centre of mass in pixels, the mean
    distance of the objects from it, and their mean scaled volume."""

    mean: float
    centre: np.ndarray
    scatter: float
    volume: float


class SAL(NamedTuple):
    """Structure, amplitude and location."""

    structure: float
    amplitude: float
    location: float


def object_threshold(rates: np.ndarray) -> float:
    """The rate in mm/h at or above which pixels of `rates (H, W)` belong to an object; infinite without a wet pixel."""
    wet = rates[rates >= WET]
    return max(float(np.quantile(wet, 0.95)) / 15, 1e-9) if len(wet) else float("inf")


def scene(rates: np.ndarray, labels: np.ndarray, valid: int) -> Scene | None:
    """The scene of `rates (H, W)` in mm/h, 0 where there is no data; None without an object. `labels (H, W)` numbers the objects
    from 1, and `valid` is the number of pixels with data."""
    places = np.flatnonzero(labels)
    if not len(places):
        return None
    numbers, values = labels.ravel()[places], rates.ravel()[places]
    amount = np.bincount(numbers, values)[1:]
    rows_columns = np.divmod(places, rates.shape[1])
    centres = np.stack([np.bincount(numbers, values * axis)[1:] for axis in rows_columns]) / amount
    largest = np.zeros(len(amount) + 1)
    np.maximum.at(largest, numbers, values)
    total = rates.sum(dtype=np.float64)
    centre = np.array([rates.sum(1 - axis) @ np.arange(length) for axis, length in enumerate(rates.shape)]) / total
    distance = np.hypot(*(centres - centre[:, None]))
    weight = amount / amount.sum()
    return Scene(
        float(total / valid), centre, float((weight * distance).sum()), float((weight * amount / largest[1:]).sum())
    )


def sal(forecast: Scene, truth: Scene, diagonal: float) -> SAL:
    """SAL of two scenes on one grid; `diagonal` is that of the grid in pixels."""
    apart = float(np.hypot(*(forecast.centre - truth.centre)))
    return SAL(
        _relative(forecast.volume, truth.volume),
        _relative(forecast.mean, truth.mean),
        (apart + 2 * abs(forecast.scatter - truth.scatter)) / diagonal,
    )


def _relative(one: float, other: float) -> float:
    return 2 * (one - other) / (one + other)


SUMS = ("sal_s", "sal_a", "sal_l", "sal_s_absolute", "sal_a_absolute", "sal_weight")
"""Structure, amplitude and location, the absolute values of the first two, and the number of frames that have them."""
_WHICH = (
    "of objects from 1/15 of the 95th percentile of the wet pixels (Wernli et al. 2008); the mean of the frames in which the "
    "truth and all forecasts have rain"
)


def _metric(title: str, number: int, definition: str, better: Better, range: tuple[float, float]) -> Metric:
    return Metric(
        name=SUMS[number],
        title=title,
        group="object",
        sums=(SUMS[number], SUMS[-1]),
        formula=ratio,
        better=better,
        perfect=0,
        range=range,
        definition=f"{definition}, {_WHICH}",
        mean=True,
    )


METRICS = (
    _metric("S", 0, "structure, above 0: areas too large or too flat", "neither", (-2, 2)),
    _metric("A", 1, "amplitude, above 0: too much rain", "neither", (-2, 2)),
    _metric("|S|", 3, "absolute structure", "lower", (0, 2)),
    _metric("|A|", 4, "absolute amplitude", "lower", (0, 2)),
    _metric("L", 2, "location", "lower", (0, 2)),
)
"""Structure and amplitude, signed and absolute (so that errors of opposite sign do not cancel), and location."""
