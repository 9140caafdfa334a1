"""SA-ConvLSTM: ConvLSTM with a self-attention memory.

Zhihui Lin, Maomao Li, Zhuobin Zheng, Yangyang Cheng, Chun Yuan: "Self-Attention ConvLSTM for Spatiotemporal Prediction",
AAAI 2020, equations 4-6. After each ConvLSTM step, H' looks at all places of itself and of a memory m:

    Z_h = softmax((W_q H')^T W_k H') W_v H'         Z_m = softmax((W_q H')^T W_mk m) W_mv m        Z = W_z [Z_h, Z_m]
    i, g, o = W [Z, H']
    m' = (1 - sigma(i)) . m + sigma(i) . tanh(g)     H'' = sigma(o) . m'

Deviations: all W are 1x1 with biases, softmax is not scaled (docs/specification.md, section 1.10). There is no published code of
the authors; the width of the attention and the place of LayerNorms, if any, are unknown: `attention` is a setting, and
there are no norms but those of the ConvLSTM.
"""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from framecast.models.convlstm import ConvLSTMCell
from framecast.models.convlstm import State as ConvLSTMState
from framecast.models.parts.protocols import Cell
from framecast.models.parts.recurrent import RecurrentConfig, zeros
from framecast.ops.attention import attend
from framecast.types import Step, config


class State(NamedTuple):
    """`hidden`, `cell` and the attention's `memory`, all `(B, D, h, w)`."""

    hidden: Tensor
    cell: Tensor
    memory: Tensor


class SelfAttentionMemory(nn.Module):
    """H' and m to H'' and m'."""

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(hidden, width, 1)
        self.key_h, self.key_m = nn.Conv2d(hidden, width, 1), nn.Conv2d(hidden, width, 1)
        self.value_h, self.value_m = nn.Conv2d(hidden, hidden, 1), nn.Conv2d(hidden, hidden, 1)
        self.join = nn.Conv2d(2 * hidden, 2 * hidden, 1)
        self.gates = nn.Conv2d(3 * hidden, 3 * hidden, 1)

    def forward(self, h: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
        """`h, m (B, D, h, w)` -> the same, updated."""
        query = self.query(h)
        (z_h,) = attend(query, self.key_h(h), self.value_h(h), heads=1, scale=1.0)
        (z_m,) = attend(query, self.key_m(m), self.value_m(m), heads=1, scale=1.0)
        z = self.join(torch.cat([z_h, z_m], dim=1))
        i, g, o = torch.chunk(self.gates(torch.cat([z, h], dim=1)), 3, dim=1)
        i = torch.sigmoid(i)
        m = (1 - i) * m + i * torch.tanh(g)
        return torch.sigmoid(o) * m, m


class SAConvLSTMCell(nn.Module):
    """One layer; `norm` is the `(h, w)` of the LayerNorms, None without."""

    def __init__(
        self, inputs: int, hidden: int, kernel: int, width: int, grid: tuple[int, int], *, layer_norm: bool
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.lstm = ConvLSTMCell(inputs, hidden, kernel, grid, layer_norm=layer_norm)
        self.attention = SelfAttentionMemory(hidden, width)

    def start(self, like: Tensor) -> State:
        """Zeros `(B, D, h, w)` for inputs like `like (B, C, h, w)`."""
        return State(*(zeros(like, self.hidden) for _ in State._fields))

    def forward(self, x: Tensor, state: State, memory: Tensor | None) -> Step:
        """`x (B, C, h, w)`; the memory between layers is passed on untouched."""
        step = self.lstm(x, ConvLSTMState(state.hidden, state.cell), None)
        h, m = self.attention(step.hidden, state.memory)
        return Step(h, State(h, step.state.cell, m), memory)


@config
class SAConvLSTM(RecurrentConfig):
    """Layers that may differ in width; `attention` channels in queries and keys."""

    equal_layers: ClassVar[bool] = False
    name: Literal["sa_convlstm"] = "sa_convlstm"
    hidden: tuple[int, ...] = (64, 64, 64, 64)
    attention: int = 64

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(hidden=(6, 4), kernel=3, patch=2, attention=4)

    def cells(self, channels: int, grid: tuple[int, int]) -> list[Cell]:
        """The layers."""
        return [
            SAConvLSTMCell(inputs, hidden, self.kernel, self.attention, grid, layer_norm=self.layer_norm)
            for inputs, hidden in zip((channels, *self.hidden), self.hidden, strict=False)
        ]
