"""Scoring: every window of a source forecast by every forecaster, and what is kept of it.

A plan says what to score; it can be cut into parts that are scored anywhere and put together again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr

from framecast.data.batches import window_actions
from framecast.data.quantities import ZR, Quantity, event_thresholds
from framecast.data.scaling import default_scaling
from framecast.data.sources import Source
from framecast.data.survey import WET
from framecast.errors import ConfigError, DataError
from framecast.forecasting.assemble import Forecaster
from framecast.forecasting.motion import motion
from framecast.scores import CONVENTIONS, Contingency, contingency
from framecast.scores.fractions import SCALES, fractions_sums
from framecast.scores.probability import crps_field
from framecast.scores.structure import WAVELENGTHS, spectrum
from framecast.verification import Example, Verification

_MOTION_SIDE = 96
"""Frames are made about this small for judging how fast the weather moves."""

Report = Callable[[int, int], None]
"""Called with the number of cases done and of all cases."""


@dataclass(frozen=True)
class Plan:
    """What to score and how: everything about a verification but the forecasters and the windows, so that its parts can be
    scored anywhere and put together. `cases` are the numbers of the windows, `shown` those that are kept to look at."""

    cases: tuple[int, ...]
    shown: frozenset[int]
    quantity: Quantity
    rates: tuple[float, ...]
    thresholds: tuple[float, ...]
    convention: str
    scales: tuple[int, ...]
    batch_size: int

    def parts(self, batches: int) -> list[Plan]:
        """The plan cut up, `batches` batches a part: the same batches as in the whole, so that results are the same too."""
        size = batches * self.batch_size
        return [replace(self, cases=self.cases[k : k + size]) for k in range(0, len(self.cases), size)]


class Part(NamedTuple):
    """What scoring some cases gives: their numbers in the order scored, the sums, cases to look at, and of the best and the
    worst how good they are."""

    order: list[int]
    sums: xr.Dataset
    kept: list[Example]
    extremes: dict[str, tuple[float, Example]]


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
) -> Plan:
    """What `verify` does, as a plan. Raises `DataError` where there is no window, `ConfigError` for an unknown convention."""
    if convention not in CONVENTIONS:
        raise ConfigError(f"unknown convention {convention!r}", remedy=f"one of: {', '.join(CONVENTIONS)}")
    if len(source) == 0:
        raise DataError("there is no window to evaluate")
    quantity = source.quantity
    rates = (quantity.thresholds if rates is None else rates) if quantity.precipitation else ()
    chosen = _spread(len(source), limit)
    shown = frozenset(chosen[k] for k in _spread(len(chosen), examples)) if examples else frozenset()
    thresholds = event_thresholds(quantity, rates, zr or ZR())
    return Plan(tuple(chosen), shown, quantity, tuple(rates), tuple(thresholds), convention, tuple(scales), batch_size)


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
    report: Report = lambda done, of: None,
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
    return assemble([score(todo, forecasters, source, report)], todo, source, step)


def score(
    todo: Plan, forecasters: Mapping[str, Forecaster], source: Source, report: Report = lambda done, of: None
) -> Part:
    """Forecast the cases of a plan and score them."""
    rows: list[xr.Dataset] = []
    kept: list[Example] = []
    order: list[int] = []
    extremes: dict[str, tuple[float, Example]] = {}
    for indices in _batches(list(todo.cases), todo.batch_size, source):
        windows = np.stack([source.read(index) for index in indices])
        contexts, truth = windows[:, : source.shape.context], windows[:, source.shape.context :]
        horizon, actions = source.shape.horizon, window_actions(source, indices)
        members = {
            name: _members(forecaster, contexts, horizon)
            for name, forecaster in forecasters.items()
            if hasattr(forecaster, "forecast_members")
        }
        forecasts = {
            name: members[name].mean(0) if name in members else _forecast(forecaster, contexts, horizon, actions)
            for name, forecaster in forecasters.items()
        }
        rows.append(_tally(forecasts, members, truth, contexts, todo))
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
    return Part(order, xr.concat(rows, "case", data_vars="all", coords="minimal", compat="override"), kept, extremes)


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
    sums = sums.assign_coords(
        case=order,
        init_time=("case", [source.init_time(index) for index in order]),
        block=("case", [blocks[source.block(index)] for index in order]),
        lead_time=leads if step is None else leads * step,
        threshold=list(todo.thresholds),
        wavelength=list(WAVELENGTHS[:-1]),
    )
    if todo.thresholds and todo.scales:
        sums = sums.assign_coords(scale=list(todo.scales))
    sums.attrs = {"convention": todo.convention, "quantity": todo.quantity.name, "units": todo.quantity.units}
    kept = [example for part in parts for example in part.kept] + [example for _, example in extremes.values()]
    return Verification(sums, CONVENTIONS[todo.convention], todo.quantity, todo.rates, todo.thresholds, kept)


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
    """Numbers of windows in groups of one frame size."""
    waiting = iter(chosen)
    while group := list(islice(waiting, size)):
        for shape in dict.fromkeys(source.size_of(index) for index in group):
            yield [index for index in group if source.size_of(index) == shape]


def _forecast(forecaster: Forecaster, contexts: np.ndarray, horizon: int, actions: np.ndarray | None) -> np.ndarray:
    """`contexts (B, T, C, H, W)` -> `(B, horizon, C, H, W)`, at once where the forecaster can, which is then told of
    `actions (B, T + horizon, A)` where there are any. One that needs a shorter context gets its end."""
    together: Any = getattr(forecaster, "forecast_arrays", None)
    needed: int = getattr(forecaster, "context", None) or contexts.shape[1]
    unused = contexts.shape[1] - needed
    contexts, actions = contexts[:, unused:], None if actions is None else actions[:, unused:]
    if together is not None:
        return np.asarray(together(contexts, horizon) if actions is None else together(contexts, horizon, actions))
    return np.stack([forecaster.forecast_array(context, horizon) for context in contexts])


def _members(forecaster: Any, contexts: np.ndarray, horizon: int) -> np.ndarray:
    """`contexts (B, T, C, H, W)` -> the members of an ensemble `(M, B, horizon, C, H, W)`."""
    return np.stack([forecaster.forecast_members(context, horizon) for context in contexts], axis=1)


def _tally(
    forecasts: dict[str, np.ndarray],
    members: dict[str, np.ndarray],
    truth: np.ndarray,
    contexts: np.ndarray,
    todo: Plan,
) -> xr.Dataset:
    """The sums of a few cases: `(forecaster, case, lead_time[, threshold[, scale]])`."""
    quantity, convention, thresholds = todo.quantity, CONVENTIONS[todo.convention], todo.thresholds
    observed = np.isfinite(truth).all(axis=2, keepdims=True)
    based = np.logical_and.reduce([np.isfinite(values).all(axis=2, keepdims=True) for values in forecasts.values()])
    valid = torch.from_numpy(observed & based)
    scaling = default_scaling(quantity)
    true, true_pictures = torch.from_numpy(truth), torch.from_numpy(scaling.forward(truth, quantity))
    columns: dict[str, list[np.ndarray]] = {}
    power = []
    for name_of, values in forecasts.items():
        said = torch.from_numpy(values)
        pictures = torch.from_numpy(scaling.forward(values, quantity))
        power.append(spectrum(pictures, valid).numpy())
        sums = convention.tally(said, true, pictures, true_pictures, valid)
        table = contingency(said, true, valid, thresholds)._asdict()
        every = torch.from_numpy(members.get(name_of, values[None]))
        sums["crps"] = crps_field(every, true).masked_fill(~valid, 0.0).flatten(2).sum(2)
        for name, value in {**sums, **table}.items():
            columns.setdefault(name, []).append(value.numpy())
    dims = ("forecaster", "case", "lead_time", "threshold", "scale")
    data: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
        name: (dims[: 3 + (name in Contingency._fields)], np.stack(values)) for name, values in columns.items()
    }
    data["pixels"] = (dims[1:3], valid.flatten(2).sum(2).numpy())
    data["observed"] = (dims[1:3], observed.reshape(*observed.shape[:2], -1).sum(2))
    for name, size in zip(("height", "width"), truth.shape[-2:], strict=True):
        data[name] = (dims[1:2], np.full(len(truth), size))
    if thresholds and todo.scales:
        fields = [torch.from_numpy(values) for values in forecasts.values()]
        error, reference = fractions_sums(fields, true, valid, thresholds, todo.scales)
        data |= {"fss_error": (dims, error.numpy()), "fss_reference": (dims, reference.numpy())}
    rings = (*dims[1:3], "wavelength")
    data["power"] = ((dims[0], *rings), np.stack(power))
    data["true_power"] = (rings, spectrum(true_pictures, valid).numpy())
    data |= _weather(forecasts, truth, valid[:, :, 0].numpy(), quantity, contexts)
    return xr.Dataset(data, coords={"forecaster": list(forecasts)})


def _weather(
    forecasts: dict[str, np.ndarray], truth: np.ndarray, valid: np.ndarray, quantity: Quantity, contexts: np.ndarray
) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """How wet it was and was said to be, how intense it was, and how fast it moved."""
    limit = WET.get(quantity.name, np.inf)
    wet = (truth[:, :, 0] >= limit) & valid
    said = [((values[:, :, 0] >= limit) & valid).sum((2, 3)) for values in forecasts.values()]
    return {
        "wet_said": (("forecaster", "case", "lead_time"), np.stack(said)),
        "wet_true": (("case", "lead_time"), wet.sum((2, 3))),
        "wet_amount": (("case", "lead_time"), np.where(wet, truth[:, :, 0], 0).sum((2, 3), dtype=np.float64)),
        "speed": (("case",), np.array([_speed(context, quantity) for context in contexts])),
    }


def _speed(context: np.ndarray, quantity: Quantity) -> float:
    """How fast the weather moved before the forecast, in pixels a frame: the mean over the wet pixels, NaN without any."""
    every = max(1, -(-max(context.shape[-2:]) // _MOTION_SIDE))
    recent = default_scaling(quantity).forward(context[-3:, :, ::every, ::every], quantity).mean(axis=1)
    if len(recent) < 2 or min(recent.shape[-2:]) < 8:
        return float("nan")
    there = recent[-1] > recent.min()
    if not there.any():
        return float("nan")
    return float(np.hypot(*motion(recent))[there].mean() * every)
