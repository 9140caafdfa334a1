"""Reads and writes a trained model as a folder: `weights.safetensors`, and `card.json` with all that is needed to use them.

Both are written to a temporary folder that is then renamed, so a model folder is always complete. Nothing is unpickled.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from framecast.config.parsing import parse, plain
from framecast.data.quantities import QUANTITIES, Quantity, with_dry
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.data.scaling import Scaling
from framecast.data.windows.inputs import Input
from framecast.errors import FramecastError, RunError
from framecast.models import Model
from framecast.models.parts.protocols import ModelConfig
from framecast.types import FrameShape

VERSION = 2
"""The version of the card format. Version 1 had the keys `framecast` for `format_version` and `reading` for `read_options`."""
WEIGHTS, CARD = "weights.safetensors", "card.json"


@dataclass(frozen=True)
class ModelCard:
    """The config of a model and its training data. `step_seconds` is the time between frames, None without times; `grid` is the
    size, spacing and projection of the training data, for information; `scores` are those of validation; `inputs` are the extra
    inputs with their files; `read_options` are the options with which the training data was read."""

    model: ModelConfig
    scaling: Scaling
    quantity: Quantity
    shape: FrameShape
    step_seconds: float | None
    grid: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    read_options: ReadOptions = DEFAULT


def save(folder: Path, model: nn.Module, card: ModelCard) -> None:
    """Write the model to `folder`. An existing model is replaced after the new one is complete."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    weights = {name: weight.detach().cpu().contiguous() for name, weight in model.state_dict().items()}
    save_file(weights, temporary / WEIGHTS)
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
    }
    (temporary / CARD).write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    temporary.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


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
        model: nn.Module = card.model.build(card.shape)
        model.load_state_dict(weights)
    except (KeyError, TypeError, RuntimeError) as error:
        raise RunError(f"card and weights do not fit together ({error})", where=folder) from error
    return model.eval(), card


def find(folder: Path) -> Path:
    """The folder of a trained model: `folder` itself, or the best (else the last) model of a run. Raises `RunError`."""
    for candidate in (folder, folder / "best", folder / "last"):
        if (candidate / CARD).is_file():
            return candidate
    raise RunError(
        "no trained model here",
        where=folder,
        remedy="use the folder of a run that has validated once or has finished, or of a saved model",
    )


def _migrate(content: dict[str, Any], where: str) -> dict[str, Any]:
    """Convert a card of any version to version 2. Raises `RunError` for a newer or missing version."""
    version = content.get("format_version", content.get("framecast"))
    if version not in (1, VERSION):
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
            model=parse(Model, content["model"], where=where),
            scaling=parse(Scaling, content["scaling"], where=where),
            quantity=with_dry(QUANTITIES[quantity["name"]], quantity["dry"]),
            shape=FrameShape(**content["shape"]),
            step_seconds=content["step_seconds"],
            grid=content["grid"],
            scores=content["scores"],
            inputs=tuple(parse(Input, each, where=where) for each in content.get("inputs", [])),
            read_options=parse(ReadOptions, content.get("read_options", {}), where=where),
        )
    except FramecastError as error:
        raise RunError(f"the card cannot be read: {error.what}", where=error.where or where) from error
