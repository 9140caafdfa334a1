"""Verification: forecasts against the truth, case by case, all forecasters on the same pixels.

A pixel is scored where the truth has data and every forecaster has a basis, so that all are judged on the same pixels;
how many pixels that leaves is part of the result. What is kept are sums for each case and lead time (`cases.nc`): tables,
intervals and comparisons are arithmetic on them, and memory does not grow with the size of the frames or of the archive.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
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
from framecast.errors import DataError, RunError
from framecast.forecasting.assemble import Forecaster
from framecast.scores import CONVENTIONS, EVENT_SCORES, Contingency, Convention, contingency, interval
from framecast.scores.events import EVENT_DEFINITIONS

Report = Callable[[int, int], None]
"""Called with the number of cases done and of all cases."""


class Example(NamedTuple):
    """A case to look at: `context (T, C, H, W)`, `truth (S, C, H, W)` and the forecasts, in physical units."""

    case: int
    init_time: np.datetime64 | int
    context: np.ndarray
    truth: np.ndarray
    forecasts: dict[str, np.ndarray]


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

    def _score(self, value: Callable[[np.ndarray], float]) -> Score:
        return Score(value(np.ones(self.cases)), interval(value, self.sums["block"].values))

    def definitions(self) -> dict[str, str]:
        """What each score means, and what "scaled" means in it."""
        scaling = default_scaling(self.quantity)
        settings = ", ".join(f"{key} {value}" for key, value in asdict(scaling).items() if key not in ("name", "zr"))
        scaled = {"scaled": f"by {scaling.name} ({settings}), whatever the model was trained with"}
        return self.convention.definitions | (EVENT_DEFINITIONS if self.thresholds else {}) | scaled

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
    report: Report = lambda done, of: None,
) -> Verification:
    """Forecast every window of `source` (or `limit` of them, evenly spread) with every forecaster, and score them.

    `rates` are thresholds in mm/h (default: those of the quantity), led to reflectivity by `zr`. `step` is the time
    between frames. Raises `DataError` where there is no window.
    """
    if len(source) == 0:
        raise DataError("there is no window to evaluate")
    quantity = source.quantity
    rates = (quantity.thresholds if rates is None else rates) if quantity.precipitation else ()
    thresholds = event_thresholds(quantity, rates, zr or ZR())
    chosen = _spread(len(source), limit)
    shown = {int(chosen[k]) for k in _spread(len(chosen), examples)}
    rows, kept, order = [], [], []
    for indices in _batches(chosen, batch_size, source):
        windows = np.stack([source.read(index) for index in indices])
        contexts, truth = windows[:, : source.shape.context], windows[:, source.shape.context :]
        forecasts = {
            name: _forecast(forecaster, contexts, source.shape.horizon, window_actions(source, indices))
            for name, forecaster in forecasters.items()
        }
        rows.append(_tally(forecasts, truth, quantity, CONVENTIONS[convention], thresholds))
        for k, index in enumerate(indices):
            if index in shown:
                pictures = {name: forecast[k] for name, forecast in forecasts.items()}
                kept.append(Example(index, source.init_time(index), contexts[k], truth[k], pictures))
        order += indices
        report(len(order), len(chosen))
    sums = xr.concat(rows, "case", data_vars="all", coords="minimal", compat="override")
    leads = np.arange(1, source.shape.horizon + 1)
    blocks = {block: number for number, block in enumerate(dict.fromkeys(source.block(index) for index in order))}
    sums = sums.assign_coords(
        forecaster=list(forecasters),
        case=order,
        init_time=("case", [source.init_time(index) for index in order]),
        block=("case", [blocks[source.block(index)] for index in order]),
        lead_time=leads if step is None else leads * step,
        threshold=list(thresholds),
    )
    sums.attrs = {"convention": convention, "quantity": quantity.name, "units": quantity.units}
    return Verification(sums, CONVENTIONS[convention], quantity, tuple(rates), tuple(thresholds), kept)


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
    `actions (B, T + horizon, A)` where there are any."""
    together: Any = getattr(forecaster, "forecast_arrays", None)
    if together is not None:
        return np.asarray(together(contexts, horizon) if actions is None else together(contexts, horizon, actions))
    return np.stack([forecaster.forecast_array(context, horizon) for context in contexts])


def _tally(
    forecasts: dict[str, np.ndarray],
    truth: np.ndarray,
    quantity: Quantity,
    convention: Convention,
    thresholds: tuple[float, ...],
) -> xr.Dataset:
    """The sums of a few cases: `(forecaster, case, lead_time[, threshold])`."""
    observed = np.isfinite(truth).all(axis=2, keepdims=True)
    based = np.logical_and.reduce([np.isfinite(values).all(axis=2, keepdims=True) for values in forecasts.values()])
    valid = torch.from_numpy(observed & based)
    scaling = default_scaling(quantity)
    true, true_pictures = torch.from_numpy(truth), torch.from_numpy(scaling.forward(truth, quantity))
    columns: dict[str, list[np.ndarray]] = {}
    for values in forecasts.values():
        said = torch.from_numpy(values)
        pictures = torch.from_numpy(scaling.forward(values, quantity))
        sums = convention.tally(said, true, pictures, true_pictures, valid)
        table = contingency(said, true, valid, thresholds)._asdict()
        for name, value in {**sums, **table}.items():
            columns.setdefault(name, []).append(value.numpy())
    dims = ("forecaster", "case", "lead_time", "threshold")
    data: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
        name: (dims[: 3 + (name in Contingency._fields)], np.stack(values)) for name, values in columns.items()
    }
    data["pixels"] = (dims[1:3], valid.flatten(2).sum(2).numpy())
    data["observed"] = (dims[1:3], observed.reshape(*observed.shape[:2], -1).sum(2))
    for name, size in zip(("height", "width"), truth.shape[-2:], strict=True):
        data[name] = (dims[1:2], np.full(len(truth), size))
    return xr.Dataset(data)


def _frame_names(convention: Convention) -> list[str]:
    """The sums that a convention keeps."""
    names = [name for name in convention.definitions if name != "rmse"]
    return names + [f"{name}_weight" for name in names]
