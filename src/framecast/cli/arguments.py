"""Options that several commands have, and how what is given is read."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from framecast.data.quantities import ZR

DataPath = Annotated[str, typer.Option("--data", help="A file, folder or glob pattern of frames.")]
OptionalData = Annotated[str | None, typer.Option("--data", help="A file, folder or glob pattern of frames.")]
Units = Annotated[str | None, typer.Option(help="Units of the values, where the files do not say.")]
Variable = Annotated[str | None, typer.Option(help="Which variable to read, where a file holds several.")]
TimeStep = Annotated[float | None, typer.Option(help="Minutes between frames, where the files do not say.")]
Baselines = Annotated[str, typer.Option(help="Of persistence, extrapolation, climatology, steps, linda.")]
Thresholds = Annotated[str | None, typer.Option(help="Rain rates in mm/h, such as 0.5,2,8.")]
Relation = Annotated[str, typer.Option("--zr", help="a,b of Z = a R^b, which leads thresholds to reflectivity.")]
Convention = Annotated[str, typer.Option(help="default, thuml, czh98 or openstl.")]
Horizon = Annotated[int | None, typer.Option(min=1, help="Frames ahead; as trained unless stated.")]
Stride = Annotated[
    int | None, typer.Option(min=1, help="Frames between the starts of windows; 1, or as trained without --data.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many cases, evenly spread.")]
Cluster = Annotated[
    str | None, typer.Option("--dask", help="Share the cases out: a Dask scheduler's address, or local:N.")
]
Lpips = Annotated[
    list[Path] | None, typer.Option(help="Weights of AlexNet, and again of LPIPS' linear layers; else no LPIPS.")
]
Fvd = Annotated[Path | None, typer.Option(help="Weights of I3D (Kinetics-400); else no FVD.")]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", help="Where that lies now which the model sees beside the frames, as ordered in training."),
]
Grey = Annotated[bool, typer.Option("--grey", help="Of pictures and video: without colours.")]
FrameSize = Annotated[str | None, typer.Option("--size", help="Of pictures and video: another HEIGHTxWIDTH.")]
FrameRate = Annotated[float | None, typer.Option(help="Of video: so many frames a second.")]
ByName = Annotated[
    bool | None,
    typer.Option(
        help="Of many files open three and trust the names of the others; by default of more than 1,000, but not to convert them."
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


def relation(text: str) -> ZR:
    """a,b of Z = a R^b. Raises `ConfigError`."""
    from framecast.data.quantities import ZR
    from framecast.errors import ConfigError

    found = numbers(text, "--zr")
    if len(found) != 2:
        raise ConfigError(f"{text!r} are not two numbers a,b", where="--zr")
    return ZR(a=found[0], b=found[1])


def rates(thresholds: str | None) -> tuple[float, ...] | None:
    """0.5,2,8 as rain rates. Raises `ConfigError`."""
    return None if thresholds is None else numbers(thresholds, "--thresholds")


def names(text: str) -> list[str]:
    """Words separated by commas; none of nothing."""
    return [name for name in text.split(",") if name]


def by_name(runs: Sequence[Path]) -> dict[str, Path]:
    """Runs by the names of their folders, by their paths where two have one name."""
    named = {run.resolve().name: run for run in runs}
    return named if len(named) == len(runs) else {str(run): run for run in runs}


def numbers(text: str, where: str) -> tuple[float, ...]:
    """0.5,2,8 as numbers. Raises `ConfigError`."""
    from framecast.errors import ConfigError

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"{text!r} are not numbers separated by commas", where=where) from error


def whole_numbers(text: str, where: str, count: int) -> tuple[int, ...]:
    """So many whole numbers. Raises `ConfigError`."""
    from framecast.errors import ConfigError

    found = numbers(text, where)
    if len(found) != count or any(number != int(number) for number in found):
        raise ConfigError(f"{text!r} are not {count} whole numbers separated by commas", where=where)
    return tuple(int(number) for number in found)


def height_width(text: str) -> tuple[int, int]:
    """64x64 as numbers. Raises `ConfigError`."""
    from framecast.errors import ConfigError

    height, cross, width = text.partition("x")
    if not (cross and height.isdecimal() and width.isdecimal()):
        raise ConfigError(f"{text!r} is not HEIGHTxWIDTH", where="--size", remedy="such as 64x64")
    return int(height), int(width)


def frame_size(text: str | None) -> tuple[int, int] | None:
    """The same, where it is stated."""
    return None if text is None else height_width(text)


def bar(name: str, least: int = 1) -> Callable[[int, int], None]:
    """A progress bar as a callback, on standard error; none for fewer than `least`."""

    @cache
    def started() -> tuple[Any, Any]:
        from rich.console import Console
        from rich.progress import Progress

        shown = Progress(console=Console(stderr=True), transient=True)
        atexit.register(shown.stop)  # gives the cursor back, whatever ends the program
        return shown, shown.add_task(name, total=None)

    def report(done: int, of: int) -> None:
        if of < least:
            return
        shown, task = started()
        if not shown.live.is_started:
            shown.reset(task, total=of)
            shown.start()
        shown.update(task, completed=done, total=of)
        if done == of:
            shown.stop()

    return report
