"""`framecast demo` and `framecast reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import framecast
from framecast.cli.options import OptionalData, command
from framecast.cli.score_tables import brief, print_scores
from framecast.cli.terminal import print_lines
from framecast.data.readers.options import ReadOptions


@command
def demo(
    options: ReadOptions,
    data: OptionalData = None,
    out: Annotated[
        Path, typer.Option(help="Folder for everything it makes; one of an earlier demo is replaced.")
    ] = Path("demo"),
    digits: Annotated[
        str, typer.Option(help="Without --data: 'bundled', or a folder with MNIST's IDX files.")
    ] = "bundled",
    iterations: Annotated[int | None, typer.Option(help="How long to train; 550 unless stated.", min=1)] = None,
) -> None:
    """Train, verify against baselines, forecast and write a report: a few minutes on two cores."""
    from rich.console import Console

    from framecast.workflows.demo import ITERATIONS
    from framecast.workflows.demo import demo as run_demo

    console = Console()
    verification, report = run_demo(
        data, options=options, digits=digits, out=out, iterations=iterations or ITERATIONS, console=console
    )
    print_scores(verification, console)
    print_lines(console, f"report: {report}")


@command
def reproduce(
    recipe: Annotated[str, typer.Argument(help="recipes/moving_mnist.yaml, or one row of it: ...yaml#predrnn")],
    settings: Annotated[list[str] | None, typer.Argument(help="What to change in it: data.images=mnist/ ...")] = None,
    scale: Annotated[float, typer.Option(help="Share of the published training, 1 for all of it.")] = 1.0,
    out: Annotated[Path, typer.Option(help="Folder for the runs; finished ones are not trained again.")] = Path(
        "runs/reproduced"
    ),
) -> None:
    """Run the rows of a published table again, and print ours beside theirs."""
    from rich.console import Console
    from rich.table import Table

    results = framecast.reproduce(recipe, settings or [], scale=scale, out=out)
    table = Table(title=recipe)
    for column in ("row", "score", "ours", "theirs", "verdict"):
        table.add_column(column)
    for result in results:
        table.add_row(result.row, result.score.upper(), brief(result.ours), f"{result.theirs:g}", result.verdict)
    Console().print(table)
