"""Commands about data."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

import framecast
from framecast.cli.arguments import Reading, bar, spread, whole_numbers

if TYPE_CHECKING:
    from rich.console import Console


@spread
def inspect(
    reading: Reading,
    path: Annotated[str, typer.Argument(help="A file, folder or glob pattern of frames.")],
    context: Annotated[int, typer.Option(min=1, help="Frames seen, in the windows to count.")] = 10,
    horizon: Annotated[int, typer.Option(min=1, help="Frames to forecast, in the windows to count.")] = 10,
    recipe: Annotated[
        str | None, typer.Option(help="Measure memory and time of a training step of this recipe.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write it as a page with pictures too.")] = None,
) -> None:
    """What is in the data: range, units, gaps, no data, stuck frames, windows; and what a recipe would cost on it.

    Ends with 1 where something would spoil training."""
    from rich.console import Console
    from rich.text import Text

    from framecast.checks import a_page

    console = Console()
    options = reading.options
    page = None if html is None else a_page(html)
    frames = framecast.open(path, **vars(options))
    seen = framecast.inspect(frames, context=context, horizon=horizon)
    _show(seen.facts, console)
    for concern in seen.concerns:
        mark = ("!! ", "red") if concern in seen.problems else ("! ", "yellow")
        console.print(Text.assemble(mark, concern))
    if not seen.concerns:
        console.print("nothing suspicious")
    if page is not None:
        from framecast.report.inspection import write_inspection

        print(write_inspection(seen, page, title=f"What is in {path}"))
    if recipe is not None:
        from framecast.config.recipes import read
        from framecast.training.cost import estimate

        stated = {"path": path, **options.stated}
        settings = [f"data.{name}={json.dumps(value)}" for name, value in stated.items()]
        _show(estimate(read(recipe, settings)), console)
    if seen.problems:
        raise typer.Exit(1)


def _show(facts: Mapping[str, str], console: Console) -> None:
    """Names and values, one below the other."""
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in facts.items():
        table.add_row(Text(name, style="bold"), Text(value))
    console.print(table)


@spread
def convert(
    reading: Reading,
    source: Annotated[str, typer.Argument(help="A file, folder or glob pattern of frames.")],
    out: Annotated[Path, typer.Option(help="archive.zarr; one made before grows by the frames that are new.")],
    chunks: Annotated[
        str | None,
        typer.Option(help="Frames, height and width of a chunk; those of the store that grows, else about 8,64,64."),
    ] = None,
    crop: Annotated[str | None, typer.Option(help="top,left,height,width in pixels.")] = None,
    coarsen: Annotated[int, typer.Option(min=1, help="So many pixels in y and x become one.")] = 1,
    reproject: Annotated[str | None, typer.Option(help="Onto a grid of another projection: EPSG:3035.")] = None,
) -> None:
    """Write an archive as one Zarr store, which training reads fastest. Interrupted, run it again."""
    from rich.console import Console
    from rich.text import Text

    from framecast.data.inspection.inspect import bytes_in_words
    from framecast.data.store.conversion import Changes, Size

    console = Console()

    def say_size(size: Size) -> None:
        there = f"; continues after {size.already:,} of them there already" if size.already else ""
        console.print(
            f"{size.frames:,} frames of {' x '.join(map(str, size.shape))}{there}; to write: "
            f"{bytes_in_words(size.bytes)} before compression",
            highlight=False,
        )

    kept, show = "no new frames", bar("converting")

    def note(frames: int, of: int) -> None:
        nonlocal kept
        kept = f"{frames:,} of {of:,} frames"
        show(frames, of)

    four = None if crop is None else whole_numbers(crop, "--crop", 4)
    three = None if chunks is None else whole_numbers(chunks, "--chunks", 3)
    changes = Changes(None if four is None else (four[0], four[1], four[2], four[3]), coarsen, reproject)
    try:
        done = framecast.convert(
            source,
            out,
            changes=changes,
            chunks=None if three is None else (three[0], three[1], three[2]),
            options=reading.options,
            begun=say_size,
            progress=note,
        )
    except KeyboardInterrupt:
        print(f"{kept} are written and kept; the same command goes on from there", file=sys.stderr)
        raise
    facts = {
        "frames": f"{done.frames:,}, {done.added:,} of them new",
        "files": f"{done.files:,} read, {len(done.left_out):,} left out",
        "on disk": bytes_in_words(done.bytes),
        "manifest": str(done.out / "manifest.json"),
    }
    _show(facts, console)
    for what, listed in (("left out", done.left_out), ("without data", done.missing)):
        for where, why in listed.items():
            console.print(Text.assemble(("! ", "yellow"), f"{what}: {where}: {why}"), soft_wrap=True)
    for repair in done.repairs:
        console.print(Text.assemble(("! ", "yellow"), repair), soft_wrap=True)


def datasets(
    fetch: Annotated[str | None, typer.Option(help="Fetch the files of this set: its title, or a part of it.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for what is fetched.")] = Path("data"),
) -> None:
    """The benchmark sets of the papers: where they come from, their terms and sizes, how their files must lie."""
    from rich.console import Console
    from rich.text import Text

    from framecast.data.sets.catalogue import CATALOGUE, by_name
    from framecast.data.sets.download import fetch as fetch_file

    console = Console()
    if fetch is not None:
        for remote in by_name(fetch).files:
            print(fetch_file(remote, out, bar(remote.name)))
        return
    for known in CATALOGUE:
        console.print(Text(known.title, style="bold"))
        for name in ("data", "source", "terms", "size", "layout"):
            console.print(Text(f"  {name:<7} {getattr(known, name)}"), soft_wrap=True)
        if known.files:
            console.print(Text(f"  fetch   framecast datasets --fetch {quote(known.title)}"), soft_wrap=True)
