"""Scores as tidy rows: one value of one score of one forecaster, for one case, lead time and threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from framecast.errors import ArgumentError
from framecast.scores import Metric
from framecast.scores.metric import Better
from framecast.verification.metrics import METRICS
from framecast.verification.result import Verification

SCORES = ("mse", "csi", "brier")
"""The scores of rows by default; what else is made of the same sums (POD, FAR, bias) follows from them."""


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """A score of a forecast that began at `init_time`, of the frame `lead_minutes` later; `threshold` is in mm/h, None for a
    score without. `issued` is the forecaster whose forecast was issued at that time: `forecaster` itself, or one of which this
    is a fallback. `sums` are those that the score is made of, in the order of its record: added over forecasts they give the
    score of all. `pixels` were scored, in so many `cases`."""

    init_time: np.datetime64
    lead_minutes: float
    issued: str
    forecaster: str
    score: str
    threshold: float | None
    value: float
    pixels: int
    cases: int
    sums: tuple[float, ...]

    @property
    def better(self) -> Better:
        """In which direction the score is better."""
        return metric_of(self.score).better

    @property
    def definition(self) -> str:
        """The definition of the score."""
        return metric_of(self.score).definition


@cache
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
    """The rows of a verification with times; nothing for what has no pixel, and for a score that its sums do not have. The first
    forecaster is the one that was issued. Raises `ArgumentError` for a score that is not known."""
    wanted = {metric_of(name).name for name in scores}
    metrics = [metric for metric in verification.metrics() if metric.name in wanted and _in_rows(metric)]
    minutes = verification.sums["lead_time"].values / np.timedelta64(1, "m")
    pixels = verification.sums["pixels"].values
    rows = []
    for metric in metrics:
        threshold = verification.levels[metric.place["threshold"]] if metric.place else None
        for name in verification.forecasters:
            table = verification.table(name, metric)
            values = metric.formula(table)
            for case, lead in zip(*np.nonzero(pixels), strict=True):
                rows.append(
                    ScoreRow(
                        init_time=verification.sums["init_time"].values[case],
                        lead_minutes=float(minutes[lead]),
                        issued=verification.forecasters[0],
                        forecaster=name,
                        score=metric.name,
                        threshold=threshold,
                        value=float(values[case, lead]),
                        pixels=int(pixels[case, lead]),
                        cases=1,
                        sums=tuple(table[:, case, lead].tolist()),
                    )
                )
    return rows
