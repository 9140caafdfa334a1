"""Scoring: every window of a source forecast by every forecaster, and the sums that are kept of it.

A plan says what to score; it can be cut into parts that are scored anywhere and put together again.
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

from framecast.data.quantities import ZR, event_thresholds
from framecast.data.windows.batches import window_actions
from framecast.data.windows.sources import WindowSource
from framecast.errors import ArgumentError, DataError
from framecast.forecasting.protocol import Context, Forecaster, check_length, forecast_cases
from framecast.progress import Progress, no_progress
from framecast.scores.fractions import SCALES, SHARES
from framecast.scores.structure import WAVELENGTHS
from framecast.verification.case_sums import Networks, Rules, tally
from framecast.verification.result import Example, Verification
from framecast.verification.settings import EvaluationSettings

MOST = 2**24
"""Pixels of windows that are forecast at once."""


@dataclass(frozen=True)
class ScoringPlan:
    """What to score and how: everything about a verification but the forecasters and the windows, so that its parts can be
    scored anywhere and put together. `cases` are the numbers of the windows, `shown` those that are kept to look at."""

    cases: tuple[int, ...]
    shown: frozenset[int]
    rules: Rules
    batch_size: int

    def parts(self, batches: int) -> list[ScoringPlan]:
        """The plan cut up, `batches` batches a part: the same batches as in the whole, so that results are the same too."""
        size = batches * self.batch_size
        return [replace(self, cases=self.cases[k : k + size]) for k in range(0, len(self.cases), size)]


class PartialResult(NamedTuple):
    """What scoring some cases gives: their numbers in the order scored, the sums, cases to look at, of the best and the worst how
    good they are, and how long each forecaster took for all of them."""

    order: list[int]
    sums: xr.Dataset
    kept: list[Example]
    extremes: dict[str, tuple[float, Example]]
    seconds: dict[str, float]


def plan(
    source: WindowSource,
    settings: EvaluationSettings,
    *,
    batch_size: int = 4,
    examples: int = 4,
    where: str | None = None,
) -> ScoringPlan:
    """Which windows of `source` are scored and how, as `settings` state; `examples` cases are kept to look at. Raises `DataError`
    if there is no window, and `ArgumentError` for thresholds of what is no rain."""
    if len(source) == 0:
        raise DataError(
            "there is no window to evaluate", where=where, remedy="give more frames", parameter="data", example="PATH"
        )
    quantity, rates, zr = source.quantity, settings.rates, settings.zr or ZR()
    if rates and not quantity.precipitation:
        raise ArgumentError(
            f"rain rates given, and the frames are {quantity.name}", parameter="rates", remedy="leave them out"
        )
    rates = (quantity.thresholds if rates is None else rates) if quantity.precipitation else ()
    thresholds = tuple(event_thresholds(quantity, rates, zr))
    scales = SCALES if settings.scales is None else settings.scales
    rules = Rules(quantity, tuple(rates), thresholds, zr, settings.convention, scales)
    chosen = _spread(len(source), settings.limit)
    shown = frozenset(chosen[k] for k in _spread(len(chosen), examples)) if examples else frozenset()
    return ScoringPlan(tuple(chosen), shown, rules, batch_size)


def score(
    todo: ScoringPlan,
    forecasters: Mapping[str, Forecaster],
    source: WindowSource,
    progress: Progress = no_progress,
    networks: Networks | None = None,
) -> PartialResult:
    """Forecast the cases of a plan and score them, with LPIPS and features for FVD where there are `networks` for them."""
    networks = networks or Networks()
    for forecaster in forecasters.values():
        check_length(forecaster, source.shape.context)
    fallbacks: dict[str, list[np.ndarray]] = {}
    rows: list[xr.Dataset] = []
    kept: list[Example] = []
    order: list[int] = []
    extremes: dict[str, tuple[float, Example]] = {}
    seconds = dict.fromkeys(forecasters, 0.0)
    for indices in _batches(list(todo.cases), todo.batch_size, source):
        windows = np.stack([source.read(index) for index in indices])
        contexts, truth = windows[:, : source.shape.context], windows[:, source.shape.context :]
        inputs = None
        if source.shape.inputs:
            inputs = np.stack([source.inputs(index) for index in indices])[:, : source.shape.context]
        context = Context(contexts, window_actions(source, indices), inputs)
        members: dict[str, np.ndarray] = {}
        forecasts: dict[str, np.ndarray] = {}
        for name, forecaster in forecasters.items():
            begun = time.perf_counter()
            values, fallback = forecast_cases(forecaster, context, source.shape.horizon)
            seconds[name] += time.perf_counter() - begun
            # the deterministic scores of an ensemble are those of its mean
            forecasts[name] = values[0] if len(values) == 1 else values.mean(0)
            if len(values) > 1:
                members[name] = values
            if fallback is not None:
                fallbacks.setdefault(name, []).append(fallback)
        rows.append(tally(forecasts, members, truth, contexts, indices, todo.rules, networks))
        errors = _relative_error(rows[-1])
        for k, index in enumerate(indices):
            images = {name: forecast[k] for name, forecast in forecasts.items()}
            example = Example(index, source.init_time(index), contexts[k], truth[k], images)
            if index in todo.shown:
                kept.append(example)
            if todo.shown:
                _keep_extreme(extremes, {"best": (errors[k], example), "worst": (-errors[k], example)})
        order += indices
        progress(len(order), len(todo.cases))
    sums = xr.concat(rows, "case", data_vars="all", coords="minimal", compat="override")
    if fallbacks:
        counts = [
            np.concatenate(fallbacks[name]) if name in fallbacks else np.zeros(len(order)) for name in forecasters
        ]
        sums["fallback_cases"] = (("forecaster", "case"), np.stack(counts).astype(np.int8))
    return PartialResult(order, sums, kept, extremes, seconds)


def _keep_extreme(extremes: dict[str, tuple[float, Example]], new: Mapping[str, tuple[float, Example]]) -> None:
    """Keep the more extreme of two cases, the earlier one of equals."""
    for why, (error, example) in new.items():
        if error < (extremes[why][0] if why in extremes else np.inf):
            extremes[why] = (error, example._replace(why=why))


def assemble(
    parts: Sequence[PartialResult], todo: ScoringPlan, source: WindowSource, step: np.timedelta64 | None = None
) -> Verification:
    """The parts of a plan, in its order, as a whole. `step` is the time between frames."""
    sums = xr.concat([part.sums for part in parts], "case", data_vars="all", coords="minimal", compat="override")
    order = [case for part in parts for case in part.order]
    extremes: dict[str, tuple[float, Example]] = {}
    for part in parts:
        _keep_extreme(extremes, part.extremes)
    leads = np.arange(1, source.shape.horizon + 1)
    blocks = {block: number for number, block in enumerate(dict.fromkeys(source.block(index) for index in order))}
    rules = todo.rules
    sums = sums.assign_coords(
        case=order,
        init_time=("case", [source.init_time(index) for index in order]),
        block=("case", [blocks[source.block(index)] for index in order]),
        lead_time=leads if step is None else leads * step,
        wavelength=list(WAVELENGTHS[:-1]),
    )
    for name, values in (("threshold", rules.thresholds), ("scale", rules.scales), ("percentile", SHARES)):
        if name in sums.dims:
            sums = sums.assign_coords({name: list(values)})
    sums.attrs = {
        "convention": rules.convention_name,
        "quantity": rules.quantity.name,
        "units": rules.quantity.units,
    }
    kept = [example for part in parts for example in part.kept] + [example for _, example in extremes.values()]
    seconds = {name: sum(part.seconds[name] for part in parts) / len(order) for name in parts[0].seconds}
    return Verification(sums, rules.convention, rules.quantity, rules.rates, rules.thresholds, kept, seconds=seconds)


def _relative_error(row: xr.Dataset) -> np.ndarray:
    """The squared error of the first forecaster in each case `(N,)`, relative to that of the last, by which cases are told to
    be easy or hard; NaN where nothing was scored."""
    total, weight = (row[name].values.sum(2) for name in ("mse", "mse_weight"))
    error = np.divide(total, weight, out=np.full(total.shape, np.nan), where=weight > 0)
    return np.asarray(error[0] / np.maximum(error[-1], 1e-12) if len(error) > 1 else error[0])


def _spread(count: int, limit: int | None) -> list[int]:
    """`limit` of `count` numbers, evenly spread; all where that is fewer."""
    if limit is None or limit >= count:
        return list(range(count))
    return [int(index) for index in np.unique(np.linspace(0, count - 1, limit).round())]


def _batches(chosen: list[int], size: int, source: WindowSource) -> Iterator[list[int]]:
    """Numbers of windows in groups of one frame size, smaller ones where frames are large."""
    waiting, frames = iter(chosen), source.shape.context + source.shape.horizon
    while group := list(islice(waiting, size)):
        for shape in dict.fromkeys(source.size_of(index) for index in group):
            alike = [index for index in group if source.size_of(index) == shape]
            most = max(1, MOST // (frames * math.prod(shape)))
            yield from (alike[k : k + most] for k in range(0, len(alike), most))
