"""The command `framecast crossvalidate`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypedDict

import typer

import framecast
from framecast.cli.options import command
from framecast.cli.results import Ended
from framecast.cli.score_tables import print_event_scores
from framecast.cli.terminal import print_lines, progress_bar
from framecast.verification.settings import EvaluationSettings


class CrossvalidateResult(TypedDict):
    scores: list[dict[str, Any]]
    waiting: list[str]
    table: str


@command
def crossvalidate(
    recipe: Annotated[str, typer.Argument(help="A recipe and its row: recipes/radar.yaml#convlstm")],
    scoring: EvaluationSettings,
    out: Annotated[Path, typer.Option(help="Folder for the folds and summary.csv; what is finished there is kept.")],
    settings: Annotated[
        list[str] | None, typer.Argument(help=r"Changes of its settings: 'data.path=\[one.nc, two.nc, three.nc]' ...")
    ] = None,
    events: Annotated[
        list[str] | None, typer.Option("--event", help="Judge this event only, by name or path; repeat for several.")
    ] = None,
    judge: Annotated[
        list[str] | None, typer.Option(help="Judge also the event at this path, which is never trained on; repeat.")
    ] = None,
) -> CrossvalidateResult:
    """Train with each archive of a recipe left out in turn, and judge each model on the event that it has not seen."""
    from rich.console import Console

    again = "run the same command again to continue"
    try:
        result = framecast.crossvalidate(
            recipe,
            settings or [],
            scoring,
            out=out,
            events=events,
            judge=judge or (),
            progress=progress_bar("verifying"),
        )
    except KeyboardInterrupt:
        print(f"what is trained is saved; {again}", file=sys.stderr)
        raise
    console = Console()
    print_event_scores(result.scores, console)
    if result.waiting:
        print_lines(console, f"not judged yet: {', '.join(result.waiting)}{f'; {again}' if result.interrupted else ''}")
    print_lines(console, f"scores by event: {out / 'summary.csv'}")
    answer: CrossvalidateResult = {
        "scores": [asdict(row) for row in result.scores],
        "waiting": list(result.waiting),
        "table": str(out / "summary.csv"),
    }
    if result.interrupted:
        raise Ended(130, answer)
    return answer
