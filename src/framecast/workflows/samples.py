"""Scores of the samples of a model that draws its forecasts, as papers print them: for each window the best of some samples
(Denton and Fergus 2018; ModeRNN 2022, tables II and VIII), or the mean over them (ModeRNN 2022, table I).

Reads runs and data; writes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from framecast.data.readers.options import DEFAULT
from framecast.forecasting.trained_model import TrainedModel, load
from framecast.scores import Metric
from framecast.verification.result import Verification
from framecast.verification.settings import EvaluationSettings
from framecast.verification.verify import verify
from framecast.verification.windows import windows_of


class Samples(NamedTuple):
    """The frame scores, by name, of M samples in N windows each, over all lead times: `(M, N)`, NaN where undefined."""

    scores: dict[str, np.ndarray]

    def best(self, metric: Metric, by: Metric) -> float:
        """The mean over windows of a score of the sample of each that is best by another score, or by the same."""
        judged = self.scores[by.name]
        best = np.where(np.isnan(judged), np.inf, judged if by.better == "lower" else -judged).argmin(0)
        return float(np.nanmean(np.take_along_axis(self.scores[metric.name], best[None], 0)))

    def mean(self, metric: Metric) -> float:
        """The mean over windows and samples."""
        return float(np.nanmean(self.scores[metric.name]))


def draw_samples(run: Path, settings: EvaluationSettings, number: int) -> Samples | None:
    """Verify `number` samples of the model of a run on its test windows; None if it draws none. Raises the errors of
    `evaluate`."""
    trained = load(run)
    if not trained.draws_members:
        return None
    sources = windows_of(run, trained, None, options=DEFAULT, context=trained.context, horizon=settings.horizon)
    settings = replace(settings, horizon=None)  # that of the windows
    rows = []
    for seed in range(number):
        sample = TrainedModel(trained.model, trained.card, trained.device, members=1, seed=seed)
        rows.append(_scores(verify([sample], sources.held_out(), settings, examples=0)))
    return Samples({name: np.stack([row[name] for row in rows]) for name in rows[0]})


def _scores(result: Verification) -> dict[str, np.ndarray]:
    """The scores of each window `(N,)` that a mean over windows is made of."""
    metrics = [metric for metric in result.metrics("frame") if metric.mean]
    return {each.name: each.formula(result.table(result.forecasters[0], each).sum(2)) for each in metrics}
