"""Baselines, and forecasters of users, with the methods of a trained model: labelled frames in, a labelled Forecast out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import numpy as np
import xarray as xr

from framecast.data.frames import check_frames
from framecast.data.quantities import quantity_of
from framecast.data.windows.index import regular_steps, time_step
from framecast.data.windows.inputs import Input
from framecast.errors import ArgumentError, ConfigError, counted
from framecast.forecasting import baselines
from framecast.forecasting.baselines import BaselineData
from framecast.forecasting.labels import RECENT, Forecast, forecast_frames
from framecast.forecasting.model_facts import as_html, as_text
from framecast.forecasting.protocol import Forecaster

HORIZON = 12
"""The frames that are forecast, unless stated."""


class BaselineForecaster:
    """A baseline by its name, for frames of any quantity. An `ensemble` has `members`, by default its own number, from
    noise with that `seed`.

    Raises `ArgumentError` for a name that is unknown, for a baseline that is made from training data, and for members of one
    that is no ensemble; `ConfigError` if a package that it needs is not installed."""

    def __init__(self, name: str, *, members: int | None = None, seed: int = 0) -> None:
        self.record = baselines.find(name)
        baselines.check([name])
        self.name, self.members, self.seed = name, members, seed
        self.context_length = self.record.least
        if self.record.training:
            raise ArgumentError(
                f"{name} is made from training data, so that it cannot be forecast by itself",
                parameter="run",
                remedy=f"evaluate a trained model with baselines={name}, or forecast persistence or extrapolation",
            )
        if members and not self.record.ensemble:
            raise ArgumentError(
                f"{name} is no ensemble, and has no members", parameter="members", remedy="leave it out, or use steps"
            )

    def __repr__(self) -> str:
        return as_text(f"BaselineForecaster {self.name}", self._facts)

    def _repr_html_(self) -> str:
        return as_html(f"BaselineForecaster {self.name}", self._facts)

    @property
    def _facts(self) -> dict[str, str]:
        """What a person asks first."""
        frames = counted(self.context_length, "frame") + (" of rain" if self.record.precipitation else "")
        facts = {"forecasts": self.record.summary, "from": f"{frames} or more"}
        if self.has_distribution:
            facts["probabilities"] = "of rain rates"
        return facts | ({"members": str(self.members)} if self.members else {})

    @property
    def horizon(self) -> int:
        """The frames that are forecast, unless stated."""
        return HORIZON

    @property
    def has_distribution(self) -> bool:
        """Whether its forecasts have probabilities."""
        return self.record.distribution

    @property
    def context(self) -> int:
        """The number of frames that it uses, where there are so many."""
        return max(self.context_length, RECENT)

    def fit(self, frames: xr.DataArray) -> xr.DataArray:
        """The same frames. Raises `DataError` if they are not Frames."""
        return check_frames(frames)

    def forecast(
        self,
        frames: xr.DataArray,
        horizon: int,
        actions: np.ndarray | None = None,
        inputs: Sequence[Input] | None = None,
        *,
        rates: Sequence[float] | None = None,
        quantiles: Sequence[float] = (),
    ) -> Forecast:
        """Forecast the `horizon` frames after the newest of `frames`, from those that follow each other without a gap.

        Raises `DataError` for frames of a quantity that the baseline does not forecast, or too few, and `ArgumentError` for
        actions or extra inputs, which no baseline reads."""
        counts = {"actions": 0 if actions is None else np.size(actions), "inputs": len(inputs or ())}
        for parameter, count in counts.items():
            if count:
                raise ArgumentError(f"{self.name} reads none", parameter=parameter, remedy="leave them out")
        frames = self.fit(frames)
        step = time_step(frames)
        data = BaselineData(
            quantity_of(frames),
            step if isinstance(step, np.timedelta64) else None,
            [frames],
            _no_training,
            self.members,
            self.seed,
        )
        return forecast_in_a_row(
            baselines.build(self.name, data), frames, horizon, self.context_length, rates, quantiles
        )


def forecast_in_a_row(
    forecaster: Forecaster,
    frames: xr.DataArray,
    horizon: int,
    least: int,
    rates: Sequence[float] | None,
    quantiles: Sequence[float],
) -> Forecast:
    """Forecast with a forecaster of arrays, from as many of the newest `frames` as follow each other, at most `RECENT` and at
    least `least` and as many as it needs."""
    least = max(least, forecaster.context_length)
    length = max(least, frames_in_a_row(frames, max(least, RECENT)))
    return forecast_frames(forecaster, frames, horizon, context=length, rates=rates, quantiles=quantiles)


def frames_in_a_row(frames: xr.DataArray, most: int) -> int:
    """How many of the newest frames, at most `most`, have data and follow each other on the clock."""
    count, regular = 0, regular_steps(frames)[::-1]
    for number in range(min(most, frames.sizes["time"])):
        if number and not regular[number - 1]:
            break
        if not np.isfinite(frames.isel(time=-1 - number).values).any():
            break
        count += 1
    return count


def _no_training() -> NoReturn:
    raise ConfigError("there are no training data", parameter="baselines")
