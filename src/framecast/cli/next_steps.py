"""What a path is, and which commands come next: for a newcomer who has frames, a run, a forecast, a recipe or MNIST's files.

It reads names and headers, writes nothing, and never fails: what it does not know it leaves to `framecast.inspect`. It imports
torch, so it is imported late.
"""

from __future__ import annotations

import json
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from framecast.checkpoints.model_folder import CARD
from framecast.cli.options import parameter_text
from framecast.config.recipes import read, recipes, rows
from framecast.data.inspection.inspect import Inspection
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.errors import FramecastError, counted
from framecast.forecasting.open import open_forecast
from framecast.reading.paths import is_file
from framecast.training.run_folder import EXPERIMENT

RADAR_CONTEXT = 4
"""Frames that the radar model of the package needs."""
_WINDOW, _SIDE = 17, 128
"""Frames in a row, and the side in pixels of the crops, of the recipe of radar."""
_MANY = 1_000
"""Files from which on a store is faster to train from."""
_DIGITS = ("train-images-idx3-ubyte", "train-images.idx3-ubyte", "t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte")


class NextSteps(NamedTuple):
    """What a path is, in words, and the commands that come next."""

    what: str
    commands: tuple[str, ...]


def next_steps(path: str | Path) -> NextSteps | None:
    """What `path` is and what to do with it, if it is something else than frames to inspect: a run or a saved model, a forecast,
    a recipe (or the name of one of the package), MNIST's files. None otherwise."""
    place = Path(path)
    if place.is_dir():
        return _folder(place)
    if place.suffix in (".yaml", ".yml") or (not place.exists() and str(path).partition("#")[0] in recipes()):
        return _recipe(str(path))
    return _forecast(place) if place.suffix in (".nc", ".zarr") and place.exists() else None


def _folder(place: Path) -> NextSteps | None:
    name = quote(str(place))
    if is_file(place / EXPERIMENT):
        commands: tuple[str, ...] = (
            f"framecast train --resume {name}",
            f"framecast evaluate {name}",
            f"framecast forecast {name} --data LATEST --out nowcast.nc",
        )
        return NextSteps("the folder of a run", commands)
    if is_file(place / CARD):
        commands = (
            f"framecast evaluate {name} --data FRAMES",
            f"framecast forecast {name} --data LATEST --out nowcast.nc",
        )
        return NextSteps("a saved model", commands)
    if any(is_file(place / f"{digits}{suffix}") for digits in _DIGITS for suffix in ("", ".gz")):
        command = f"framecast train moving_mnist#predrnn_v2 data.images={name}"
        return NextSteps("MNIST's own files, of which moving digits are made", (command,))
    return _forecast(place) if place.suffix == ".zarr" else None


def _recipe(name: str) -> NextSteps | None:
    file, _, row = name.partition("#")
    try:
        names = rows(file)
        first = row or next(iter(names), "")
        address = f"{file}#{first}" if first else file
        path = " data.path=FRAMES" if read(address).data.name == "archive" else ""
    except FramecastError:
        return None
    what = f"a recipe of {counted(len(names), 'row')}" if names else "a recipe"
    return NextSteps(what, (f"framecast train {quote(address)}{path} --out runs/mine",))


def _forecast(place: Path) -> NextSteps | None:
    try:
        forecast = open_forecast(place)
    except FramecastError:
        return None
    count, leads = forecast.sizes["init_time"], forecast.sizes["lead_time"]
    what = f"{counted(count, 'forecast')} of {counted(leads, 'lead time')}"
    name = quote(str(place))
    return NextSteps(what, (f"framecast verify {name} --truth FRAMES", f"framecast products {name} --out products"))


def after_inspection(path: str | Path, inspection: Inspection, options: ReadOptions = DEFAULT) -> tuple[str, ...]:
    """The commands that come after the inspection of frames, with the options and settings that these frames need."""
    name = quote(str(path))
    stated = "".join(f" {parameter_text(key, value)}" for key, value in options.stated.items())
    settings = [f"data.path={path}", *(f"data.{key}={_plain(value)}" for key, value in options.stated.items())]
    height, width = inspection.sizes["y"], inspection.sizes["x"]
    if min(height, width) < _SIDE:
        settings.append(f"data.crop={min(height, width)}")
    frames = inspection.sizes["time"] * inspection.sizes.get("sequence", 1)
    if frames < 5 * _WINDOW and "sequence" not in inspection.sizes:
        settings.append("data.split={name: blocks, validation: 0, test: 0}")
    commands = []
    if inspection.quantity.precipitation and inspection.sizes["time"] >= RADAR_CONTEXT and "step" in inspection.axes:
        commands.append(f"framecast forecast radar --data {name}{stated} --out nowcast.nc")
    if inspection.files > _MANY:
        commands.append(f"framecast convert {name}{stated} --out archive.zarr")
    if inspection.sizes["time"] >= _WINDOW:
        commands.append(f"framecast train radar#predrnn_v2 {' '.join(map(quote, settings))} --out runs/mine")
    return tuple(commands)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
