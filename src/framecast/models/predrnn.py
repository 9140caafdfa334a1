"""PredRNN and PredRNN-V2: ST-LSTM cells with a second memory that flows through all layers.

Yunbo Wang, Haixu Wu, Jianjin Zhang, Zhifeng Gao, Jianmin Wang, Philip S. Yu, Mingsheng Long: "PredRNN: A Recurrent
Neural Network for Spatiotemporal Predictive Learning", 2022 (first version: NeurIPS 2017). ST-LSTM, equation 4:

    g  = tanh(W_xg * X + W_hg * H)            g' = tanh(W'_xg * X + W'_mg * M)
    i  = sigma(W_xi * X + W_hi * H)           i' = sigma(W'_xi * X + W'_mi * M)
    f  = sigma(W_xf * X + W_hf * H)           f' = sigma(W'_xf * X + W'_mf * M)
    C' = f . C + i . g                        M' = f' . M + i' . g'
    o  = sigma(W_xo * X + W_ho * H + W_co * C' + W_mo * M')
    H' = o . tanh(W_1x1 * [C', M'])

M flows up the layers and from the top layer at t to the bottom layer at t + 1 (figure 2). PredRNN-V2 adds the memory
decoupling loss of equation 5 to the frame loss (equation 6) and is trained with reverse scheduled sampling.

Deviations, all as in the released code (docs/specification.md): forget biases of 1, an optional LayerNorm (row P3); W_co and
W_mo are one convolution on [C', M'] (row P1); the decoupling loss is a mean, not a sum (row P4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Self

from torch import Tensor, nn

from framecast.models.parts.layers import GateConv, SameConv, gates
from framecast.models.parts.protocols import Cell, Core
from framecast.models.parts.recurrent import TwoMemories, head, zeros
from framecast.models.parts.stack import Stack
from framecast.ops.gates import cell_update, hidden_output
from framecast.types import Step, config

FORGET_BIAS = 1.0


class State(NamedTuple):
    """`hidden` and `cell`, both `(B, D, h, w)`."""

    hidden: Tensor
    cell: Tensor


class STLSTMCell(nn.Module):
    """One ST-LSTM layer; `norm` is the `(h, w)` of the LayerNorms, None without."""

    def __init__(
        self, inputs: int, hidden: int, kernel: int, norm: tuple[int, int] | None = None, *, bias: bool = False
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.conv_x = GateConv(inputs, 7 * hidden, kernel, norm, bias)
        self.conv_h = GateConv(hidden, 4 * hidden, kernel, norm, bias)
        self.conv_m = GateConv(hidden, 3 * hidden, kernel, norm, bias)
        self.conv_o = GateConv(2 * hidden, hidden, kernel, norm, bias)
        self.conv_last = SameConv(2 * hidden, hidden, 1, bias=bias)

    def start(self, like: Tensor) -> State:
        """Zeros `(B, D, h, w)` for inputs like `like (B, C, h, w)`."""
        return State(zeros(like, self.hidden), zeros(like, self.hidden))

    def forward(self, x: Tensor, state: State, memory: Tensor | None) -> Step:
        """`x (B, C, h, w)`, `memory (B, D, h, w)`, zeros where None."""
        m = zeros(state.hidden, self.hidden) if memory is None else memory
        sums = gates(
            self.hidden,
            (self.conv_x, x, range(7)),
            (self.conv_h, state.hidden, (0, 1, 2, 6)),
            (self.conv_m, m, range(3, 6)),
        )
        return self.advance(sums, state, m)

    def advance(self, sums: Sequence[Tensor], state: State, m: Tensor) -> Step:
        """The remaining equations, from the sums i, f, g, i', f', g' and o, each `(B, D, h, w)`."""
        i, f, g, im, fm, gm, o = sums
        c, dc = cell_update(i, f, g, state.cell, FORGET_BIAS)
        m, dm = cell_update(im, fm, gm, m, FORGET_BIAS)
        h, o = hidden_output(o, self.conv_last(c, m), more=self.conv_o(c, m))
        return Step(h, State(h, c), m, output_gate=o, increments=(dc, dm))


@config
class PredRNN(TwoMemories):
    """A stack of ST-LSTM cells of one width. `bottom_up` and `top_down` are the two halves of the memory's path, for the
    ablations of table 2."""

    name: Literal["predrnn"] = "predrnn"
    bottom_up: bool = True
    top_down: bool = True

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(hidden=(8, 8), kernel=3, patch=2)

    def cells(self, channels: int, grid: tuple[int, int]) -> list[Cell]:
        """ST-LSTM cells."""
        width = self.hidden[0]
        inputs = [channels, *self.hidden[:-1]]
        return [STLSTMCell(size, width, self.kernel, self.norm(grid)) for size in inputs]

    def core(self, channels: int, grid: tuple[int, int]) -> Core:
        """The cells in a stack, with what is left of the memory's path."""
        return Stack(
            self.cells(channels, grid),
            head(self.hidden[-1], channels),
            self.decoupling_loss(),
            bottom_up=self.bottom_up,
            top_down=self.top_down,
        )


@config
class PredRNNV2(PredRNN):
    """PredRNN with memory decoupling; the paper also trains it with reverse scheduled sampling."""

    name: Literal["predrnn_v2"] = "predrnn_v2"  # type: ignore[assignment]
    decoupling: float = 0.1
