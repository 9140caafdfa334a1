"""The rules of a verification: how cases are scored, and at which thresholds. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from framecast.data.quantities import ZR, LevelUnits, Quantity, event_thresholds, level_units
from framecast.errors import ArgumentError
from framecast.scores import CONVENTIONS, Convention
from framecast.scores.fractions import SCALES
from framecast.verification.settings import EvaluationSettings


@dataclass(frozen=True)
class ScoringRules:
    """How cases are scored: `rates` are thresholds in mm/h, `thresholds` the same in the units of the data, converted by `zr`,
    and `levels` the same as they were stated in `level_units`, empty for rates; `scales` are the sides of neighbourhoods in
    pixels. Frames that are not of rain have no rates."""

    quantity: Quantity
    rates: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()
    zr: ZR = field(default_factory=ZR)
    convention_name: str = "default"
    scales: tuple[int, ...] = SCALES
    levels: tuple[float, ...] = ()
    level_units: LevelUnits | None = None

    @staticmethod
    def of(quantity: Quantity, settings: EvaluationSettings) -> ScoringRules:
        """The rules of the settings for frames of a quantity. Raises `ArgumentError` for rates of frames that are not of rain,
        and for unknown units of levels."""
        zr, scales = settings.zr or ZR(), SCALES if settings.scales is None else settings.scales
        common: Any = {"zr": zr, "convention_name": settings.convention, "scales": scales}
        if settings.levels:
            units = _find_units(quantity, settings.level_units)
            thresholds = tuple(units.factor * level + units.offset for level in settings.levels)
            rates = tuple(quantity.rain_rate(each, zr) for each in thresholds) if quantity.precipitation else ()
            return ScoringRules(quantity, rates, thresholds, levels=settings.levels, level_units=units, **common)
        if settings.rates and not quantity.precipitation:
            raise ArgumentError(
                f"rain rates given, and the frames are {quantity.name}",
                parameter="rates",
                remedy="leave them out, or give levels in the units of the frames",
            )
        rates = (quantity.thresholds if settings.rates is None else settings.rates) if quantity.precipitation else ()
        return ScoringRules(quantity, rates, event_thresholds(quantity, rates, zr), **common)

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


def _find_units(quantity: Quantity, name: str | None) -> LevelUnits:
    """The units of levels of that name, those of the quantity without. Raises `ArgumentError`."""
    known = level_units(quantity)
    if name is None:
        return next(iter(known.values()))
    if name not in known:
        raise ArgumentError(
            f"{name!r} given, and the frames are {quantity.title}",
            parameter="level_units",
            remedy=f"one of: {', '.join(known)}",
        )
    return known[name]
