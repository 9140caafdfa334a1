"""A product on the grid: its values, their times, and what they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Kind(NamedTuple):
    """What the values of a field are: the name of their `variable`, `units` and `symbol` (for people), the step in which files
    of whole numbers store them, and the CF names."""

    variable: str
    units: str
    symbol: str
    step: float
    standard_name: str | None = None
    cell_methods: str | None = None


RATE = Kind("rain_rate", "mm h-1", "mm/h", 0.01, "lwe_precipitation_rate", "lead_time: mean")
SUM = Kind("rain_sum", "mm", "mm", 0.01, "lwe_thickness_of_precipitation_amount", "lead_time: sum")
PROBABILITY = Kind("probability", "1", "", 1e-4)


class Axis(NamedTuple):
    """What distinguishes the maps of one lead time: a name, values and their units."""

    name: str
    values: tuple[float, ...]
    units: str


class Layer(NamedTuple):
    """One map `values (H, W)` of a field; `stem` names its file, `begin` and `end` are minutes after the initial time."""

    stem: str
    values: np.ndarray
    description: str
    begin: float
    end: float


@dataclass(frozen=True, eq=False)
class Field:
    """A product `values (K, L, H, W)`: K places along `axis` (1 without), L spans of time, in minutes after the initial time.
    `method` says how the values were computed. A field is of `windows` if its maps are named by begin and end."""

    name: str
    kind: Kind
    description: str
    method: str
    values: np.ndarray
    spans: Sequence[tuple[float, float]]
    axis: Axis | None = None
    windows: bool = False

    def layers(self) -> Iterator[Layer]:
        """The maps, with the stems of their files: rate_005, exceedance_2_005, accumulation_000_060."""
        for place in range(len(self.values)):
            label = "" if self.axis is None else _label(self.axis, self.axis.values[place])
            for (begin, end), values in zip(self.spans, self.values[place], strict=True):
                times = f"{begin:03g}_{end:03g}" if self.windows else f"{end:03g}"
                text = f"{self.description}, {self._where(place)}{begin:g} to {end:g} min"
                yield Layer(f"{self.name}{label}_{times}", values, text, begin, end)

    def _where(self, place: int) -> str:
        if self.axis is None:
            return ""
        units = "" if self.axis.units == "1" else f" {self.axis.units}"
        return f"{self.axis.name} {self.axis.values[place]:g}{units}, "


def _label(axis: Axis, value: float) -> str:
    return f"_{value:02g}" if axis.name == "member" else f"_{value:g}"
