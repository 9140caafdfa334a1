"""A forecast as a distribution at each pixel: the probabilities that the rain rate is at or above the rungs of a ladder.

Between two rungs the logit of the exceedance probability is linear in the logarithm of the rate (a log-logistic distribution).
Above the highest rung R the probability falls as (R / r)^`TAIL` with the rate r, a Pareto distribution. What is below the lowest
rung counts as dry. Mean, quantiles and the members of an ensemble (`framecast.forecasting.ensembles`) have this one law.

Axes: K rungs, R rates, B cases, L lead times, H height and width. This module needs numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from framecast.checks import is_positive
from framecast.errors import ArgumentError, DataError

if TYPE_CHECKING:
    from framecast.data.quantities import ZR, Quantity

TAIL = 3.5
"""The index of the Pareto distribution of the rain above the highest rung."""
MEAN_ABOVE = TAIL / (TAIL - 1)
"""The mean rate of that rain, as a multiple of the rung."""
_NODES = ((0.5 - 0.15**0.5, 5 / 18), (0.5, 4 / 9), (0.5 + 0.15**0.5, 5 / 18))
"""Places between two rungs, from 0 to 1, and weights of the quadrature of Gauss and Legendre."""
LARGEST = 6.0
"""The highest quantile, as a multiple of the highest rung."""
NEAREST = 1e-7
"""Probabilities are at least so far from 0 and 1 before their logit is computed."""
_ROUNDING = np.float32(1e-5)
_PART = 1 << 14
"""So many pixels are integrated at once: their logits stay in the cache of a processor."""


class Exceedance(NamedTuple):
    """The probabilities `(R, B, L, H, W)` that the rain rate reaches some `rates` in mm/h, of a distribution that is not known
    otherwise; `ladder`, those at all rates that are known, where `is_ladder` says that they resolve it. If `alone`, no values
    were forecast with them."""

    rates: tuple[float, ...]
    probability: np.ndarray
    ladder: Exceedance | None = None
    alone: bool = False


LEAST_RUNGS, LEAST_SPAN, LOWEST_RUNG = 5, 10.0, 0.5


def is_ladder(rates: Sequence[float]) -> bool:
    """Whether probabilities at `rates` in mm/h resolve a distribution well enough for the CRPS: `LEAST_RUNGS` or more, up to
    `LEAST_SPAN` times the lowest, which is at most `LOWEST_RUNG`."""
    return len(rates) >= LEAST_RUNGS and rates[-1] >= LEAST_SPAN * rates[0] and rates[0] <= LOWEST_RUNG


@dataclass(frozen=True, eq=False)
class Distribution:
    """The distribution of the rain rate at each pixel: `rates (K,)` in mm/h, ascending, and `probability (K, B, L, H, W)`
    float32, the probability that the rate is at or above each of them; NaN where the forecast has no basis.

    For reflectivity the rates are those of the default Z-R relation. Raises `DataError` for rates that do not ascend, and for
    probabilities of another shape, outside of 0 to 1, or that rise with the rate by more than rounding.
    """

    rates: np.ndarray
    probability: np.ndarray

    def __post_init__(self) -> None:
        for name, kind in (("rates", np.float64), ("probability", np.float32)):
            try:
                object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=kind))
            except (TypeError, ValueError) as error:
                raise DataError(f"the {name} of a distribution are no numbers: {error}") from error
        _check_rates(self.rates)
        _check_probability(self.probability, len(self.rates))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a field of the distribution: `(B, L, H, W)`."""
        return self.probability.shape[1:]

    def exceedance(self, rates: Sequence[float] | np.ndarray) -> np.ndarray:
        """The probability `(R, B, L, H, W)` that the rain rate is at or above each of the `rates` in mm/h.

        Exactly that of a rung at the rung; at rates below the lowest rung that of the lowest rung. Raises `ArgumentError` for
        a rate that is not a positive number.
        """
        for rate in rates:
            _check_rate(rate)
        return np.stack([self._exceedance(float(rate)) for rate in rates]) if len(rates) else self.probability[:0]

    def mean(self) -> np.ndarray:
        """The mean rain rate in mm/h `(B, L, H, W)`: the integral of the exceedance probability over the rate."""
        probability = self.probability.reshape(len(self.rates), -1)
        mean = np.where(np.isnan(probability[0]), np.float32(np.nan), np.float32(0))
        wet = np.flatnonzero(probability[0] > 0)
        for first in range(0, len(wet), _PART):
            part = wet[first : first + _PART]
            mean[part] = self._integral(probability[:, part])
        return mean.reshape(self.shape)

    def values(self, quantity: Quantity, zr: ZR) -> np.ndarray:
        """The mean in the units of a quantity `(B, L, 1, H, W)`, the deterministic forecast that frame scores judge.

        As rain rate it is the mean itself, which minimises the expected squared error. As reflectivity it is that of the mean
        rate, and dry where the mean is below the lowest rung: the ladder does not resolve weaker rain, and decibels of it
        would differ from dry by an arbitrary amount. Raises `TypeError` for a quantity that is not related to rain.
        """
        return rates_as(quantity, self.mean()[:, :, None], self.rates[0], zr)

    def median(self) -> np.ndarray:
        """The median rain rate in mm/h `(B, L, H, W)`."""
        return self.quantile(0.5)

    def quantile(self, q: float | np.ndarray) -> np.ndarray:
        """The rain rate in mm/h `(B, L, H, W)` that is exceeded with probability 1 - `q`, 0 where that is below the lowest rung,
        and at most `LARGEST` times the highest rung. `q` is from 0 to 1, a number or a field that broadcasts to `(B, L, H, W)`.

        Raises `ArgumentError` for `q` outside of 0 to 1.
        """
        q = np.asarray(q, dtype=np.float32)
        if not ((q >= 0) & (q <= 1)).all():
            raise ArgumentError("quantiles outside of 0 to 1 given", parameter="q", example=0.9)
        exceeded = np.broadcast_to(1 - q, self.shape)
        logs = np.log(self.rates)
        result = np.where(np.isnan(self.probability[0]), np.float32(np.nan), np.float32(0))
        for k, (low, high) in enumerate(pairwise(self.probability)):
            place = (low >= exceeded) & (high < exceeded)
            share = _share(low[place], high[place], exceeded[place])
            result[place] = np.exp(logs[k] + share * (logs[k + 1] - logs[k]))
        # above the highest rung
        top = self.probability[-1]
        place = top >= exceeded
        share = np.divide(exceeded[place], top[place], out=np.zeros_like(top[place]), where=top[place] > 0)
        result[place] = self.rates[-1] * np.maximum(share, LARGEST**-TAIL) ** (-1 / TAIL)
        return result

    def most_skilful(self, rate: float) -> np.ndarray:
        """The pixels `(B, L, H, W)` bool to forecast as an event, rain at or above `rate` in mm/h, so that the expected CSI over
        the field is largest; see `most_skilful_events`."""
        return most_skilful_events(self.exceedance([rate])[0])

    def _integral(self, probability: np.ndarray) -> np.ndarray:
        """The integral over the rate, from 0 on, of the exceedance `probability (K, N)`: `(N,)`."""
        total: np.ndarray = np.float32(self.rates[0]) * probability[0]
        total += np.float32((MEAN_ABOVE - 1) * self.rates[-1]) * probability[-1]
        for (low, high), (start, end) in zip(pairwise(np.log(self.rates)), pairwise(_logit(probability)), strict=True):
            for share, weight in _NODES:
                rate = np.exp(low + share * (high - low))
                total += np.float32(weight * (high - low) * rate) * _between(start, end, share)
        return total

    def _exceedance(self, rate: float) -> np.ndarray:
        """The exceedance probability at one rate `(B, L, H, W)`."""
        # the two rungs around the rate
        upper = int(np.searchsorted(self.rates, rate))
        if upper == 0:
            return np.asarray(self.probability[0])
        if upper < len(self.rates) and self.rates[upper] == rate:
            return np.asarray(self.probability[upper])
        if upper == len(self.rates):
            return np.asarray(self.probability[-1] * np.float32((self.rates[-1] / rate) ** TAIL))
        low, high = self.probability[upper - 1], self.probability[upper]
        share = np.log(rate / self.rates[upper - 1]) / np.log(self.rates[upper] / self.rates[upper - 1])
        return np.asarray(np.clip(_between(_logit(low), _logit(high), share), high, low))


def rates_as(quantity: Quantity, rates: np.ndarray, weakest: float, zr: ZR) -> np.ndarray:
    """Rain `rates` in mm/h in the units of a quantity, float32; as reflectivity, what is below the `weakest` rate is dry. Raises
    `TypeError` for a quantity that is not related to rain."""
    if quantity.rain != "reflectivity":
        return np.asarray(quantity.from_rain_rate(rates, zr), dtype=np.float32)
    dry = rates < np.float32(weakest)  # false where NaN
    values = quantity.from_rain_rate(np.where(dry, np.float32(weakest), rates), zr)
    return np.asarray(np.where(dry, quantity.dry, values), dtype=np.float32)


def most_skilful_events(probability: np.ndarray) -> np.ndarray:
    """The pixels to forecast as an event so that the expected CSI is largest, of each field of `probability (..., H, W)`: bool
    of the same shape, false where NaN.

    Accepting n pixels with the sum of probabilities s, of the sum t of the whole field, has about the expected CSI
    s / (n + t - s), the ratio of the expected hits to the expected hits, misses and false alarms. It is largest for all pixels
    above a probability c / (1 + c), c being the largest ratio itself, which the iteration of Werner Dinkelbach ("On Nonlinear
    Fractional Programming", 1967) finds exactly in a few steps.
    """
    events = np.zeros(probability.shape, dtype=bool)
    for place in np.ndindex(*probability.shape[:-2]):
        field = probability[place]
        events[place] = field > _least_accepted(field)
    return events


def _least_accepted(field: np.ndarray) -> float:
    """The probability above which pixels are forecast as events; that of no pixel in a field without probability above 0."""
    accepted = field[field > 0]
    total = accepted.sum(dtype=np.float64)
    csi = 0.0
    while len(accepted):
        hits = accepted.sum(dtype=np.float64)
        better = float(hits / (len(accepted) + total - hits))
        if better <= csi:
            break
        csi = better
        accepted = accepted[accepted > csi / (1 + csi)]
    return csi / (1 + csi)


def _logit(probability: np.ndarray) -> np.ndarray:
    bounded = np.clip(probability, np.float32(NEAREST), np.float32(1 - NEAREST))
    return np.asarray(np.log(bounded / (1 - bounded)))


def _between(start: np.ndarray, end: np.ndarray, share: float) -> np.ndarray:
    """The probability at a `share` of the way between two rungs with the logits `start` and `end`."""
    return np.asarray(1 / (1 + np.exp((start - end) * np.float32(share) - start)))


def _share(low: np.ndarray, high: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where between two rungs, from 0 at the lower to 1 at the higher, the probability is the `wanted` one, given those of the
    rungs; above 1 beyond the higher rung, and infinite where the probability does not fall."""
    start, fall = _logit(low), _logit(low) - _logit(high)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (start - _logit(wanted)) / fall
    return np.asarray(np.where(fall > 0, share, np.inf))


def _check_rate(rate: object) -> None:
    if not is_positive(rate):
        raise ArgumentError(f"{rate!r} given, expected a rain rate in mm/h, above 0", parameter="rates")


def _check_rates(rates: np.ndarray) -> None:
    ascending = rates.ndim == 1 and len(rates) > 1 and np.isfinite(rates).all() and rates[0] > 0
    if not (ascending and (np.diff(rates) > 0).all()):
        raise DataError(
            f"rates {rates.tolist()} of a distribution, expected two or more, above 0 and ascending",
            remedy="sort the rates, and the probabilities with them",
        )


def _check_probability(probability: np.ndarray, rungs: int) -> None:
    if probability.ndim != 5 or len(probability) != rungs:
        raise DataError(
            f"probabilities of shape {probability.shape}, expected ({rungs}, cases, lead times, rows, columns)"
        )
    missing = np.isnan(probability[0])
    for number, (low, high) in enumerate(pairwise(probability)):
        if not np.array_equal(missing, np.isnan(high)):
            raise DataError(f"probabilities are missing at other pixels at rung {number + 1} than at the lowest")
        if (high > low + _ROUNDING).any():
            raise DataError(
                f"probabilities rise from rung {number} to the next one: reaching a higher rate is never more likely",
                remedy="order the probabilities of each pixel from the highest to the lowest",
            )
    if (probability[0] > 1 + _ROUNDING).any() or (probability[-1] < -_ROUNDING).any():
        raise DataError("probabilities outside of 0 to 1")
