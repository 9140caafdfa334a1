"""MoDeRNN: ConvLSTM with a Detail Context Block.

Zenghao Chai, Zhengzhuo Xu, Chun Yuan: "MoDeRNN: Towards Fine-grained Motion Details for Spatiotemporal Predictive
Learning", ICASSP 2022. Before the gates, input X and context H weigh each other in turn, n half-steps with the same six
convolutions, equation 2:

    odd half-steps:    Attn_H = s sigma(mean of W_k * H over k in {3, 5, 7})      X <- Attn_H . X
    even half-steps:   Attn_X = s sigma(mean of W'_k * X over k in {3, 5, 7})     H <- Attn_X . H

then a ConvLSTM on the two, equation 3:

    i, f, g, o = W_x * X + W_h * H        C' = sigma(f + 1) . C + sigma(i) . tanh(g)       H' = sigma(o) . tanh(C')

Deviations (docs/specification.md): as the text says and the released code does, X and H themselves are weighted, where equation
2 prints the other one, with which no frame would reach the gates (DC1). As in that code, the block makes n = 5 half-steps with
the same weights and s = 2 (DC2), and the gates are 3x3 (DC4); the paper stacks blocks of 2 half-steps (`half_steps=2`,
`blocks`) and prints gates of 5x5 (`kernel=5`). With `form="code"`, a LayerNorm after every convolution and on C, no biases, and
a forget bias of 1 (DC3); with `form="paper"` equation 3 as printed. The released loss is `L1L2(reduction="sum")` without the
first prediction, `training.loss_start=2` (DC5, DC6).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from framecast.errors import ConfigError
from framecast.models.parts.layers import GateConv, MapNorm, gates
from framecast.models.parts.protocols import Cell, Core
from framecast.models.parts.recurrent import RecurrentConfig, zeros
from framecast.models.parts.stack import Stack
from framecast.models.predrnn import FORGET_BIAS
from framecast.ops.gates import cell_update, hidden_output
from framecast.types import Step, config

Form = Literal["code", "paper"]


class State(NamedTuple):
    """`hidden` and `cell`, both `(B, D, h, w)`."""

    hidden: Tensor
    cell: Tensor


class DetailContext(nn.Module):
    """Input and context weight each other in turn, `steps` times."""

    probe = "attention"

    def __init__(
        self, hidden: int, kernels: tuple[int, ...], steps: int, scale: float, norm: tuple[int, int] | None
    ) -> None:
        super().__init__()
        self.steps = steps
        self.scale = scale
        self.of_x = nn.ModuleList(GateConv(hidden, hidden, kernel, norm) for kernel in kernels)
        self.of_h = nn.ModuleList(GateConv(hidden, hidden, kernel, norm) for kernel in kernels)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """`x, h (B, D, h, w)`, both weighted."""
        *_, (x, h, _) = self._half_steps(x, h)
        return x, h

    def attention(self, x: Tensor, h: Tensor) -> list[Tensor]:
        """The weights of each half-step, `(B, D, h, w)` between 0 and `scale`: of x, of h, of x, ..."""
        return [weight for _, _, weight in self._half_steps(x, h)]

    def observe(self, inputs: tuple[Any, ...], output: Any) -> list[Tensor]:
        """The weights of each half-step, for diagnosis."""
        return self.attention(*inputs)

    def _half_steps(self, x: Tensor, h: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for step in range(self.steps):
            source, layers = (h, self.of_h) if step % 2 == 0 else (x, self.of_x)
            weight = self.scale * torch.sigmoid(torch.stack([layer(source) for layer in layers]).mean(0))
            if step % 2 == 0:
                x = weight * x
            else:
                h = weight * h
            yield x, h, weight


class DetailContextCell(nn.Module):
    """One layer, from `hidden` to `hidden` channels."""

    def __init__(self, hidden: int, kernel: int, blocks: Sequence[DetailContext], norm: tuple[int, int] | None) -> None:
        super().__init__()
        self.hidden = hidden
        self.context, *more = blocks
        self.more = nn.ModuleList(more)
        self.conv_x = GateConv(hidden, 4 * hidden, kernel, norm, bias=norm is None)
        self.conv_h = GateConv(hidden, 4 * hidden, kernel, norm)
        self.norm_c = nn.Identity() if norm is None else MapNorm([hidden, *norm])
        self.forget_bias = 0.0 if norm is None else FORGET_BIAS

    def start(self, like: Tensor) -> State:
        """Zeros `(B, D, h, w)` for inputs like `like (B, C, h, w)`."""
        return State(zeros(like, self.hidden), zeros(like, self.hidden))

    def forward(self, x: Tensor, state: State, memory: Tensor | None) -> Step:
        """`x (B, D, h, w)`; the memory is passed on untouched."""
        x, h = self.context(x, state.hidden)
        for block in self.more:
            x, h = block(x, h)
        i, f, g, o = gates(self.hidden, (self.conv_x, x, range(4)), (self.conv_h, h, range(4)))
        c, _ = cell_update(i, f, g, state.cell, self.forget_bias)
        c = self.norm_c(c)
        h, o = hidden_output(o, c)
        return Step(h, State(h, c), memory, output_gate=o)


@config
class MoDeRNN(RecurrentConfig):
    """Layers of one width. `kernels`, `half_steps` and `scale` are those of the Detail Context Block, `blocks` the number of
    such blocks, each with weights of its own, before the gates. `form` says whose equation 3: `code` has LayerNorms, which tie
    the model to one frame size, `paper` biases."""

    name: Literal["modernn_dcb"] = "modernn_dcb"
    hidden: tuple[int, ...] = (64, 64, 64, 64)
    kernel: int = 3
    layer_norm: bool = True
    kernels: tuple[int, ...] = (3, 5, 7)
    half_steps: int = 5
    scale: float = 2.0
    blocks: int = 1
    form: Form = "code"

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(hidden=(6, 6), patch=4)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.form == "code" and not self.layer_norm:
            raise ConfigError("its LayerNorms are part of the released form", where="model.layer_norm")

    @property
    def tied_to_size(self) -> bool:
        """The LayerNorms of the released code have one weight a pixel."""
        return self.form == "code"

    def cells(self, channels: int, grid: tuple[int, int]) -> list[Cell]:
        """The layers."""
        norm = grid if self.form == "code" else None

        def blocks(width: int) -> list[DetailContext]:
            one = width, self.kernels, self.half_steps, self.scale, norm
            return [DetailContext(*one) for _ in range(self.blocks)]

        return [DetailContextCell(width, self.kernel, blocks(width), norm) for width in self.hidden]

    def core(self, channels: int, grid: tuple[int, int]) -> Core:
        """The cells between two 1x1 convolutions."""
        width = self.hidden[0]
        return Stack(self.cells(channels, grid), nn.Conv2d(width, channels, 1), embed=nn.Conv2d(channels, width, 1))
