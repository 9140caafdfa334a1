"""Summaries of the scores of a service: of yesterday, of the last days, by forecaster and lead time.

Forecasters are compared where they stand beside each other: what was issued, and its fallbacks at the same initial times.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framecast.checks import check_counts, refuses_arrays
from framecast.scores import Metric
from framecast.scores.metric import Better
from framecast.verification.score_rows import ScoreRow, metric_of
from framecast.verification.score_store import DAY, DaySums, Place, daily_sums, rows_of

LISTED = ("mse", "mae", "crps", "csi", "pod", "far", "bias", "brier")
"""The scores of a summary, where the sums for them are there."""


@dataclass(frozen=True, kw_only=True)
class ScoreSummary:
    """A score of a forecaster over some days: of the forecasts that were `issued` by one forecaster, `lead_minutes` ahead (None
    for all lead times). `threshold` is in mm/h, None for a score without."""

    first_day: np.datetime64
    last_day: np.datetime64
    issued: str
    forecaster: str
    score: str
    threshold: float | None
    lead_minutes: float | None
    value: float
    cases: int
    pixels: int
    days: int
    better: Better


def last_days(sums: Mapping[Place, DaySums], days: int, until: np.datetime64 | None = None) -> dict[Place, DaySums]:
    """The sums of the last `days`, up to and with the day `until`, by default the newest that has scores. Raises `ArgumentError`
    for fewer than one day."""
    check_counts(days=days)
    if not sums:
        return {}
    last = max(each.days[-1] for each in sums.values()) if until is None else until.astype("datetime64[D]")
    chosen = {place: each.of((each.days > last - days * DAY) & (each.days <= last)) for place, each in sums.items()}
    return {place: each for place, each in chosen.items() if len(each.days)}


def pooled(sums: Mapping[Place, DaySums]) -> dict[Place, DaySums]:
    """The sums over all lead times, in places without one. A forecast counts as many cases as it does at its best lead time."""
    parts: dict[Place, list[DaySums]] = {}
    for place, each in sums.items():
        parts.setdefault(place._replace(lead=None), []).append(each)
    return {place: _added(each) for place, each in parts.items()}


def _added(parts: Sequence[DaySums]) -> DaySums:
    """The sums of several places, day by day."""
    days = np.unique(np.concatenate([part.days for part in parts]))
    table = np.zeros((len(parts[0].table), len(days)))
    cases, pixels = np.zeros(len(days), dtype=np.int64), np.zeros(len(days), dtype=np.int64)
    for part in parts:
        at = np.searchsorted(days, part.days)
        table[:, at] += part.table
        pixels[at] += part.pixels
        cases[at] = np.maximum(cases[at], part.cases)
    return DaySums(days, table, cases, pixels)


def metrics_of(place: Place) -> list[Metric]:
    """The scores that are made of the sums of a place: POD, FAR and the bias from those of the CSI."""
    own = metric_of(place.score)
    alike = (metric_of(name) for name in LISTED)
    derived = [metric for metric in alike if metric.sums == own.sums]
    return derived or [own]


@refuses_arrays
def summarise(
    scores: str | Path | Iterable[ScoreRow],
    days: int = 1,
    *,
    until: np.datetime64 | None = None,
    by_lead_time: bool = True,
) -> list[ScoreSummary]:
    """The scores of the last `days`, up to and with the day `until` (UTC), by default the newest that has scores: of a file of
    scores, or of rows. Each score at each lead time, or over all of them. Raises `DataError` for a file of something else."""
    chosen = last_days(daily_sums(rows_of(scores)), days, until)
    result = []
    for place, sums in (chosen if by_lead_time else pooled(chosen)).items():
        for metric in metrics_of(place):
            result.append(
                ScoreSummary(
                    first_day=sums.days[0],
                    last_day=sums.days[-1],
                    issued=place.issued,
                    forecaster=place.forecaster,
                    score=metric.name,
                    threshold=place.threshold,
                    lead_minutes=place.lead,
                    value=float(metric.formula(sums.table.sum(1))),
                    cases=int(sums.cases.sum()),
                    pixels=int(sums.pixels.sum()),
                    days=len(sums.days),
                    better=metric.better,
                )
            )
    return result
