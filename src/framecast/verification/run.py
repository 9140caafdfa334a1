"""Scoring: every window of a source forecast by every forecaster, and what is kept of it.

A plan says what to score; it can be cut into parts that are scored anywhere and put together again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from framecast.checks import positive, several
from framecast.data.quantities import ZR, event_thresholds
from framecast.data.windows.batches import window_actions
from framecast.data.windows.sources import Source
from framecast.errors import ArgumentError, DataError
from framecast.forecasting.labels import Forecaster
from framecast.progress import unreported
from framecast.scores import named
from framecast.scores.fractions import SCALES, SHARES
from framecast.scores.structure import WAVELENGTHS
from framecast.verification.case_sums import Networks, Rules, tally
from framecast.verification.result import Example, Verification

MOST = 2**24
"""Pixels of windows that are forecast at once."""

Report = Callable[[int, int], None]
"""Called with the number of cases done and of all cases."""


@dataclass(frozen=True)
class Plan:
    """What to score and how: everything about a verification but the forecasters and the windows, so that its parts can be
    scored anywhere and put together. `cases` are the numbers of the windows, `shown` those that are kept to look at."""

    cases: tuple[int, ...]
    shown: frozenset[int]
    rules: Rules
    batch_size: int

    def parts(self, batches: int) -> list[Plan]:
        """The plan cut up, `batches` batches a part: the same batches as in the whole, so that results are the same too."""
        size = batches * self.batch_size
        return [replace(self, cases=self.cases[k : k + size]) for k in range(0, len(self.cases), size)]


class Part(NamedTuple):
    """What scoring some cases gives: their numbers in the order scored, the sums, cases to look at, of the best and the worst how
    good they are, and how long each forecaster took for all of them."""

    order: list[int]
    sums: xr.Dataset
    kept: list[Example]
    extremes: dict[str, tuple[float, Example]]
    seconds: dict[str, float]


def plan(
    source: Source,
    *,
    rates: tuple[float, ...] | None = None,
    zr: ZR | None = None,
    convention: str = "default",
    limit: int | None = None,
    batch_size: int = 4,
    examples: int = 4,
    scales: tuple[int, ...] = SCALES,
    where: str | None = None,
) -> Plan:
    """What `verify` does, as a plan. Raises `DataError` where there is no window, `ConfigError` for an unknown convention and for
    thresholds that are none, or given for what is no rain."""
    for rate in () if rates is None else several(rates, "rates"):
        if not positive(rate):
            raise ArgumentError(f"{rate!r} given, expected a rain rate in mm/h, above 0", parameter="rates")
    if not isinstance(zr, ZR | None):
        raise ArgumentError(f"{zr!r} given, expected framecast.data.quantities.ZR(a=223, b=1.53)", parameter="zr")
    if len(source) == 0:
        raise DataError(
            "there is no window to evaluate", where=where, remedy="give more frames", parameter="data", example="PATH"
        )
    quantity = source.quantity
    if rates and not quantity.precipitation:
        raise ArgumentError(
            f"rain rates given, and the frames are {quantity.name}", parameter="rates", remedy="leave them out"
        )
    rates = (quantity.thresholds if rates is None else rates) if quantity.precipitation else ()
    chosen = _spread(len(source), limit)
    shown = frozenset(chosen[k] for k in _spread(len(chosen), examples)) if examples else frozenset()
    zr = zr or ZR()
    rules = Rules(
        quantity, tuple(rates), tuple(event_thresholds(quantity, rates, zr)), zr, named(convention).name, tuple(scales)
    )
    return Plan(tuple(chosen), shown, rules, batch_size)


def verify(
    forecasters: Mapping[str, Forecaster],
    source: Source,
    *,
    rates: tuple[float, ...] | None = None,
    zr: ZR | None = None,
    convention: str = "default",
    step: np.timedelta64 | None = None,
    limit: int | None = None,
    batch_size: int = 4,
    examples: int = 4,
    scales: tuple[int, ...] = SCALES,
    report: Report | None = None,
) -> Verification:
    """Forecast every window of `source` (or `limit` of them, evenly spread) with every forecaster, and score them.

    `rates` are thresholds in mm/h (default: those of the quantity), led to reflectivity by `zr`. `step` is the time
    between frames; `scales` are the sides of neighbourhoods in pixels. Raises `DataError` where there is no window.
    """
    todo = plan(
        source,
        rates=rates,
        zr=zr,
        convention=convention,
        limit=limit,
        batch_size=batch_size,
        examples=examples,
        scales=scales,
    )
    return assemble([score(todo, forecasters, source, report or unreported)], todo, source, step)


def score(
    todo: Plan,
    forecasters: Mapping[str, Forecaster],
    source: Source,
    report: Report = lambda done, of: None,
    networks: Networks | None = None,
) -> Part:
    """Forecast the cases of a plan and score them, with LPIPS and features for FVD where there are `networks` for them."""
    networks = networks or Networks()
    rows: list[xr.Dataset] = []
    kept: list[Example] = []
    order: list[int] = []
    extremes: dict[str, tuple[float, Example]] = {}
    seconds = dict.fromkeys(forecasters, 0.0)
    for indices in _batches(list(todo.cases), todo.batch_size, source):
        windows = np.stack([source.read(index) for index in indices])
        contexts, truth = windows[:, : source.shape.context], windows[:, source.shape.context :]
        horizon, actions = source.shape.horizon, window_actions(source, indices)
        inputs = None
        if source.shape.inputs:
            inputs = np.stack([source.inputs(index) for index in indices])[:, : source.shape.context]
        members: dict[str, np.ndarray] = {}
        forecasts: dict[str, np.ndarray] = {}
        for name, forecaster in forecasters.items():
            begun = time.perf_counter()
            if hasattr(forecaster, "forecast_members"):
                members[name] = _members(forecaster, contexts, horizon)
                forecasts[name] = members[name].mean(0)
            else:
                forecasts[name] = _forecast(forecaster, contexts, horizon, actions, inputs)
            seconds[name] += time.perf_counter() - begun
        rows.append(tally(forecasts, members, truth, contexts, indices, todo.rules, networks))
        errors = _relative_error(rows[-1])
        for k, index in enumerate(indices):
            pictures = {name: forecast[k] for name, forecast in forecasts.items()}
            example = Example(index, source.init_time(index), contexts[k], truth[k], pictures)
            if index in todo.shown:
                kept.append(example)
            if todo.shown:
                _keep_extreme(extremes, {"best": (errors[k], example), "worst": (-errors[k], example)})
        order += indices
        report(len(order), len(todo.cases))
    sums = xr.concat(rows, "case", data_vars="all", coords="minimal", compat="override")
    return Part(order, sums, kept, extremes, seconds)


def _keep_extreme(known: dict[str, tuple[float, Example]], new: Mapping[str, tuple[float, Example]]) -> None:
    """Keep the more extreme of two cases, the earlier one of equals."""
    for why, (error, example) in new.items():
        if error < (known[why][0] if why in known else np.inf):
            known[why] = (error, example._replace(why=why))


def assemble(parts: Sequence[Part], todo: Plan, source: Source, step: np.timedelta64 | None = None) -> Verification:
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


def _batches(chosen: list[int], size: int, source: Source) -> Iterator[list[int]]:
    """Numbers of windows in groups of one frame size, smaller ones where frames are large."""
    waiting, frames = iter(chosen), source.shape.context + source.shape.horizon
    while group := list(islice(waiting, size)):
        for shape in dict.fromkeys(source.size_of(index) for index in group):
            alike = [index for index in group if source.size_of(index) == shape]
            most = max(1, MOST // (frames * math.prod(shape)))
            yield from (alike[k : k + most] for k in range(0, len(alike), most))


def _forecast(
    forecaster: Forecaster,
    contexts: np.ndarray,
    horizon: int,
    actions: np.ndarray | None,
    inputs: np.ndarray | None,
) -> np.ndarray:
    """`contexts (B, T, C, H, W)` -> `(B, horizon, C, H, W)`, at once where the forecaster can, which is then told of
    `actions (B, T + horizon, A)` and `inputs (B, T, E, H, W)` where it takes such. One that needs a shorter context
    gets its end."""
    together: Any = getattr(forecaster, "forecast_arrays", None)
    needed: int = getattr(forecaster, "context", None) or contexts.shape[1]
    unused = contexts.shape[1] - needed
    contexts = contexts[:, unused:]
    if together is None:
        return np.stack([forecaster.forecast_array(context, horizon) for context in contexts])
    more = {} if actions is None else {"actions": actions[:, unused:]}
    if inputs is not None and getattr(forecaster, "inputs", False):
        more["inputs"] = inputs[:, unused:]
    return np.asarray(together(contexts, horizon, **more))


def _members(forecaster: Any, contexts: np.ndarray, horizon: int) -> np.ndarray:
    """`contexts (B, T, C, H, W)` -> the members of an ensemble `(M, B, horizon, C, H, W)`."""
    return np.stack([forecaster.forecast_members(context, horizon) for context in contexts], axis=1)
