"""Writes ranked tables as Markdown for people, and as tidy rows for programs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from framecast.verification.result import Score
from framecast.verification.showing import decimals, format_number, format_score
from framecast.workflows.ranking_results import FLAT, ClaimResult, RankedRow, RankedTable, VerifiedRun
from framecast.writing import write_text

FIELDS = ("row", "seed", "score", "value", "low", "high", "windows", "last_quarter_fall")
"""The columns of the tidy table; `low` and `high` are the limits of the 95 % interval over test windows."""


def write_rows(path: Path, runs: Iterable[VerifiedRun], scores: Iterable[str]) -> None:
    """Write the `scores` of each run as a tidy CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    for run in runs:
        for name in scores:
            if (score := run.score(name)) is not None:
                limits = score.interval or ("", "")
                writer.writerow([run.row, run.seed, name, score.value, *limits, run.verification.cases, run.last_fall])
    write_text(path, text.getvalue())


def markdown(title: str, command: str, tables: Sequence[RankedTable]) -> str:
    """All tables of a recipe, with the `command` that makes them again."""
    return "\n".join([f"## {title}", "", f"    {command}", *(_table(table) for table in tables)]) + "\n"


def _table(table: RankedTable) -> str:
    score, places = table.table.score.upper(), table.places()
    lines = [
        "",
        f"### {table.table.source}",
        "",
        f"| row | theirs: {score} | place | ours: {score} | place | seeds | loss in the last quarter |",
        "| --- " * 7 + "|",
        *(_row(row, *places[row.row]) for row in table.rows),
        "",
    ]
    same, pairs = table.agreement()
    if pairs and table.seeds:
        lines += [f"{same} of {pairs} pairs of rows are in the order of the paper, by our means.", ""]
    if table.claims:
        lines += [
            "| claim of the paper | theirs | ours: difference | over test windows | verdict |",
            "| --- " * 5 + "|",
        ]
    return "\n".join([*lines, *map(_claim, table.claims)])


def _row(row: RankedRow, theirs: int | None, ours: int | None) -> str:
    published = "" if row.published is None else f"{row.published:g}"
    value = "not trained yet" if row.mean is None else _format(row.mean)
    places = ("" if place is None else str(place) for place in (theirs, ours))
    fall = _describe_fall(row.last_fall)
    return f"| {' | '.join((row.row, published, next(places), value, next(places), str(len(row.ours)), fall))} |"


def _describe_fall(fall: float) -> str:
    """How the validation loss went in the last quarter of the training."""
    if math.isnan(fall):
        return ""
    return f"{-100 * fall:+.1f} %, {'flat' if fall < FLAT else 'still falling'}"


def _claim(result: ClaimResult) -> str:
    """One row of the table of claims: a plain sentence, and the numbers behind the verdict."""
    claim, (better, than) = result.claim, result.published
    printed = "" if better is None or than is None else f"{better:g} and {than:g}"
    sentence = f"{claim.better} has a better {claim.score.upper()} than {claim.than} ({claim.where})"
    difference = "" if result.difference is None else _difference(result.difference)
    windows = "" if result.windows is None else " to ".join(format_number(limit, 2) for limit in result.windows)
    return f"| {sentence} | {printed} | {difference} | {windows} | {result.verdict} |"


def _difference(score: Score) -> str:
    """A difference with its interval, with as many decimals as show on which side of 0 each limit lies."""
    if score.interval is None:
        return _format(score)
    places = decimals([score])
    while places < 6 and any(limit and not round(limit, places) for limit in score.interval):
        places += 1
    return format_score(score, places)


def _format(score: Score) -> str:
    """A value with its interval over seeds; with four digits if one seed gives no interval."""
    return format_number(score.value, 4) if score.interval is None else format_score(score)
