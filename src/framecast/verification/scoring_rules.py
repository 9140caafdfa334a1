"""The rules of a verification: how cases are scored. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field

from framecast.data.quantities import ZR, Quantity
from framecast.scores import CONVENTIONS, Convention
from framecast.scores.fractions import SCALES


@dataclass(frozen=True)
class ScoringRules:
    """How cases are scored: `rates` are thresholds in mm/h, `thresholds` the same in the units of the data, converted by `zr`;
    `scales` are the sides of neighbourhoods in pixels."""

    quantity: Quantity
    rates: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()
    zr: ZR = field(default_factory=ZR)
    convention_name: str = "default"
    scales: tuple[int, ...] = SCALES

    @property
    def convention(self) -> Convention:
        """The convention of the frame scores."""
        return CONVENTIONS[self.convention_name]

    @property
    def wet(self) -> float:
        """Pixels at or above this value, in the units of the data, are wet; infinite for quantities other than precipitation."""
        return self.quantity.wet

    @property
    def distribution_rates(self) -> tuple[float, ...]:
        """The rates in mm/h at which a distribution gives the probability of reaching the thresholds. A distribution of
        reflectivity has the default Z-R relation, the thresholds may have another."""
        default = ZR()
        if self.quantity.rain == "reflectivity" and self.zr != default:
            return tuple(default.rain_rate(threshold) for threshold in self.thresholds)
        return self.rates
