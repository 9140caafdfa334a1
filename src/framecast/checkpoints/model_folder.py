"""Reads and writes a trained model as a folder: `weights.safetensors`, and `card.json` with all that is needed to use them.

The folder is replaced in one step, so it is always complete. Nothing is unpickled.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from framecast.checkpoints.card_content import CHECKSUM, VERSION, calibration_of, checksum, parse_content
from framecast.checks import check_memory, is_positive
from framecast.config.parsing import plain
from framecast.data.motion.coordinates import EULERIAN, Coordinates
from framecast.data.orientation import ColumnOrder, RowOrder
from framecast.data.quantities import QUANTITIES, ZR, Quantity, event_thresholds, with_dry
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.data.scaling import Scaling
from framecast.data.windows.inputs import Input
from framecast.data.windows.record import RECORD, DataRecord
from framecast.errors import ConfigError, FramecastError, RunError
from framecast.models.heads import VALUES, Head
from framecast.models.parts.protocols import ModelConfig
from framecast.reading.paths import is_file, read_bytes, read_text, status
from framecast.reading.plain_data import parse_json
from framecast.types import FrameShape
from framecast.writing import put_bytes, replacing

_log = logging.getLogger(__name__)
LARGEST_WEIGHTS = 64 * 2**30
"""Bytes of a file of weights that is read."""
PACKAGED = Path(__file__).parent / "packaged"
"""The models that come with framecast, each in a folder of its name."""
LEAST_METRES = 10.0
"""The finest spacing of a grid that is taken as one in metres."""
WEIGHTS, CARD = "weights.safetensors", "card.json"


@dataclass(frozen=True)
class ModelCard:
    """The config of a model and its training data.

    `step_seconds` is the time between frames, None without times; `grid` is the size, spacing, projection and pixel size of
    the training data; `scores` are those of validation; `inputs` are the extra inputs with their files; `read_options` are
    the options with which the training data was read. `coordinates` are those in which the model works, under its `head`;
    `step_range` are the shortest and the longest step, in seconds, for a model that reads the step; `calibration` is that of its
    probabilities, see `forecasting.calibration`, empty without; `about` says what a person must know of a model that is passed
    on: data, terms, limits. `training_data_sha256` is the digest of the record of its training data, empty without one, and
    `row_order` that of its frames, None where it is not known."""

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
    row_order: RowOrder | None = None

    @property
    def column_order(self) -> ColumnOrder | None:
        """The order of the columns of the training data, by the spacing of its grid; None where it is not known."""
        spacing = self.grid.get("x_spacing")
        if self.row_order is None or not isinstance(spacing, int | float) or not spacing:
            return None
        return "west_first" if spacing > 0 else "east_first"

    @property
    def kilometres(self) -> tuple[float, float] | None:
        """The finest and the coarsest pixels of the training data, in km; None where they are not known. Cards of earlier
        versions state the spacing of a projected grid only, in metres."""
        sides = self.grid.get("kilometres")
        if isinstance(sides, list | tuple) and len(sides) == 2 and all(map(is_positive, sides)):
            return float(sides[0]), float(sides[1])
        spacing, mapping = self.grid.get("x_spacing"), str(self.grid.get("mapping", ""))
        if not isinstance(spacing, int | float) or not mapping or mapping.endswith("latitude_longitude"):
            return None
        return (abs(spacing) / 1000,) * 2 if abs(spacing) >= LEAST_METRES else None

    def build(self) -> Any:
        """The network that the card describes, with new weights. Raises `ConfigError` for one that does not fit into the memory
        of this machine."""
        check_memory(4 * sum(math.prod(shape) for shape, _ in self.weights().values()), "model", "the weights")
        return self._network()

    def weights(self) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
        """The shape and type of each weight of the network, without memory for any. Raises `ConfigError` for one whose number of
        values cannot be counted."""
        try:
            with torch.random.fork_rng(devices=[]), torch.device("meta"):
                state = self._network().state_dict()
        except RuntimeError as error:
            raise ConfigError(f"a network that cannot be built ({error})", where="model") from error
        return {name: (tuple(weight.shape), weight.dtype) for name, weight in state.items()}

    def _network(self) -> Any:
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
    weights = save_tensors({name: weight.detach().cpu().contiguous() for name, weight in model.state_dict().items()})
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
        "row_order": card.row_order,
    }
    content[CHECKSUM] = checksum(content, weights)
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with replacing(folder) as temporary:
        put_bytes(temporary / WEIGHTS, weights)
        put_bytes(temporary / CARD, text.encode())
        if record is not None:
            put_bytes(temporary / RECORD, record.dump())


def load(folder: Path) -> tuple[nn.Module, ModelCard]:
    """The model, in evaluation mode on the CPU, and its card. Raises `RunError` unless `folder` is a complete model."""
    where = folder / CARD
    try:
        content = parse_json(read_text(where), where)
        stored = read_bytes(folder / WEIGHTS, LARGEST_WEIGHTS)
        weights = load_tensors(stored)
    except (FramecastError, ValueError, SafetensorError) as error:
        reason = error.what if isinstance(error, FramecastError) else str(error)
        raise RunError(
            f"not a complete trained model ({reason})", where=folder, remedy=f"expected {WEIGHTS} and {CARD}"
        ) from error
    card = _card(content, str(where))
    proven = CHECKSUM in content
    if proven and content[CHECKSUM] != checksum(content, stored):
        raise RunError(
            "card and weights are not as they were written: the checksum differs",
            where=folder,
            remedy=f"copy the model again; if its card was edited on purpose, remove {CHECKSUM} from {CARD}",
        )
    try:
        if not proven:  # an edited card may ask for any network
            _check_weights(card, weights)
        model: nn.Module = card._network()
        model.load_state_dict(weights)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = error.what if isinstance(error, FramecastError) else str(error)
        raise RunError(f"card and weights do not fit together ({reason})", where=folder) from error
    return model.eval(), card


def find(folder: Path) -> Path:
    """The folder of a trained model: `folder` itself, the best (else the last) model of a run, or one that comes with framecast,
    by its name. Raises `RunError`."""
    for candidate in (folder, folder / "best", folder / "last"):
        if is_file(candidate / CARD):
            return candidate
    if is_packaged(folder):
        return PACKAGED / folder
    raise RunError(
        "no trained model here",
        where=folder,
        remedy="use the folder of a run that has validated once or has finished, of a saved model, "
        f"or a model that comes with framecast: {', '.join(packaged())}",
    )


def describe_last(folder: Path) -> str:
    """What a person must know where `find` leads to the last weights of a run, since it has no best ones; else empty."""
    if find(folder) != folder / "last":
        return ""
    return f"{folder} has no best weights, which a validation chooses: those of its last iteration are used"


def warn_of_last(folder: Path) -> None:
    """Log the same, for callers whose result cannot say it."""
    if text := describe_last(folder):
        _log.warning(text)


def _check_weights(card: ModelCard, weights: Mapping[str, Tensor]) -> None:
    """Raise `ConfigError` for stored weights that are not those of the network, before it is built."""
    expected, stored = card.weights(), {name: (tuple(each.shape), each.dtype) for name, each in weights.items()}
    for name in sorted(expected.keys() | stored.keys()):
        if expected.get(name) != stored.get(name):
            (wanted, given) = (
                f"{list(each[0])} of {each[1]}" if each else "none" for each in (expected.get(name), stored.get(name))
            )
            raise ConfigError(f"{name}: {given} stored, expected {wanted}")


def packaged() -> list[str]:
    """The names of the trained models that come with framecast."""
    return sorted(card.parent.name for card in PACKAGED.glob(f"*/{CARD}"))


def is_packaged(folder: Path) -> bool:
    """Whether `folder` is the name of a model that comes with framecast, and no folder of that name stands here."""
    return status(folder) is None and str(folder) in packaged()


def evaluation_folder(run: Path) -> Path:
    """Where an evaluation of a run is written by default: in its folder, or for a model that comes with framecast here."""
    return Path(f"{run}-evaluation") if is_packaged(run) else run / "evaluation"


def _card(content: Any, where: str) -> ModelCard:
    parsed = parse_content(content, where)
    fields = {name: getattr(parsed, name) for name in ("model", "scaling", "step_seconds", "grid", "scores", "inputs")}
    return ModelCard(
        **fields,
        quantity=with_dry(QUANTITIES[parsed.quantity.name], parsed.quantity.dry),
        shape=FrameShape(**plain(parsed.shape)),
        read_options=parsed.read_options,
        coordinates=parsed.coordinates,
        head=parsed.head,
        step_range=parsed.step_range,
        calibration=calibration_of(parsed),
        about=parsed.about or {},
        training_data_sha256=parsed.training_data_sha256,
        row_order=parsed.row_order,
    )
