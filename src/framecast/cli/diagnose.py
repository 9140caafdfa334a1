"""The command `framecast diagnose`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypedDict

import typer

import framecast
from framecast.checks import as_html_path
from framecast.cli.options import OptionalData, command
from framecast.cli.terminal import print_lines
from framecast.data.readers.options import ReadOptions


class DiagnoseResult(TypedDict):
    verdict: str
    facts: dict[str, str]
    page: str


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
            help="Further runs, for collapse: correlate the collapse of features with the blur of forecasts over models.",
        ),
    ] = None,
    reach: Annotated[
        float, typer.Option(help="With --beside: eps of DBSCAN, in median distances to the nearest neighbour.")
    ] = 1.0,
    min_samples: Annotated[int, typer.Option(min=1, help="With --beside: min_samples of DBSCAN.")] = 4,
    group_by: Annotated[
        str | None,
        typer.Option(
            help="For collapse and slots: the label of the data set by which windows are grouped, such as action, motion, "
            "environment, scenario, season, month, archive, digits; the first that differs by default."
        ),
    ] = None,
    layer: Annotated[
        int | None, typer.Option(min=1, help="For gradients and motion: the layer, counted from below; 1 by default.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The number of windows to use: 128 for collapse and slots, 32 for response, 8 for decoupling and gradients, "
            "else 1, by default.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The page; RUN/diagnosis-KIND.html by default.")] = None,
) -> DiagnoseResult:
    """Diagnose a model: its memory, gradients, features, slots, motion and attention, as a page."""
    from rich.console import Console

    if out is not None:
        as_html_path(out)  # before anything slow is imported
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
        group_by=group_by,
        layer=layer,
    )
    values = (f"  {name}: {value}" for name, value in diagnosis.facts.items())
    print_lines(Console(), diagnosis.verdict, *values, f"page: {page}")
    return {"verdict": diagnosis.verdict, "facts": diagnosis.facts, "page": str(page)}
