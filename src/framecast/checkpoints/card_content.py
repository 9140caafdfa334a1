"""The content of `card.json` as one config, validated strictly, and the checksum over a card and its weights.

This module reads no files.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from framecast.checks import LARGEST_COUNT, Range
from framecast.config.earlier import model_settings
from framecast.config.parsing import parse, plain
from framecast.data.motion.coordinates import EULERIAN, Coordinates
from framecast.data.orientation import RowOrder
from framecast.data.quantities import QUANTITIES
from framecast.data.readers.options import DEFAULT, LONGEST_STEP, ReadOptions
from framecast.data.scaling import Scaling
from framecast.data.windows.inputs import Input
from framecast.errors import ConfigError, FramecastError, RunError, shown
from framecast.models import Model
from framecast.models.heads import VALUES, Head
from framecast.types import config

VERSION = 3
"""The version of the card format. Version 1 had the keys `framecast` for `format_version` and `reading` for `read_options`;
versions 1 and 2 had no `coordinates`, `head` and `step_range`."""
CHECKSUM = "sha256"
"""The key of the checksum; older cards have none."""

Count = Annotated[int, Range(1, LARGEST_COUNT)]
Number = Annotated[int, Range(0, LARGEST_COUNT)]
Seconds = Annotated[float, Range(1e-6, LONGEST_STEP * 60)]


@config
class CardQuantity:
    """The quantity of the training data by name, with its units and its dry value."""

    name: str
    units: str
    dry: float

    def __post_init__(self) -> None:
        if self.name not in QUANTITIES:
            raise ConfigError(f"unknown quantity {shown(self.name)}", remedy=f"one of: {', '.join(QUANTITIES)}")
        if self.units != QUANTITIES[self.name].units:
            raise ConfigError(f"{self.name} in {shown(self.units)}, expected {QUANTITIES[self.name].units}")


@config
class CardShape:
    """The fields of `FrameShape`."""

    channels: Count
    height: Count
    width: Count
    context: Count
    horizon: Count
    actions: Number = 0
    inputs: Number = 0

    def __post_init__(self) -> None:
        if self.inputs >= self.channels:
            raise ConfigError(f"{self.inputs} of {self.channels} channels are inputs, so that none is forecast")


@config
class CardCalibration:
    """The calibration of probabilities, which is part of the weights, see `forecasting.calibration`: how far what was learnt of
    each of the `rates` is trusted. The other fields describe the events on which that was learnt."""

    rates: tuple[float, ...]
    trust: tuple[float, ...]
    calibrated: tuple[bool, ...]
    pixels: int = 0
    events: tuple[int, ...] = ()
    files: tuple[str, ...] = ()
    quantities: tuple[str, ...] = ()
    times: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        if not len(self.rates) == len(self.trust) == len(self.calibrated):
            raise ConfigError("trust and calibrated do not have one value for each rate")


@config
class CardContent:
    """What a card holds, see `ModelCard`."""

    format_version: Annotated[int, Range(1, VERSION)]
    model: Model
    scaling: Scaling
    quantity: CardQuantity
    shape: CardShape
    step_seconds: Seconds | None
    grid: dict[str, Any]
    scores: dict[str, float]
    inputs: tuple[Input, ...] = ()
    read_options: ReadOptions = DEFAULT
    coordinates: Coordinates = EULERIAN
    head: Head = VALUES
    step_range: tuple[Seconds, Seconds] | None = None
    calibration: CardCalibration | None = None
    about: dict[str, Any] | None = None
    training_data_sha256: str = ""
    row_order: RowOrder | None = None

    def __post_init__(self) -> None:
        if len(self.inputs) != self.shape.inputs:
            raise ConfigError(f"{len(self.inputs)} inputs, and {self.shape.inputs} in the shape")
        if self.step_range is not None and not self.step_range[0] <= self.step_range[1]:
            raise ConfigError(f"the steps {list(self.step_range)} do not rise")
        if self.calibration is not None and self.calibration.rates != self.head.rates:
            raise ConfigError("the calibration is for other rates than those of the head")


def parse_content(content: Any, where: str) -> CardContent:
    """The content of a card of any version. Raises `RunError` for anything but a valid card."""
    if not isinstance(content, dict):
        raise RunError(f"the card cannot be read: {shown(content)}, expected settings", where=where)
    content = _migrate(content, where)
    try:
        card: CardContent = parse(CardContent, content, where=where)
    except FramecastError as error:
        raise RunError(
            f"the card cannot be read: {error.what}", where=error.where or where, remedy=error.remedy
        ) from error
    return card


def _migrate(content: dict[str, Any], where: str) -> dict[str, Any]:
    """Convert a card of any version to version 3. Raises `RunError` for a newer or missing version."""
    version = content.get("format_version", content.get("framecast"))
    if type(version) is not int or not 1 <= version <= VERSION:
        raise RunError(
            f"a card of version {shown(version)}, expected 1 to {VERSION}",
            where=where,
            remedy="use the framecast that wrote it, or a newer one",
        )
    current = {name: value for name, value in content.items() if name not in ("framecast", "reading", CHECKSUM)}
    if version == 1 and "reading" in content:
        current["read_options"] = content["reading"]
    if not current.get("calibration"):
        current.pop("calibration", None)
    if isinstance(current.get("model"), dict):
        current["model"] = model_settings(current["model"])
    return {**current, "format_version": VERSION}


def calibration_of(content: CardContent) -> dict[str, Any]:
    """The calibration as plain data; empty without."""
    return {} if content.calibration is None else plain(content.calibration)


def checksum(content: dict[str, Any], weights: bytes) -> str:
    """The SHA-256 over the content of a card, its own checksum left out, and the file of its weights."""
    rest = {name: value for name, value in content.items() if name != CHECKSUM}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    digest = hashlib.sha256(text.encode())
    digest.update(weights)
    return digest.hexdigest()
