"""The recurrent forecaster, a codec and a core that is rolled over time, and the settings that recurrent models share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from framecast.errors import ConfigError
from framecast.models.parts.decoupling import Decoupling
from framecast.models.parts.layers import SameConv
from framecast.models.parts.protocols import Cell, Core
from framecast.models.parts.rollout import Feedback, rollout
from framecast.models.parts.sizes import check_sizes
from framecast.models.parts.stack import Stack
from framecast.ops import free_running, from_patches, to_patches
from framecast.types import FrameShape, Prediction, config


class Patches(nn.Module):
    """The codec of most recurrent papers: space to depth and back, so that a patch that is fed back equals a frame that is fed
    back."""

    def __init__(self, patch: int) -> None:
        super().__init__()
        self.patch = patch

    def encode(self, frames: Tensor) -> Tensor:
        """`frames (B, T, C, H, W)` -> `(B, T, patch * patch * C, H / patch, W / patch)`."""
        check_divisible(frames.shape[-2], frames.shape[-1], self.patch)
        return to_patches(frames, self.patch)

    def decode(self, encoded: Tensor) -> Tensor:
        """The inverse of `encode`."""
        return from_patches(encoded, self.patch)

    def last(self, count: int, encoded: Tensor) -> Tensor | None:
        """A mask `(C',)` of the channels of `encoded (B, T, C', h, w)` that hold the last `count` channels of the frames; None
        if `count` is 0."""
        if not count:
            return None
        channels = encoded.shape[2] // self.patch**2
        return torch.arange(encoded.shape[2], device=encoded.device) % channels >= channels - count


class Recurrent(nn.Module):
    """Encodes all frames in one call, rolls the core over time in its own space, and decodes in one call.

    `tied_to` is the only `(height, width)` for which the core works, None for any. `segment` trades time for memory in
    training, see `rollout`. The last `inputs` channels are inputs that are not forecast. `start` and `step` give the same
    predictions frame by frame, so that a new frame costs one step.
    """

    accepts_feedback: ClassVar[Literal[True]] = True

    def __init__(
        self,
        core: Core,
        codec: Patches,
        *,
        tied_to: tuple[int, int] | None = None,
        segment: int | None = None,
        inputs: int = 0,
    ) -> None:
        super().__init__()
        self.core = core
        self.codec = codec
        self.tied_to = tied_to
        self.segment = segment
        self.inputs = inputs

    def forward(
        self,
        frames: Tensor,
        teacher: Tensor,
        actions: Tensor | None = None,
        *,
        state: Any = None,
        feedback: Feedback | None = None,
    ) -> Prediction:
        """Predict the frames at 1..T-1: `frames (B, T or fewer, C, H, W)`, `teacher (B, T - 1)` bool; a frame is read only
        where the mask is true. `state` replaces the initial state. `feedback(prediction (B, C, H, W), t)` is fed back in place of
        the prediction of frame t + 1. Raises `ConfigError` for a frame size that the model does not support."""
        self.check_size(frames)
        encoded = self.codec.encode(frames)
        fixed_channels = self.codec.last(self.inputs, encoded)

        def encoded_feedback(output: Tensor, t: int) -> Tensor:
            assert feedback is not None
            return self.codec.encode(feedback(self.codec.decode(output[:, None])[:, 0], t)[:, None])[:, 0]

        predicted, losses, _ = rollout(
            self.core,
            encoded,
            teacher,
            actions,
            state=state,
            segment=self.segment,
            fixed_channels=fixed_channels,
            feedback=None if feedback is None else encoded_feedback,
        )
        return Prediction(without_inputs(self.codec.decode(predicted), self.inputs), losses)

    def forecast(self, context: Tensor, horizon: int, actions: Tensor | None = None) -> Tensor:
        """`context (B, T, C, H, W)` -> the `horizon` frames after it, `(B, horizon, C, H, W)`."""
        teacher = free_running(context.shape[0], context.shape[1], horizon)
        return self.forward(context, teacher, actions).frames[:, -horizon:]

    def start(self, like: Tensor) -> Any:
        """The state before the first frame, for frames like `like (B, C, H, W)`."""
        return self.core.start(self.codec.encode(like[:, None])[:, 0])

    def step(self, frame: Tensor, state: Any, action: Tensor | None = None) -> tuple[Tensor, Any]:
        """One frame in `(B, C, H, W)`, the prediction of the next one out, with the next state."""
        self.check_size(frame)
        stepped = self.core.step(self.codec.encode(frame[:, None])[:, 0], state, action)
        return without_inputs(self.codec.decode(stepped.output[:, None]), self.inputs)[:, 0], stepped.state

    def unrecordable(self) -> str | None:
        """The reason for a model with segments; None without."""
        return (
            None if self.segment is None else "activations cannot be computed again in a recorded step (model.segment)"
        )

    def check_size(self, frames: Tensor) -> None:
        """Raise `ConfigError` for frames of a size that the model does not support."""
        height, width = frames.shape[-2:]
        if self.tied_to is not None and (height, width) != self.tied_to:
            size = " x ".join(map(str, self.tied_to))
            raise ConfigError(
                f"this model works for frames of {size} only, these have {height} x {width}",
                remedy="train without LayerNorm and Hadamard peepholes, or bring the frames to the size of the model",
            )


@config
class RecurrentConfig(ABC):
    """Layers of cells on patches of the frames: `hidden` channels in each layer, `kernel` of the convolutions, `patch` by
    `patch` pixels in one cell of the map. `layer_norm` adds a LayerNorm after each convolution of a cell and ties the model to
    one frame size. `segment`, see `rollout`.

    A subclass defines the name of the model and its `cells`.
    """

    equal_layers: ClassVar[bool] = True
    """Whether one memory flows through all layers, so that they must have one width."""

    name: str
    hidden: tuple[int, ...] = (128, 128, 128, 128)
    kernel: int = 5
    patch: int = 4
    layer_norm: bool = False
    segment: int | None = None

    def __post_init__(self) -> None:
        check_sizes(self)
        if self.equal_layers:
            check_equal(self.hidden)

    @abstractmethod
    def cells(self, channels: int, grid: tuple[int, int]) -> list[Cell]:
        """The layers, bottom first, for `channels` in and maps of `grid = (h, w)`."""

    def core(self, channels: int, grid: tuple[int, int]) -> Core:
        """The cells in a stack, with a 1x1 head without bias."""
        return Stack(self.cells(channels, grid), head(self.hidden[-1], channels), self.decoupling_loss())

    def decoupling_loss(self) -> Decoupling | None:
        """The additional loss of cells with two memories."""
        return None

    def norm(self, grid: tuple[int, int]) -> tuple[int, int] | None:
        """The size of the LayerNorms; None without."""
        return grid if self.layer_norm else None

    @property
    def tied_to_size(self) -> bool:
        """LayerNorm has one weight a pixel."""
        return self.layer_norm

    @property
    def multiple(self) -> int:
        """Frames are cut into patches."""
        return self.patch

    def check(self, shape: FrameShape) -> None:
        """Raise `ConfigError` if this cannot be built for `shape`."""
        check_divisible(shape.height, shape.width, self.multiple)
        check_no_actions(shape, self.name)

    def build(self, shape: FrameShape) -> Recurrent:
        """A forecaster with new weights for frames of `shape`. Raises `ConfigError` as `check` does."""
        self.check(shape)
        core = self.core(self.patch**2 * shape.channels, (shape.height // self.patch, shape.width // self.patch))
        tied_to = (shape.height, shape.width) if self.tied_to_size else None
        return Recurrent(core, Patches(self.patch), tied_to=tied_to, segment=self.segment, inputs=shape.inputs)


@config
class FrameConfig(ABC):
    """A recurrent model that is given whole frames, and encodes and decodes them itself. `segment`, see `rollout`.

    A subclass defines the name of the model and its `core`, and whether its weights are tied to a size of frames, or how often
    it halves them.
    """

    name: str
    segment: int | None = None

    def __post_init__(self) -> None:
        check_sizes(self)

    @abstractmethod
    def core(self, shape: FrameShape) -> Core:
        """One step, from frame to frame."""

    @property
    def tied_to_size(self) -> bool:
        """Any size works."""
        return False

    @property
    def multiple(self) -> int:
        """The sides of frames are any."""
        return 1

    def check(self, shape: FrameShape) -> None:
        """Raise `ConfigError` if this cannot be built for `shape`."""
        check_sides(shape, self.multiple, self.name)
        check_no_actions(shape, self.name)

    def build(self, shape: FrameShape) -> nn.Module:
        """A forecaster with new weights for frames of `shape`. Raises `ConfigError` as `check` does."""
        return self.recurrent(shape)

    def recurrent(self, shape: FrameShape) -> Recurrent:
        """The core, rolled over time. Raises `ConfigError` as `check` does."""
        self.check(shape)
        tied_to = (shape.height, shape.width) if self.tied_to_size else None
        return Recurrent(self.core(shape), Patches(1), tied_to=tied_to, segment=self.segment, inputs=shape.inputs)


@config
class TwoMemories(RecurrentConfig):
    """Cells with two memories: `decoupling` is lambda of PredRNN-V2's equation 6; 0 leaves that loss out."""

    decoupling: float = 0.0

    def decoupling_loss(self) -> Decoupling | None:
        """The memory decoupling loss."""
        return Decoupling(self.hidden[0], self.decoupling) if self.decoupling else None


def head(hidden: int, channels: int) -> SameConv:
    """The last layer of most recurrent models: 1x1, linear, without bias."""
    return SameConv(hidden, channels, 1, bias=False)


def check_divisible(height: int, width: int, patch: int) -> None:
    """Raise `ConfigError` unless frames of `height` x `width` can be cut into patches."""
    if height % patch or width % patch:
        raise ConfigError(
            f"frames of {height} x {width} cannot be cut into patches of {patch} x {patch}",
            where="model.patch",
            remedy=f"choose a patch that divides both, or crop to {height // patch * patch} x {width // patch * patch}",
        )


def check_sides(shape: FrameShape, multiple: int, name: str) -> None:
    """Raise `ConfigError` unless both sides of frames are multiples, for a model `name` without patches."""
    height, width = (side // multiple * multiple for side in (shape.height, shape.width))
    if (height, width) != (shape.height, shape.width):
        raise ConfigError(
            f"{name} takes frames whose sides are multiples of {multiple}, {shape.height} x {shape.width} given",
            where="model",
            remedy=f"crop to {height} x {width}"
            if height and width
            else f"use frames of {multiple} x {multiple} or more",
        )


def check_equal(hidden: tuple[int, ...]) -> None:
    """Raise `ConfigError` for layers that differ in width, where a shared memory needs one for all."""
    if len(set(hidden)) > 1:
        raise ConfigError(
            f"hidden sizes {list(hidden)} differ, but one memory flows through all layers",
            where="model.hidden",
            remedy=f"give all layers one size, for example {[hidden[0]] * len(hidden)}",
        )


def check_no_actions(shape: FrameShape, name: str) -> None:
    """Raise `ConfigError` if the data has actions, for a model that does not use them."""
    if shape.actions:
        raise ConfigError(
            f"the data has {shape.actions} actions a step, which {name} does not take", where="model.name"
        )


def check_has_actions(shape: FrameShape, name: str) -> None:
    """Raise `ConfigError` if the data has no actions, for a model that needs them."""
    if not shape.actions:
        raise ConfigError(
            f"{name} needs actions, and the data has none",
            where="model.name",
            remedy="data.actions=true where the files hold some, or a model without",
        )


def require_actions(actions: Tensor | None) -> Tensor:
    """The actions. Raises `ConfigError` without, for a model that needs those of every step."""
    if actions is None:
        raise ConfigError("this model needs the actions of every step", remedy="give actions (B, T, A)")
    return actions


def check_no_inputs(shape: FrameShape, name: str) -> None:
    """Raise `ConfigError` if the data has extra inputs, for a model that does not use them."""
    if shape.inputs:
        raise ConfigError(f"the data has {shape.inputs} inputs, which {name} does not take", where="model.name")


def without_inputs(frames: Tensor, inputs: int) -> Tensor:
    """`frames (B, T, C, H, W)` without the last `inputs` channels."""
    return frames[:, :, : frames.shape[2] - inputs]


def zeros(like: Tensor, channels: int) -> Tensor:
    """A zero state `(B, channels, h, w)` with the batch, size, device, dtype and layout of `like (B, C, h, w)`."""
    layout = torch.channels_last if like.stride(1) == 1 else torch.contiguous_format
    shape = like.shape[0], channels, *like.shape[2:]
    return torch.empty(shape, device=like.device, dtype=like.dtype, memory_format=layout).zero_()
