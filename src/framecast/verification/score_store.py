"""The scores of a service, in a CSV file that grows: a row for each score of each forecast whose truth has arrived.

Rows hold the sums that a score is made of, so that the score of a day or a month is that of all its forecasts together, not a
mean of scores. What is older than a few days is kept by day (`compact_scores`), which changes no such score.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from framecast.checks import as_path, as_tuple, check_kind
from framecast.config.parsing import nearest
from framecast.errors import ArgumentError, ConfigError, DataError, shown
from framecast.reading.paths import check_file, is_file, is_folder, read_head, status
from framecast.verification.score_rows import ScoreRow, metric_of
from framecast.writing import append_text, write_text

COLUMNS = (
    *("init_time", "lead_minutes", "issued", "forecaster", "score", "threshold", "value", "pixels", "cases", "sums"),
)
"""The columns of the file: those of `ScoreRow`. Times are UTC, ISO 8601; the sums are separated by blanks."""
FILE = "scores.csv"
_NEEDED = {*COLUMNS} - {"issued", "cases"}
KEEP_DAYS = 3
"""Days of which each forecast has rows of its own; before them each day has."""
DAY = np.timedelta64(1, "D")


class Place(NamedTuple):
    """Which score of which forecaster, where `issued` was issued: `threshold` in mm/h or None, `lead` in minutes or None for
    all."""

    issued: str
    forecaster: str
    score: str
    threshold: float | None
    lead: float | None


@dataclass(frozen=True)
class DaySums:
    """The sums of a score on each of `days (N,)`: `table (K, N)`, and the numbers of `cases (N,)` and `pixels (N,)`."""

    days: np.ndarray
    table: np.ndarray
    cases: np.ndarray
    pixels: np.ndarray

    def of(self, chosen: np.ndarray) -> DaySums:
        """Those of the chosen days, `(N,)` bool."""
        return DaySums(self.days[chosen], self.table[:, chosen], self.cases[chosen], self.pixels[chosen])


def score_files(path: str | Path) -> dict[str, Path]:
    """The files of scores by the name of their domain: `path` itself, that in the folder of a domain, or those of all domains in
    the folder of a service. Raises `DataError` without any."""
    place = as_path(path, "a file of scores, or the folder of a service", "path")
    remedy = "give the folder of a service that has scored its forecasts, of one of its domains, or its scores.csv"
    if status(place) is None:
        near = nearest(place.name, [each.name for each in place.parent.glob("*")])
        raise DataError(f"no such file or folder{near}", where=place, remedy=f"{remedy}; evaluate scores a model")
    if not is_folder(place):
        return {place.resolve().parent.name: place}
    files = [place / FILE] if is_file(place / FILE) else sorted(place.glob(f"*/{FILE}"))
    if not files:
        raise DataError(f"no {FILE} here", where=place, remedy=remedy)
    return {file.resolve().parent.name: file for file in files}


def _holds_scores(path: str | Path) -> bool:
    """Whether a file begins with the first column of the scores of a service."""
    return read_head(path).startswith(f"{COLUMNS[0]},".encode())


def check_store(path: str | Path) -> None:
    """Raise `ConfigError` if `path` is a file of anything but the scores of a service, to which they would be appended."""
    state = status(path)
    if state is not None and state.st_size > 0 and not _holds_scores(path):
        raise ConfigError(
            "holds something else than the scores of a service, which would be appended to it",
            where=path,
            remedy="move it away, or choose another folder for the service",
            parameter="out",
            example="nowcasts",
        )


def check_no_store(folder: Path) -> None:
    """Raise `ConfigError` if `folder` holds the scores of a service, which a table of results of the same name would replace."""
    if is_file(folder / FILE) and _holds_scores(folder / FILE):
        raise ConfigError(
            "holds the scores of a service, which would be replaced",
            where=folder / FILE,
            remedy="write the results to another folder",
        )


def append_scores(rows: Sequence[ScoreRow], path: str | Path) -> None:
    """Append rows to a file, all in one write; a file that is not there is begun with the names of the columns. Raises
    `RunError`, and `ConfigError` for a file of something else."""
    if not rows:
        return
    check_store(path)
    state = status(path)
    if state is None or state.st_size == 0:
        append_text(path, _text(rows, with_head=True))
        return
    with check_file(path).open("rb") as file:
        file.seek(-1, 2)
        cut = file.read(1) != b"\n"  # by a crash
    append_text(path, "\n" * cut + _text(rows, with_head=False))


def _text(rows: Iterable[ScoreRow], *, with_head: bool) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if with_head:
        writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(
            (
                f"{np.datetime_as_string(row.init_time, unit='s')}Z",
                f"{row.lead_minutes:g}",
                row.issued,
                row.forecaster,
                row.score,
                "" if row.threshold is None else f"{row.threshold:g}",
                "" if np.isnan(row.value) else f"{row.value:.6g}",
                row.pixels,
                row.cases,
                " ".join(f"{value:.10g}" for value in row.sums),
            )
        )
    return text.getvalue()


def read_scores(path: str | Path) -> Iterator[ScoreRow]:
    """The rows of a file, one by one. Left out are a row that another repeats, of a service that was stopped between scoring and
    noting so, and one that was cut by a crash. Where the file does not say what was issued, that is the forecaster of the first
    row of an initial time. Raises `DataError` for a file of other columns."""
    seen: set[int] = set()
    issued: dict[str, str] = {}
    with check_file(path).open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.DictReader(file)
        if not set(reader.fieldnames or ()) >= _NEEDED:
            raise DataError(
                f"columns {shown(', '.join(reader.fieldnames or ()) or 'none')[1:-1]}, expected {', '.join(COLUMNS)}",
                where=path,
                remedy="give the scores.csv of a service",
            )
        for fields in reader:
            row = _row(fields, issued)
            if row is None:
                continue
            key = hash((row.init_time, row.cases > 1, *_place(row)))
            if key not in seen:
                seen.add(key)
                yield row


def _row(fields: Mapping[str, str], issued: dict[str, str]) -> ScoreRow | None:
    """The row of the fields of a line; None for one that is cut or mixed with another. Completes what was `issued` by time."""
    try:
        time, forecaster = fields["init_time"], fields["forecaster"]
        row = ScoreRow(
            init_time=np.datetime64(time.removesuffix("Z"), "ns"),
            lead_minutes=float(fields["lead_minutes"]),
            issued=fields.get("issued") or issued.setdefault(time, forecaster),
            forecaster=forecaster,
            score=fields["score"],
            threshold=float(fields["threshold"]) if fields["threshold"] else None,
            value=float(fields["value"]) if fields["value"] else float("nan"),
            pixels=int(fields["pixels"]),
            cases=int(fields.get("cases") or 1),
            sums=tuple(map(float, fields["sums"].split(" "))),
        )
        return row if len(row.sums) == len(metric_of(row.score).sums) else None
    except (AttributeError, TypeError, ValueError, ArgumentError):
        return None


def rows_of(scores: str | Path | Iterable[ScoreRow]) -> Iterable[ScoreRow]:
    """The rows of a file of scores, or those that are given. Raises `DataError` for a file of something else, `ArgumentError` for
    what is neither."""
    if isinstance(scores, str | Path):
        return read_scores(scores)
    rows = as_tuple(scores, "scores")
    for row in rows:
        check_kind(ScoreRow, scores=row)
    return rows


def _place(row: ScoreRow) -> Place:
    return Place(row.issued, row.forecaster, row.score, row.threshold, row.lead_minutes)


def daily_sums(rows: Iterable[ScoreRow]) -> dict[Place, DaySums]:
    """The sums of rows by day, for each place in order of appearance."""
    totals: dict[Place, dict[np.datetime64, list[np.ndarray]]] = {}
    for row in rows:
        days = totals.setdefault(_place(row), {})
        day = row.init_time.astype("datetime64[D]")
        new = [np.array(row.sums), np.array([row.cases, row.pixels])]
        days[day] = [one + other for one, other in zip(days[day], new, strict=True)] if day in days else new
    result = {}
    for place, by_day in totals.items():
        order = sorted(by_day)
        counts = np.stack([by_day[day][1] for day in order], axis=1)
        result[place] = DaySums(np.array(order), np.stack([by_day[day][0] for day in order], axis=1), *counts)
    return result


def compact_scores(path: str | Path, keep_days: int = KEEP_DAYS) -> None:
    """Replace the rows of each day before the last `keep_days` by their sums. Scores of whole days stay as they are. Raises
    `DataError` and `RunError`."""
    rows = list(read_scores(path))
    if not rows:
        return
    first = max(row.init_time for row in rows).astype("datetime64[D]") - (keep_days - 1) * DAY
    old = [row for row in rows if row.init_time < first]
    recent = [row for row in rows if row.init_time >= first]
    if all(row.cases > 1 or row.init_time == row.init_time.astype("datetime64[D]") for row in old):
        return
    by_day = []
    for place, sums in daily_sums(old).items():
        assert place.lead is not None  # rows have one
        formula = metric_of(place.score).formula
        for k, day in enumerate(sums.days):
            by_day.append(
                ScoreRow(
                    init_time=day.astype("datetime64[ns]"),
                    lead_minutes=place.lead,
                    issued=place.issued,
                    forecaster=place.forecaster,
                    score=place.score,
                    threshold=place.threshold,
                    value=float(formula(sums.table[:, k])),
                    pixels=int(sums.pixels[k]),
                    cases=int(sums.cases[k]),
                    sums=tuple(sums.table[:, k].tolist()),
                )
            )
    by_day.sort(key=lambda row: row.init_time)
    write_text(path, _text([*by_day, *recent], with_head=True))
