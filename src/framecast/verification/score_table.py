"""Scores as tables: one row for each score, forecaster, place and lead time, for pandas, xarray, CSV and JSON.

Reads a `Verification` through its scores; computes none.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import xarray as xr

from framecast.data.quantities import Quantity
from framecast.scores import Metric

if TYPE_CHECKING:
    import pandas as pd


class TidyRow(NamedTuple):
    """A score of a forecaster. `lead` is None for all lead times; `low` and `high` are the limits of the 95 % interval, NaN where
    there is none; `direction` is lower, higher or neither is better; `count` are the pixels scored."""

    forecaster: str
    score: str
    threshold: float | None
    threshold_units: str | None
    percentile: float | None
    scale: float | None
    lead: float | None
    lead_units: str
    value: float
    low: float
    high: float
    units: str
    direction: str
    count: int  # type: ignore[assignment]


class Scored(Protocol):
    """What a table needs of a `Verification`."""

    @property
    def sums(self) -> xr.Dataset: ...

    @property
    def quantity(self) -> Quantity: ...

    @property
    def levels(self) -> tuple[float, ...]: ...

    @property
    def level_units(self) -> str: ...

    @property
    def forecasters(self) -> list[str]: ...

    def metrics(self) -> list[Metric]: ...

    def score(self, forecaster: str, metric: Metric) -> Any: ...

    def curve(self, forecaster: str, metric: Metric) -> Any: ...


def lead_times(sums: xr.Dataset) -> tuple[np.ndarray, str]:
    """Lead times as numbers and their units: minutes, or frames."""
    leads = sums["lead_time"].values
    if leads.dtype.kind == "m":
        return leads / np.timedelta64(1, "m"), "minutes"
    return leads, "frames"


def tidy_rows(verification: Scored) -> list[TidyRow]:
    """Every score of every forecaster, over all lead times and at each."""
    leads, lead_units = lead_times(verification.sums)
    counts = verification.sums["pixels"].sum("case").values
    rows = []
    for metric in verification.metrics():
        for name in verification.forecasters:
            overall = verification.score(name, metric)
            low, high = overall.interval or (math.nan, math.nan)
            entries: list[tuple[Any, ...]] = [(None, overall.value, low, high, counts.sum())]
            if metric.additive:
                entries += list(zip(leads, *verification.curve(name, metric), counts, strict=True))
            for lead, value, least, most, count in entries:
                rows.append(
                    TidyRow(
                        name,
                        metric.name,
                        verification.levels[metric.place["threshold"]] if "threshold" in metric.place else None,
                        verification.level_units if "threshold" in metric.place else None,
                        _place(verification, metric, "percentile"),
                        _place(verification, metric, "scale"),
                        None if lead is None else float(lead),
                        lead_units,
                        float(value),
                        float(least),
                        float(most),
                        metric.units_of(verification.quantity.label) or "1",
                        metric.better,
                        int(count),
                    )
                )
    return rows


def _place(verification: Scored, metric: Metric, dim: str) -> float | None:
    return float(verification.sums[dim].values[metric.place[dim]]) if dim in metric.place else None


def to_pandas(rows: Sequence[NamedTuple]) -> pd.DataFrame:
    """Rows as a data frame; what is None is missing."""
    import pandas as pd  # late: only for those who ask for it

    fields = rows[0]._fields if rows else TidyRow._fields
    columns = zip(*rows, strict=True) if rows else [()] * len(fields)
    return pd.DataFrame(
        {
            name: [math.nan if cell is None else cell for cell in cells]
            for name, cells in zip(fields, columns, strict=True)
        }
    )


def to_xarray(verification: Scored) -> xr.Dataset:
    """Each score as a variable `(forecaster[, threshold][, percentile][, scale], lead_time)`, the limits of its interval as
    `<score>_low` and `<score>_high`, and all three over all lead times with the suffix `_overall`."""
    leads = verification.sums["lead_time"]
    names = verification.forecasters
    coordinates: dict[str, Any] = {"forecaster": names, "lead_time": leads.values}
    groups: dict[str, list[Metric]] = {}
    for metric in verification.metrics():
        groups.setdefault("fss_largest" if "percentile" in metric.place else metric.name, []).append(metric)
    result = xr.Dataset(coords=coordinates)
    for name, metrics in groups.items():
        dims = list(metrics[0].place)
        sizes = [verification.sums.sizes[dim] for dim in dims]
        values = np.full((3, len(names), *sizes, len(leads)), np.nan)
        overall = np.full((3, len(names), *sizes), np.nan)
        for metric in metrics:
            place: tuple[Any, ...] = tuple(metric.place[dim] for dim in dims)
            for k, forecaster in enumerate(names):
                if metric.additive:
                    values[:, k, *place] = np.stack(verification.curve(forecaster, metric))
                score = verification.score(forecaster, metric)
                overall[:, k, *place] = (score.value, *(score.interval or (np.nan, np.nan)))
        attributes = {
            "long_name": metrics[0].title,
            "units": metrics[0].units_of(verification.quantity.label) or "1",
            "better": metrics[0].better,
            "definition": metrics[0].definition,
        }
        for kind, suffix in enumerate(("", "_low", "_high")):
            result[f"{name}{suffix}"] = (("forecaster", *dims, "lead_time"), values[kind], attributes)
            result[f"{name}{suffix}_overall"] = (("forecaster", *dims), overall[kind], attributes)
        for dim in dims:
            known = verification.levels if dim == "threshold" else verification.sums[dim].values
            levels = {"mm/h": "mm h-1"}.get(verification.level_units, verification.level_units)
            units = {"threshold": {"units": levels}, "scale": {"units": "pixels"}}.get(dim, {})
            result = result.assign_coords({dim: (dim, list(known), units)})
    return result


def to_csv(rows: Sequence[NamedTuple]) -> str:
    """Rows as comma-separated values with a header; what is not known is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0]._fields if rows else TidyRow._fields)
    writer.writerows([["" if cell is None else cell for cell in row] for row in _plain(rows)])
    return text.getvalue()


def to_json(facts: Mapping[str, Any], **tables: Sequence[NamedTuple]) -> str:
    """Facts and tables of rows as JSON; what is not known is null."""
    content = {
        **facts,
        **{
            name: [dict(zip(row._fields, cells, strict=True)) for row, cells in zip(rows, _plain(rows), strict=True)]
            for name, rows in tables.items()
        },
    }
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _plain(rows: Iterable[NamedTuple]) -> list[list[Any]]:
    """Cells with None for what is not a finite number."""
    return [[None if isinstance(cell, float) and not math.isfinite(cell) else cell for cell in row] for row in rows]
