"""The commands about data: `framecast inspect`, `convert` and `datasets`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

import framecast
from framecast.checks import as_html_path
from framecast.cli.options import Palette, command, whole_numbers
from framecast.cli.results import Ended
from framecast.cli.terminal import print_lines, print_table, progress_bar, warn
from framecast.data.readers.options import ReadOptions
from framecast.data.store.changes import Changes
from framecast.errors import ArgumentError

if TYPE_CHECKING:
    from rich.console import Console

    from framecast.data.store.conversion import StoreSize

FINDING = 3
"""Exit code of `inspect` if it finds a problem that would spoil training."""


class InspectResult(TypedDict):
    kind: str
    facts: dict[str, str]
    problems: list[str]
    concerns: list[str]
    page: str | None
    cost: dict[str, str] | None
    next: list[str]


@command
def inspect(
    options: ReadOptions,
    path: Annotated[
        str, typer.Argument(help="A file, folder or glob pattern of frames; or a run, a forecast, a recipe.")
    ],
    context: Annotated[int, typer.Option(help="Context frames of the windows that are counted.")] = 10,
    horizon: Annotated[int, typer.Option(help="Forecast frames of the windows that are counted.")] = 10,
    recipe: Annotated[
        str | None, typer.Option(help="Also measure the time and memory of a training step of this recipe.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page with figures.")] = None,
    palette: Palette = None,
) -> InspectResult:
    """Inspect data: range, units, gaps, missing data, stuck frames, windows; and the cost of training a recipe on them.

    Exit code 3 if it finds a problem that would spoil training."""
    from rich.console import Console
    from rich.text import Text

    if html is not None:
        as_html_path(html)  # before anything slow is imported
    from framecast.cli.next_steps import after_inspection, next_steps  # late: imports torch

    console = Console()
    steps = next_steps(path)
    if steps is not None:
        for option, value in (("html", html), ("recipe", recipe)):
            if value is not None:
                raise ArgumentError(
                    f"is {steps.what}, not frames", where=path, remedy="leave out this option", parameter=option
                )
        print_lines(console, f"{path}: {steps.what}")
        _print_next(console, steps.commands)
        return {**_NOTHING, "kind": steps.what, "next": list(steps.commands)}
    inspection = framecast.inspect(path, context=context, horizon=horizon, page=html, options=options, palette=palette)
    print_table(console, inspection.facts)
    for concern in inspection.concerns:
        mark = ("!! ", "red") if concern in inspection.problems else ("! ", "yellow")
        console.print(Text.assemble(mark, concern))
    if not inspection.concerns:
        console.print("no problem found")
    if html is not None:
        print(html)
    cost = None if recipe is None else framecast.training_cost(recipe, path, options=options)
    if cost is not None:
        print_table(console, cost)
    commands = () if inspection.problems else after_inspection(path, inspection, options)
    _print_next(console, commands)
    result: InspectResult = {
        "kind": "frames",
        "facts": inspection.facts,
        "problems": list(inspection.problems),
        "concerns": list(inspection.concerns),
        "page": None if html is None else str(html),
        "cost": cost,
        "next": list(commands),
    }
    if inspection.problems:
        raise Ended(FINDING, result)
    return result


_NOTHING: InspectResult = {
    "kind": "",
    "facts": {},
    "problems": [],
    "concerns": [],
    "page": None,
    "cost": None,
    "next": [],
}


def _print_next(console: Console, commands: Sequence[str]) -> None:
    """Print the commands that come next."""
    if commands:
        print_lines(console, "next:", *(f"  {command}" for command in commands))


class ConvertResult(TypedDict):
    store: str
    frames: int
    added: int
    bytes: int
    files: int
    left_out: dict[str, str]
    missing: dict[str, str]
    repairs: list[str]


@command
def convert(
    options: ReadOptions,
    changes: Changes,
    source: Annotated[str, typer.Argument(help="A file, folder or glob pattern of frames.")],
    out: Annotated[
        Path, typer.Option(help="archive.zarr; an existing store of these files is extended by new frames.")
    ],
    chunks: Annotated[
        str | None,
        typer.Option(help="Frames, height and width of a chunk; those of an existing store, else about 8,64,64."),
    ] = None,
) -> ConvertResult:
    """Convert an archive to one Zarr store, the fastest format for training. If interrupted, run the command again."""
    from rich.console import Console

    from framecast.data.inspection.inspect import bytes_in_words

    console = Console()
    progress = progress_bar("converting")
    written = "no new frames"

    # Callbacks: the size before the first frame is written, then the progress.
    def print_size(size: StoreSize) -> None:
        before = f"; continues after {size.already:,} existing frames" if size.already else ""
        shape = " x ".join(map(str, size.shape))
        volume = bytes_in_words(size.bytes)
        print_lines(console, f"{size.frames:,} frames of {shape}{before}; to write: {volume} before compression")

    def report(frames: int, total: int) -> None:
        nonlocal written
        written = f"{frames:,} of {total:,} frames"
        progress(frames, total)

    sizes = None if chunks is None else whole_numbers(chunks, "chunks", 3)
    try:
        result = framecast.convert(
            source,
            out,
            changes=changes,
            chunks=None if sizes is None else (sizes[0], sizes[1], sizes[2]),
            options=options,
            begun=print_size,
            progress=report,
        )
    except KeyboardInterrupt:
        print(f"{written} are written; run the same command again to continue", file=sys.stderr)
        raise
    # The summary, then all that is missing from the store or was repaired.
    summary = {
        "frames": f"{result.frames:,}, {result.added:,} of them new",
        "files": f"{result.files:,} read, {len(result.left_out):,} left out",
        "on disk": bytes_in_words(result.bytes),
        "manifest": str(result.out / "manifest.json"),
    }
    print_table(console, summary)
    for what, reasons in (("left out", result.left_out), ("without data", result.missing)):
        for where, reason in reasons.items():
            warn(console, f"{what}: {where}: {reason}")
    for repair in result.repairs:
        warn(console, repair)
    return {
        "store": str(result.out),
        "frames": result.frames,
        "added": result.added,
        "bytes": result.bytes,
        "files": result.files,
        "left_out": result.left_out,
        "missing": result.missing,
        "repairs": list(result.repairs),
    }


class DatasetsResult(TypedDict):
    datasets: list[dict[str, Any]]
    files: list[str]


@command
def datasets(
    fetch: Annotated[
        str | None, typer.Option(help="Download the files of this data set: its name, or a part of its title.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("data"),
) -> DatasetsResult:
    """List the benchmark data sets of the papers: source, terms of use, size, and the file layout that framecast reads."""
    from rich.console import Console
    from rich.text import Text

    from framecast.data.sets.catalogue import find_set
    from framecast.data.sets.download import fetch as fetch_file

    console = Console()
    if fetch is not None:
        files = [fetch_file(remote, out, progress_bar(remote.name)) for remote in find_set(fetch).files]
        print_lines(console, *map(str, files))
        return {"datasets": [], "files": list(map(str, files))}
    catalogue = framecast.datasets().values()
    for dataset in catalogue:
        console.print(Text(dataset.title, style="bold"))
        for name in ("data", "source", "terms", "size", "layout"):
            console.print(Text(f"  {name:<7} {getattr(dataset, name)}"), soft_wrap=True)
        if dataset.files:
            console.print(Text(f"  fetch   framecast datasets --fetch {dataset.short}"), soft_wrap=True)
    fields = ("title", "short", "data", "source", "terms", "size", "layout")
    return {"datasets": [{name: getattr(each, name) for name in fields} for each in catalogue], "files": []}
