"""`framecast inspect`, `convert` and `datasets`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

import framecast
from framecast.cli.options import command, whole_numbers
from framecast.cli.terminal import bar, print_facts, print_lines, warn
from framecast.data.readers.options import ReadOptions
from framecast.data.store.changes import Changes

if TYPE_CHECKING:
    from framecast.data.store.conversion import StoreSize

FINDING = 3
"""Exit code of `inspect` if something would spoil training."""


@command
def inspect(
    options: ReadOptions,
    path: Annotated[str, typer.Argument(help="A file, folder or glob pattern of frames.")],
    context: Annotated[int, typer.Option(help="Frames seen, in the windows to count.")] = 10,
    horizon: Annotated[int, typer.Option(help="Frames to forecast, in the windows to count.")] = 10,
    recipe: Annotated[
        str | None, typer.Option(help="Measure memory and time of a training step of this recipe.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write it as a page with images too.")] = None,
) -> None:
    """What is in the data: range, units, gaps, no data, stuck frames, windows; and what a recipe would cost on it.

    Ends with 3 if something would spoil training."""
    from rich.console import Console
    from rich.text import Text

    from framecast.checks import as_html_path

    console = Console()
    page = None if html is None else as_html_path(html)
    inspection = framecast.inspect(path, context=context, horizon=horizon, options=options)
    print_facts(console, inspection.facts)
    for concern in inspection.concerns:
        mark = ("!! ", "red") if concern in inspection.problems else ("! ", "yellow")
        console.print(Text.assemble(mark, concern))
    if not inspection.concerns:
        console.print("nothing suspicious")
    if page is not None:
        from framecast.report.inspection import write_inspection

        print(write_inspection(inspection, page, title=f"What is in {path}"))
    if recipe is not None:
        from framecast.config.recipes import read
        from framecast.training.cost import estimate

        stated = {"path": path, **options.stated}
        settings = [f"data.{name}={json.dumps(value)}" for name, value in stated.items()]
        print_facts(console, estimate(read(recipe, settings)))
    if inspection.problems:
        raise typer.Exit(FINDING)


@command
def convert(
    options: ReadOptions,
    changes: Changes,
    source: Annotated[str, typer.Argument(help="A file, folder or glob pattern of frames.")],
    out: Annotated[Path, typer.Option(help="archive.zarr; one made before grows by the frames that are new.")],
    chunks: Annotated[
        str | None,
        typer.Option(help="Frames, height and width of a chunk; those of the store that grows, else about 8,64,64."),
    ] = None,
) -> None:
    """Write an archive as one Zarr store, which training reads fastest. Interrupted, run it again."""
    from rich.console import Console

    from framecast.data.inspection.inspect import bytes_in_words

    console = Console()
    progress = bar("converting")
    written = "no new frames"

    def begun(size: StoreSize) -> None:
        before = f"; continues after {size.already:,} of them there already" if size.already else ""
        shape = " x ".join(map(str, size.shape))
        volume = bytes_in_words(size.bytes)
        print_lines(console, f"{size.frames:,} frames of {shape}{before}; to write: {volume} before compression")

    def note(frames: int, of: int) -> None:
        nonlocal written
        written = f"{frames:,} of {of:,} frames"
        progress(frames, of)

    three = None if chunks is None else whole_numbers(chunks, "chunks", 3)
    try:
        done = framecast.convert(
            source,
            out,
            changes=changes,
            chunks=None if three is None else (three[0], three[1], three[2]),
            options=options,
            begun=begun,
            progress=note,
        )
    except KeyboardInterrupt:
        print(f"{written} are written and kept; the same command goes on from there", file=sys.stderr)
        raise
    facts = {
        "frames": f"{done.frames:,}, {done.added:,} of them new",
        "files": f"{done.files:,} read, {len(done.left_out):,} left out",
        "on disk": bytes_in_words(done.bytes),
        "manifest": str(done.out / "manifest.json"),
    }
    print_facts(console, facts)
    for what, listed in (("left out", done.left_out), ("without data", done.missing)):
        for where, why in listed.items():
            warn(console, f"{what}: {where}: {why}")
    for repair in done.repairs:
        warn(console, repair)


@command
def datasets(
    fetch: Annotated[str | None, typer.Option(help="Fetch the files of this set: its title, or a part of it.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for what is fetched.")] = Path("data"),
) -> None:
    """The benchmark sets of the papers: where they come from, their terms and sizes, how their files must lie."""
    from rich.console import Console
    from rich.text import Text

    from framecast.data.sets.catalogue import CATALOGUE, find_set
    from framecast.data.sets.download import fetch as fetch_file

    console = Console()
    if fetch is not None:
        for remote in find_set(fetch).files:
            print(fetch_file(remote, out, bar(remote.name)))
        return
    for known in CATALOGUE:
        console.print(Text(known.title, style="bold"))
        for name in ("data", "source", "terms", "size", "layout"):
            console.print(Text(f"  {name:<7} {getattr(known, name)}"), soft_wrap=True)
        if known.files:
            console.print(Text(f"  fetch   framecast datasets --fetch {quote(known.title)}"), soft_wrap=True)
