"""The record of a metric: its name, the sums it is made of, its formula, its direction and its definition.

Tables, curves, intervals, comparisons, reproductions and the tests of laws read only these records. Each file of scores lists
its own as `METRICS`, a convention those of its frame scores; `framecast.verification.metrics` joins the lists. The formulas
that several scores share (ratio, root, decibels) are here too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

Better = Literal["lower", "higher", "neither"]
Group = Literal["frame", "event", "neighbourhood", "object"]
"""The table in which a metric stands."""
Units = Literal["1", "values", "squares", "dB"]
"""The units of a metric: none, those of the values, those squared, or decibels."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Metric:
    """A metric. What decides its meaning (direction, perfect value, range) has no default."""

    name: str
    """As in code and recipes: "csi"."""
    title: str
    """As in tables: "CSI"."""
    group: Group
    sums: tuple[str, ...]
    """Variables of the sums of cases, dims `(forecaster, case, lead_time, *dims)` or without the forecaster."""
    formula: Callable[[np.ndarray], np.ndarray]
    """Sums `(K, ...)`, in the order of `sums`, -> values `(...)`, NaN where undefined."""
    better: Better
    """"neither" where the best value is inside the range (the frequency bias: 1) or where there is none."""
    perfect: float | None
    """The value of a perfect forecast; None where that depends on the data."""
    range: tuple[float, float]
    definition: str
    units: Units = "1"
    dims: tuple[str, ...] = ()
    """Dimensions besides the lead time: "threshold", "percentile", "scale"."""
    mean: bool = False
    """Whether it is a mean over cases, so that a single case has a value."""
    additive: bool = True
    """Whether it is a function of sums over cases. If not, `formula` takes the rows of all cases `(K, N, ...)`, and there is no
    interval and no value by lead time."""
    ensembles: bool = False
    """Whether it is shown only where a forecaster has several members or a distribution."""
    weights: bool = False
    """Whether it needs the weights of a pretrained network; the attribute `<name>_weights` of the sums names the files."""
    compared: bool = False
    """Whether `compare` makes claims on it; of several scales only the middle one."""
    headline: bool = False
    """Whether it is printed on the terminal."""
    curve: bool = False
    """Whether the report draws it against lead time; of several scales only the middle one."""
    convention: str | None = None
    """The convention to which it belongs; None for all."""
    place: Mapping[str, int] = field(default_factory=dict)
    """The selected threshold, percentile and scale, as indices by dimension."""
    suffix: str = ""
    """The same as text: " at 2 mm/h"."""

    @property
    def label(self) -> str:
        """The title with the place: "CSI at 2 mm/h"."""
        return f"{self.title}{self.suffix}"

    def units_of(self, values: str) -> str:
        """The units as text, where the values have the units `values`: "(mm/h)²"; empty for none."""
        squared = f"({values})²" if "/" in values else f"{values}²"
        return {"1": "", "values": values, "squares": squared if values else "", "dB": "dB"}[self.units]

    @property
    def arrow(self) -> str:
        """The direction in which it is better: up, down, or towards its perfect value."""
        if self.better != "neither":
            return "↓" if self.better == "lower" else "↑"
        return "" if self.perfect is None else f"→ {self.perfect:g}"

    def at(self, suffix: str, **place: int) -> Metric:
        """The metric at one threshold, percentile or scale: `place` has an index for each of `dims`."""
        assert set(place) == set(self.dims), f"{self.name} has dims {self.dims}, not {tuple(place)}"
        return replace(self, suffix=suffix, place=place)

    def best(self, values: Mapping[str, float]) -> str | None:
        """The key of the best of `values`, the first of equal ones; None where no value is defined or "neither" is better."""
        known = {name: value for name, value in values.items() if not np.isnan(value)}
        if not known or self.better == "neither":
            return None
        return (min if self.better == "lower" else max)(known, key=lambda name: known[name])


def ratio(sums: np.ndarray) -> np.ndarray:
    """The first sum over the second, of sums `(2, ...)`; NaN where the second is 0."""
    total, weight = sums
    return np.asarray(np.divide(total, weight, out=np.full(np.shape(total), np.nan), where=np.asarray(weight) > 0))


def root(sums: np.ndarray) -> np.ndarray:
    """The square root of the ratio."""
    return np.asarray(np.sqrt(ratio(sums)))


def decibels(sums: np.ndarray) -> np.ndarray:
    """Decibels of 1 over the ratio, infinite where the ratio is 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(-10 * np.log10(ratio(sums)))
