"""Scores forecasts that were made before on the truth of an archive, beside baselines from the archive's own past.

All sources are scored on the cases and lead times that they share, by the loop of every verification. This file opens forecasts
and truth; it writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr

from framecast.data.archives.opening import open as open_frames
from framecast.data.archives.outputs import source_files
from framecast.data.conversion import as_rain_rate
from framecast.data.frames import check_frames, describe_source
from framecast.data.quantities import ZR, quantity_of
from framecast.data.readers.options import ReadOptions
from framecast.errors import ArgumentError, DataError
from framecast.forecasting.baselines import assumptions
from framecast.forecasting.distribution import LEAST_RUNGS, LEAST_SPAN, LOWEST_RUNG, is_ladder
from framecast.forecasting.protocol import Forecaster
from framecast.progress import Progress
from framecast.verification.evaluate import grid_of
from framecast.verification.forecast_files import ForecastFiles, Paths, collect
from framecast.verification.given_baselines import baseline_data, baselines_at
from framecast.verification.given_cases import choose_cases
from framecast.verification.given_forecasts import GivenForecast, GivenForecaster
from framecast.verification.given_truth import Target
from framecast.verification.perceptual_weights import PerceptualWeights
from framecast.verification.result import Verification
from framecast.verification.run import assemble, make_plan, score
from framecast.verification.scoring_rules import ScoringRules
from framecast.verification.settings import EvaluationSettings
from framecast.verification.windows import FramesLike

_MODEL_SETTINGS = ("members", "stride", "inputs")
"""Settings of forecasts that are yet to be made."""


@dataclass(frozen=True)
class ForecastJob:
    """Which forecasts are scored on which truth: `sources` by name, opened; `context` frames are the past from which baselines
    forecast; `runs` are the folders of the models that made them, as far as known; `regrid` puts forecasts on the grid of the
    truth."""

    sources: tuple[ForecastFiles, ...]
    truth: xr.DataArray
    settings: EvaluationSettings
    context: int
    runs: tuple[str | Path, ...] = ()
    regrid: bool = False

    @staticmethod
    def of(
        forecasts: Mapping[str, Paths] | Paths,
        truth: FramesLike,
        settings: EvaluationSettings,
        *,
        options: ReadOptions,
        context: int,
        runs: Sequence[str | Path],
        variable: str | None,
        units: str | None,
        regrid: bool,
    ) -> ForecastJob:
        """Open forecasts and truth. Raises `ArgumentError` for settings of other things, and `DataError`."""
        for name in _MODEL_SETTINGS:
            if getattr(settings, name):
                raise ArgumentError("the forecasts are made already", parameter=name, remedy="leave it out")
        by_name = forecasts if isinstance(forecasts, Mapping) else {"": forecasts}
        if not by_name:
            raise ArgumentError("no forecasts given", parameter="forecasts")
        sources = [collect(name, paths, variable=variable, units=units) for name, paths in by_name.items()]
        if not isinstance(forecasts, Mapping):
            sources = [replace(sources[0], name=own_name(sources[0]))]
        if shared := {source.name for source in sources} & set(settings.baselines):
            raise ArgumentError(
                f"{shared.pop()!r} names forecasts and a baseline",
                parameter="baselines",
                remedy="give the forecasts another name, NAME=PATH, or leave that baseline out",
            )
        frames = check_frames(truth) if isinstance(truth, xr.DataArray) else open_frames(truth, options)
        return ForecastJob(tuple(sources), _one_quantity(sources, frames), settings, context, tuple(runs), regrid)

    def target(self) -> Target:
        """The lead times and thresholds that all sources share. Raises `DataError` if they share no lead time."""
        leads = self.sources[0].leads
        for source in self.sources[1:]:
            leads = np.intersect1d(leads, source.leads)
        leads = leads[leads > np.timedelta64(0, "ns")][: self.settings.horizon]
        if not len(leads):
            raise DataError(
                f"{' and '.join(source.name for source in self.sources)} share no lead time above 0",
                where=self.sources[0].files[0],
                remedy="verify them one by one",
            )
        return Target(self.truth, leads, self._rates(), self.settings.zr or ZR(), self.regrid)

    def _rates(self) -> tuple[float, ...]:
        """The thresholds in mm/h: those of the settings, else those at which all sources with probabilities state them."""
        quantity = quantity_of(self.truth)
        if not quantity.precipitation:
            return ()
        if self.settings.rates is not None or self.settings.levels is not None:
            return ScoringRules.of(quantity, self.settings).rates
        stated = [rates for source in self.sources if (rates := _first(source).first.rates) is not None]
        if not stated:
            return quantity.thresholds
        shared = tuple(rate for rate in stated[0] if all(np.isclose(rate, other, rtol=1e-3).any() for other in stated))
        if not shared:
            raise DataError(
                "the sources state probabilities at no common rate",
                where=self.sources[0].files[0],
                remedy="verify them one by one",
            )
        return shared


def _first(source: ForecastFiles) -> GivenForecast:
    return next(iter(source.forecasts.values()))


def own_name(source: ForecastFiles) -> str:
    """The name of what made the forecasts, as their files state it, or that of a single file; else "forecast"."""
    parts = [each.first for each in source.forecasts.values()]
    names = {part.forecaster for part in parts}
    return (names.pop() if len(names) == 1 else "") or "forecast"


def _one_quantity(sources: Sequence[ForecastFiles], frames: xr.DataArray) -> xr.DataArray:
    """The truth in a quantity to which all forecasts can be converted: rain rate, where they differ. Raises `DataError` where one
    of them is not of rain."""
    own = quantity_of(frames)
    for source in sources:
        first = _first(source).first
        other = first.quantity
        if other.name != own.name and not (own.precipitation and other.precipitation):
            raise DataError(
                f"a forecast of {other.name} in {other.units}, but the truth is {own.name} in {own.units} "
                f"({describe_source(frames)})",
                where=first.where,
                remedy="give truth of what is forecast",
            )
    return frames if all(_first(each).first.quantity.name == own.name for each in sources) else as_rain_rate(frames)


def _probability_notes(source: ForecastFiles) -> list[str]:
    """What is not computed of probabilities, and from what their CRPS is."""
    first = _first(source).first
    members, _ = first.kind
    if first.rates is None or members > 1:
        return []
    rates = ", ".join(f"{rate:g}" for rate in first.rates)
    notes = [] if members else [f"{source.name}: probabilities alone; scores that need values are absent"]
    if is_ladder(first.rates):
        return [*notes, f"{source.name}: the CRPS is that of its probabilities at {rates} mm/h"]
    few = f"{LEAST_RUNGS} or more rates from {LOWEST_RUNG:g} mm/h or less to {LEAST_SPAN:g} times the lowest are needed"
    return [*notes, f"{source.name}: no CRPS from probabilities at {rates} mm/h: {few}"]


def run_forecast_job(job: ForecastJob, progress: Progress) -> Verification:
    """Score the forecasts of a job. Raises `DataError` if there is nothing to score, or what does not fit the truth."""
    target = job.target()
    cases = choose_cases(job.sources, target, job.context, runs=job.runs, with_baselines=bool(job.settings.baselines))
    source, settings = cases.source, job.settings
    if settings.levels is None:
        settings = replace(settings, rates=target.rates or None)
    # forecasters: those given, then baselines
    times = set(source.inits)
    forecasters: dict[str, Forecaster] = {}
    for each in job.sources:
        chosen = {time: given for time, given in each.forecasts.items() if time in times}
        forecasters[each.name] = GivenForecaster(each.name, chosen, target)
    notes = [*cases.notes, *(note for each in job.sources for note in _probability_notes(each))]
    if cases.steps is not None:
        data = baseline_data(target, source.clock.step)
        baselines = baselines_at(settings.baselines, data, cases.steps)
        forecasters |= baselines
        notes += assumptions(baselines, data)
    # scores
    weights = PerceptualWeights.of(settings)
    ensembles = any(_first(each).first.kind[0] > 1 for each in job.sources)
    plan = make_plan(source, settings, batch_size=1 if ensembles else 4, where=describe_source(job.truth))
    parts = [score(plan, forecasters, source, progress, weights.networks())]
    result = assemble(parts, plan, source, leads=target.leads)
    sums = result.sums
    sums.encoding["sources"] = source_files(job.truth) | {file for each in job.sources for file in each.files}
    repairs = [*job.truth.attrs.get("repairs", ()), *notes]
    sums.attrs |= weights.describe() | {"repairs": "\n".join(repairs), "warnings": "\n".join(cases.warnings)}
    return replace(result, grid=grid_of([job.truth]))
