"""The scores of a forecast whose truth has arrived, beside those of its fallbacks, as tidy rows.

The fallbacks are forecast from the frames that were there at its initial time. All are scored on the same pixels, those with data
in the truth and in every forecast, by the sums of `framecast.evaluate`: its numbers are these.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from framecast.checks import as_numbers, check_counts, describe, refuses_arrays
from framecast.data.conversion import as_rain_rate
from framecast.data.frames import check_frames, describe_source
from framecast.data.quantities import quantity_of
from framecast.errors import ArgumentError, DataError
from framecast.forecasting.baselines import find as find_baseline
from framecast.forecasting.labels import RECENT, Forecast
from framecast.forecasting.protocol import Forecaster
from framecast.verification.given_baselines import baseline_data, baselines_at
from framecast.verification.given_forecasts import GivenForecaster
from framecast.verification.given_parts import GivenForecast, split_times
from framecast.verification.given_truth import Target, TruthWindows, steps_of
from framecast.verification.run import assemble, make_plan, score
from framecast.verification.score_rows import SCORES, ScoreRow, rows_of
from framecast.verification.settings import EvaluationSettings

FALLBACKS = ("extrapolation_probability", "extrapolation", "persistence")
"""The baselines that a service falls back on."""


@refuses_arrays
def score_forecast(
    forecast: Forecast,
    truth: xr.DataArray,
    rates: Sequence[float] | None = None,
    *,
    context: int = RECENT,
    fallbacks: Sequence[str] = FALLBACKS,
    scores: Sequence[str] = SCORES,
) -> list[ScoreRow]:
    """Score a forecast at the lead times whose frames are among `truth`: one row for each initial time, lead time, forecaster,
    score and threshold.

    `truth` are Frames on the grid of the forecast, those before its initial time too: from the newest `context` of them the
    `fallbacks` are forecast. Where these frames are not there, or are those of a fallback itself, it has no rows. `rates` are the
    thresholds in mm/h, by default those at which the forecast states probabilities, else those of its quantity. Without truth at
    any lead time there are no rows.

    Raises `DataError` if the grids or the quantities do not fit, and `ArgumentError` for a rate at which the forecast states no
    probability.
    """
    if not isinstance(forecast, xr.DataArray | xr.Dataset):
        raise ArgumentError(f"{describe(forecast)} given, expected a forecast", parameter="forecast")
    check_counts(context=context)
    rows: list[ScoreRow] = []
    for given in split_times(forecast):
        frames = common_quantity(check_frames(truth), given)
        target = Target(frames, given.leads, rates_of(given, frames, rates))
        arrived = TruthWindows(target, np.array([given.init_time]), context).has_truth[0]
        if arrived.any():
            target = Target(frames, given.leads[arrived], target.rates)
            rows += _score(given, target, context, [name for name in fallbacks if name != _name(given)], scores)
    return rows


def _name(given: GivenForecast) -> str:
    """What made the forecast: the rung of a ladder, or the forecaster."""
    return given.first.forecaster or "forecast"


def _score(
    given: GivenForecast, target: Target, context: int, fallbacks: Sequence[str], scores: Sequence[str]
) -> list[ScoreRow]:
    source = TruthWindows(target, np.array([given.init_time]), context)
    name = _name(given)
    forecasters: dict[str, Forecaster] = {name: GivenForecaster(name, {given.init_time: given}, target)}
    steps = steps_of(target.leads, source.clock.step)
    if source.has_context.all() and steps is not None:
        chosen = [each for each in fallbacks if target.quantity.precipitation or not find_baseline(each).precipitation]
        forecasters |= baselines_at(chosen, baseline_data(target, source.clock.step), steps)
    settings = EvaluationSettings(rates=target.rates or None, scales=(), baselines=())
    plan = make_plan(source, settings, examples=0, batch_size=1)
    return rows_of(assemble([score(plan, forecasters, source)], plan, source, leads=target.leads), scores)


def common_quantity(frames: xr.DataArray, given: GivenForecast) -> xr.DataArray:
    """The truth in a quantity to which the forecast can be converted: rain rate, if they differ. Raises `DataError` if they are
    not both of rain."""
    one, other = given.first.quantity, quantity_of(frames)
    if one.name == other.name:
        return frames
    if not (one.precipitation and other.precipitation):
        raise DataError(
            f"a forecast of {one.name}, but the truth is {other.name}",
            where=describe_source(frames),
            remedy="give truth of what is forecast",
        )
    return as_rain_rate(frames)


def rates_of(given: GivenForecast, frames: xr.DataArray, rates: Sequence[float] | None) -> tuple[float, ...]:
    """The thresholds in mm/h: `rates`, else those of the forecast, else those of the quantity."""
    quantity = quantity_of(frames)
    if not quantity.precipitation:
        return ()
    if rates is not None:
        return as_numbers(rates, "rates")
    return given.rates or quantity.thresholds
