"""The commands `framecast demo` and `framecast reproduce`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

import framecast
from framecast.cli.options import OptionalData, command, parameter_text
from framecast.cli.score_tables import ScoreRow, format_score, print_scores, score_rows
from framecast.cli.terminal import print_lines
from framecast.data.readers.options import ReadOptions

if TYPE_CHECKING:
    from rich.console import Console

    from framecast.workflows.reproduce import ReproducedScore


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
    lpips: Annotated[
        list[str] | None, typer.Option("--lpips", help="Weights of AlexNet, and again of LPIPS' linear layers.")
    ] = None,
    fvd: Annotated[str | None, typer.Option("--fvd", help="Weights of I3D (Kinetics-400).")] = None,
) -> ReproduceResult:
    """Reproduce the rows of a published table, and print our scores and the published ones."""
    from rich.console import Console

    results = framecast.reproduce(recipe, settings or [], scale=scale, out=out, lpips=lpips or (), fvd=fvd)
    console = Console()
    _print_reproduced(recipe, results, console)
    return {"scores": [_reproduced(each) for each in results]}


def _print_reproduced(recipe: str, results: Sequence[ReproducedScore], console: Console) -> None:
    """Print a row for each score, then how some were computed, and whose the settings are."""
    from rich.table import Table

    table = Table(title=recipe)
    for column in ("row", "score", "ours", "published", "within", "verdict"):
        table.add_column(column)
    for each in results:
        name = f"{each.title} {each.arrow}".strip()
        verdict = each.judge(parameter_text)
        table.add_row(each.row, name, format_score(each.ours), f"{each.published:g}", each.tolerance, verdict)
    console.print(table)
    print_lines(console, *(f"{each.row}, {each.title}: {each.how}" for each in results if each.how))
    for row, origin in {result.row: result.origin for result in results}.items():
        print_lines(console, *(f"{row}, {group}: {whose}" for group, whose in origin.items()))


def _reproduced(result: ReproducedScore) -> dict[str, Any]:
    """A score as an object of the answer."""
    return {
        "row": result.row,
        "score": result.score,
        "title": result.title,
        "direction": result.direction,
        "value": None if result.ours is None else result.ours.value,
        "published": result.published,
        "tolerance": result.tolerance,
        "verdict": result.judge(parameter_text),
        "how": result.how,
    }
