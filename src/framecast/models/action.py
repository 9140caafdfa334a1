"""Action-conditioned PredRNN, PredRNN-V2 and ModeRNN, for frames that depend on what a robot does.

Yunbo Wang, Haixu Wu, Jianjin Zhang, Zhifeng Gao, Jianmin Wang, Philip S. Yu, Mingsheng Long: "PredRNN: A Recurrent Neural
Network for Spatiotemporal Predictive Learning", 2022; Zhiyu Yao et al.: "ModeRNN", 2022. The first has no actions, the second
prints no equations for them; as in the released code (docs/specification.md, sections 1.5 and 4), frame X and action A, tiled
over the frame, are encoded alike, each by two convolutions of stride 2 without a nonlinearity between:

    x = E2 * E1 * X          a = A2 * A1 * A
    ST-LSTM (equation 4):    W_h * H is replaced by (W_h * H) . (W_a * a)
    ModeCell (equation 3):   I = [x, H] is replaced by I . LayerNorm(W_a * a)
    next frame = D2 * (D1 * (H_L [+ x]) [+ E1 * X])          the terms in brackets with `residual`

with transposed convolutions D1, D2. Deviations from the equations of these papers: the ST-LSTM has biases throughout, the
ModeCell plain 3x3 projections.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from framecast.errors import ConfigError
from framecast.models.modernn_slots import ModeCell, ModeRNN
from framecast.models.modernn_slots import State as ModeState
from framecast.models.parts.decoupling import Decoupling
from framecast.models.parts.layers import GateConv, gates
from framecast.models.parts.recurrent import (
    Patches,
    Recurrent,
    RecurrentConfig,
    TwoMemories,
    check_divisible,
    check_has_actions,
    require_actions,
    zeros,
)
from framecast.models.parts.stack import Stack, StackState
from framecast.models.predrnn import State as STLSTMState
from framecast.models.predrnn import STLSTMCell
from framecast.types import FrameShape, Step, Stepped, config


class ActionSTLSTMCell(STLSTMCell):
    """An ST-LSTM whose recurrent gates are scaled by the action."""

    def __init__(self, hidden: int, kernel: int, norm: tuple[int, int] | None) -> None:
        super().__init__(hidden, hidden, kernel, norm, bias=True)
        self.conv_a = GateConv(hidden, 4 * hidden, kernel, norm, bias=True)

    def forward(  # type: ignore[override]
        self, x: Tensor, state: STLSTMState, memory: Tensor | None, action: Tensor
    ) -> Step:
        """`x, action (B, D, h, w)`, both encoded."""
        m = zeros(state.hidden, self.hidden) if memory is None else memory
        i, f, g, im, fm, gm, o = gates(self.hidden, (self.conv_x, x, range(7)), (self.conv_m, m, range(3, 6)))
        ih, fh, gh, oh = torch.chunk(self.conv_h(state.hidden) * self.conv_a(action), 4, dim=1)
        return self.advance((i + ih, f + fh, g + gh, im, fm, gm, o + oh), state, m)


class ActionModeCell(nn.Module):
    """A ModeCell whose input and hidden state are scaled by the action."""

    def __init__(self, cell: ModeCell, norm: tuple[int, int]) -> None:
        super().__init__()
        self.cell = cell
        self.conv_a = GateConv(cell.hidden, 2 * cell.hidden, 3, norm, bias=True)

    def start(self, like: Tensor) -> ModeState:
        """The start of the cell."""
        return self.cell.start(like)

    def forward(self, x: Tensor, state: ModeState, memory: Tensor | None, action: Tensor) -> Step:
        """`x, action (B, D, h, w)`, both encoded."""
        return self.cell.advance(torch.cat([x, state.hidden], dim=1) * self.conv_a(action), state, memory)


class ActionStack(Stack):
    """Cells with the encoded action as an input, at a quarter of the resolution of the frame."""

    def __init__(
        self,
        cells: Sequence[Any],
        hidden: int,
        channels: int,
        actions: int,
        kernel: int,
        decoupling: Decoupling | None,
        *,
        residual: bool,
    ) -> None:
        super().__init__(cells, nn.Identity(), decoupling)
        self.residual = residual
        ways = {"stride": 2, "padding": kernel // 2, "bias": False}
        half = hidden // 2
        self.encode1 = nn.Conv2d(channels, half, kernel, **ways)  # type: ignore[arg-type]
        self.encode2 = nn.Conv2d(half, hidden, kernel, **ways)  # type: ignore[arg-type]
        self.action1 = nn.Conv2d(actions, half, kernel, **ways)  # type: ignore[arg-type]
        self.action2 = nn.Conv2d(half, hidden, kernel, **ways)  # type: ignore[arg-type]
        self.decode1 = nn.ConvTranspose2d(hidden, half, kernel, **ways)  # type: ignore[arg-type]
        self.decode2 = nn.ConvTranspose2d(half, channels, kernel, **ways)  # type: ignore[arg-type]

    def start(self, like: Tensor) -> StackState:
        """The state before the first frame, for frames like `like (B, C, H, W)`."""
        return super().start(_quarter(like))

    def step(self, x: Tensor, state: StackState, action: Tensor | None = None) -> Stepped:
        """Predict the frame at t + 1 from the frame at t, `x (B, C, H, W)`, and the action at t, `action (B, A)`. Raises
        `ConfigError` without an action."""
        tiled = require_actions(action)[:, :, None, None].expand(-1, -1, *x.shape[-2:])
        encoded_action = self.action2(self.action1(tiled.to(x.dtype)))
        half = self.encode1(x)
        encoded = self.encode2(half)
        memory = state.memory
        steps: list[Step] = []
        for cell, before in zip(self.cells, state.cells, strict=True):
            steps.append(cell(steps[-1].hidden if steps else encoded, before, memory, encoded_action))
            memory = steps[-1].memory
        top = steps[-1].hidden
        lower = self.decode1(top + encoded if self.residual else top, output_size=half.shape[-2:])
        frame = self.decode2(lower + half if self.residual else lower, output_size=x.shape[-2:])
        return Stepped(frame, StackState(tuple(step.state for step in steps), memory), self.decoupling_terms(steps))


def _quarter(like: Tensor) -> Tensor:
    """An empty tensor of the size of the inner maps, for frames like `like (B, C, H, W)`."""
    height, width = quarter(*like.shape[-2:])
    return like.new_empty(like.shape[0], 1, height, width)


def quarter(height: int, width: int) -> tuple[int, int]:
    """The size of a map after two convolutions of stride 2."""
    return (height + 3) // 4, (width + 3) // 4


def _check_even(hidden: tuple[int, ...]) -> None:
    """Raise `ConfigError` for an odd width: the encoders have half the channels of the cells."""
    if hidden[0] % 2:
        raise ConfigError(f"hidden size {hidden[0]} is not even", where="model.hidden")


def _check(settings: RecurrentConfig, shape: FrameShape) -> None:
    check_divisible(shape.height, shape.width, settings.patch)
    check_has_actions(shape, settings.name)


def _built(settings: ActionPredRNN | ActionModeRNN, shape: FrameShape, decoupling: Decoupling | None) -> Recurrent:
    channels = settings.patch**2 * shape.channels
    core = ActionStack(
        settings.cells(channels, quarter(shape.height // settings.patch, shape.width // settings.patch)),
        settings.hidden[0],
        channels,
        shape.actions,
        settings.kernel,
        decoupling,
        residual=settings.residual,
    )
    tied_to = (shape.height, shape.width) if settings.tied_to_size else None
    return Recurrent(core, Patches(settings.patch), tied_to=tied_to, segment=settings.segment, inputs=shape.inputs)


@config
class ActionPredRNN(TwoMemories):
    """PredRNN with actions; with `decoupling` PredRNN-V2. `residual` adds skip connections from the encoders to the decoders."""

    name: Literal["predrnn_action"] = "predrnn_action"
    hidden: tuple[int, ...] = (64, 64, 64, 64)
    patch: int = 1
    residual: bool = True

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(hidden=(6, 6), kernel=3, decoupling=0.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_even(self.hidden)

    def check(self, shape: FrameShape) -> None:
        """Raise `ConfigError` if this cannot be built for `shape`."""
        _check(self, shape)

    def cells(self, channels: int, grid: tuple[int, int]) -> list[Any]:
        """ST-LSTM cells with actions."""
        return [ActionSTLSTMCell(width, self.kernel, self.norm(grid)) for width in self.hidden]

    def build(self, shape: FrameShape) -> Recurrent:
        """A forecaster with new weights for frames of `shape`."""
        self.check(shape)
        return _built(self, shape, self.decoupling_loss())


@config
class ActionModeRNN(ModeRNN):
    """ModeRNN with actions. `kernel` is that of the encoders and decoders."""

    fixed_kernel: ClassVar[bool] = False
    name: Literal["modernn_slots_action"] = "modernn_slots_action"  # type: ignore[assignment]
    patch: int = 1
    residual: bool = True

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(hidden=(4, 4), slots=2)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_even(self.hidden)

    @property
    def tied_to_size(self) -> bool:
        """The LayerNorm of the encoded action has one weight a pixel, in both forms."""
        return True

    def check(self, shape: FrameShape) -> None:
        """Raise `ConfigError` if this cannot be built for `shape`."""
        _check(self, shape)

    def cells(self, channels: int, grid: tuple[int, int]) -> list[Any]:
        """ModeCells with actions."""
        return [ActionModeCell(self.cell(width, grid, separable=False), grid) for width in self.hidden]

    def build(self, shape: FrameShape) -> Recurrent:
        """A forecaster with new weights for frames of `shape`."""
        self.check(shape)
        return _built(self, shape, self.decoupling_loss())
