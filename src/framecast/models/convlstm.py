"""ConvLSTM: a stack of LSTM cells whose gates are convolutions.

Xingjian Shi, Zhourong Chen, Hao Wang, Dit-Yan Yeung, Wai-Kin Wong, Wang-chun Woo: "Convolutional LSTM Network: A
Machine Learning Approach for Precipitation Nowcasting", NeurIPS 2015; as written in Wang et al. 2022, equation 2:

    g  = tanh(W_xg * X + W_hg * H)
    i  = sigma(W_xi * X + W_hi * H + W_ci o C)
    f  = sigma(W_xf * X + W_hf * H + W_cf o C)
    C' = f . C + i . g
    o  = sigma(W_xo * X + W_ho * H + W_co o C')
    H' = o . tanh(C')

with * a convolution and W_c o C the peephole. Deviations (docs/specification.md, section 1.1 and row P2): no biases and no
forget bias; `peephole` is "none" by default as in the published code, "hadamard" as in the equation (one weight a
pixel, hence tied to one frame size), or "conv", which alone explains the parameter counts of the MotionRNN paper.
"""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from framecast.models.parts.layers import GateConv, SameConv, gates
from framecast.models.parts.protocols import Cell
from framecast.models.parts.recurrent import RecurrentConfig, zeros
from framecast.ops.gates import cell_update, hidden_output
from framecast.types import Step, config

Peephole = Literal["none", "hadamard", "conv"]


class State(NamedTuple):
    """`hidden` and `cell`, both `(B, D, h, w)`."""

    hidden: Tensor
    cell: Tensor


class ConvLSTMCell(nn.Module):
    """One layer. `grid` is the `(h, w)` of LayerNorm and Hadamard peepholes."""

    def __init__(
        self,
        inputs: int,
        hidden: int,
        kernel: int,
        grid: tuple[int, int],
        *,
        layer_norm: bool = False,
        peephole: Peephole = "none",
    ) -> None:
        super().__init__()
        self.hidden = hidden
        norm = grid if layer_norm else None
        self.conv_x = GateConv(inputs, 4 * hidden, kernel, norm)
        self.conv_h = GateConv(hidden, 4 * hidden, kernel, norm)
        self.peep_i, self.peep_f, self.peep_o = (_peephole(peephole, hidden, kernel, grid) for _ in range(3))

    def start(self, like: Tensor) -> State:
        """Zeros `(B, D, h, w)` for inputs like `like (B, C, h, w)`."""
        return State(zeros(like, self.hidden), zeros(like, self.hidden))

    def forward(self, x: Tensor, state: State, memory: Tensor | None) -> Step:
        """`x (B, C, h, w)`; the memory is passed on untouched."""
        h, c = state
        i, f, g, o = gates(self.hidden, (self.conv_x, x, range(4)), (self.conv_h, h, range(4)))
        c, _ = cell_update(self.peep_i(i, c), self.peep_f(f, c), g, c)
        h, o = hidden_output(self.peep_o(o, c), c)
        return Step(h, State(h, c), memory, output_gate=o)


class _NoPeephole(nn.Module):
    def forward(self, gate: Tensor, _: Tensor) -> Tensor:
        return gate


class _HadamardPeephole(nn.Module):
    def __init__(self, hidden: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(hidden, *grid))

    def forward(self, gate: Tensor, cell: Tensor) -> Tensor:
        return gate + self.weight * cell


class _ConvPeephole(nn.Module):
    def __init__(self, hidden: int, kernel: int) -> None:
        super().__init__()
        self.conv = SameConv(hidden, hidden, kernel, bias=False)

    def forward(self, gate: Tensor, cell: Tensor) -> Tensor:
        looked: Tensor = gate + self.conv(cell)
        return looked


def _peephole(kind: Peephole, hidden: int, kernel: int, grid: tuple[int, int]) -> nn.Module:
    """The connection from the cell state to a gate `(B, D, h, w)`."""
    if kind == "none":
        return _NoPeephole()
    return _HadamardPeephole(hidden, grid) if kind == "hadamard" else _ConvPeephole(hidden, kernel)


@config
class ConvLSTM(RecurrentConfig):
    """A stack of ConvLSTM cells; layers may differ in width."""

    equal_layers: ClassVar[bool] = False
    name: Literal["convlstm"] = "convlstm"
    peephole: Peephole = "none"

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(hidden=(8, 6), kernel=3, patch=2)

    @property
    def tied_to_size(self) -> bool:
        """LayerNorm and Hadamard peepholes have one weight a pixel."""
        return self.layer_norm or self.peephole == "hadamard"

    def cells(self, channels: int, grid: tuple[int, int]) -> list[Cell]:
        """ConvLSTM cells."""
        return [
            ConvLSTMCell(inputs, hidden, self.kernel, grid, layer_norm=self.layer_norm, peephole=self.peephole)
            for inputs, hidden in zip((channels, *self.hidden), self.hidden, strict=False)
        ]
