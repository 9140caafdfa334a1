"""Baselines at the lead times of forecasts that were made before, from the frames of the truth up to their initial times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from framecast.data.windows.sources import DataSplits
from framecast.errors import ArgumentError
from framecast.forecasting.baselines import BaselineData, build_all
from framecast.forecasting.distribution import Distribution
from framecast.forecasting.protocol import Context, Forecaster, Forecasts, forecast_cases
from framecast.verification.given_truth import Target


class AtLeads:
    """A forecaster at some of its lead times, `steps (L,)`, ascending from 1."""

    def __init__(self, forecaster: Forecaster, steps: np.ndarray) -> None:
        self.forecaster, self.steps = forecaster, steps
        self.name, self.context_length = forecaster.name, forecaster.context_length

    def forecast(self, context: Context, /, horizon: int) -> Forecasts:
        """The forecast up to the last of the lead times, at all of them."""
        forecasts = forecast_cases(self.forecaster, context, int(self.steps[-1]))
        if len(self.steps) == self.steps[-1]:
            return forecasts
        chosen, distribution = self.steps - 1, forecasts.distribution
        if distribution is not None:
            distribution = Distribution(distribution.rates, distribution.probability[:, :, chosen])
        return forecasts._replace(values=forecasts.values[:, :, chosen], distribution=distribution)


def baseline_data(target: Target, step: np.timedelta64) -> BaselineData:
    """What baselines are built from: the truth, whose past they forecast from."""

    def no_training() -> DataSplits:
        raise ArgumentError(
            "a baseline of the frames of training, and forecasts that were made before have none",
            parameter="baselines",
            remedy="leave it out",
        )

    return BaselineData(target.quantity, step, (target.frames,), no_training)


def baselines_at(names: Sequence[str], data: BaselineData, steps: np.ndarray) -> dict[str, Forecaster]:
    """Baselines at the lead times `steps (L,)`, by name. Raises the errors of `framecast.forecasting.baselines.build_all`."""
    return {name: AtLeads(each, steps) for name, each in build_all(names, data).items()}
