"""Scores of probabilities: of an ensemble, or of how likely an event is.

Values that are NaN, of the truth or of any member, are not counted. Every function returns what was counted beside the score;
a score of nothing is NaN.
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
    counted: int


def _mean(values: Tensor, there: Tensor) -> Mean:
    count = int(there.sum())
    return Mean(float(values.masked_fill(~there, 0.0).sum() / count) if count else float("nan"), count)


def crps_field(members: Tensor, truth: Tensor, *, fair: bool = True) -> Tensor:
    """Continuous ranked probability score at each place: `members (M, ...)`, `truth (...)` -> `(...)`, NaN where either is.

    E|X - y| - E|X - X'| / 2; `fair` takes X' among the other members (Ferro, "Fair scores for ensemble forecasts", 2014),
    so that it does not depend on how many there are. One member gives the absolute error. Raises ValueError without any.
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


NEIGHBOURHOOD = 17
"""Side in pixels of the neighbourhood by which a single forecast is judged as a probability."""
BINS = 11
"""Of probabilities, centred on 0, 0.1, ..., 1."""


def exceedance(events: Tensor, windows: Windows) -> Tensor:
    """The share of `events (H, W)` in neighbourhoods as a probability, at the places `windows.centre`: from one forecast, a
    probability that a single field can be judged by (Susanne Theis et al., 2005)."""
    return windows.fraction(integral(events))[windows.centre]


class Probabilities(NamedTuple):
    """What scores of probabilities are made of: how many were said in each bin, their sum, how often the event happened, each
    `(BINS,)` float64, and the sum of (p - o)^2 over all `()`. Those of parts are added up to those of the whole."""

    counted: Tensor
    said: Tensor
    happened: Tensor
    error: Tensor


def probability_sums(probability: Tensor, event: Tensor) -> Probabilities:
    """Of `probability (...)` from 0 to 1 and `event (...)` of 0, 1 or NaN."""
    there = probability.isfinite() & event.isfinite()
    said, happened = probability[there].double(), event[there].double()
    place = (said * (BINS - 1)).round().long()
    counted, sums, events = (
        torch.bincount(place, part, minlength=BINS) for part in (torch.ones_like(said), said, happened)
    )
    return Probabilities(counted, sums, events, (said - happened).square().sum())


def neighbourhood_sums(
    forecasts: Sequence[Tensor], truth: Tensor, valid: Tensor, limits: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Of single forecasts judged as probabilities, by the share of their neighbourhoods: in each bin the number, the sum of what
    was said and how often it happened, `(F, N, K, 3, BINS)`, and the sum of squared errors `(F, N, K)`, both float64.
    `forecasts`, `truth` and `valid (N, H, W)`; events are values at or above one of K `limits`."""
    if loops.has_loops(truth, *forecasts):
        return loops.probabilities(truth, forecasts, valid, limits, NEIGHBOURHOOD, BINS)
    binned = torch.zeros(len(forecasts), len(truth), len(limits), 3, BINS, dtype=torch.float64)
    error = torch.zeros(binned.shape[:3], dtype=torch.float64)
    for n, there in enumerate(valid):
        windows = Windows(there, NEIGHBOURHOOD)
        for k, limit in enumerate(limits):
            came = windows.at(truth[n] >= limit)
            for f, field in enumerate(forecasts):
                *parts, error[f, n, k] = probability_sums(exceedance((field[n] >= limit) & there, windows), came)
                binned[f, n, k] = torch.stack(parts)
    return binned, error


def ensemble_sums(members: Tensor, truth: Tensor, valid: Tensor, limits: Sequence[float]) -> tuple[Tensor, Tensor]:
    """The same of the share of `members (M, N, H, W)` that have the event, at the same places: `(N, K, 3, BINS)`, `(N, K)`."""
    binned = torch.zeros(len(truth), len(limits), 3, BINS, dtype=torch.float64)
    error = torch.zeros(binned.shape[:2], dtype=torch.float64)
    for n, there in enumerate(valid):
        windows = Windows(there, NEIGHBOURHOOD)
        for k, limit in enumerate(limits):
            share = (members[:, n] >= limit).double().mean(0)
            *parts, error[n, k] = probability_sums(windows.at(share), windows.at(truth[n] >= limit))
            binned[n, k] = torch.stack(parts)
    return binned, error


class Reliability(NamedTuple):
    """For each bin of probability the mean probability, how often the event happened, both NaN in an empty bin, and how many
    forecasts it has."""

    probability: Tensor
    frequency: Tensor
    counted: Tensor


def reliability(sums: Probabilities) -> Reliability:
    """Said and happened, bin by bin."""
    return Reliability(sums.said / sums.counted, sums.happened / sums.counted, sums.counted)


class Brier(NamedTuple):
    """score = reliability - resolution + uncertainty, exactly so where probabilities take the values of the bins."""

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    counted: int


def brier(sums: Probabilities) -> Brier:
    """Brier score with its decomposition (Allan Murphy, "A New Vector Partition of the Probability Score", 1973)."""
    total = float(sums.counted.sum())
    if not total:
        nan = float("nan")
        return Brier(nan, nan, nan, nan, 0)
    used = sums.counted > 0
    said, frequency, counted = (part[used] for part in reliability(sums))
    weight, climate = counted / total, sums.happened.sum() / total
    return Brier(
        float(sums.error / total),
        float((weight * (said - frequency).square()).sum()),
        float((weight * (frequency - climate).square()).sum()),
        float(climate * (1 - climate)),
        int(total),
    )


class Roc(NamedTuple):
    """Hit rate against false alarm rate for each bin of probability, from the highest down, and the area under it."""

    hit_rate: Tensor
    false_alarm_rate: Tensor
    area: float
    events: int
    counted: int


def roc(sums: Probabilities) -> Roc:
    """Receiver operating characteristic over the bins. The area is NaN without an event, or without a non-event."""
    start = torch.zeros(1, dtype=torch.float64)
    yes, no = (torch.cat([start, part.flip(0).cumsum(0)]) for part in (sums.happened, sums.counted - sums.happened))
    hits, alarms = yes / yes[-1], no / no[-1]
    return Roc(hits, alarms, float(torch.trapezoid(hits, alarms)), int(yes[-1]), int(sums.counted.sum()))


def rank_histogram(members: Tensor, truth: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """How often the truth has each rank among `members (M, ...)`: `(M + 1,)` counts, ties broken at random."""
    there = truth.isfinite() & members.isfinite().all(0)
    said, true = members[:, there], truth[there]
    below, equal = (said < true).sum(0), (said == true).sum(0)
    chance = torch.rand(len(true), generator=generator, dtype=torch.float64)
    rank = below + (chance * (equal + 1)).long().clamp(max=len(members))
    return torch.bincount(rank, minlength=len(members) + 1)


class SpreadSkill(NamedTuple):
    """Root mean variance of the members, unbiased, and root mean squared error of their mean; the same for a good ensemble,
    but for the factor (M + 1) / M under the root, which `spread` holds."""

    spread: float
    skill: float
    counted: int


def spread_skill(members: Tensor, truth: Tensor) -> SpreadSkill:
    """Of `members (M, ...)`, at least two. Raises ValueError for fewer."""
    if len(members) < 2:
        raise ValueError("one member has no spread")
    there = truth.isfinite() & members.isfinite().all(0)
    said, true = members[:, there].double(), truth[there].double()
    if not len(true):
        return SpreadSkill(float("nan"), float("nan"), 0)
    spread = said.var(0).mean() * (len(members) + 1) / len(members)
    return SpreadSkill(float(spread.sqrt()), float((said.mean(0) - true).square().mean().sqrt()), len(true))


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
        definition="fair continuous ranked probability score, in the units of the data; of a single forecast the MAE",
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
        definition="mean squared difference of the probability of an event from 1 where it came and 0 where not; the "
        "probability is the share of members, of a single forecast the share of event pixels within "
        f"{NEIGHBOURHOOD} x {NEIGHBOURHOOD} pixels",
        dims=("threshold",),
        mean=True,
        compared=True,
    ),
)
