"""Event scores (CSI, POD, FAR, bias, ETS, HSS) from contingency tables, on tensors.

An event is a value at or above a threshold. Scores follow the WWRP/WGNE Joint Working Group on Forecast Verification
Research: with hits h, misses m, false alarms f,

    CSI = h / (h + m + f)    POD = h / (h + m)    FAR = f / (h + f)    frequency bias = (h + f) / (h + m)

and with correct negatives c, n = h + m + f + c, and r = (h + m)(h + f) / n hits by chance,

    ETS = (h - r) / (h + m + f - r)    HSS = 2 (h c - f m) / ((h + m)(m + c) + (h + f)(f + c))

A score with an empty denominator is undefined: NaN, never 0 or 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from framecast.ops import frames
from framecast.ops import windows as loops
from framecast.scores.metric import Better, Metric


class Contingency(NamedTuple):
    """Numbers of pixels: scalars, or four tensors of one shape."""

    hits: Tensor
    misses: Tensor
    false_alarms: Tensor
    correct_negatives: Tensor


def contingency(prediction: Tensor, truth: Tensor, valid: Tensor, thresholds: Sequence[float]) -> Contingency:
    """Counts for each case, lead time and threshold.

    `prediction, truth (B, S, C, H, W)` in the units of the thresholds, `valid (B, S, 1, H, W)` -> four `(B, S, K)` int64.
    """
    if loops.has_loops(prediction, truth):
        forecast, observed, hits, every = frames.count_events(prediction, truth, valid, thresholds)
        return Contingency(hits, observed - hits, forecast - hits, every - forecast - observed + hits)
    return event_contingency([prediction >= threshold for threshold in thresholds], truth, valid, thresholds)


def event_contingency(
    events: Sequence[Tensor], truth: Tensor, valid: Tensor, thresholds: Sequence[float]
) -> Contingency:
    """The same counts of `events`, the pixels at which each event is forecast: a tensor bool for each threshold, which broadcasts
    to the shape of `truth`."""
    tables = []
    for forecast, threshold in zip(events, thresholds, strict=True):
        observed = truth >= threshold
        counts = (forecast & observed, ~forecast & observed, forecast & ~observed, ~forecast & ~observed)
        tables.append(torch.stack([(count & valid).flatten(2).sum(2) for count in counts]))
    if not tables:
        empty = torch.zeros(*truth.shape[:2], 0, dtype=torch.int64)
        return Contingency(empty, empty, empty, empty)
    return Contingency(*torch.stack(tables, dim=-1))


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    return torch.where(denominator > 0, numerator.double() / denominator.clamp(min=1), torch.nan)


def csi(table: Contingency) -> Tensor:
    """Critical success index."""
    return _ratio(table.hits, table.hits + table.misses + table.false_alarms)


def batch_mean_csi(table: Contingency, batch: int) -> float:
    """The CSI as the published code of MotionRNN and ModeRNN averages it, for reference: that of all pixels of a batch at each
    lead time, 0 where it has no event, averaged over the batches of `batch` consecutive cases and over lead times. It depends on
    the size of the batch. `table` has the counts of each case and lead time `(N, S)`; an incomplete batch counts as one."""
    batches = [
        Contingency(*(counts[k : k + batch].sum(0) for counts in table)) for k in range(0, len(table.hits), batch)
    ]
    scores = [each.hits / (each.hits + each.misses + each.false_alarms).clamp(min=1) for each in batches]
    return float(torch.stack(scores).double().mean())


def pod(table: Contingency) -> Tensor:
    """Probability of detection."""
    return _ratio(table.hits, table.hits + table.misses)


def far(table: Contingency) -> Tensor:
    """False alarm ratio."""
    return _ratio(table.false_alarms, table.hits + table.false_alarms)


def frequency_bias(table: Contingency) -> Tensor:
    """Events forecast for each event observed."""
    return _ratio(table.hits + table.false_alarms, table.hits + table.misses)


def ets(table: Contingency) -> Tensor:
    """Equitable threat score (Gilbert skill score)."""
    h, m, f, c = (count.double() for count in table)
    total = h + m + f + c
    random_hits = (h + m) * (h + f) / total.clamp(min=1)
    return _quotient(h - random_hits, h + m + f - random_hits)


def hss(table: Contingency) -> Tensor:
    """Heidke skill score."""
    h, m, f, c = (count.double() for count in table)
    return _quotient(2 * (h * c - f * m), (h + m) * (m + c) + (h + f) * (f + c))


def _quotient(numerator: Tensor, denominator: Tensor) -> Tensor:
    return torch.where(denominator.abs() > 1e-12, numerator / denominator, torch.nan)


_EVENTS = "the events of a distribution or an ensemble are those of the largest expected CSI"


def event_metric(
    name: str,
    score: Callable[[Contingency], Tensor],
    definition: str,
    *,
    title: str | None = None,
    better: Better,
    perfect: float = 1,
    range: tuple[float, float] = (0, 1),
    compared: bool = False,
    headline: bool = False,
    curve: bool = False,
) -> Metric:
    """A metric of the counts of a contingency table, pooled over cases."""

    def formula(sums: np.ndarray) -> np.ndarray:
        return score(Contingency(*torch.from_numpy(sums))).numpy()

    return Metric(
        name=name,
        title=title or name.upper(),
        group="event",
        sums=Contingency._fields,
        formula=formula,
        better=better,
        perfect=perfect,
        range=range,
        definition=f"{definition}, counts pooled over cases; {_EVENTS}",
        dims=("threshold",),
        compared=compared,
        headline=headline,
        curve=curve,
    )


METRICS = (
    event_metric(
        "csi", csi, "hits / (hits + misses + false alarms)", better="higher", compared=True, headline=True, curve=True
    ),
    event_metric("pod", pod, "hits / (hits + misses)", better="higher", headline=True),
    event_metric("far", far, "false alarms / (hits + false alarms)", better="lower", perfect=0),
    event_metric(
        "bias",
        frequency_bias,
        "(hits + false alarms) / (hits + misses)",
        title="Frequency bias",
        better="neither",
        range=(0, np.inf),
        headline=True,
        curve=True,
    ),
    event_metric(
        "ets",
        ets,
        "(hits - chance) / (hits + misses + false alarms - chance), chance = (hits + misses)(hits + false alarms) / all",
        better="higher",
        range=(-1 / 3, 1),
    ),
    event_metric("hss", hss, "the share of correct forecasts above chance", better="higher", range=(-1, 1)),
)
