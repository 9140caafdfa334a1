"""Verification: forecasts against the truth, case by case, all forecasters on the same pixels.

A pixel is scored where the truth has data and every forecaster has a basis, so that all are judged on the same pixels;
how many pixels that leaves is part of the result. What is kept are sums for each case and lead time (`cases.nc`): tables,
intervals and comparisons are arithmetic on them, and memory does not grow with the size of the frames or of the archive.

For each case there is also what kind of weather it was (how much of it was wet, how intense, how fast it moved), by which
scores can be split.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr

from framecast.data.batches import window_actions
from framecast.data.quantities import ZR, Quantity, event_thresholds
from framecast.data.scaling import default_scaling
from framecast.data.sources import Source
from framecast.data.survey import WET
from framecast.errors import DataError, RunError
from framecast.forecasting.assemble import Forecaster
from framecast.forecasting.motion import motion
from framecast.scores import CONVENTIONS, EVENT_SCORES, Contingency, Convention, contingency, interval
from framecast.scores.events import EVENT_DEFINITIONS
from framecast.scores.fractions import SCALES, fractions_sums, fss
from framecast.scores.probability import crps_field
from framecast.scores.structure import WAVELENGTHS, spectrum

_MOTION_SIDE = 96
"""Frames are made about this small for judging how fast the weather moves."""

Report = Callable[[int, int], None]
"""Called with the number of cases done and of all cases."""


class Example(NamedTuple):
    """A case to look at: `context (T, C, H, W)`, `truth (S, C, H, W)` and the forecasts, in physical units. `why` it is
    shown: "best" or "worst" for the first forecaster, else nothing."""

    case: int
    init_time: np.datetime64 | int
    context: np.ndarray
    truth: np.ndarray
    forecasts: dict[str, np.ndarray]
    why: str = ""


class Regime(NamedTuple):
    """A kind of weather, or of time: `cases (N,)` bool says which cases were of it."""

    kind: str
    label: str
    cases: np.ndarray


class Score(NamedTuple):
    """A value with its 95 % interval (None where there are fewer than two independent blocks)."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Verification:
    """The sums, and what they mean.

    `sums` has dims `(forecaster, case, lead_time[, threshold])`; `rates` are the thresholds as rain rates in mm/h,
    `thresholds` the same in the units of the data.
    """

    sums: xr.Dataset
    convention: Convention
    quantity: Quantity
    rates: tuple[float, ...]
    thresholds: tuple[float, ...]
    examples: list[Example] = field(default_factory=list)

    @property
    def forecasters(self) -> list[str]:
        """Their names; the first is the one that is being judged."""
        return [str(name) for name in self.sums["forecaster"].values]

    @property
    def cases(self) -> int:
        """Number of cases."""
        return int(self.sums.sizes["case"])

    @property
    def blocks(self) -> int:
        """Number of blocks of cases that share no frame but with their neighbours."""
        return len(np.unique(self.sums["block"].values))

    @property
    def frame_scores(self) -> list[str]:
        """Names of the frame scores of the convention."""
        return list(self.convention.definitions)

    @property
    def event_scores(self) -> list[str]:
        """Names of the event scores, none where events have no meaning."""
        return list(EVENT_SCORES) if self.thresholds else []

    @property
    def scored(self) -> np.ndarray:
        """Share of the pixels with a true value that were scored, for each lead time."""
        pixels = self.sums["pixels"].sum("case").values
        observed = self.sums["observed"].sum("case").values
        return np.asarray(np.divide(pixels, observed, out=np.full(len(pixels), np.nan), where=observed > 0))

    def events(self, threshold: int) -> np.ndarray:
        """Number of observed events (pixels) for each lead time."""
        table = self.sums.isel(forecaster=0, threshold=threshold)
        return np.asarray((table["hits"] + table["misses"]).sum("case").values)

    def frame_by_lead(self, forecaster: str, score: str) -> np.ndarray:
        """A frame score for each lead time."""
        part = self.sums.sel(forecaster=forecaster)
        sums = {name: part[name].values.sum(0) for name in part if name in _frame_names(self.convention)}
        steps = range(self.sums.sizes["lead_time"])
        return np.array([self.convention.finish({name: float(v[s]) for name, v in sums.items()})[score] for s in steps])

    def event_by_lead(self, forecaster: str, score: str, threshold: int) -> np.ndarray:
        """An event score for each lead time."""
        part = self.sums.sel(forecaster=forecaster).isel(threshold=threshold)
        table = Contingency(*(torch.from_numpy(part[name].values.sum(0)) for name in Contingency._fields))
        return EVENT_SCORES[score](table).numpy()

    def frame(self, forecaster: str, score: str) -> Score:
        """A frame score over all lead times, with its interval."""
        names = _frame_names(self.convention)
        part = self.sums.sel(forecaster=forecaster)
        table = np.stack([part[name].values.sum(1) for name in names])

        def value(weights: np.ndarray) -> float:
            return self.convention.finish(dict(zip(names, (table @ weights).tolist(), strict=True)))[score]

        return self._score(value)

    def event(self, forecaster: str, score: str, threshold: int) -> Score:
        """An event score over all lead times, with its interval."""
        part = self.sums.sel(forecaster=forecaster).isel(threshold=threshold)
        table = np.stack([part[name].values.sum(1) for name in Contingency._fields]).astype(np.float64)

        def value(weights: np.ndarray) -> float:
            return float(EVENT_SCORES[score](Contingency(*torch.from_numpy(table @ weights))))

        return self._score(value)

    def crps(self, forecaster: str) -> Score:
        """Fair continuous ranked probability score over all lead times, in the units of the data; for a single forecast the
        mean absolute error."""
        table = np.stack(
            [self.sums["crps"].sel(forecaster=forecaster).values.sum(1), self.sums["pixels"].values.sum(1)]
        )

        def value(weights: np.ndarray) -> float:
            total, count = table @ weights
            return float(total / count) if count else float("nan")

        return self._score(value)

    @property
    def scales(self) -> list[int]:
        """Sides of the neighbourhoods of the fractions skill score, in pixels."""
        return self.sums["scale"].values.tolist() if "fss_error" in self.sums else []

    def fss(self, forecaster: str, threshold: int, scale: int) -> Score:
        """Fractions skill score over all lead times, with its interval; `scale` is the number of it."""
        part = self.sums.sel(forecaster=forecaster).isel(threshold=threshold, scale=scale)
        table = np.stack([part[name].values.sum(1) for name in ("fss_error", "fss_reference")])

        def value(weights: np.ndarray) -> float:
            return float(fss(*torch.from_numpy(table @ weights)))

        return self._score(value)

    def fss_by_lead(self, forecaster: str, threshold: int, scale: int) -> np.ndarray:
        """Fractions skill score for each lead time."""
        part = self.sums.sel(forecaster=forecaster).isel(threshold=threshold, scale=scale)
        sums = (torch.from_numpy(part[name].values.sum(0)) for name in ("fss_error", "fss_reference"))
        return fss(*sums).numpy()

    def frequency(self, threshold: int) -> float:
        """Share of the scored pixels that were events: the fractions skill score of a random forecast."""
        pixels = float(self.sums["pixels"].sum())
        return float(self.events(threshold).sum()) / pixels if pixels else float("nan")

    def power(self, forecaster: str | None = None) -> np.ndarray:
        """Mean power spectrum `(lead_time, ring)` of a forecaster, or of the truth; rings are between `WAVELENGTHS`."""
        values = self.sums["true_power"] if forecaster is None else self.sums["power"].sel(forecaster=forecaster)
        return np.asarray(values.mean("case").values)

    def wet_ratio(self, forecaster: str) -> np.ndarray:
        """Wet pixels forecast for each wet pixel observed, for each lead time."""
        said = self.sums["wet_said"].sel(forecaster=forecaster).sum("case").values
        true = self.sums["wet_true"].sum("case").values
        return np.asarray(np.divide(said, true, out=np.full(len(true), np.nan), where=true > 0))

    def subset(self, cases: np.ndarray) -> Verification:
        """Of some cases only."""
        return replace(self, sums=self.sums.isel(case=np.flatnonzero(cases)), examples=[])

    def regimes(self) -> list[Regime]:
        """Kinds of weather (thirds of the cases by what was observed) and of time; those that hold any case but not all."""
        found = []
        sums = self.sums
        if self.quantity.precipitation:
            wet, pixels = sums["wet_true"].sum("lead_time").values, sums["pixels"].sum("lead_time").values
            share = np.divide(wet, pixels, out=np.full(len(wet), np.nan), where=pixels > 0)
            amount = sums["wet_amount"].sum("lead_time").values
            found += _thirds("wet area", share, "{:.0%}")
            found += _thirds("intensity", amount / np.maximum(wet, 1), f"{{:.2g}} {self.quantity.units}")
        found += _thirds("speed", sums["speed"].values, "{:.2g} pixels a frame")
        times = sums["init_time"].values
        if times.dtype.kind == "M":
            month = times.astype("datetime64[M]").astype(int) % 12
            hour = (times - times.astype("datetime64[D]")) // np.timedelta64(6, "h")
            seasons = ("December to February", "March to May", "June to August", "September to November")
            found += [Regime("season", name, (month + 1) % 12 // 3 == k) for k, name in enumerate(seasons)]
            found += [Regime("hour", f"{6 * k:02d} to {6 * k + 6:02d} UTC", hour == k) for k in range(4)]
        return [regime for regime in found if 0 < regime.cases.sum() < len(regime.cases)]

    def _score(self, value: Callable[[np.ndarray], float]) -> Score:
        return Score(value(np.ones(self.cases)), interval(value, self.sums["block"].values))

    def definitions(self) -> dict[str, str]:
        """What each score means, and what "scaled" means in it."""
        scaling = default_scaling(self.quantity)
        settings = ", ".join(f"{key} {value}" for key, value in asdict(scaling).items() if key not in ("name", "zr"))
        fair = {
            "crps": "fair continuous ranked probability score, in the units of the data; of a single forecast the MAE"
        }
        neighbourhood = {
            "fss": "1 - sum (Pf - Po)^2 / sum (Pf^2 + Po^2) of the fractions Pf and Po of events among the observed pixels of "
            "square neighbourhoods, sums pooled over cases",
        }
        scaled = {"scaled": f"by {scaling.name} ({settings}), whatever the model was trained with"}
        return (
            self.convention.definitions | fair | (EVENT_DEFINITIONS | neighbourhood if self.thresholds else {}) | scaled
        )

    def save(self, path: Path) -> None:
        """Write the sums, whole or not at all. Raises `RunError`."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.sums.to_netcdf(temporary, engine="h5netcdf")
            temporary.replace(path)
        except OSError as error:
            raise RunError(f"cannot be written ({error})", where=path) from error
        finally:
            temporary.unlink(missing_ok=True)


def _thirds(kind: str, values: np.ndarray, form: str) -> list[Regime]:
    """Cases by thirds of a value; NaN belongs to none."""
    if not np.isfinite(values).any():
        return []
    low, high = np.nanquantile(values, [1 / 3, 2 / 3])
    parts = {"low": values <= low, "middle": (values > low) & (values <= high), "high": values > high}
    limits = {"low": f"up to {form.format(low)}", "middle": "", "high": f"above {form.format(high)}"}
    return [Regime(kind, f"{name} {limits[name]}".strip(), cases) for name, cases in parts.items()]


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
    """What `verify` does, as a plan. Raises `DataError` where there is no window."""
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


def _frame_names(convention: Convention) -> list[str]:
    """The sums that a convention keeps."""
    names = [name for name in convention.definitions if name != "rmse"]
    return names + [f"{name}_weight" for name in names]
