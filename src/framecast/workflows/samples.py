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
    """The verification of each of several samples, on the same windows."""

    verifications: tuple[Verification, ...]

    def best(self, metric: Metric, by: Metric) -> float:
        """The mean over windows of a score of the sample of each that is best by another score, or by the same."""
        judged = self._values(by)
        best = judged.argmin(0) if by.better == "lower" else judged.argmax(0)
        return float(np.take_along_axis(self._values(metric), best[None], 0).mean())

    def mean(self, metric: Metric) -> float:
        """The mean over windows and samples."""
        return float(self._values(metric).mean())

    def _values(self, metric: Metric) -> np.ndarray:
        """The score of each sample in each window, over all lead times, `(M, N)`."""
        tables = (each.table(each.forecasters[0], metric) for each in self.verifications)
        return np.stack([metric.formula(table.sum(2)) for table in tables])


def draw_samples(run: Path, settings: EvaluationSettings, number: int) -> Samples | None:
    """Verify `number` samples of the model of a run on its test windows; None if it draws none. Raises the errors of
    `evaluate`."""
    trained = load(run)
    if not trained.draws_members:
        return None
    sources = windows_of(run, trained, None, options=DEFAULT, context=trained.context, horizon=settings.horizon)
    settings = replace(settings, horizon=None)  # that of the windows
    samples = (TrainedModel(trained.model, trained.card, trained.device, members=1, seed=k) for k in range(number))
    return Samples(tuple(verify([each], sources.held_out(), settings, examples=0) for each in samples))
