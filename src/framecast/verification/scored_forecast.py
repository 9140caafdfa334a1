"""What of a forecast is scored: a deterministic field, the members of an ensemble, and the probabilities and events of a
distribution. No score is computed here."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from framecast.data.quantities import ZR
from framecast.errors import DataError
from framecast.forecasting.distribution import MEAN_ABOVE, Exceedance, most_skilful_events
from framecast.forecasting.protocol import Forecasts
from framecast.verification.scoring_rules import ScoringRules


class Ladder(NamedTuple):
    """A distribution in the units of the data: `probability (K, B, S, H, W)` of values at or above `limits (K,)`. What is below
    the lowest is `dry`, what is above the highest lies at `highest`."""

    probability: np.ndarray
    limits: tuple[float, ...]
    dry: float
    highest: float


class ScoredForecast(NamedTuple):
    """The forecast of some cases by one forecaster.

    `values (B, S, C, H, W)` are the deterministic forecast: the mean of the distribution, else of the members. `members
    (M, B, S, C, H, W)` are those of an ensemble, else None. Of a distribution or an ensemble, else None: `events (R, B, S, H, W)`
    bool, the pixels to forecast as events at each threshold so that the expected CSI is largest. Of a distribution, else None:
    `exceedance` of the same shape, the probability of reaching each threshold; `rates`, the lowest and the highest of its ladder
    in mm/h; `ladder`, the distribution itself, where there are no members to compute the CRPS from. Of a forecast that is
    probabilities `alone`, `values` are dry, and no score of them counts.
    """

    values: np.ndarray
    members: np.ndarray | None = None
    exceedance: np.ndarray | None = None
    events: np.ndarray | None = None
    rates: tuple[float, float] | None = None
    ladder: Ladder | None = None
    alone: bool = False

    def at(self, leads: slice, box: tuple[slice, slice]) -> ScoredForecast:
        """The forecast at some of the lead times, and in some rows and columns."""
        members, exceedance, events = (
            None if each is None else each[:, :, leads, ..., *box]
            for each in (self.members, self.exceedance, self.events)
        )
        ladder = self.ladder and self.ladder._replace(probability=self.ladder.probability[:, :, leads, *box])
        values = self.values[:, leads, :, *box]
        return ScoredForecast(values, members, exceedance, events, self.rates, ladder, self.alone)

    @property
    def single(self) -> bool:
        """Whether it is values only, without members and probabilities."""
        return self.members is None and self.exceedance is None

    @property
    def valid(self) -> np.ndarray:
        """The pixels with a forecast `(B, S, 1, H, W)`."""
        if self.alone:
            assert self.exceedance is not None
            stated = self.exceedance if self.ladder is None else self.ladder.probability
            return np.asarray(np.isfinite(self.exceedance.sum(0) + stated.sum(0))[:, :, None])
        valid = np.isfinite(self.values).all(axis=2, keepdims=True)
        if self.members is not None:
            valid &= np.isfinite(self.members.sum(0)).all(axis=2, keepdims=True)
        return np.asarray(valid)


def scored_forecast(forecasts: Forecasts, rules: ScoringRules, name: str) -> ScoredForecast:
    """What is scored of the forecasts of the forecaster `name`. Raises `DataError` for a distribution of the rain rate where the
    quantity is not related to rain."""
    values, distribution = forecasts.values, forecasts.distribution
    members = values if len(values) > 1 else None
    if forecasts.exceedance is not None:
        return _of_probabilities(forecasts.exceedance, values, members, rules)
    if distribution is None:
        if members is None:
            return ScoredForecast(values[0])
        return ScoredForecast(values.mean(0), members, events=_events_of_members(members, rules))
    if not rules.quantity.precipitation:
        raise DataError(
            f"a distribution of the rain rate returned, and the frames are {rules.quantity.name}",
            where=f"forecaster {name}",
            remedy="return values only",
        )
    mean = distribution.values(rules.quantity, ZR())
    exceedance = distribution.exceedance(rules.distribution_rates)
    return ScoredForecast(
        np.repeat(mean, values.shape[3], axis=2),
        members,
        exceedance,
        most_skilful_events(exceedance),
        (float(distribution.rates[0]), float(distribution.rates[-1])),
        _ladder(distribution.rates, distribution.probability, rules) if members is None else None,
    )


def _events_of_members(members: np.ndarray, rules: ScoringRules) -> np.ndarray | None:
    """The pixels to forecast as events, as those of a distribution whose probability is the share of members: the mean of members
    is smooth and makes few events at high thresholds. None without thresholds."""
    if not rules.thresholds:
        return None
    return np.stack([most_skilful_events((members[:, :, :, 0] >= limit).mean(0)) for limit in rules.thresholds])


def _of_probabilities(
    exceedance: Exceedance, values: np.ndarray, members: np.ndarray | None, rules: ScoringRules
) -> ScoredForecast:
    """A forecast with probabilities at the thresholds, and its mean, its members or no values."""
    ladder = None
    if exceedance.ladder is not None and members is None:
        ladder = _ladder(np.array(exceedance.ladder.rates), exceedance.ladder.probability, rules)
    mean = values[0] if members is None else values.mean(0)
    return ScoredForecast(
        np.full_like(mean, rules.quantity.dry) if exceedance.alone else mean,
        members,
        exceedance.probability,
        most_skilful_events(exceedance.probability),
        (exceedance.rates[0], exceedance.rates[-1]),
        ladder,
        exceedance.alone,
    )


def _ladder(rates: np.ndarray, probability: np.ndarray, rules: ScoringRules) -> Ladder:
    """A distribution, the `probability (K, B, S, H, W)` of reaching `rates (K,)` in mm/h, in the units of the data."""
    quantity, zr = rules.quantity, ZR()
    *limits, highest = quantity.from_rain_rate(np.append(rates, MEAN_ABOVE * rates[-1]), zr).tolist()
    return Ladder(probability, tuple(limits), quantity.dry, highest)
