"""Scores forecasts that were made before on the truth of an archive, beside baselines from the archive's own past.

All sources are scored on the cases and lead times that they share, by the loop of every verification, here or on a cluster, and
continued where it was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from framecast.checks import as_tuple
from framecast.data.archives.opening import open as open_frames
from framecast.data.archives.outputs import source_files
from framecast.data.conversion import as_rain_rate
from framecast.data.coverage import coverage, describe_impossible
from framecast.data.frames import check_frames, describe_source
from framecast.data.quantities import ZR, Quantity, quantity_of
from framecast.data.readers.options import ReadOptions
from framecast.errors import ArgumentError, DataError
from framecast.forecasting.baselines import assumptions
from framecast.forecasting.distribution import LEAST_RUNGS, LEAST_SPAN, LOWEST_RUNG, is_ladder
from framecast.forecasting.protocol import Forecaster
from framecast.progress import Progress
from framecast.verification.case_sums import PerceptualNetworks
from framecast.verification.dask_cluster import map_on_cluster
from framecast.verification.evaluate import BATCHES, CASES, grid_of
from framecast.verification.forecast_files import ForecastFiles, Paths, collect
from framecast.verification.given_baselines import baseline_data, baselines_at
from framecast.verification.given_cases import Cases, choose_cases
from framecast.verification.given_forecasts import GivenForecaster
from framecast.verification.given_parts import GivenForecast, shared_rates
from framecast.verification.given_truth import Target
from framecast.verification.perceptual_weights import PerceptualWeights
from framecast.verification.result import Verification
from framecast.verification.resuming import dependencies, score_parts
from framecast.verification.run import PartialResult, ScoringPlan, assemble, make_plan, score
from framecast.verification.scoring_rules import ScoringRules
from framecast.verification.settings import EvaluationSettings
from framecast.verification.stored_parts import EVALUATION, FOLDER, StoredParts
from framecast.verification.windows import FramesLike

_MODEL_SETTINGS = ("members", "stride", "inputs")
"""Settings of forecasts that are yet to be made."""


class OpenedForecasts(NamedTuple):
    """The open files of a job: the forecasts `sources` by name, the frames of the `truth`, the `target` and the `cases` that are
    scored by the `plan`; the `forecasters`, those given and then baselines; the networks of scores that need some; and `notes` on
    what was left out."""

    sources: tuple[ForecastFiles, ...]
    truth: xr.DataArray
    target: Target
    cases: Cases
    plan: ScoringPlan
    forecasters: dict[str, Forecaster]
    networks: PerceptualNetworks
    notes: list[str]

    @property
    def files(self) -> list[str]:
        """The files of the forecasts."""
        return [file for each in self.sources for file in each.files]


@dataclass(frozen=True, kw_only=True)
class ForecastJob:
    """Which forecasts are scored on which truth: the paths of the `forecasts` by name ("" for the name that their files state);
    `context` frames are the past from which baselines forecast; `runs` are the folders of the models that made them, as far as
    known; `variable` and `units` are those of `framecast.open_forecast`; `regrid` puts forecasts on the grid of the truth."""

    forecasts: tuple[tuple[str, Paths], ...]
    truth: FramesLike
    settings: EvaluationSettings
    options: ReadOptions
    context: int
    runs: tuple[str | Path, ...]
    variable: str | None
    units: str | None
    regrid: bool

    @staticmethod
    def of(forecasts: Mapping[str, Paths] | Paths, truth: FramesLike, runs: Any = (), **others: Any) -> ForecastJob:
        """The job of `forecasts` and `truth`, with the `others` of its fields. Raises `ArgumentError` for settings of forecasts
        that are yet to be made."""
        by_name = forecasts if isinstance(forecasts, Mapping) else {"": forecasts}
        if not by_name:
            raise ArgumentError("no forecasts given", parameter="forecasts")
        job = ForecastJob(
            forecasts=tuple((name, _fixed(paths)) for name, paths in by_name.items()),
            truth=truth if isinstance(truth, xr.DataArray) else _fixed(truth),
            runs=as_tuple(runs, "runs"),
            **others,
        )
        for name in _MODEL_SETTINGS:
            if getattr(job.settings, name):
                raise ArgumentError("the forecasts are made already", parameter=name, remedy="leave it out")
        return job

    def open(self) -> OpenedForecasts:
        """Open forecasts and truth. Raises `ArgumentError` for names that are taken twice, and `DataError` if there is nothing to
        score, or what does not fit the truth."""
        # forecasts and truth
        sources = [collect(name, paths, variable=self.variable, units=self.units) for name, paths in self.forecasts]
        sources = [each if each.name else replace(each, name=own_name(each)) for each in sources]
        if shared := {source.name for source in sources} & set(self.settings.baselines):
            raise ArgumentError(
                f"{shared.pop()!r} names forecasts and a baseline",
                parameter="baselines",
                remedy="give the forecasts another name, NAME=PATH, or leave that baseline out",
            )
        frames = self.truth
        frames = check_frames(frames) if isinstance(frames, xr.DataArray) else open_frames(frames, self.options)
        truth = _one_quantity(sources, frames)
        # the cases that all share, and how they are scored
        zr, with_baselines = self.settings.zr or ZR(), bool(self.settings.baselines)
        rates = _rates_of(sources, quantity_of(truth), self.settings)
        target = Target(truth, _leads_of(sources, self.settings.horizon), rates, zr, self.regrid)
        cases = choose_cases(sources, target, self.context, runs=self.runs, with_baselines=with_baselines)
        settings = self.settings
        if settings.levels is None:
            settings = replace(settings, rates=target.rates or None)
        ensembles = any(_first(each).first.kind[0] > 1 for each in sources)
        plan = make_plan(cases.source, settings, batch_size=1 if ensembles else 4, where=describe_source(truth))
        # forecasters: those given, then baselines
        times = set(cases.source.inits)
        forecasters: dict[str, Forecaster] = {}
        notes = [*cases.notes]
        if self.settings.horizon is not None and self.settings.horizon > len(target.leads):
            notes.append(
                f"a horizon of {self.settings.horizon} frames is asked for, but the forecasts have {len(target.leads)} lead "
                f"time{'s' * (len(target.leads) != 1)}{' in common' * (len(sources) > 1)}: these are scored"
            )
        for each in sources:
            chosen = {time: forecast for time, forecast in each.forecasts.items() if time in times}
            forecasters[each.name] = given = GivenForecaster(each.name, chosen, target)
            notes += _probability_notes(given)
        if cases.steps is not None:
            data = baseline_data(target, cases.source.clock.step)
            baselines = baselines_at(settings.baselines, data, cases.steps)
            forecasters |= baselines
            notes += assumptions(baselines, data)
        networks = PerceptualWeights.of(settings).networks()
        return OpenedForecasts(tuple(sources), truth, target, cases, plan, forecasters, networks, notes)


def run_forecast_job(
    job: ForecastJob,
    opened: OpenedForecasts,
    progress: Progress,
    *,
    out: Path | None = None,
    cluster: str | None = None,
) -> Verification:
    """Score the forecasts of a job, on a `cluster` if one is named. With a folder `out` the sums are written there, and the same
    call continues what was interrupted. Raises `ArgumentError` and `RunError` as `map_on_cluster`."""
    plan, source, batches = opened.plan, opened.cases.source, 1 if cluster is None else BATCHES
    store = None
    if out is not None:
        store = StoredParts(out / FOLDER, _dependencies(job, opened, batches), EVALUATION)

    def score_these(pieces: Sequence[ScoringPlan], finished: Callable[[PartialResult], None]) -> None:
        if cluster is None:
            for piece in pieces:
                finished(_score(opened, piece))
        elif pieces:
            map_on_cluster(partial(_score_part, job), pieces, cluster, finished)

    parts = score_parts(plan, batches, score_these, progress, store)
    result = assemble(parts, plan, source, leads=opened.target.leads)
    if not result.sums["pixels"].any():
        names = " and ".join(each.name for each in opened.sources)
        raise DataError(
            f"no pixel is scored: nowhere is a value in {names} and in the truth at one pixel and time",
            where=opened.files[0],
            remedy="look at the times and pixels without data (NaN) in both"
            + ", and at where their grids lie" * job.regrid,
        )
    result.sums.encoding["sources"] = source_files(opened.truth) | set(opened.files)
    used = np.unique(source.places[source.places >= 0])
    impossible = describe_impossible(coverage(opened.truth.isel(time=used)), opened.target.quantity)
    repairs = [*opened.truth.attrs.get("repairs", ()), *impossible, *opened.notes]
    result.sums.attrs |= PerceptualWeights.of(job.settings).describe() | {
        "repairs": "\n".join(repairs),
        "warnings": "\n".join(opened.cases.warnings),
    }
    result = replace(result, grid=grid_of([opened.truth]))
    if out is not None:
        result.save(out / CASES)
    if store is not None:
        store.remove()
    return result


_open_job = lru_cache(maxsize=1)(ForecastJob.open)
"""Cached: a worker process that scores several parts of one job opens it once."""


def _score_part(job: ForecastJob, plan: ScoringPlan) -> PartialResult:
    return _score(_open_job(job), plan)


def _score(opened: OpenedForecasts, plan: ScoringPlan) -> PartialResult:
    return score(plan, opened.forecasters, opened.cases.source, networks=opened.networks)


def _dependencies(job: ForecastJob, opened: OpenedForecasts, batches: int) -> dict[str, str]:
    """What the bits of the result of a job depend on."""
    plan, others = opened.plan, [*opened.files, *job.settings.weight_files]
    names, leads = [each.name for each in opened.sources], opened.target.leads.tolist()
    settings = (job.settings, plan.rules, plan.batch_size, batches, job.variable, job.units, job.regrid, names, leads)
    in_memory = isinstance(job.truth, xr.DataArray)
    return dependencies({"settings": settings}, plan, opened.cases.source, [opened.truth], others, in_memory=in_memory)


def _fixed(paths: Paths) -> Paths:
    """Paths that do not change, and can be a key."""
    return paths if isinstance(paths, str | Path) else tuple(paths)


def _leads_of(sources: Sequence[ForecastFiles], horizon: int | None) -> np.ndarray:
    """The first `horizon` lead times that all sources share. Raises `DataError` if they share none."""
    leads = sources[0].leads
    for source in sources[1:]:
        leads = np.intersect1d(leads, source.leads)
    leads = leads[leads > np.timedelta64(0, "ns")][:horizon]
    if not len(leads):
        alone = len(sources) == 1
        raise DataError(
            f"{' and '.join(source.name for source in sources)} {'has' if alone else 'share'} no lead time above 0",
            where=sources[0].files[0],
            remedy="give forecasts of later times" if alone else "verify them one by one",
        )
    return leads


def _rates_of(sources: Sequence[ForecastFiles], quantity: Quantity, settings: EvaluationSettings) -> tuple[float, ...]:
    """The thresholds in mm/h: those of the settings, else those at which all sources with probabilities state them."""
    if not quantity.precipitation:
        return ()
    if settings.rates is not None or settings.levels is not None:
        return ScoringRules.of(quantity, settings).rates
    stated = [rates for source in sources if (rates := source.rates) is not None]
    if not stated:
        return quantity.thresholds
    shared = shared_rates(stated)
    if not shared:
        raise DataError(
            "the sources state probabilities at no common rate above 0",
            where=sources[0].files[0],
            remedy="verify them one by one",
        )
    return shared


def _first(source: ForecastFiles) -> GivenForecast:
    return next(iter(source.forecasts.values()))


def own_name(source: ForecastFiles) -> str:
    """The name of what made the forecasts, as their files state it, or that of a single file; else "forecast"."""
    parts = [each.first for each in source.forecasts.values()]
    names = {part.forecaster for part in parts}
    if len(source.files) > 1:  # the name of one of them is not that of all
        names -= {Path(file).stem for file in source.files}
    return (names.pop() if len(names) == 1 else "") or "forecast"


def _one_quantity(sources: Sequence[ForecastFiles], frames: xr.DataArray) -> xr.DataArray:
    """The truth in a quantity to which all forecasts can be converted: rain rate, where they differ. Raises `DataError` where one
    of them is not of rain."""
    own = quantity_of(frames)
    parts = [part for source in sources for each in source.forecasts.values() for part in each.parts]
    for part in parts:
        other = part.quantity
        if other.name != own.name and not (own.precipitation and other.precipitation):
            raise DataError(
                f"a forecast of {other.heading}, but the truth is {own.heading} ({describe_source(frames)})",
                where=part.where,
                remedy="give truth of what is forecast",
            )
    return frames if all(part.quantity.name == own.name for part in parts) else as_rain_rate(frames)


def _probability_notes(given: GivenForecaster) -> list[str]:
    """What is not computed of probabilities, and from what their CRPS is."""
    if given.rates is None or given.members > 1:
        return []
    rates = ", ".join(f"{rate:g}" for rate in given.rates)
    notes = [] if given.members else [f"{given.name}: probabilities alone; scores that need values are absent"]
    if is_ladder(given.rates):
        return [*notes, f"{given.name}: the CRPS is that of its probabilities at {rates} mm/h"]
    few = f"{LEAST_RUNGS} or more rates from {LOWEST_RUNG:g} mm/h or less to {LEAST_SPAN:g} times the lowest are needed"
    return [*notes, f"{given.name}: no CRPS from probabilities at {rates} mm/h: {few}"]
