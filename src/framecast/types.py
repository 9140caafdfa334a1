"""The values that pass between the packages (shapes, batches, predictions), and the decorator of config classes.

Axes: B batch, T time, S predicted steps, C channel, H W height and width, A action.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, dataclass_transform

from framecast.checks import check_values

if TYPE_CHECKING:  # settings, which import this module, start without torch
    from torch import Tensor


class FrameShape(NamedTuple):
    """The shape that a model is built for: the size of a frame and the lengths of a window. The last `inputs` of the `channels`
    are inputs that are not forecast: static fields, other variables."""

    channels: int
    height: int
    width: int
    context: int
    horizon: int
    actions: int = 0
    inputs: int = 0

    @property
    def predicted(self) -> int:
        """Number of channels that are forecast."""
        return self.channels - self.inputs


class Batch(NamedTuple):
    """Normalised windows. `frames (B, T, C, H, W)` float, `valid (B, T, 1, H, W)` bool, `actions (B, T, A)` or None.
    `inputs (B, T, E, H, W)` are extra inputs that are not forecast; after the context they repeat their last values, so that they
    hold nothing of the future."""

    frames: Tensor
    valid: Tensor
    actions: Tensor | None = None
    inputs: Tensor | None = None

    @property
    def seen(self) -> Tensor:
        """The input of a model: the frames, and the extra inputs as more channels."""
        import torch

        return self.frames if self.inputs is None else torch.cat([self.frames, self.inputs], dim=2)


class Step(NamedTuple):
    """The result of a cell: its output, its next state, and the memory that flows to the next layer (a tensor, or another value
    that the cells of a model exchange; None if there is none).

    `output_gate` is for a Motion Highway, `increments` (dC, dM) are for memory decoupling; both have the shape of
    `hidden (B, D, H, W)` and are None if the cell has none.
    """

    hidden: Tensor
    state: Any
    memory: Any
    output_gate: Tensor | None = None
    increments: tuple[Tensor, Tensor] | None = None


class Stepped(NamedTuple):
    """The result of a core: the predicted next frame in its own space, its next state, and additional loss terms."""

    output: Tensor
    state: Any
    losses: dict[str, Tensor]


class Prediction(NamedTuple):
    """`frames (B, S, C, H, W)`: predictions of the last S frames of the window. `losses`: weighted scalar terms, to be added to
    the frame loss. `target`: the target of `frames` in training if it is not the frames of the window; both are then in the
    space of the model."""

    frames: Tensor
    losses: dict[str, Tensor]
    target: Tensor | None = None


T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def config(cls: type[T]) -> type[T]:
    """Make `cls` a frozen, keyword-only dataclass that refuses unknown keys when it is parsed, and numbers that `check_values`
    refuses when it is created."""
    cls.__pydantic_config__ = {"extra": "forbid"}  # type: ignore[attr-defined]
    own_checks = getattr(cls, "__post_init__", None)

    def check(settings: T) -> None:
        if own_checks is not None:
            own_checks(settings)
        check_values(settings)

    cls.__post_init__ = check  # type: ignore[attr-defined]
    return dataclasses.dataclass(frozen=True, kw_only=True)(cls)
