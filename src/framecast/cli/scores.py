"""The command `framecast scores`: how good the forecasts of a service were."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

import framecast
from framecast.cli.options import command
from framecast.cli.score_tables import print_columns
from framecast.cli.terminal import print_lines, warn

if TYPE_CHECKING:
    from rich.console import Console

    from framecast.verification.promise import Promise
    from framecast.verification.score_summary import ScoreSummary


class ScoresResult(TypedDict):
    scores: list[dict[str, Any]]
    drift: list[dict[str, Any]]


@command
def scores(
    path: Annotated[
        Path, typer.Argument(help="The folder of a service, or of one of its domains, or a file scores.csv.")
    ],
    days: Annotated[int, typer.Option(help="The last days, in UTC, with scores.")] = 1,
    drift_days: Annotated[int, typer.Option(help="The last days that are judged for drift.")] = 7,
    promise: Annotated[
        Path | None,
        typer.Option(help="The cases.nc of an evaluation, or the model, of which the evaluation or card is taken."),
    ] = None,
) -> ScoresResult:
    """Show the scores of the forecasts of a service in the last days, beside its fallbacks, and warn of drift."""
    from dataclasses import asdict

    from rich.console import Console

    from framecast.checkpoints.model_folder import is_packaged
    from framecast.verification.promise import EvaluationPromise, promise_of
    from framecast.verification.score_store import score_files

    promised: Promise | None = None
    if promise is not None:
        is_model = promise.is_dir() or is_packaged(promise)
        promised = promise_of(promise) if is_model else EvaluationPromise(framecast.Verification.open(promise))
    console, result = Console(), ScoresResult(scores=[], drift=[])
    for domain, file in score_files(path).items():
        summary = framecast.summarise(file, days, by_lead_time=False)
        for issued in dict.fromkeys(row.issued for row in summary):
            _print_table(domain, [row for row in summary if row.issued == issued], console)
        findings = framecast.drift(file, drift_days, promise=promised)
        for finding in findings:
            if finding.worse:
                warn(console, f"{domain}: {finding.message}")
        if not any(finding.worse for finding in findings):
            print_lines(console, f"{domain}: no drift: {_reason(findings)}")
        result["scores"] += [{"domain": domain, **asdict(row)} for row in framecast.summarise(file, days)]
        result["drift"] += [{"domain": domain, **each.plain()} for each in findings]
    return result


def _reason(findings: list[Any]) -> str:
    if not findings:
        return "nothing stands beside the forecasts"
    known = sum(finding.p == finding.p for finding in findings)
    return "too few days with events to tell" if not known else f"{known} comparisons, none significantly worse"


def _print_table(domain: str, rows: list[ScoreSummary], console: Console) -> None:
    """A row for each forecaster, a column for each score."""
    from framecast.verification.score_rows import metric_of

    first = rows[0]
    names = list(dict.fromkeys(row.forecaster for row in rows))
    period = str(first.first_day) if first.first_day == first.last_day else f"{first.first_day} to {first.last_day}"
    columns = []
    for score, threshold in dict.fromkeys((row.score, row.threshold) for row in rows):
        cells = {row.forecaster: row.value for row in rows if (row.score, row.threshold) == (score, threshold)}
        head = metric_of(score).title + ("" if threshold is None else f" {threshold:g} mm/h")
        columns.append([head, *(f"{cells.get(name, float('nan')):.3g}" for name in names)])
    cases = max(row.cases for row in rows)
    plural = "s" * (cases != 1)
    print_lines(console, f"{domain}, {period}: {cases} forecast{plural} of {first.issued}, and what stands beside")
    print_columns("", names, columns, console)
