"""`framecast diagnose`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import framecast
from framecast.cli.options import OptionalData, command
from framecast.cli.terminal import print_lines
from framecast.data.readers.options import ReadOptions


@command
def diagnose(
    run: Annotated[Path, typer.Argument(help="The folder of a run or of a saved model.")],
    kind: Annotated[
        str, typer.Argument(help="decoupling, gradients, response, collapse, slots, motion, attention, attribution")
    ],
    options: ReadOptions,
    data: OptionalData = None,
    others: Annotated[
        list[Path] | None,
        typer.Option(
            "--beside",
            help="Two runs or more, for collapse: do forecasts blur where features collapse? The correlation.",
        ),
    ] = None,
    reach: Annotated[
        float, typer.Option(help="With --beside: eps of DBSCAN, in median distances to a neighbour.")
    ] = 1.0,
    min_samples: Annotated[int, typer.Option(min=1, help="With --beside: of DBSCAN.")] = 4,
    limit: Annotated[int, typer.Option(help="How many windows to look at.")] = 32,
    out: Annotated[Path | None, typer.Option(help="RUN/diagnosis-KIND.html by default.")] = None,
) -> None:
    """Look inside a model: what its memories, gradients, features, slots, motions and attention do, as a page."""
    from rich.console import Console

    diagnosis, page = framecast.diagnose(
        run,
        kind,
        data,
        options=options,
        out=out,
        limit=limit,
        others=others or (),
        reach=reach,
        min_samples=min_samples,
    )
    facts = (f"  {name}: {value}" for name, value in diagnosis.facts.items())
    print_lines(Console(), diagnosis.verdict, *facts, f"page: {page}")
