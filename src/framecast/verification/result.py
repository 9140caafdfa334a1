"""The result of a verification: sums for each case and lead time, and the scores and intervals computed from them.

All forecasters are scored on the same pixels: where the truth and every forecast have data. The number of these pixels is part
of the result. Only sums are stored (`cases.nc`), so memory does not depend on the size of the frames.

See `metrics` for the scores, `metric_selection` for those that can be computed, `regimes` for subsets of the cases and `views`
for other quantities of the sums.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import xarray as xr

from framecast.data.quantities import Quantity
from framecast.scores import Convention, Metric
from framecast.scores.bootstrap import blocks_with_value, draw_blocks, limits, resample
from framecast.verification.case_file import read_cases, write_cases
from framecast.verification.examples import Example, Grid
from framecast.verification.metric_selection import define_metrics, find_metric, select_metrics
from framecast.verification.score_table import TidyRow, lead_times, tidy_rows, to_pandas, to_xarray
from framecast.verification.showing import as_html, as_text, decimals, format_score

if TYPE_CHECKING:
    import pandas as pd


Result = TypeVar("Result")


class Score(NamedTuple):
    """A value with its 95 % interval (None with fewer than two independent blocks)."""

    value: float
    interval: tuple[float, float] | None


class Curve(NamedTuple):
    """A value at each lead time with its 95 % interval, each `(S,)`, NaN where undefined."""

    values: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True, repr=False)
class Verification:
    """The sums of all cases, and the scores computed from them.

    `sums` has dims `(forecaster, case, lead_time[, threshold])`; `rates` are the thresholds as rain rates in mm/h, none where the
    frames are not of rain, `thresholds` the same in the units of the data.
    """

    sums: xr.Dataset
    convention: Convention
    quantity: Quantity
    rates: tuple[float, ...]
    thresholds: tuple[float, ...]
    examples: list[Example] = field(default_factory=list)
    grid: Grid | None = None
    """The grid of all frames; None if they have several grids, or no coordinates."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """The mean time of a forecast of one case, by forecaster; empty if not measured."""

    @classmethod
    def open(cls, path: str | Path) -> Verification:
        """Read a file written by `save`, also of an earlier version: without examples, grid and seconds. Raises `DataError` for
        another file, or one of a newer version."""
        return cls(*read_cases(Path(path)))

    def save(self, path: Path) -> None:
        """Write the sums atomically. Raises `RunError`."""
        write_cases(self.sums, self.rates, path)

    @property
    def forecasters(self) -> list[str]:
        """The names of the forecasters; reports are about the first."""
        return [str(name) for name in self.sums["forecaster"].values]

    @property
    def repairs(self) -> list[str]:
        """What was repaired, left out or refused in the data, one sentence each."""
        return str(self.sums.attrs.get("repairs", "")).splitlines()

    @property
    def warnings(self) -> list[str]:
        """Warnings that scores are too good: models that were trained on the data."""
        return str(self.sums.attrs.get("warnings", "")).splitlines()

    @property
    def cases(self) -> int:
        """Number of cases."""
        return int(self.sums.sizes["case"])

    @property
    def blocks(self) -> int:
        """Number of independent blocks of cases: blocks share frames only with adjacent blocks."""
        return len(np.unique(self.sums["block"].values))

    @property
    def checksum(self) -> str:
        """A checksum of the true frames of all cases; their order does not matter."""
        return hashlib.blake2b(np.sort(self.sums["checksum"].values).tobytes(), digest_size=8).hexdigest()

    @property
    def levels(self) -> tuple[float, ...]:
        """The thresholds as they were stated, in `level_units`."""
        return tuple(self.sums["level"].values.tolist()) if "level" in self.sums.coords else self.rates

    @property
    def level_units(self) -> str:
        """The units of the levels in tables: mm/h, dBZ, "of 255"."""
        return str(self.sums.attrs.get("level_units", "mm/h"))

    def level(self, threshold: int) -> str:
        """The threshold of that index as text: "2 mm/h", "30 dBZ", "70 of 255"."""
        return f"{self.levels[threshold]:g} {self.level_units}"

    @property
    def pixel_kilometres(self) -> float | None:
        """The side of a pixel; None if it is not known, or not the same in all cases."""
        return self.sums.attrs.get("pixel_kilometres")

    def rows(self) -> list[TidyRow]:
        """Every score of every forecaster as a row of a table, over all lead times and at each."""
        return tidy_rows(self)

    def to_pandas(self) -> pd.DataFrame:
        """The scores as a tidy table: forecaster, score, threshold, its units, percentile, scale (pixels), lead (missing: all
        lead times), value, low and high (95 % interval), units, direction in which it is better, count of the pixels scored."""
        return to_pandas(self.rows())

    def to_xarray(self) -> xr.Dataset:
        """The scores as a dataset: each score `(forecaster[, threshold][, percentile][, scale], lead_time)` with `_low` and
        `_high`, the limits of its 95 % interval; over all lead times with the suffix `_overall`."""
        return to_xarray(self)

    def __repr__(self) -> str:
        return as_text(
            self._heading, *self._glance, note="scores: .to_pandas(), .to_xarray(); sums of the cases: .sums"
        )

    def _repr_html_(self) -> str:
        return as_html(
            self._heading, *self._glance, note="scores: .to_pandas(), .to_xarray(); sums of the cases: .sums"
        )

    @property
    def _heading(self) -> str:
        leads, units = lead_times(self.sums)
        return (
            f"Verification of {self.quantity.title}: {self.cases} cases in {self.blocks} independent blocks, "
            f"{len(leads)} lead times to {leads[-1]:g} {units}"
        )

    @property
    def _glance(self) -> tuple[list[str], list[tuple[str, list[str]]]]:
        """The head and rows of a small table: a few scores over all lead times."""
        metrics = self.headlines()
        head = [f"{metric.label} {metric.arrow}".strip() for metric in metrics]
        places = [decimals([self.score(name, metric) for name in self.forecasters]) for metric in metrics]
        return head, [
            (name, [format_score(self.score(name, metric), at) for metric, at in zip(metrics, places, strict=True)])
            for name in self.forecasters
        ]

    def headlines(self) -> list[Metric]:
        """The few scores that say most: errors of frames, and the events and probabilities of the middle threshold."""
        names = ("mse", "crps") if self.rates else ("mse", "mae", "ssim", "psnr")
        frame = [metric for metric in self.metrics("frame") if metric.name in names]
        if not self.thresholds:
            return frame
        middle = len(self.thresholds) // 2
        event = [metric for metric in self.metrics(threshold=middle) if metric.name in ("csi", "bias", "brier", "fss")]
        return frame + [metric for metric in event if self.middle_scale(metric)]

    def members(self, forecaster: str) -> int:
        """Number of members of a forecast."""
        return int(self.sums["members"].sel(forecaster=forecaster).max()) if "members" in self.sums else 1

    @property
    def ensembles(self) -> list[str]:
        """The forecasters that give several members."""
        return [name for name in self.forecasters if self.members(name) > 1]

    @property
    def distributions(self) -> list[str]:
        """The forecasters whose forecast is a distribution."""
        if "highest_rate" not in self.sums:
            return []
        return [name for name in self.forecasters if self.sums["highest_rate"].sel(forecaster=name).notnull().any()]

    def metrics(self, group: str | None = None, **place: int) -> list[Metric]:
        """All metrics that can be computed from the sums, at each threshold, percentile and scale, in the order of tables.
        `group` and `place` select some of them."""
        return select_metrics(self, group, place)

    def metric(self, name: str, **place: int) -> Metric:
        """The metric of that name, at a threshold, percentile or scale. Raises `ConfigError` if it cannot be computed."""
        return find_metric(self, name, place)

    def middle_scale(self, metric: Metric) -> bool:
        """Whether a metric is at the middle one of its scales, or has none."""
        return "scale" not in metric.place or metric.place["scale"] == self.sums.sizes["scale"] // 2

    def frame(self, forecaster: str, score: str) -> Score:
        """The frame score of that name ("mse", "ssim", ...) over all lead times."""
        return self.score(forecaster, self.metric(score))

    def event(self, forecaster: str, score: str, threshold: int) -> Score:
        """The event score of that name ("csi", "pod", ...) over all lead times, at the threshold of that index."""
        return self.score(forecaster, self.metric(score, threshold=threshold))

    def score(self, forecaster: str, metric: Metric) -> Score:
        """A score over all lead times, with its interval."""
        return self._once("score", forecaster, metric, self._score)

    def _score(self, forecaster: str, metric: Metric) -> Score:
        table = self.table(forecaster, metric)
        if not metric.additive:
            return Score(float(metric.formula(table)), None)
        values, low, high = self._estimate(metric, table.sum(2))
        return Score(float(values), None if np.isnan(low) else (float(low), float(high)))

    def curve(self, forecaster: str, metric: Metric) -> Curve:
        """A score at each lead time, with its intervals."""
        return self._once("curve", forecaster, metric, self._curve)

    def _curve(self, forecaster: str, metric: Metric) -> Curve:
        return Curve(*self._estimate(metric, self.table(forecaster, metric)))

    def _once(self, kind: str, forecaster: str, metric: Metric, compute: Callable[[str, Metric], Result]) -> Result:
        """What `compute` gives, computed once: tables, figures and files ask for the same scores."""
        key = (kind, forecaster, metric.formula, metric.sums, *sorted(metric.place.items()))
        if key not in self._computed:
            self._computed[key] = compute(forecaster, metric)
        result: Result = self._computed[key]
        return result

    @cached_property
    def _computed(self) -> dict[tuple[object, ...], Any]:
        return {}

    def table(self, forecaster: str, metric: Metric) -> np.ndarray:
        """The sums of a metric `(K, N, S)`, for K sums, N cases and S lead times."""
        parts = [self.sums[name] for name in metric.sums]
        parts = [part.sel(forecaster=forecaster) if "forecaster" in part.dims else part for part in parts]
        return np.stack([part.isel(metric.place).values.astype(np.float64) for part in parts])

    def _estimate(self, metric: Metric, table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The value of sums of cases `(K, N, ...)` and the limits of its interval, NaN where fewer than two blocks have a
        value."""
        blocks = self.sums["block"].values
        low, high = limits(metric.formula(resample(table, blocks, self._draws)))
        enough = blocks_with_value(metric.formula, table, blocks).sum(0) > 1
        return metric.formula(table.sum(1)), np.where(enough, low, np.nan), np.where(enough, high, np.nan)

    @cached_property
    def _draws(self) -> np.ndarray:
        return draw_blocks(self.sums["block"].values)

    def subset(self, cases: np.ndarray) -> Verification:
        """The verification of some of the cases, `cases (N,)` bool."""
        return replace(self, sums=self.sums.isel(case=np.flatnonzero(cases)), examples=[])

    def definitions(self) -> dict[str, str]:
        """The definition of each score by its title, and that of "scaled"."""
        return define_metrics(self)
