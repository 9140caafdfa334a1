"""Reads and writes a trained model as a folder: `weights.safetensors`, and `card.json` with all that is needed to use them.

The folder is replaced in one step, so it is always complete. Nothing is unpickled.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as weights_to_bytes
from torch import nn

from framecast.config.earlier import model_settings
from framecast.config.parsing import parse, plain
from framecast.data.motion.coordinates import EULERIAN, Coordinates
from framecast.data.quantities import QUANTITIES, ZR, Quantity, event_thresholds, with_dry
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.data.scaling import Scaling
from framecast.data.windows.inputs import Input
from framecast.data.windows.record import RECORD, DataRecord
from framecast.errors import ConfigError, FramecastError, RunError
from framecast.models import Model
from framecast.models.heads import VALUES, Head
from framecast.models.parts.protocols import ModelConfig
from framecast.types import FrameShape
from framecast.writing import put_bytes, replacing

VERSION = 3
"""The version of the card format. Version 1 had the keys `framecast` for `format_version` and `reading` for `read_options`;
versions 1 and 2 had no `coordinates`, `head` and `step_range`."""
PACKAGED = Path(__file__).parent / "packaged"
"""The models that come with framecast, each in a folder of its name."""
WEIGHTS, CARD = "weights.safetensors", "card.json"


@dataclass(frozen=True)
class ModelCard:
    """The config of a model and its training data.

    `step_seconds` is the time between frames, None without times; `grid` is the size, spacing and projection of the training
    data, for information; `scores` are those of validation; `inputs` are the extra inputs with their files; `read_options` are
    the options with which the training data was read. `coordinates` are those in which the model works, under its `head`;
    `step_range` are the shortest and the longest step, in seconds, for a model that reads the step; `calibration` is that of its
    probabilities, see `forecasting.calibration`, empty without; `about` says what a person must know of a model that is passed
    on: data, terms, limits. `training_data_sha256` is the digest of the record of its training data, empty without one."""

    model: ModelConfig
    scaling: Scaling
    quantity: Quantity
    shape: FrameShape
    step_seconds: float | None
    grid: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    read_options: ReadOptions = DEFAULT
    coordinates: Coordinates = EULERIAN
    head: Head = VALUES
    step_range: tuple[float, float] | None = None
    calibration: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    training_data_sha256: str = ""

    def build(self) -> Any:
        """The network that the card describes, with new weights."""
        return self.head.build(self.model, self.shape, rate_levels(self.head, self.scaling, self.quantity))


def rate_levels(head: Head, scaling: Scaling, quantity: Quantity) -> tuple[float, ...]:
    """The scaled values of a dry pixel and of the rates of a head; none for a head without rates. Raises `ConfigError` for a
    quantity other than rain."""
    if not head.rates:
        return ()
    if not quantity.precipitation:
        raise ConfigError(f"{quantity.title} has no rain rates", where="head.name", remedy="use head.name=values")
    values = [quantity.dry, *event_thresholds(quantity, head.rates, ZR())]
    levels = scaling.forward(np.array(values, dtype=np.float64), quantity)
    if not (np.diff(levels) > 0).all():
        raise ConfigError(
            f"the scaling {scaling.name} does not tell the rates {list(head.rates)} apart", where="head.rates"
        )
    return tuple(levels.tolist())


def save(folder: Path, model: nn.Module, card: ModelCard, record: DataRecord | None = None) -> None:
    """Write the model to `folder`, with the `record` of its training data, in place of an earlier one. Raises `RunError`."""
    weights = {name: weight.detach().cpu().contiguous() for name, weight in model.state_dict().items()}
    content = {
        "format_version": VERSION,
        "model": plain(card.model),
        "scaling": plain(card.scaling),
        "quantity": {"name": card.quantity.name, "units": card.quantity.units, "dry": card.quantity.dry},
        "shape": card.shape._asdict(),
        "step_seconds": card.step_seconds,
        "grid": card.grid,
        "scores": card.scores,
        "inputs": [plain(each) for each in card.inputs],
        "read_options": plain(card.read_options),
        "coordinates": plain(card.coordinates),
        "head": plain(card.head),
        "step_range": card.step_range,
        "calibration": card.calibration,
        "about": card.about,
        "training_data_sha256": card.training_data_sha256,
    }
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with replacing(folder) as temporary:
        put_bytes(temporary / WEIGHTS, weights_to_bytes(weights))
        put_bytes(temporary / CARD, text.encode())
        if record is not None:
            put_bytes(temporary / RECORD, record.dump())


def load(folder: Path) -> tuple[nn.Module, ModelCard]:
    """The model, in evaluation mode on the CPU, and its card. Raises `RunError` unless `folder` is a complete model."""
    where = folder / CARD
    try:
        content = json.loads(where.read_text())
        weights = load_file(folder / WEIGHTS)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, SafetensorError) as error:
        raise RunError(
            f"not a complete trained model ({error})", where=folder, remedy=f"expected {WEIGHTS} and {CARD}"
        ) from error
    try:
        card = _card(content, str(where))
        model: nn.Module = card.build()
        model.load_state_dict(weights)
    except (KeyError, TypeError, RuntimeError) as error:
        raise RunError(f"card and weights do not fit together ({error})", where=folder) from error
    return model.eval(), card


def find(folder: Path) -> Path:
    """The folder of a trained model: `folder` itself, the best (else the last) model of a run, or one that comes with framecast,
    by its name. Raises `RunError`."""
    for candidate in (folder, folder / "best", folder / "last"):
        if (candidate / CARD).is_file():
            return candidate
    if is_packaged(folder):
        return PACKAGED / folder
    raise RunError(
        "no trained model here",
        where=folder,
        remedy="use the folder of a run that has validated once or has finished, of a saved model, "
        f"or a model that comes with framecast: {', '.join(packaged())}",
    )


def packaged() -> list[str]:
    """The names of the trained models that come with framecast."""
    return sorted(card.parent.name for card in PACKAGED.glob(f"*/{CARD}"))


def is_packaged(folder: Path) -> bool:
    """Whether `folder` is the name of a model that comes with framecast, and no folder of that name stands here."""
    return not folder.exists() and str(folder) in packaged()


def evaluation_folder(run: Path) -> Path:
    """Where an evaluation of a run is written by default: in its folder, or for a model that comes with framecast here."""
    return Path(f"{run}-evaluation") if is_packaged(run) else run / "evaluation"


def _migrate(content: dict[str, Any], where: str) -> dict[str, Any]:
    """Convert a card of any version to version 3. Raises `RunError` for a newer or missing version."""
    version = content.get("format_version", content.get("framecast"))
    if version not in range(1, VERSION + 1):
        raise RunError(
            f"a card of version {version!r}, expected 1 to {VERSION}",
            where=where,
            remedy="use the framecast that wrote it, or a newer one",
        )
    if version == 1 and "reading" in content:
        content = {**content, "read_options": content["reading"]}
    return content


def _card(content: dict[str, Any], where: str) -> ModelCard:
    content = _migrate(content, where)
    quantity = content["quantity"]
    if quantity["name"] not in QUANTITIES:
        raise RunError(f"unknown quantity {quantity['name']!r}", where=where)
    try:
        return ModelCard(
            model=parse(Model, model_settings(content["model"]), where=where),
            scaling=parse(Scaling, content["scaling"], where=where),
            quantity=with_dry(QUANTITIES[quantity["name"]], quantity["dry"]),
            shape=FrameShape(**content["shape"]),
            step_seconds=content["step_seconds"],
            grid=content["grid"],
            scores=content["scores"],
            inputs=tuple(parse(Input, each, where=where) for each in content.get("inputs", [])),
            read_options=parse(ReadOptions, content.get("read_options", {}), where=where),
            coordinates=parse(Coordinates, content.get("coordinates", plain(EULERIAN)), where=where),
            head=parse(Head, content.get("head", plain(VALUES)), where=where),
            step_range=tuple(content["step_range"]) if content.get("step_range") else None,
            calibration=content.get("calibration", {}),
            about=content.get("about", {}),
            training_data_sha256=str(content.get("training_data_sha256", "")),
        )
    except FramecastError as error:
        raise RunError(f"the card cannot be read: {error.what}", where=error.where or where) from error
