"""Named, invertible scalings between physical values and the inputs of a model.

`forward(values, quantity)` and `inverse(scaled, quantity)` take and return NumPy arrays or tensors of any shape. Missing
pixels (NaN) become the scaled dry value: this is the only place where they are filled, and the valid mask tells them
apart from then on.
"""

from __future__ import annotations

import math
from typing import Any, Literal, TypeVar

import numpy as np
import torch

from framecast.checks import LARGEST
from framecast.data.quantities import ZR, Quantity
from framecast.errors import ConfigError
from framecast.types import config

Values = TypeVar("Values", np.ndarray, torch.Tensor)


LEAST_SPAN = 1e-6
"""The smallest range of a scaling, and the smallest floor: float32 has seven digits."""


def _library(values: Any) -> Any:
    return torch if isinstance(values, torch.Tensor) else np


def _fill_missing(values: Values, quantity: Quantity) -> Values:
    """The values, with missing pixels set to the dry value."""
    dry, missing = np.float32(quantity.dry).item(), _library(values).isnan(values)
    if isinstance(values, torch.Tensor):
        return values.masked_fill(missing, dry)
    filled: Values = values.copy()
    np.copyto(filled, dry, where=missing)  # twice as fast as where
    return filled


def _restore_dry(physical: Values, scaled: Values, quantity: Quantity) -> Values:
    """Exactly the dry value where the scaled value is at or below 0."""
    restored: Values = _library(scaled).where(scaled <= 0, quantity.dry, physical)
    return restored


@config
class Unit:
    """`low` to 0 and `high` to 1, linear, nothing cut off. For intensities, and for any quantity with a known range."""

    name: Literal["unit"] = "unit"
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        _check_range(self.low, self.high)

    def forward(self, values: Values, quantity: Quantity) -> Values:
        """Physical to scaled."""
        return (_fill_missing(values, quantity) - self.low) / (self.high - self.low)

    def inverse(self, scaled: Values, quantity: Quantity) -> Values:
        """Scaled to physical."""
        return scaled * (self.high - self.low) + self.low


@config
class RainLog:
    """log(1 + R / floor) of the rain rate R, 0 where it is dry (or a forecast is below 0) and 1 at `ceiling` (mm/h), nothing cut
    off above.

    The scaling is logarithmic well above the floor and nearly linear below it, so that a small scaled forecast is a small
    rain rate. Reflectivity is converted by the Z-R relation.
    """

    name: Literal["rain_log"] = "rain_log"
    floor: float = 0.1
    ceiling: float = 100.0
    zr: ZR = ZR()

    def __post_init__(self) -> None:
        _check_range(self.floor, self.ceiling)
        if self.floor <= 0:
            raise ConfigError(f"floor {self.floor} must be greater than 0", where="scaling.floor")
        if self.floor < LEAST_SPAN:
            raise ConfigError(f"floor {self.floor} must be at least {LEAST_SPAN:g}", where="scaling.floor")

    @property
    def _span(self) -> float:
        return math.log1p(self.ceiling / self.floor)

    def forward(self, values: Values, quantity: Quantity) -> Values:
        """Physical to scaled."""
        library, values = _library(values), _fill_missing(values, quantity)
        if quantity.rain == "reflectivity":
            rate = 10.0 ** ((values / 10 - math.log10(self.zr.a)) / self.zr.b)
            values = library.where(values <= quantity.dry, 0.0, rate)
        scaled: Values = library.log1p(library.clip(values, 0.0, None) / self.floor) / self._span
        return scaled

    def inverse(self, scaled: Values, quantity: Quantity) -> Values:
        """Scaled to physical; values at or below 0 become dry."""
        library = _library(scaled)
        physical: Values = self.floor * library.expm1(library.clip(scaled, 0.0, None) * self._span)
        if quantity.rain == "reflectivity":
            decades = library.log10(library.clip(physical, 1e-30, None))
            physical = library.clip(10 * (decades * self.zr.b + math.log10(self.zr.a)), quantity.dry, None)
        return _restore_dry(physical, scaled, quantity)


@config
class DBZ:
    """Reflectivity, 0 at `low` and 1 at `high` (dBZ), linear. What is below `low` is dry.

    Rain rate is converted by the Z-R relation.
    """

    name: Literal["dbz"] = "dbz"
    low: float = 0.0
    high: float = 60.0
    zr: ZR = ZR()

    def __post_init__(self) -> None:
        _check_range(self.low, self.high)

    def forward(self, values: Values, quantity: Quantity) -> Values:
        """Physical to scaled."""
        library, values = _library(values), _fill_missing(values, quantity)
        if quantity.rain == "rate":
            decades = library.log10(library.clip(values, 1e-6, None))
            values = 10 * (decades * self.zr.b + np.log10(self.zr.a).item())
        scaled: Values = library.clip((values - self.low) / (self.high - self.low), 0.0, None)
        return scaled

    def inverse(self, scaled: Values, quantity: Quantity) -> Values:
        """Scaled to physical; values at or below `low` become dry."""
        dbz = scaled * (self.high - self.low) + self.low
        if quantity.rain == "rate":
            dbz = 10.0 ** ((dbz / 10 - np.log10(self.zr.a).item()) / self.zr.b)
        return _restore_dry(dbz, scaled, quantity)


Scaling = Unit | RainLog | DBZ


def default_scaling(quantity: Quantity) -> Scaling:
    """The default scaling of a quantity."""
    if quantity.scaling == "rain_log":
        return RainLog()
    return DBZ() if quantity.scaling == "dbz" else Unit(low=quantity.usual[0], high=quantity.usual[1])


def check_scaling(scaling: Scaling, quantity: Quantity) -> None:
    """Raise `ConfigError` if a scaling does not apply to a quantity."""
    if scaling.name != "unit" and not quantity.precipitation:
        raise ConfigError(
            f"scaling {scaling.name!r} is for rain rate and reflectivity, the data are {quantity.name}",
            where="data.scaling",
            remedy="use data.scaling.name=unit",
        )


def _check_range(low: float, high: float) -> None:
    if not low < high:
        raise ConfigError(f"a range from {low:g} to {high:g} is empty", where="data.scaling")
    if not (abs(low) <= LARGEST and abs(high) <= LARGEST and high - low >= LEAST_SPAN):
        raise ConfigError(
            f"a range from {low:g} to {high:g}, expected numbers up to {LARGEST:g}, {LEAST_SPAN:g} apart",
            where="data.scaling",
        )
