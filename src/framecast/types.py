"""The values that pass between the packages, and the decorator that makes a config.

Axes: B batch, T time, S predicted steps, C channel, H W height and width, A action.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, TypeVar, dataclass_transform

import torch
from torch import Tensor


class FrameShape(NamedTuple):
    """What a model is built for: the size of a frame and the lengths of a window. The last `inputs` of the `channels` are seen
    and not forecast: static fields, other variables."""

    channels: int
    height: int
    width: int
    context: int
    horizon: int
    actions: int = 0
    inputs: int = 0

    @property
    def predicted(self) -> int:
        """How many channels are forecast."""
        return self.channels - self.inputs


class Batch(NamedTuple):
    """Normalised windows. `frames (B, T, C, H, W)` float, `valid (B, T, 1, H, W)` bool, `actions (B, T, A)` or None.
    `inputs (B, T, E, H, W)` is what a model sees beside the frames and does not forecast; after the context it stays as it was
    last, so that it holds nothing of the future."""

    frames: Tensor
    valid: Tensor
    actions: Tensor | None = None
    inputs: Tensor | None = None

    @property
    def seen(self) -> Tensor:
        """What a model is handed: the frames, and the inputs as more channels."""
        return self.frames if self.inputs is None else torch.cat([self.frames, self.inputs], dim=2)


class Step(NamedTuple):
    """What a cell returns: its output, its own next state, and the memory that flows on to the next layer (a tensor, or
    what else the cells of a model hand to each other; None where there is none).

    `output_gate` is what a Motion Highway needs, `increments` (dC, dM) what memory decoupling needs; both have the
    shape of `hidden (B, D, H, W)` and are None where the cell has no such thing.
    """

    hidden: Tensor
    state: Any
    memory: Any
    output_gate: Tensor | None = None
    increments: tuple[Tensor, Tensor] | None = None


class Stepped(NamedTuple):
    """What a core returns: the predicted next frame in its own space, its next state, and additional loss terms."""

    output: Tensor
    state: Any
    losses: dict[str, Tensor]


class Prediction(NamedTuple):
    """`frames (B, S, C, H, W)`: the last S frames of the window as predicted. `losses`: scalar terms, already weighted,
    to be added to the frame loss. `target`: what `frames` are to be compared with in training, where that is not the
    frames of the window: both are then in the space of the model."""

    frames: Tensor
    losses: dict[str, Tensor]
    target: Tensor | None = None


T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def config(cls: type[T]) -> type[T]:
    """Make `cls` a frozen, keyword-only dataclass in which unknown keys are refused where it is read from a file."""
    cls.__pydantic_config__ = {"extra": "forbid"}  # type: ignore[attr-defined]
    return dataclasses.dataclass(frozen=True, kw_only=True)(cls)
