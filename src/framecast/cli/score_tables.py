"""Prints the scores of a verification as tables on the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from rich.console import Console

    from framecast.scores import Metric
    from framecast.verification.comparison import Comparison
    from framecast.verification.result import Score, Verification
    from framecast.workflows.event_scores import EventScore

_GAP = 2
"""Blanks between two columns of a table."""


class ScoreRow(TypedDict):
    """A headline score of a forecaster over all lead times, with its 95 % interval; None where undefined."""

    forecaster: str
    score: str
    at: str
    value: float | None
    low: float | None
    high: float | None


def score_rows(verification: Verification) -> list[ScoreRow]:
    """The headline scores as rows."""
    rows: list[ScoreRow] = []
    for metric in (each for each in verification.metrics() if each.headline):
        for name in verification.forecasters:
            score = verification.score(name, metric)
            low, high = score.interval or (None, None)
            row: ScoreRow = {
                "forecaster": name,
                "score": metric.name,
                "at": metric.suffix.removeprefix(" at "),
                "value": score.value,
                "low": low,
                "high": high,
            }
            rows.append(row)
    return rows


def print_scores(verification: Verification, console: Console) -> None:
    """Print the headline scores over all lead times as tables, then the warnings of fallback, and the verdict."""
    from framecast.report.verdict import verdict
    from framecast.verification.views import fallbacks

    headline = [metric for metric in verification.metrics() if metric.headline]
    tables = filter(lambda metric: metric.additive, headline)
    for title, metrics in groupby(tables, key=lambda metric: _title(verification, metric)):
        _print_metrics(verification, title, list(metrics), console)
    for metric in headline:
        if not metric.additive:
            values = ((name, verification.score(name, metric).value) for name in verification.forecasters)
            line = ", ".join(f"{name} {value:.4g}" for name, value in values)
            console.print(f"{metric.title} of {verification.cases} clips: {line}", highlight=False)
    for line in fallbacks(verification):
        console.print(f"! {line}", style="yellow", highlight=False, markup=False)
    console.print(
        "± is half the width of the 95 % interval; the report has the intervals and more scores", highlight=False
    )
    console.print(verdict(verification), highlight=False)


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print what can be claimed in a few lines, and a table of the compared headline scores."""
    from framecast.cli.terminal import print_lines
    from framecast.report.verdict import comparison_lines

    verification = comparison.verification
    metrics = [metric for metric in verification.headlines() if metric.compared]
    columns = [
        [
            f"{metric.label} {metric.arrow}",
            *(format_score(verification.score(name, metric)) for name in verification.forecasters),
        ]
        for metric in metrics
    ]
    print_columns(f"{verification.cases} cases", verification.forecasters, columns, console)
    print_lines(console, *comparison_lines(comparison))


def _title(verification: Verification, metric: Metric) -> str:
    """The title of the table that holds a metric."""
    from framecast.verification.views import observed_events

    if metric.group == "event":
        threshold = metric.place["threshold"]
        events = int(observed_events(verification, threshold).sum())
        return f"{verification.level(threshold)} or more: {events:,} event pixels"
    if metric.group == "frame":
        return f"{verification.cases} cases, convention {verification.convention.name}"
    return f"{metric.group}s"


def _print_metrics(verification: Verification, title: str, metrics: Sequence[Metric], console: Console) -> None:
    """Print a row for each forecaster and a column for each metric."""
    names = verification.forecasters
    columns = [
        [_head(metric), *(format_score(verification.score(name, metric)) for name in names)] for metric in metrics
    ]
    print_columns(title, names, columns, console)


def print_columns(title: str, names: Sequence[str], columns: Sequence[list[str]], console: Console) -> None:
    """Print a row for each of `names`, from `columns` of a head and the cells of these rows; several tables if the terminal is
    narrow."""
    from rich.box import SIMPLE
    from rich.table import Table

    for group in split_columns(columns, console.width - max(map(len, names)) - _GAP):
        table = Table(
            title=title if group[0] is columns[0] else None, box=SIMPLE, collapse_padding=True, pad_edge=False
        )
        table.add_column("", no_wrap=True)
        for head, *_ in group:
            table.add_column(head, justify="right", no_wrap=True)
        for name, *values in zip(names, *(values for _, *values in group), strict=True):
            table.add_row(name, *values)
        console.print(table)


_MARKS = {"better": " +", "worse": " -"}


def print_event_scores(rows: Sequence[EventScore], console: Console) -> None:
    """Print a table for each score, with a row for each forecaster and a column for each event and the mean."""
    from framecast.verification.result import Score

    events = list(dict.fromkeys(row.event for row in rows))
    for title in dict.fromkeys(row.score for row in rows):
        cells = {(row.forecaster, row.event): row for row in rows if row.score == title}
        names = list(dict.fromkeys(name for name, _ in cells))
        columns = [[event, *(_event_cell(cells.get((name, event)), Score) for name in names)] for event in events]
        print_columns(title, names, columns, console)
    counts = {row.event: f"{row.event} {row.cases} cases in {row.blocks} independent blocks" for row in rows}
    for line in (
        *counts.values(),
        "+ the model is better than this baseline, - it is worse; no mark: that cannot be told",
    ):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _event_cell(row: EventScore | None, score: type[Score]) -> str:
    """A value with half the width of its interval, and the mark of what can be claimed of the model against it."""
    if row is None:
        return ""
    interval = None if math.isnan(row.low) else (row.low, row.high)
    return f"{format_score(score(row.value, interval))}{_MARKS.get(row.verdict, '')}"


def _head(metric: Metric) -> str:
    """The head of a column: the short name of a metric, with its suffix for the metrics that need one."""
    name = metric.name.upper().replace("_", "-")
    return name if metric.group in ("frame", "event") else f"{name}{metric.suffix}"


def split_columns(columns: Sequence[list[str]], width: int) -> list[list[list[str]]]:
    """Split columns into groups that fit a width in characters."""
    groups: list[list[list[str]]] = [[]]
    used_width = 0
    for column in columns:
        column_width = max(map(len, column)) + _GAP
        if groups[-1] and used_width + column_width > width:
            groups.append([])
            used_width = 0
        groups[-1].append(column)
        used_width += column_width
    return groups


def format_score(score: Score | None) -> str:
    """Format a value and half the width of its interval, rounded to the first digit of the latter: "12.3 ± 0.4"."""
    if score is None:
        return ""
    if score.value != score.value:
        return "undefined"
    if score.interval is None:
        return f"{score.value:.3g}"
    half = (score.interval[1] - score.interval[0]) / 2
    if half == 0:
        return f"{score.value:.3g} ± 0"
    places = max(0, -math.floor(math.log10(half)))
    return f"{score.value:.{places}f} ± {half:.{places}f}"
