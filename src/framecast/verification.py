"""Verification: forecasts against the truth, case by case, all forecasters on the same pixels.

A pixel is scored where the truth has data and every forecaster has a basis, so that all are judged on the same pixels;
how many pixels that leaves is part of the result. What is kept are sums for each case and lead time (`cases.nc`): tables,
intervals and comparisons are arithmetic on them, and memory does not grow with the size of the frames or of the archive.

For each case there is also what kind of weather it was (how much of it was wet, how intense, how fast it moved), by which
scores can be split.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr

from framecast.data.quantities import Quantity
from framecast.data.scaling import default_scaling
from framecast.errors import RunError
from framecast.scores import EVENT_SCORES, Contingency, Convention, interval
from framecast.scores.events import EVENT_DEFINITIONS
from framecast.scores.fractions import fss


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


def _frame_names(convention: Convention) -> list[str]:
    """The sums that a convention keeps."""
    names = [name for name in convention.definitions if name != "rmse"]
    return names + [f"{name}_weight" for name in names]
