"""The commands `framecast demo` and `framecast reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypedDict

import typer

import framecast
from framecast.cli.options import OptionalData, command
from framecast.cli.score_tables import ScoreRow, format_score, print_scores, score_rows
from framecast.cli.terminal import print_lines
from framecast.data.readers.options import ReadOptions


class DemoResult(TypedDict):
    scores: list[ScoreRow]
    report: str


@command
def demo(
    options: ReadOptions,
    data: OptionalData = None,
    out: Annotated[Path, typer.Option(help="Folder for the results; that of an earlier demo is replaced.")] = Path(
        "demo"
    ),
    digits: Annotated[
        str, typer.Option(help="Without --data: 'bundled', or a folder with MNIST's IDX files.")
    ] = "bundled",
    iterations: Annotated[int | None, typer.Option(help="Iterations of training; 550 by default.", min=1)] = None,
) -> DemoResult:
    """Run a demonstration: train, verify against baselines, forecast, write a report; a few minutes on two cores."""
    from rich.console import Console

    console = Console()
    verification, report = framecast.demo(
        data, options=options, digits=digits, out=out, iterations=iterations, console=console
    )
    print_scores(verification, console)
    print_lines(console, f"report: {report}")
    return {"scores": score_rows(verification), "report": str(report)}


class ReproduceResult(TypedDict):
    scores: list[dict[str, Any]]


@command
def reproduce(
    recipe: Annotated[str, typer.Argument(help="A recipe, moving_mnist, or a row of it: moving_mnist#predrnn")],
    settings: Annotated[
        list[str] | None, typer.Argument(help="Changes of its settings: data.images=mnist/ ...")
    ] = None,
    scale: Annotated[float, typer.Option(help="Fraction of the published iterations, 1 for all.")] = 1.0,
    out: Annotated[Path, typer.Option(help="Folder for the runs; finished runs are not trained again.")] = Path(
        "runs/reproduced"
    ),
) -> ReproduceResult:
    """Reproduce the rows of a published table, and print our scores and the published ones."""
    from rich.console import Console
    from rich.table import Table

    results = framecast.reproduce(recipe, settings or [], scale=scale, out=out)
    table = Table(title=recipe)
    for column in ("row", "score", "ours", "published", "verdict"):
        table.add_column(column)
    for result in results:
        table.add_row(
            result.row, result.score.upper(), format_score(result.ours), f"{result.published:g}", result.verdict
        )
    console = Console()
    console.print(table)
    for row, origin in {result.row: result.origin for result in results}.items():
        print_lines(console, *(f"{row}, {group}: {whose}" for group, whose in origin.items()))
    return {
        "scores": [
            {
                "row": each.row,
                "score": each.score,
                "value": None if each.ours is None else each.ours.value,
                "published": each.published,
                "verdict": each.verdict,
            }
            for each in results
        ]
    }
