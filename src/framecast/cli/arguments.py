"""Options that several commands have, and how what is given is read."""

from __future__ import annotations

import atexit
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

import framecast

if TYPE_CHECKING:
    from framecast.data.quantities import ZR
    from framecast.data.readers.options import Options
    from framecast.verification.result import Verification

DataPath = Annotated[str, typer.Option("--data", help="A file, folder or glob pattern of frames.")]
OptionalData = Annotated[str | None, typer.Option("--data", help="A file, folder or glob pattern of frames.")]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", help="Where that lies now which the model sees beside the frames, as ordered in training."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameters of the kinds below are to typer one option for each of their fields."""
    kinds = get_type_hints(command, include_extras=True)
    taken = inspect.signature(command).parameters
    groups = {name: kinds[name] for name in taken if is_dataclass(kinds[name])}
    single = [each.replace(annotation=kinds[name]) for name, each in taken.items() if name not in groups]
    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in single]
    for kind in groups.values():
        parameters += inspect.signature(kind, eval_str=True).parameters.values()

    @wraps(command)
    def run(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{each.name: given.pop(each.name) for each in fields(kind)})
        command(**given)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How files are read."""

    units: Annotated[str | None, typer.Option(help="Units of the values, where the files do not say.")] = None
    time_step: Annotated[float | None, typer.Option(help="Minutes between frames, where the files do not say.")] = None
    variable: Annotated[str | None, typer.Option(help="Which variable to read, where a file holds several.")] = None
    dry: Annotated[float | None, typer.Option(help="The value that means dry, where it is not the usual one.")] = None
    grey: Annotated[bool, typer.Option("--grey", help="Of pictures and video: without colours.")] = False
    size: Annotated[str | None, typer.Option(help="Of pictures and video: another HEIGHTxWIDTH.")] = None
    frame_rate: Annotated[float | None, typer.Option(help="Of video: so many frames a second.")] = None
    by_name: Annotated[
        bool | None,
        typer.Option(
            help="Of many files open three and trust the names of the others; by default of more than 1,000, "
            "but not to convert them."
        ),
    ] = None

    @property
    def options(self) -> Options:
        """As readers take it. Raises `ConfigError` and `DataError`."""
        from framecast.data.readers.options import Options

        return Options(**(vars(self) | {"size": frame_size(self.size)}))


@dataclass(frozen=True, kw_only=True)
class Judging:
    """On what models are judged, beside what, and how."""

    data: OptionalData = None
    thresholds: Annotated[str | None, typer.Option(help="Rain rates in mm/h; 0.5,2,8 unless stated.")] = None
    zr: Annotated[str, typer.Option(help="a,b of Z = a R^b, which leads thresholds to reflectivity.")] = "223,1.53"
    convention: Annotated[str, typer.Option(help="default, thuml, czh98 or openstl.")] = "default"
    horizon: Annotated[int | None, typer.Option(min=1, help="Frames ahead; as trained unless stated.")] = None
    stride: Annotated[
        int | None, typer.Option(min=1, help="Frames between the starts of windows; 1, or as trained without --data.")
    ] = None
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many cases, evenly spread.")] = None
    baselines: Annotated[str, typer.Option(help="Of persistence, extrapolation, climatology, steps, linda.")] = (
        "persistence,extrapolation"
    )
    inputs: Inputs = None
    lpips: Annotated[
        list[Path] | None, typer.Option(help="Weights of AlexNet, and again of LPIPS' linear layers; else no LPIPS.")
    ] = None
    fvd: Annotated[Path | None, typer.Option(help="Weights of I3D (Kinetics-400); else no FVD.")] = None
    dask: Annotated[
        str | None, typer.Option("--dask", help="Share the cases out: a Dask scheduler's address, or local:N.")
    ] = None

    def scores(self, runs: Path | Mapping[str, Path], out: Path, reading: Reading) -> Verification:
        """The models of runs, judged."""
        return framecast.evaluate(
            runs,
            self.data,
            options=reading.options,
            out=out,
            rates=rates(self.thresholds),
            zr=relation(self.zr),
            convention=self.convention,
            horizon=self.horizon,
            stride=self.stride,
            limit=self.limit,
            baselines=[name.strip() for name in self.baselines.split(",") if name.strip()],
            inputs=self.inputs or (),
            lpips=self.lpips or (),
            fvd=self.fvd,
            cluster=self.dask,
            report=bar("verifying"),
        )


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
    if len(found) != count or not all(number.is_integer() for number in found):
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
