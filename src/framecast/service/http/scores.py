"""The scores of past forecasts, from the end of `scores.csv`: means by lead time, and over time."""

from __future__ import annotations

import csv
import math
import os
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from framecast.service.http.caching import Recent
from framecast.service.http.names import seconds_of
from framecast.service.http.outputs import Output

_TAIL = 16 * 2**20
"""Bytes at the end of the file that are read: some days."""
_AGAIN = 20.0
"""Seconds for which what was read is used again."""
_COLUMNS = ("init_time", "lead_minutes", "forecaster", "score", "threshold", "value", "pixels")
ISSUED = "issued"
"""The name of the forecast that was issued, whichever rung it was of."""


class Row(NamedTuple):
    """A score of one forecast at one lead time."""

    init: float
    lead: float
    forecaster: str
    score: str
    threshold: str
    value: float


class Summary(NamedTuple):
    """The mean of a score."""

    forecaster: str
    score: str
    threshold: str
    mean: float


class Scores:
    """The scores of all domains."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self._rows: Recent[list[Row]] = Recent(_AGAIN)

    def rows(self, domain: str, since: float) -> list[Row]:
        """The scores of forecasts with an initial time from `since` on; those of the forecast that was issued are named so."""

        def read() -> list[Row]:
            return _issued(_read(self.output.folder / domain / "scores.csv"), self.output.rungs(domain))

        return [row for row in self._rows.get(domain, read) if row.init >= since]

    def summary(self, domain: str, since: float) -> list[Summary]:
        """The mean of each score of each forecaster."""
        values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        for row in self.rows(domain, since):
            values[row.forecaster, row.score, row.threshold].append(row.value)
        return [Summary(*key, sum(each) / len(each)) for key, each in sorted(values.items())]

    def series(self, domain: str, since: float, lead: float | None = None) -> dict[str, Any]:
        """The scores as plain data: for each score, threshold and forecaster the means by lead time, and the values over time at
        one lead time, by default that in the middle."""
        rows = self.rows(domain, since)
        leads = sorted({row.lead for row in rows})
        chosen = lead if lead in leads else (leads[(len(leads) - 1) // 2] if leads else None)
        by_lead: dict[tuple[str, str, str], dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
        over_time: dict[tuple[str, str, str], dict[float, float]] = defaultdict(dict)
        for row in rows:
            key = (row.score, row.threshold, row.forecaster)
            by_lead[key][row.lead].append(row.value)
            if row.lead == chosen:
                over_time[key][row.init] = row.value
        return {
            "leads": leads,
            "lead": chosen,
            "forecasts": len({row.init for row in rows}),
            "series": [
                {
                    "score": score,
                    "threshold": threshold,
                    "forecaster": forecaster,
                    "by_lead": [[at, round(sum(v) / len(v), 4), len(v)] for at, v in sorted(values.items())],
                    "over_time": [
                        [at, round(v, 4)] for at, v in sorted(over_time[score, threshold, forecaster].items())
                    ],
                }
                for (score, threshold, forecaster), values in sorted(by_lead.items())
            ],
        }


def _issued(rows: list[Row], cycles: dict[str, dict[str, Any]]) -> list[Row]:
    """The rows, those of the forecast that was issued named so: the rung of its cycle, else the first of its initial time."""
    rungs: dict[float, str] = {}
    for name, cycle in cycles.items():
        try:
            rungs[seconds_of(name)] = str(cycle.get("rung"))
        except ValueError:
            continue
    for row in rows:
        rungs.setdefault(row.init, row.forecaster)
    return [row._replace(forecaster=ISSUED) if row.forecaster == rungs[row.init] else row for row in rows]


def _read(path: Path) -> list[Row]:
    """The rows at the end of a file; lines that are no scores are passed over."""
    try:
        with path.open("rb") as file:
            header = file.readline(1000).decode("utf-8", "replace").strip().split(",")
            start = file.tell()
            size = file.seek(0, os.SEEK_END)
            file.seek(max(start, size - _TAIL))
            lines = file.read(_TAIL).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    if not set(_COLUMNS) <= set(header):
        return []
    rows = []
    for fields in csv.reader(lines):
        if len(fields) == len(header) and (row := _row(dict(zip(header, fields, strict=True)))) is not None:
            rows.append(row)
    return rows


def _row(fields: dict[str, str]) -> Row | None:
    try:
        init = seconds_of(fields["init_time"].replace("-", "").replace(":", ""))
        lead, value = float(fields["lead_minutes"]), float(fields["value"])
    except ValueError:
        return None
    if not (math.isfinite(lead) and math.isfinite(value)):
        return None
    return Row(init, lead, fields["forecaster"], fields["score"], fields["threshold"], value)
