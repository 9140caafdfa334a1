"""Scoring: every window of a source forecast by every forecaster, and the sums that are kept of it.

A plan says what to score; it can be cut into parts that are scored anywhere and put together again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from framecast.checks import positive, several
from framecast.data.archives.opening import open as open_frames
from framecast.data.datasets import IN_MEMORY, ArchiveData
from framecast.data.frames import action_names
from framecast.data.quantities import ZR, event_thresholds
from framecast.data.readers.options import AS_IT_IS, Options
from framecast.data.scaling import default_scaling
from framecast.data.windows.batches import window_actions
from framecast.data.windows.sources import Source, Sources
from framecast.data.windows.splits import ByBlocks
from framecast.errors import ConfigError, DataError
from framecast.forecasting.baselines import BaselineData, build
from framecast.forecasting.baselines import check as check_baselines
from framecast.forecasting.labels import RECENT
from framecast.forecasting.protocol import Context, Forecaster, check_length, forecast_cases
from framecast.scores import named
from framecast.scores.fractions import SCALES, SHARES
from framecast.scores.structure import WAVELENGTHS
from framecast.verification.case_sums import Networks, Rules, tally
from framecast.verification.result import Example, Verification

MOST = 2**24
"""Pixels of windows that are forecast at once."""

Report = Callable[[int, int], None]
"""Called with the number of cases done and of all cases."""
FramesLike = str | Path | Sequence[str | Path] | xr.DataArray
"""Frames: what `framecast.open` takes, or what it gives."""


def _unreported(*_: int) -> None:
    """Progress that nobody asked for."""


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
) -> ScoringPlan:
    """What `verify` does, as a plan. Raises `DataError` where there is no window, `ConfigError` for an unknown convention and for
    thresholds that are none, or given for what is no rain."""
    for rate in () if rates is None else several(rates, "thresholds"):
        if not positive(rate):
            raise ConfigError(f"{rate!r} given, expected a rain rate in mm/h, above 0", where="thresholds")
    if not isinstance(zr, ZR | None):
        raise ConfigError(f"{zr!r} given, expected framecast.data.quantities.ZR(a=223, b=1.53)", where="zr")
    if len(source) == 0:
        raise DataError("there is no window to evaluate", where=where, remedy="give more frames: --data PATH")
    quantity = source.quantity
    if rates and not quantity.precipitation:
        raise ConfigError(
            f"rain rates given, and the frames are {quantity.name}", where="thresholds", remedy="leave them out"
        )
    rates = (quantity.thresholds if rates is None else rates) if quantity.precipitation else ()
    chosen = _spread(len(source), limit)
    shown = frozenset(chosen[k] for k in _spread(len(chosen), examples)) if examples else frozenset()
    zr = zr or ZR()
    rules = Rules(
        quantity, tuple(rates), tuple(event_thresholds(quantity, rates, zr)), zr, named(convention).name, tuple(scales)
    )
    return ScoringPlan(tuple(chosen), shown, rules, batch_size)


def verify(
    forecasters: Mapping[str, Forecaster] | Sequence[Forecaster],
    data: FramesLike | Source,
    *,
    context: int | None = None,
    horizon: int | None = None,
    stride: int = 1,
    options: Options = AS_IT_IS,
    baselines: Sequence[str] = (),
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
    """Forecast every window of `data` (or `limit` of them, evenly spread) with every forecaster, and score them.

    `forecasters` are anything with `framecast.Forecaster`'s method, by name or in a list; the first is judged. `baselines` are
    names of `framecast.baselines()` that come after them. `data` are opened Frames or what `framecast.open` takes, read as
    `options` state: windows of `context` frames (the most that a forecaster needs, and at least 4, unless stated) and `horizon`
    more, `stride` frames apart. It may also be a source of windows, which has lengths of its own.

    `rates` are thresholds in mm/h (default: those of the quantity), converted to reflectivity by `zr`; `convention` is how frame
    scores are computed; `step` is the time between frames, that of the frames unless stated; `scales` are the sides of
    neighbourhoods in pixels; `examples` cases are kept to look at. `report` is called with the number of cases done and that
    of all cases. Raises `DataError` for data without a window, and `ConfigError` for arguments that cannot work.
    """
    check_baselines(baselines)
    named_ones = dict(forecasters if isinstance(forecasters, Mapping) else _by_name(forecasters))
    if isinstance(data, str | Path | xr.DataArray | Sequence):
        least = max([RECENT, *(each.context_length for each in named_ones.values())])
        sources = _windows(data, options, context or least, horizon, stride)
    elif context is None and horizon is None:
        sources = Sources(None, None, data, default_scaling(data.quantity), None, ())
    else:
        raise ConfigError("a source of windows has a context and a horizon of its own", remedy="leave them out")
    source, step = sources.held_out(), sources.step if step is None else step
    for name in baselines:
        if name in named_ones:
            raise ConfigError(f"{name!r} names a forecaster and a baseline", where="baselines")
        baseline_data = BaselineData(source.quantity, step, sources.frames, lambda: sources)
        named_ones[name] = build(name, baseline_data)
    if not named_ones:
        raise ConfigError("no forecaster given", where="forecasters")
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
    result = assemble([score(todo, named_ones, source, report or _unreported)], todo, source, step)
    result.sums.attrs["repairs"] = "\n".join(sources.repairs)
    return result


def _by_name(forecasters: Sequence[Forecaster]) -> dict[str, Forecaster]:
    """Forecasters by their names. Raises `ConfigError` for two of one name."""
    by_name = {each.name: each for each in forecasters}
    if len(by_name) < len(forecasters):
        raise ConfigError("two forecasters have one name", where="forecasters", remedy="give them by name: {name: ...}")
    return by_name


def _windows(data: FramesLike, options: Options, context: int, horizon: int | None, stride: int) -> Sources:
    """All windows of some frames. Raises `DataError` and `ConfigError`."""
    if horizon is None:
        raise ConfigError("no horizon given", where="horizon", remedy="how many frames to forecast, such as horizon=12")
    frames = data if isinstance(data, xr.DataArray) else open_frames(data, **vars(options))
    archive = ArchiveData(
        path=IN_MEMORY,
        context=context,
        horizon=horizon,
        stride=stride,
        actions=bool(action_names(frames)),
        split=ByBlocks(validation=0, test=0),
    )
    sources = archive.open(frames=[frames])
    return replace(sources, test=sources.train, train=None)


def score(
    todo: ScoringPlan,
    forecasters: Mapping[str, Forecaster],
    source: Source,
    report: Report = _unreported,
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
        report(len(order), len(todo.cases))
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
    parts: Sequence[PartialResult], todo: ScoringPlan, source: Source, step: np.timedelta64 | None = None
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


def _batches(chosen: list[int], size: int, source: Source) -> Iterator[list[int]]:
    """Numbers of windows in groups of one frame size, smaller ones where frames are large."""
    waiting, frames = iter(chosen), source.shape.context + source.shape.horizon
    while group := list(islice(waiting, size)):
        for shape in dict.fromkeys(source.size_of(index) for index in group):
            alike = [index for index in group if source.size_of(index) == shape]
            most = max(1, MOST // (frames * math.prod(shape)))
            yield from (alike[k : k + most] for k in range(0, len(alike), most))
