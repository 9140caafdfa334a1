"""Verification: forecasts against the truth, case by case, all forecasters on the same pixels.

A pixel is scored where the truth has data and every forecaster has a basis, so that all are judged on the same pixels;
how many pixels that leaves is part of the result. What is kept are sums for each case and lead time (`cases.nc`): tables,
intervals and comparisons are arithmetic on them, and memory does not grow with the size of the frames or of the archive.

For each case there is also what kind of weather it was (how much of it was wet, how intense, how fast it moved), by which
scores can be split.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr

from framecast.data.quantities import Quantity
from framecast.data.scaling import default_scaling
from framecast.errors import RunError
from framecast.scores import EVENT_SCORES, Contingency, Convention
from framecast.scores.bootstrap import drawn, limits, resampled
from framecast.scores.events import EVENT_DEFINITIONS
from framecast.scores.perceptual import frechet_distance
from framecast.scores.probability import Probabilities
from framecast.verification.metrics import (
    CRPS,
    CRPS_DEFINITION,
    FVD_DEFINITION,
    LPIPS,
    SAL,
    SAL_DEFINITION,
    THRESHOLD_DEFINITIONS,
    Measure,
    brier_measure,
    event_measure,
    frame_measure,
    fss_measure,
    informative,
    percentile_measure,
    ratio,
)

_ABSENT = "not computed: it needs weights that others trained, given with"


class Example(NamedTuple):
    """A case to look at: `context (T, C, H, W)`, `truth (S, C, H, W)` and the forecasts, in physical units. `why` it is
    shown: "best" or "worst" for the first forecaster, else nothing."""

    case: int
    init_time: np.datetime64 | int
    context: np.ndarray
    truth: np.ndarray
    forecasts: dict[str, np.ndarray]
    why: str = ""


class Grid(NamedTuple):
    """Where pixels lie: the coordinates of rows `y (H,)` and columns `x (W,)` in `units`, and the projection as WKT, empty where
    it is unknown."""

    y: np.ndarray
    x: np.ndarray
    units: str
    crs: str


class Regime(NamedTuple):
    """A kind of weather, or of time: `cases (N,)` bool says which cases were of it."""

    kind: str
    label: str
    cases: np.ndarray


class Score(NamedTuple):
    """A value with its 95 % interval (None where there are fewer than two independent blocks)."""

    value: float
    interval: tuple[float, float] | None


class Curve(NamedTuple):
    """A value at each lead time with its 95 % interval, each `(S,)`, NaN where there is none."""

    values: np.ndarray
    low: np.ndarray
    high: np.ndarray


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
    grid: Grid | None = None
    """Where all frames lie; None where they lie on several grids, or nowhere."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """How long each forecaster took for a case, the mean; nothing where it was not measured."""

    @property
    def forecasters(self) -> list[str]:
        """Their names; the first is the one that is being judged."""
        return [str(name) for name in self.sums["forecaster"].values]

    @property
    def repairs(self) -> list[str]:
        """What was repaired, left out or refused of the data, in words."""
        return str(self.sums.attrs.get("repairs", "")).splitlines()

    @property
    def warnings(self) -> list[str]:
        """What makes the scores look better than they are: models that were trained on the data."""
        return str(self.sums.attrs.get("warnings", "")).splitlines()

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

    def table(self, forecaster: str, measure: Measure) -> np.ndarray:
        """The sums that a measure is made of, `(K, N, S)` for K sums, N cases and S lead times."""
        parts = [self.sums[name] for name in measure.sums]
        parts = [part.sel(forecaster=forecaster) if "forecaster" in part.dims else part for part in parts]
        return np.stack([part.isel(measure.place).values.astype(np.float64) for part in parts])

    def score(self, forecaster: str, measure: Measure) -> Score:
        """A score over all lead times, with its interval."""
        values, low, high = self._judged(measure, self.table(forecaster, measure).sum(2))
        return Score(float(values), None if np.isnan(low) else (float(low), float(high)))

    def curve(self, forecaster: str, measure: Measure) -> Curve:
        """A score at each lead time, with its intervals."""
        return Curve(*self._judged(measure, self.table(forecaster, measure)))

    def _judged(self, measure: Measure, table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The value of sums of cases `(K, N, ...)`, and between what it lies, where at least two blocks say something."""
        blocks = self.sums["block"].values
        low, high = limits(measure.formula(resampled(table, blocks, self._drawn)))
        enough = informative(measure, table, blocks).sum(0) > 1
        return measure.formula(table.sum(1)), np.where(enough, low, np.nan), np.where(enough, high, np.nan)

    @cached_property
    def _drawn(self) -> np.ndarray:
        return drawn(self.sums["block"].values)

    def frame(self, forecaster: str, score: str) -> Score:
        """A frame score, "mse", "ssim", ..., over all lead times."""
        return self.score(forecaster, frame_measure(self.convention, score))

    def event(self, forecaster: str, score: str, threshold: int) -> Score:
        """An event score, "csi", "pod", ..., over all lead times, at the threshold of that number."""
        return self.score(forecaster, event_measure(score, threshold, self.rates[threshold]))

    def frame_measures(self) -> list[Measure]:
        """Scores of whole frames; the CRPS of a single forecast is its absolute error, and is left out."""
        found = [frame_measure(self.convention, score) for score in self.frame_scores]
        return [*found, *([CRPS] if self.ensembles else []), *([LPIPS] if "lpips" in self.sums else [])]

    def event_measures(self, threshold: int) -> list[Measure]:
        """Scores of events at the threshold of that number."""
        rate = self.rates[threshold]
        found = [event_measure(score, threshold, rate) for score in self.event_scores]
        return [*found, brier_measure(threshold, rate)]

    def fss_measures(self, threshold: int) -> list[Measure]:
        """Fractions skill scores by scale."""
        rate = self.rates[threshold]
        return [fss_measure(threshold, rate, place, side) for place, side in enumerate(self.scales)]

    def percentile_measures(self, number: int) -> list[Measure]:
        """Fractions skill scores of the largest values of each field, by scale."""
        share = self.percentiles[number]
        return [percentile_measure(number, share, place, side) for place, side in enumerate(self.scales)]

    def object_measures(self) -> list[Measure]:
        """Structure, amplitude and location, with their signs and without; none where there is no rain to speak of."""
        return list(SAL) if "sal_weight" in self.sums else []

    def measures(self) -> list[Measure]:
        """All of them."""
        events = [
            measure for k in range(len(self.rates)) for measure in (*self.event_measures(k), *self.fss_measures(k))
        ]
        largest = [measure for k in range(len(self.percentiles)) for measure in self.percentile_measures(k)]
        return [*self.frame_measures(), *events, *largest, *self.object_measures()]

    @property
    def scales(self) -> list[int]:
        """Sides of the neighbourhoods of the fractions skill score, in pixels."""
        return self.sums["scale"].values.tolist() if "fss_error" in self.sums else []

    @property
    def percentiles(self) -> list[float]:
        """Shares of a field that lie below its own threshold, for fractions skill scores."""
        return self.sums["percentile"].values.tolist() if "fss_percentile_error" in self.sums else []

    def frequency(self, threshold: int) -> float:
        """Share of the scored pixels that were events: the fractions skill score of a random forecast."""
        counts = self.sums.isel(forecaster=0, threshold=threshold)
        judged = float(sum(counts[name].sum() for name in Contingency._fields))
        return float(self.events(threshold).sum()) / judged if judged else float("nan")

    def probabilities(self, forecaster: str, threshold: int) -> Probabilities:
        """How likely events were said to be and how often they came, over all cases and lead times."""
        part = self.sums.sel(forecaster=forecaster).isel(threshold=threshold)
        counted, said, happened = (
            torch.from_numpy(part[f"probability_{name}"].sum("case").values) for name in ("counted", "said", "happened")
        )
        return Probabilities(counted, said, happened, torch.tensor(float(part["brier"].sum())))

    @property
    def ensembles(self) -> list[str]:
        """The forecasters that say more than one future."""
        return [name for name in self.forecasters if self.members(name) > 1]

    def members(self, forecaster: str) -> int:
        """How many futures a forecaster says."""
        return int(self.sums["members"].sel(forecaster=forecaster).max()) if "members" in self.sums else 1

    def ranks(self, forecaster: str) -> np.ndarray:
        """How often the truth had each rank among the members of an ensemble `(M + 1,)`."""
        counts = self.sums["rank_counted"].sel(forecaster=forecaster).sum("case").values
        return np.asarray(counts[: self.members(forecaster) + 1])

    def spread_skill(self, forecaster: str) -> tuple[np.ndarray, np.ndarray]:
        """Spread of an ensemble and root mean squared error of its mean, for each lead time; alike for a good ensemble."""
        part, pixels = self.sums.sel(forecaster=forecaster), self.sums["pixels"].sum("case").values
        squares = (part[name].sum("case").values for name in ("spread", "mean_error"))
        spread, skill = (np.sqrt(ratio(np.stack([square, pixels]))) for square in squares)
        return spread, skill

    def fvd(self, forecaster: str) -> float:
        """Fréchet distance of the features of the forecasts from those of the truth, a row a case; NaN without features, or with
        fewer than two cases."""
        if "features" not in self.sums or self.cases < 2:
            return float("nan")
        said, true = self.sums["features"].sel(forecaster=forecaster), self.sums["true_features"]
        return frechet_distance(torch.from_numpy(said.values), torch.from_numpy(true.values))

    @property
    def checksum(self) -> str:
        """Of the true frames of all cases, whatever their order: the same for the same cases."""
        return hashlib.blake2b(np.sort(self.sums["checksum"].values).tobytes(), digest_size=8).hexdigest()

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

    def definitions(self) -> dict[str, str]:
        """What each score means, and what "scaled" means in it."""
        scaling = default_scaling(self.quantity)
        settings = ", ".join(f"{key} {value}" for key, value in asdict(scaling).items() if key not in ("name", "zr"))
        said = self.convention.definitions | {"crps": CRPS_DEFINITION} | self._perceptual_definitions()
        if self.thresholds:
            said |= EVENT_DEFINITIONS | THRESHOLD_DEFINITIONS
        if self.object_measures():
            said["s, a, l"] = SAL_DEFINITION
        return said | {"scaled": f"by {scaling.name} ({settings}), whatever the model was trained with"}

    def _perceptual_definitions(self) -> dict[str, str]:
        lpips, fvd = (self.sums.attrs.get(f"{name}_weights") for name in ("lpips", "fvd"))
        scale = self.sums.attrs.get("lpips_range", "")
        return {
            "lpips": f"AlexNet, pictures {scale}, averaged over frames; {lpips}" if lpips else f"{_ABSENT} lpips",
            "fvd": f"{FVD_DEFINITION} ({self.cases} clips; compare only values of as many); {fvd}"
            if fvd
            else f"{_ABSENT} fvd",
        }

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
            with suppress(OSError):
                temporary.unlink()


def _thirds(kind: str, values: np.ndarray, form: str) -> list[Regime]:
    """Cases by thirds of a value; NaN belongs to none."""
    if not np.isfinite(values).any():
        return []
    low, high = np.nanquantile(values, [1 / 3, 2 / 3])
    parts = {"low": values <= low, "middle": (values > low) & (values <= high), "high": values > high}
    limits = {"low": f"up to {form.format(low)}", "middle": "", "high": f"above {form.format(high)}"}
    return [Regime(kind, f"{name} {limits[name]}".strip(), cases) for name, cases in parts.items()]
