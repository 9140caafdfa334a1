"""Scoring forecasters on the windows of a source: make a plan, score its parts, assemble the sums to a verification.

A plan states what to score. Its parts can be scored in any process. No file is written here, and no model or archive opened.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

import numpy as np
import xarray as xr

from framecast.data.orientation import Orientation
from framecast.data.windows.batches import window_actions
from framecast.data.windows.sources import ScaledSource, WindowSource
from framecast.errors import DataError
from framecast.forecasting.protocol import Context, Forecaster, check_length, forecast_cases
from framecast.progress import Progress, no_progress
from framecast.scores.fractions import SHARES
from framecast.scores.structure import WAVELENGTHS
from framecast.verification.case_sums import PerceptualNetworks, sum_cases
from framecast.verification.event_sums import reliability_leads
from framecast.verification.examples import Example
from framecast.verification.metric_selection import ENSEMBLE_EVENTS, LARGEST_CSI
from framecast.verification.result import Verification
from framecast.verification.scored_forecast import ScoredForecast, scored_forecast
from framecast.verification.scoring_rules import ScoringRules
from framecast.verification.settings import EvaluationSettings

MAX_PIXELS = 2**24
"""Limit on the pixels of the windows that are forecast at once."""


@dataclass(frozen=True)
class ScoringPlan:
    """What to score and how: everything about a verification except the forecasters and the windows, so that its parts can be
    scored in any process. `cases` are the numbers of the windows; those in `examples` are stored whole for figures."""

    cases: tuple[int, ...]
    examples: frozenset[int]
    rules: ScoringRules
    batch_size: int

    def parts(self, batches: int) -> list[ScoringPlan]:
        """Split the plan into parts of `batches` batches: the same batches as in the whole plan, so that results are the same."""
        size = batches * self.batch_size
        return [replace(self, cases=self.cases[k : k + size]) for k in range(0, len(self.cases), size)]


class PartialResult(NamedTuple):
    """The result of scoring some cases: their numbers in the order scored, the sums, the examples, the best and the worst case
    with their errors, and the seconds that each forecaster needed for all of them."""

    order: list[int]
    sums: xr.Dataset
    examples: list[Example]
    extremes: dict[str, tuple[float, Example]]
    seconds: dict[str, float]


def make_plan(
    source: WindowSource,
    settings: EvaluationSettings,
    *,
    batch_size: int = 4,
    examples: int = 4,
    where: str | None = None,
) -> ScoringPlan:
    """Select the windows of `source` and the rules from `settings`; `examples` is the number of cases stored for figures. Raises
    `DataError` if there is no window, `ArgumentError` for thresholds that the quantity does not have."""
    if len(source) == 0:
        raise DataError(
            "there is no window to evaluate", where=where, remedy="give more frames", parameter="data", example="PATH"
        )
    rules = ScoringRules.of(source.quantity, settings)
    indices = spread_evenly(len(source), settings.limit)
    example_cases = frozenset(indices[k] for k in spread_evenly(len(indices), examples)) if examples else frozenset()
    return ScoringPlan(tuple(indices), example_cases, rules, batch_size)


def score(
    plan: ScoringPlan,
    forecasters: Mapping[str, Forecaster],
    source: WindowSource,
    progress: Progress = no_progress,
    networks: PerceptualNetworks | None = None,
) -> PartialResult:
    """Forecast the cases of a plan and score them; LPIPS and the features of FVD only with `networks` for them."""
    networks = networks or PerceptualNetworks()
    for forecaster in forecasters.values():
        check_length(forecaster, source.shape.context)
    fallbacks: dict[str, list[np.ndarray]] = {}
    rows: list[xr.Dataset] = []
    examples: list[Example] = []
    order: list[int] = []
    extremes: dict[str, tuple[float, Example]] = {}
    seconds = dict.fromkeys(forecasters, 0.0)
    for indices in _batches(list(plan.cases), plan.batch_size, source):
        # read a batch of windows
        windows = np.stack([source.read(index) for index in indices])
        contexts, truth = windows[:, : source.shape.context], windows[:, source.shape.context :]
        inputs = None
        if source.shape.inputs:
            inputs = np.stack([source.inputs(index) for index in indices])[:, : source.shape.context]
        scales = tuple(map(source.scale, indices)) if isinstance(source, ScaledSource) else None
        times = tuple(map(source.init_time, indices))
        context = Context(contexts, window_actions(source, indices), inputs, scales, times)
        # forecast them with every forecaster
        forecasts: dict[str, ScoredForecast] = {}
        for name, forecaster in forecasters.items():
            start = time.perf_counter()
            forecast = forecast_cases(forecaster, context, source.shape.horizon)
            seconds[name] += time.perf_counter() - start
            forecasts[name] = scored_forecast(forecast, plan.rules, name)
            if forecast.fallback is not None:
                fallbacks.setdefault(name, []).append(forecast.fallback)
        # sum the scores, and store examples for figures
        rows.append(sum_cases(forecasts, truth, contexts, indices, plan.rules, networks))
        errors = relative_error(rows[-1])
        for k, index in enumerate(indices if plan.examples else ()):
            # copies: a view of one case would hold the whole batch in memory
            images = {name: each.values[k].copy() for name, each in forecasts.items() if not each.alone}
            orientation = Orientation()
            if scales is not None:
                orientation = Orientation(scales[k].row_order == "south_first", scales[k].column_order == "east_first")
            frames = contexts[k].copy(), truth[k].copy()
            example = Example(index, source.init_time(index), *frames, images, orientation=orientation)
            if index in plan.examples:
                examples.append(example)
            _update_extremes(extremes, {"best": (errors[k], example), "worst": (-errors[k], example)})
        order += indices
        progress(len(order), len(plan.cases))
    sums = xr.concat(rows, "case", data_vars="all", coords="minimal", compat="override")
    if fallbacks:
        counts = [
            np.concatenate(fallbacks[name]) if name in fallbacks else np.zeros(len(order)) for name in forecasters
        ]
        sums["fallback_cases"] = (("forecaster", "case"), np.stack(counts).astype(np.int8))
    return PartialResult(order, sums, examples, extremes, seconds)


def _update_extremes(extremes: dict[str, tuple[float, Example]], new: Mapping[str, tuple[float, Example]]) -> None:
    """Replace the best and the worst case by `new` ones that are better or worse; of equal ones the earlier stays."""
    for why, (error, example) in new.items():
        if error < (extremes[why][0] if why in extremes else np.inf):
            extremes[why] = (error, example._replace(why=why))


def assemble(
    parts: Sequence[PartialResult],
    plan: ScoringPlan,
    source: WindowSource,
    step: np.timedelta64 | None = None,
    *,
    leads: np.ndarray | None = None,
) -> Verification:
    """Assemble the results of the parts of a plan, in its order. `step` is the time between frames; the lead times `leads (S,)`
    are by default 1, 2, ... steps."""
    rows = [part.sums for part in parts]
    if any("fallback_cases" in each for each in rows):  # only parts with a fallback have it
        rows = [
            each
            if "fallback_cases" in each
            else each.assign(
                fallback_cases=xr.zeros_like(each["height"], np.int8).expand_dims(forecaster=each.forecaster)
            )
            for each in rows
        ]
    sums = xr.concat(rows, "case", data_vars="all", coords="minimal", compat="override")
    order = [case for part in parts for case in part.order]
    extremes: dict[str, tuple[float, Example]] = {}
    for part in parts:
        _update_extremes(extremes, part.extremes)
    # coordinates of the sums
    if leads is None:
        leads = np.arange(1, source.shape.horizon + 1) * (1 if step is None else step)
    blocks = {block: number for number, block in enumerate(dict.fromkeys(source.block(index) for index in order))}
    rules = plan.rules
    sums = sums.assign_coords(
        case=order,
        init_time=("case", [source.init_time(index) for index in order]),
        block=("case", [blocks[source.block(index)] for index in order]),
        lead_time=leads,
        wavelength=list(WAVELENGTHS[:-1]),
    )
    for name, values in (("threshold", rules.thresholds), ("scale", rules.scales), ("percentile", SHARES)):
        if name in sums.dims:
            sums = sums.assign_coords({name: list(values)})
    if rules.levels:
        sums = sums.assign_coords(level=("threshold", list(rules.levels)))
    if "reliability_lead_time" in sums.dims:
        stored = reliability_leads(source.shape.horizon)
        sums = sums.assign_coords(reliability_lead_time=sums["lead_time"].values[stored])
    # attributes, examples and times
    sums.attrs = {
        "convention": rules.convention_name,
        "quantity": rules.quantity.name,
        "units": rules.quantity.units,
        ENSEMBLE_EVENTS: LARGEST_CSI,
    }
    if rules.level_units is not None:
        sums.attrs |= {"level_units": rules.level_units.label, "level_source": rules.level_units.source}
    examples = [example for part in parts for example in part.examples] + [example for _, example in extremes.values()]
    seconds = {name: sum(part.seconds[name] for part in parts) / len(order) for name in parts[0].seconds}
    return Verification(
        sums, rules.convention, rules.quantity, rules.rates, rules.thresholds, examples, seconds=seconds
    )


def relative_error(row: xr.Dataset) -> np.ndarray:
    """The squared error of the first forecaster in each case `(N,)`, relative to that of the last one, as a measure of how good
    the case is; NaN where no pixel was scored."""
    total, weight = (row[name].values.sum(2) for name in ("mse", "mse_weight"))
    error = np.divide(total, weight, out=np.full(total.shape, np.nan), where=weight > 0)
    return np.asarray(error[0] / np.maximum(error[-1], 1e-12) if len(error) > 1 else error[0])


def spread_evenly(count: int, limit: int | None) -> list[int]:
    """`limit` of the numbers below `count`, evenly spread, or all of them."""
    if limit is None or limit >= count:
        return list(range(count))
    return [int(index) for index in np.unique(np.linspace(0, count - 1, limit).round())]


def _batches(indices: list[int], size: int, source: WindowSource) -> Iterator[list[int]]:
    """Batches of window numbers with one frame size each, smaller batches for large frames."""
    waiting, frames = iter(indices), source.shape.context + source.shape.horizon
    while group := list(islice(waiting, size)):
        for shape in dict.fromkeys(source.size_of(index) for index in group):
            alike = [index for index in group if source.size_of(index) == shape]
            most = max(1, MAX_PIXELS // (frames * math.prod(shape)))
            yield from (alike[k : k + most] for k in range(0, len(alike), most))
