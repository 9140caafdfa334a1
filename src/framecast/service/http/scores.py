"""The scores of past forecasts, from the end of `scores.csv`: means over forecasts, by lead time and over time.

`framecast.verification` reads the same file (`score_store`) and adds the sums of the scores up, by formulas that would load
torch. Here a row that holds the sums of a day counts as many times as that day has forecasts.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from framecast.errors import FramecastError
from framecast.reading.paths import check_file
from framecast.service.appended import last_lines
from framecast.service.http.caching import Recent
from framecast.service.http.names import compact, seconds_of
from framecast.service.http.outputs import Output

_TAIL = 16 * 2**20
"""Bytes at the end of the file that are read: some days."""
_AGAIN = 20.0
"""Seconds for which what was read is used again."""
_NEEDED = {"init_time", "lead_minutes", "forecaster", "score", "threshold", "value"}
ISSUED = "issued"
"""The name of the forecast that was issued, whichever rung it was of."""


class Row(NamedTuple):
    """A score at one lead time, of one forecast or of the `cases` of a day; `forecaster` is `ISSUED` for what was issued."""

    init: float
    lead: float
    forecaster: str
    score: str
    threshold: str
    value: float
    cases: int


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
        """The scores of forecasts with an initial time from `since` on."""
        rows = self._rows.get(domain, lambda: _read(self.output.folder / domain / "scores.csv"))
        return [row for row in rows if row.init >= since]

    def summary(self, domain: str, since: float) -> list[Summary]:
        """The mean of each score of each forecaster."""
        groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
        for row in self.rows(domain, since):
            groups[row.forecaster, row.score, row.threshold].append(row)
        return [Summary(*key, _mean(rows)) for key, rows in sorted(groups.items())]

    def series(self, domain: str, since: float, lead: float | None = None) -> dict[str, Any]:
        """The scores as plain data: for each score, threshold and forecaster the means by lead time, and the values over time at
        one lead time, by default that in the middle."""
        rows = self.rows(domain, since)
        leads = sorted({row.lead for row in rows})
        chosen = lead if lead in leads else (leads[(len(leads) - 1) // 2] if leads else None)
        by_lead: dict[tuple[str, str, str], dict[float, list[Row]]] = defaultdict(lambda: defaultdict(list))
        over_time: dict[tuple[str, str, str], dict[float, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in rows:
            key = (row.score, row.threshold, row.forecaster)
            by_lead[key][row.lead].append(row)
            if row.lead == chosen:
                over_time[key][row.init].append(row)
        series = [
            {
                "score": score,
                "threshold": threshold,
                "forecaster": forecaster,
                "by_lead": [[at, round(_mean(v), 4), sum(row.cases for row in v)] for at, v in sorted(values.items())],
                "over_time": [
                    [at, round(_mean(v), 4)] for at, v in sorted(over_time[score, threshold, forecaster].items())
                ],
            }
            for (score, threshold, forecaster), values in sorted(by_lead.items())
        ]
        counts = [sum(row.cases for row in v) for key in by_lead if key[2] == ISSUED for v in by_lead[key].values()]
        return {"leads": leads, "lead": chosen, "forecasts": max(counts, default=0), "series": series}


def _mean(rows: list[Row]) -> float:
    """The mean over forecasts."""
    return sum(row.value * row.cases for row in rows) / sum(row.cases for row in rows)


def _read(path: Path) -> list[Row]:
    """The rows at the end of a file; lines that are no scores are passed over."""
    try:
        with check_file(path).open("rb") as file:
            header = file.readline(1000).decode("utf-8", "replace").strip().split(",")
        lines = [line.decode("utf-8", "replace") for line in last_lines(path, _TAIL)]
    except (OSError, FramecastError):
        return []
    if not set(header) >= _NEEDED:
        return []
    rows: list[Row] = []
    issued: dict[str, str] = {}
    for fields in csv.reader(lines):
        if len(fields) == len(header) and (row := _row(dict(zip(header, fields, strict=True)), issued)) is not None:
            rows.append(row)
    return rows


def _row(fields: dict[str, str], issued: dict[str, str]) -> Row | None:
    """The row of the fields of a line, None for one that is damaged. Where the file does not say what was issued, that is the
    forecaster of the first row of an initial time, which completes `issued`."""
    time, forecaster = fields["init_time"], fields["forecaster"]
    try:
        init, cases = seconds_of(compact(time)), int(fields.get("cases") or 1)
        lead, value = float(fields["lead_minutes"]), float(fields["value"])
    except ValueError:
        return None
    if not (math.isfinite(lead) and math.isfinite(value) and cases > 0):
        return None
    if forecaster == (fields.get("issued") or issued.setdefault(time, forecaster)):
        forecaster = ISSUED
    return Row(init, lead, forecaster, fields["score"], fields["threshold"], value, cases)
