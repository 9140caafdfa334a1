"""Conv-TT-LSTM: a ConvLSTM over several past hidden states, with weights as a convolutional tensor train.

Jiahao Su, Wonmin Byeon, Jean Kossaifi, Furong Huang, Jan Kautz, Anima Anandkumar: "Convolutional Tensor-Train LSTM for
Spatio-temporal Learning", NeurIPS 2020, equations 6-9. The gates see not only the last hidden state but the last M of
them, through a chain of N convolutions of low rank:

    H~_n = K_n * [M - N + 1 neighbouring hidden states]        n = 1 .. N, oldest first
    V_1  = H~_1         V_n = H~_n + G_{n-1} * V_{n-1}
    i, f, g, o = G_N * [X, V_N]
    C' = sigma(f) . C + sigma(i) . tanh(g)                     H' = sigma(o) . tanh(C')

Deviations: the fixed-window form of the paper, as its authors' code computes it, with biases. The papers that compare with
it print no configuration; order, steps and rank are those of the paper's own experiments.
"""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from framecast.errors import ConfigError
from framecast.models.parts.layers import SameConv
from framecast.models.parts.protocols import Cell
from framecast.models.parts.recurrent import RecurrentConfig, zeros
from framecast.ops.gates import cell_update, hidden_output
from framecast.types import Step, config


class State(NamedTuple):
    """`hidden` and `cell (B, D, h, w)`, and the hidden states `past (B, D, M, h, w)`, oldest first, of which `hidden` is
    the last."""

    hidden: Tensor
    cell: Tensor
    past: Tensor


class ConvTTLSTMCell(nn.Module):
    """One layer with the last `steps` hidden states as input, through a chain of `order` convolutions of `rank` channels."""

    def __init__(self, inputs: int, hidden: int, kernel: int, order: int, steps: int, rank: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.window = steps - order + 1
        self.steps = steps
        padding = kernel // 2
        self.windows = nn.ModuleList(
            nn.Conv3d(hidden, rank, (self.window, kernel, kernel), padding=(0, padding, padding)) for _ in range(order)
        )
        self.chain = nn.ModuleList(nn.Conv2d(rank, rank, kernel, padding=padding) for _ in range(order - 1))
        self.gates = SameConv(inputs + rank, 4 * hidden, kernel)

    def start(self, like: Tensor) -> State:
        """Zeros for inputs like `like (B, C, h, w)`."""
        zero = zeros(like, self.hidden)
        return State(zero, zero, zero[:, :, None].expand(-1, -1, self.steps, -1, -1))

    def forward(self, x: Tensor, state: State, memory: Tensor | None) -> Step:
        """`x (B, C, h, w)`; the memory is passed on untouched."""
        v = self.windows[0](state.past[:, :, : self.window]).squeeze(2)
        for n, link in enumerate(self.chain, start=1):
            v = self.windows[n](state.past[:, :, n : n + self.window]).squeeze(2) + link(v)
        i, f, g, o = torch.chunk(self.gates(x, v), 4, dim=1)
        c, _ = cell_update(i, f, g, state.cell)
        h, o = hidden_output(o, c)
        past = torch.cat([state.past[:, :, 1:], h[:, :, None]], dim=2)
        return Step(h, State(h, c, past), memory, output_gate=o)


@config
class ConvTTLSTM(RecurrentConfig):
    """Layers that may differ in width; `order`, `steps` and `rank` are those of the tensor train."""

    equal_layers: ClassVar[bool] = False
    name: Literal["conv_tt_lstm"] = "conv_tt_lstm"
    hidden: tuple[int, ...] = (64, 64, 64, 64)
    order: int = 3
    steps: int = 3
    rank: int = 8

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(hidden=(6, 4), kernel=3, patch=2, order=2, steps=3, rank=3)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.order <= self.steps or self.rank < 1:
            raise ConfigError(
                f"order {self.order}, steps {self.steps}, rank {self.rank}: 1 <= order <= steps, rank at least 1",
                where="model.order",
            )
        if self.layer_norm:
            raise ConfigError("it has no LayerNorm", where="model.layer_norm")

    def cells(self, channels: int, grid: tuple[int, int]) -> list[Cell]:
        """The layers."""
        return [
            ConvTTLSTMCell(inputs, hidden, self.kernel, self.order, self.steps, self.rank)
            for inputs, hidden in zip((channels, *self.hidden), self.hidden, strict=False)
        ]
