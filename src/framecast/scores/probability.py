"""Probabilistic scores: CRPS, Brier score, reliability, ROC, rank histogram and spread of ensembles, on tensors.

Places where the truth or any member is NaN are left out. Each result holds the number of values it rests on; without any
value the score is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from framecast.ops import windows as loops
from framecast.scores.fractions import Windows, integral
from framecast.scores.metric import Metric, ratio


class Mean(NamedTuple):
    """A mean, and over how many values."""

    value: float
    samples: int


def _mean(values: Tensor, valid: Tensor) -> Mean:
    count = int(valid.sum())
    return Mean(float(values.masked_fill(~valid, 0.0).sum() / count) if count else float("nan"), count)


def crps_field(members: Tensor, truth: Tensor, *, fair: bool = True) -> Tensor:
    """Continuous ranked probability score at each place: `members (M, ...)`, `truth (...)` -> `(...)`, NaN where either is NaN.

    E|X - y| - E|X - X'| / 2; with `fair`, X' is another member than X (Ferro, "Fair scores for ensemble forecasts", 2014), so
    that the expected score does not depend on M. One member gives the absolute error. Raises ValueError if M = 0.
    """
    count = len(members)
    if count == 0:
        raise ValueError("an ensemble without members")
    members, truth = members.double(), truth.double()
    if count == 1:
        return (members[0] - truth).abs()
    rank = torch.arange(1, count + 1, dtype=torch.float64).reshape(-1, *[1] * truth.ndim)
    spread = (members.sort(0).values * (2 * rank - count - 1)).sum(0) * 2  # |x_i - x_j| over all pairs, in both orders
    pairs = count * (count - 1) if fair else count**2
    return (members - truth).abs().mean(0) - spread / (2 * pairs)


def crps(members: Tensor, truth: Tensor, *, fair: bool = True) -> Mean:
    """The mean of `crps_field` over all places. Raises ValueError without members."""
    score = crps_field(members, truth, fair=fair)
    return _mean(score, score.isfinite())


def ladder_crps(probability: Tensor, limits: Sequence[float], truth: Tensor, dry: float, highest: float) -> Tensor:
    """CRPS at each place of a distribution that is known at some values: `probability (K, ...)` of a value at or above each of
    the K `limits`, ascending, and `truth (...)` -> `(...)`, NaN where either is NaN.

    The integral of (F(x) - 1{truth <= x})^2 over x. F is linear between two limits; what is below the lowest limit lies at
    `dry`, what is above the highest one at `highest`.
    """
    score = (truth - highest).clamp(min=0) + (dry - truth).clamp(min=0)
    below = 1 - probability
    starts, ends = [dry, *limits], [*limits, highest]
    firsts, lasts = [below[0], *below], [below[0], *below[1:], below[-1]]
    for start, end, first, last in zip(starts, ends, firsts, lasts, strict=True):
        place = ((truth - start) / (end - start)).clamp(0, 1)
        middle = first + (last - first) * place
        # F^2 before the truth, (1 - F)^2 after it
        before = place * (first * first + first * middle + middle * middle)
        first, last = 1 - middle, 1 - last
        after = (1 - place) * (first * first + first * last + last * last)
        score = score + (before + after) * ((end - start) / 3)
    return score


NEIGHBOURHOOD = 17
"""Side in pixels of the neighbourhood that turns a single forecast into a probability."""
BINS = 11
"""Number of bins of probability, centred on 0, 0.1, ..., 1."""


def exceedance(events: Tensor, windows: Windows) -> Tensor:
    """The share of `events (H, W)` in the neighbourhood of each of the places `windows.centre`: the probability that a single
    forecast implies (Susanne Theis et al., 2005)."""
    return windows.fraction(integral(events))[windows.centre]


class Probabilities(NamedTuple):
    """The sums of probability scores: for each bin the number of forecasts, the sum of their probabilities and the number of
    observed events, each `(BINS,)` float64, and the sum of (p - o)^2 over all forecasts `()`. Sums of parts can be added."""

    forecast_count: Tensor
    forecast_probability: Tensor
    observed_events: Tensor
    squared_error: Tensor


def probability_sums(probability: Tensor, event: Tensor) -> Probabilities:
    """The sums of forecasts `probability (...)` from 0 to 1 and observations `event (...)`, which are 0, 1 or NaN."""
    valid = probability.isfinite() & event.isfinite()
    forecast, observed = probability[valid].double(), event[valid].double()
    bin_number = (forecast * (BINS - 1)).round().long()
    count, sums, events = (
        torch.bincount(bin_number, part, minlength=BINS) for part in (torch.ones_like(forecast), forecast, observed)
    )
    return Probabilities(count, sums, events, (forecast - observed).square().sum())


def neighbourhood_sums(
    forecasts: Sequence[Tensor], truth: Tensor, valid: Tensor, limits: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """The sums of single forecasts, whose probabilities are the shares of events in neighbourhoods: for each bin the number of
    forecasts, the sum of probabilities and the number of observed events `(F, N, K, 3, BINS)`, and the sum of squared errors
    `(F, N, K)`, both float64. `forecasts`, `truth` and `valid (N, H, W)`; events are values at or above one of K `limits`."""
    if loops.has_loops(truth, *forecasts):
        return loops.probabilities(truth, forecasts, valid, limits, NEIGHBOURHOOD, BINS)
    binned = torch.zeros(len(forecasts), len(truth), len(limits), 3, BINS, dtype=torch.float64)
    error = torch.zeros(binned.shape[:3], dtype=torch.float64)
    for n, frame_valid in enumerate(valid):
        windows = Windows(frame_valid, NEIGHBOURHOOD)
        for k, limit in enumerate(limits):
            observed = windows.at(truth[n] >= limit)
            for f, field in enumerate(forecasts):
                *parts, error[f, n, k] = probability_sums(
                    exceedance((field[n] >= limit) & frame_valid, windows), observed
                )
                binned[f, n, k] = torch.stack(parts)
    return binned, error


def forecast_sums(probability: Tensor, truth: Tensor, valid: Tensor, limits: Sequence[float]) -> tuple[Tensor, Tensor]:
    """The same sums of a forecast of probabilities, at the same places: `(N, K, 3, BINS)`, `(N, K)`. `probability (N, K, H, W)`
    is that of a value at or above each limit."""
    binned = torch.zeros(len(truth), len(limits), 3, BINS, dtype=torch.float64)
    error = torch.zeros(binned.shape[:2], dtype=torch.float64)
    for n, frame_valid in enumerate(valid):
        windows = Windows(frame_valid, NEIGHBOURHOOD)
        for k, limit in enumerate(limits):
            *parts, error[n, k] = probability_sums(windows.at(probability[n, k]), windows.at(truth[n] >= limit))
            binned[n, k] = torch.stack(parts)
    return binned, error


def share_of_members(members: Tensor, limit: float) -> Tensor:
    """The probability of a value at or above a limit by an ensemble `members (M, ...)`: the share of members, `(...)`."""
    return (members >= limit).double().mean(0)


class Reliability(NamedTuple):
    """For each bin the mean forecast probability and the observed frequency of the event, both NaN in an empty bin, and the
    number of forecasts."""

    probability: Tensor
    frequency: Tensor
    forecast_count: Tensor


def reliability(sums: Probabilities) -> Reliability:
    """Forecast probability and observed frequency by bin."""
    return Reliability(
        sums.forecast_probability / sums.forecast_count, sums.observed_events / sums.forecast_count, sums.forecast_count
    )


class Brier(NamedTuple):
    """score = reliability - resolution + uncertainty, exactly if all probabilities are bin centres."""

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    samples: int


def brier(sums: Probabilities) -> Brier:
    """Brier score with its decomposition (Allan Murphy, "A New Vector Partition of the Probability Score", 1973)."""
    total = float(sums.forecast_count.sum())
    if not total:
        nan = float("nan")
        return Brier(nan, nan, nan, nan, 0)
    used = sums.forecast_count > 0
    probability, frequency, forecast_count = (part[used] for part in reliability(sums))
    weight, climate = forecast_count / total, sums.observed_events.sum() / total
    return Brier(
        float(sums.squared_error / total),
        float((weight * (probability - frequency).square()).sum()),
        float((weight * (frequency - climate).square()).sum()),
        float(climate * (1 - climate)),
        int(total),
    )


class Roc(NamedTuple):
    """Hit rate and false alarm rate for each bin of probability, from the highest down, and the area under the curve."""

    hit_rate: Tensor
    false_alarm_rate: Tensor
    area: float
    events: int
    samples: int


def roc(sums: Probabilities) -> Roc:
    """Receiver operating characteristic over the bins. The area is NaN without an event, or without a non-event."""
    start = torch.zeros(1, dtype=torch.float64)
    yes, no = (
        torch.cat([start, part.flip(0).cumsum(0)])
        for part in (sums.observed_events, sums.forecast_count - sums.observed_events)
    )
    hits, alarms = yes / yes[-1], no / no[-1]
    return Roc(hits, alarms, float(torch.trapezoid(hits, alarms)), int(yes[-1]), int(sums.forecast_count.sum()))


def rank_histogram(members: Tensor, truth: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """How often the truth has each rank among `members (M, ...)`: counts `(M + 1,)`. Ties are broken at random."""
    valid = truth.isfinite() & members.isfinite().all(0)
    forecast, observed = members[:, valid], truth[valid]
    below, equal = (forecast < observed).sum(0), (forecast == observed).sum(0)
    tie_break = torch.rand(len(observed), generator=generator, dtype=torch.float64)
    rank = below + (tie_break * (equal + 1)).long().clamp(max=len(members))
    return torch.bincount(rank, minlength=len(members) + 1)


class SpreadSkill(NamedTuple):
    """The spread, sqrt(mean unbiased variance of the members x (M + 1) / M), and the skill, the root mean squared error of the
    ensemble mean; they are equal for a reliable ensemble."""

    spread: float
    skill: float
    samples: int


def spread_skill(members: Tensor, truth: Tensor) -> SpreadSkill:
    """Spread and skill of `members (M, ...)`. Raises ValueError if M < 2."""
    if len(members) < 2:
        raise ValueError("one member has no spread")
    valid = truth.isfinite() & members.isfinite().all(0)
    forecast, observed = members[:, valid].double(), truth[valid].double()
    if not len(observed):
        return SpreadSkill(float("nan"), float("nan"), 0)
    spread = forecast.var(0).mean() * (len(members) + 1) / len(members)
    return SpreadSkill(float(spread.sqrt()), float((forecast.mean(0) - observed).square().mean().sqrt()), len(observed))


METRICS = (
    Metric(
        name="crps",
        title="CRPS",
        group="frame",
        sums=("crps", "pixels"),
        formula=ratio,
        better="lower",
        perfect=0,
        range=(0, np.inf),
        definition="continuous ranked probability score, in the units of the data: of members the fair one; of a distribution "
        "without members the integral of (F(x) - 1{truth <= x})^2, F linear between its rates, what is below the lowest one dry, "
        "what is above the highest one at 1.4 times it; of a single forecast the MAE",
        units="values",
        mean=True,
        ensembles=True,
        compared=True,
        headline=True,
        curve=True,
    ),
    Metric(
        name="brier",
        title="Brier score",
        group="event",
        sums=("brier", "brier_weight"),
        formula=ratio,
        better="lower",
        perfect=0,
        range=(0, 1),
        definition="mean squared difference of the probability of an event from 1 where it was observed and 0 where not; the "
        "probability is that of the distribution, without one the share of members, of a single forecast the share of event "
        f"pixels within {NEIGHBOURHOOD} x {NEIGHBOURHOOD} pixels",
        dims=("threshold",),
        mean=True,
        compared=True,
        headline=True,
        curve=True,
    ),
)
