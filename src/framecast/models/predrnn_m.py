"""PredRNN-M-only: the zigzag memory flow alone.

Yunbo Wang, Haixu Wu, Jianjin Zhang, Zhifeng Gao, Jianmin Wang, Philip S. Yu, Mingsheng Long: "PredRNN: A Recurrent
Neural Network for Spatiotemporal Predictive Learning", 2022, equation 3. One H and one M wind through all layers, and
from the top layer at t to the bottom layer at t + 1; only the bottom layer sees the frame X:

    g  = tanh(W_xg * X 1[l=1] + W_hg * H)
    i  = sigma(W_xi * X 1[l=1] + W_hi * H + W_mi * M)
    f  = sigma(W_xf * X 1[l=1] + W_hf * H + W_mf * M + 1)
    M' = f . M + i . g
    o  = sigma(W_xo * X 1[l=1] + W_ho * H + W_mo * M')
    H' = o . tanh(M')

There is no published code. Deviations (docs/specification.md, section 1.2): no biases, a forget bias of 1 as in the other cells
of the paper, and a start at zero.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Self

from torch import Tensor, nn

from framecast.models.parts.layers import GateConv, gates
from framecast.models.parts.protocols import Cell
from framecast.models.parts.recurrent import RecurrentConfig, zeros
from framecast.models.predrnn import FORGET_BIAS
from framecast.ops.gates import cell_update, hidden_output
from framecast.types import Step, config


class Flow(NamedTuple):
    """The flow through the layers: `hidden` H and `memory` M, both `(B, D, h, w)`."""

    hidden: Tensor
    memory: Tensor


class MemoryCell(nn.Module):
    """One layer; it has no state of its own. `inputs` is 0 for layers without the frame as input."""

    def __init__(self, inputs: int, hidden: int, kernel: int, norm: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.hidden = hidden
        self.conv_x = GateConv(inputs, 4 * hidden, kernel, norm) if inputs else None
        self.conv_h = GateConv(hidden, 4 * hidden, kernel, norm)
        self.conv_m = GateConv(hidden, 2 * hidden, kernel, norm)
        self.conv_o = GateConv(hidden, hidden, kernel, norm)

    def start(self, like: Tensor) -> None:
        """Nothing."""

    def forward(self, x: Tensor, state: None, memory: Flow | None) -> Step:
        """`x`: the frame `(B, C, h, w)` in the bottom layer; above it is the H of the flow and not looked at twice."""
        h, m = Flow(zeros(x, self.hidden), zeros(x, self.hidden)) if memory is None else memory
        of_frame = [] if self.conv_x is None else [(self.conv_x, x, range(4))]
        i, f, g, o = gates(self.hidden, *of_frame, (self.conv_h, h, range(4)), (self.conv_m, m, range(2)))
        m, _ = cell_update(i, f, g, m, FORGET_BIAS)
        h, o = hidden_output(o, m, more=self.conv_o(m))
        return Step(h, None, Flow(h, m), output_gate=o)


@config
class PredRNNMOnly(RecurrentConfig):
    """A stack of layers of one width with one memory that flows through all of them."""

    name: Literal["predrnn_m"] = "predrnn_m"

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(hidden=(8, 8), kernel=3, patch=2)

    def cells(self, channels: int, grid: tuple[int, int]) -> list[Cell]:
        """The layers."""
        return [
            MemoryCell(channels if layer == 0 else 0, width, self.kernel, self.norm(grid))
            for layer, width in enumerate(self.hidden)
        ]
