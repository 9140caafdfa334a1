"""The command `framecast train`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, TypedDict

import typer

import framecast
from framecast.cli.options import command
from framecast.cli.terminal import training_console
from framecast.errors import ArgumentError


class TrainResult(TypedDict):
    run: str
    finished: bool


@command
def train(
    recipe: Annotated[str | None, typer.Argument(help="A recipe and its row: recipes/radar.yaml#predrnn_v2")] = None,
    settings: Annotated[
        list[str] | None, typer.Argument(help="Changes of its settings: data.path=archive/ ...")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A new folder for the run; runs/<model>-<time> by default.")] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Resume this run exactly where it stopped; training.iterations=N extends it."),
    ] = None,
) -> TrainResult:
    """Train a model by a recipe, or resume a run."""
    if resume is not None:
        if out is not None:
            raise ArgumentError(
                "a resumed run stays in its folder", parameter="out", remedy="leave it out, or train a new run"
            )
        iterations = _iterations([text for text in (recipe, *(settings or [])) if text])
        return _result(framecast.resume(resume, iterations, console=training_console()))
    if recipe is None:
        raise ArgumentError("no recipe given", remedy="framecast train radar#predrnn_v2 data.path=archive/")
    return _result(framecast.train(recipe, settings or [], out=out, console=training_console()))


def _result(run: Path) -> TrainResult:
    print(run)
    finished = (run / "last").is_dir()
    if not finished:
        print(f"to continue it: framecast train --resume {shlex.quote(str(run))}", file=sys.stderr)
    return {"run": str(run), "finished": finished}


def _iterations(settings: list[str]) -> int | None:
    """The new number of iterations of a run, if stated. Raises `ArgumentError` for any other setting."""
    lengths = [text.removeprefix("training.iterations=") for text in settings]
    if wrong := [text for text, length in zip(settings, lengths, strict=True) if not length.isdecimal()]:
        raise ArgumentError(
            f"{wrong[0]} given; only training.iterations=NUMBER, a whole number above 0, can be changed on resuming",
            parameter="resume",
        )
    return int(lengths[-1]) if lengths else None
