"""Scores as tidy rows: one value of one score of one forecaster, for one case, lead time and threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from framecast.errors import ArgumentError
from framecast.scores import Metric
from framecast.scores.metric import Better
from framecast.verification.metrics import METRICS
from framecast.verification.result import Verification

SCORES = ("mse", "mae", "crps", "csi", "pod", "far", "bias", "brier")
"""The scores of rows by default."""


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """A score of a forecast that began at `init_time`, of the frame `lead_minutes` later; `threshold` is in mm/h, None for a
    score without. `sums` are those that the score is made of, in the order of its record: added over forecasts they give the
    score of all. `pixels` were scored; `better` says in which direction."""

    init_time: np.datetime64
    lead_minutes: float
    forecaster: str
    score: str
    threshold: float | None
    value: float
    pixels: int
    better: Better
    sums: tuple[float, ...]

    @property
    def metric(self) -> Metric:
        """The record of the score, with its definition."""
        return metric_of(self.score)


def metric_of(name: str) -> Metric:
    """The record of a score that rows can have. Raises `ArgumentError`."""
    for metric in METRICS:
        if metric.name == name and metric.convention in (None, "default") and _in_rows(metric):
            return metric
    known = [metric.name for metric in METRICS if metric.convention in (None, "default") and _in_rows(metric)]
    raise ArgumentError(
        f"unknown score {name!r}", parameter="scores", remedy=f"one of: {', '.join(dict.fromkeys(known))}"
    )


def _in_rows(metric: Metric) -> bool:
    return metric.additive and metric.dims in ((), ("threshold",))


def rows_of(verification: Verification, scores: Sequence[str] = SCORES) -> list[ScoreRow]:
    """The rows of a verification with times, by case, forecaster, score, threshold and lead time; nothing for what has no pixel.
    A score that its sums do not have has no rows. Raises `ArgumentError` for one that is not known."""
    wanted = {metric_of(name).name for name in scores}
    metrics = [metric for metric in verification.metrics() if metric.name in wanted and _in_rows(metric)]
    minutes = verification.sums["lead_time"].values / np.timedelta64(1, "m")
    pixels = verification.sums["pixels"].values
    rows = []
    for metric in metrics:
        threshold = verification.rates[metric.place["threshold"]] if metric.place else None
        for name in verification.forecasters:
            table = verification.table(name, metric)
            values = metric.formula(table)
            for case, lead in zip(*np.nonzero(pixels), strict=True):
                rows.append(
                    ScoreRow(
                        init_time=verification.sums["init_time"].values[case],
                        lead_minutes=float(minutes[lead]),
                        forecaster=name,
                        score=metric.name,
                        threshold=threshold,
                        value=float(values[case, lead]),
                        pixels=int(pixels[case, lead]),
                        better=metric.better,
                        sums=tuple(table[:, case, lead].tolist()),
                    )
                )
    return rows
