"""PredRNN++: Causal LSTM and Gradient Highway.

Yunbo Wang, Zhifeng Gao, Mingsheng Long, Jianmin Wang, Philip S. Yu: "PredRNN++: Towards A Resolution of the Deep-in-Time
Dilemma in Spatiotemporal Predictive Learning", ICML 2018. Causal LSTM, equation 3:

    i  = sigma(W_xi * X + W_hi * H + W_ci * C)          C' = f . C + i . g
    f  = sigma(W_xf * X + W_hf * H + W_cf * C + 1)      M' = f' . tanh(W_m * M) + i' . g'
    g  = tanh(W_xg * X + W_hg * H + W_cg * C)           o  = tanh(W_xo * X + W_ho * H + W_co * C' + W_mo * M')
    i' = sigma(W'_xi * X + W'_ci * C' + W'_mi * M)      H' = o . tanh(W_1x1 * [C', M'])
    f' = sigma(W'_xf * X + W'_cf * C' + W'_mf * M + 1)
    g' = tanh(W'_xg * X + W'_cg * C')

Gradient Highway, equation 4, between the first layer and the second:

    P = tanh(W_px * X + W_pz * Z)       S = sigma(W_sx * X + W_sz * Z)       Z' = S . P + (1 - S) . Z

Deviations, as in the released code (docs/specification.md, section 1.7): forget biases of 1. The LayerNorm of the highway, which
does not run in that code, has the width of what it normalises.
"""

from __future__ import annotations

from typing import Literal, Self

import torch
from torch import Tensor, nn

from framecast.models.parts.layers import GateConv, SameConv, gates
from framecast.models.parts.protocols import Cell
from framecast.models.parts.recurrent import TwoMemories, zeros
from framecast.models.predrnn import FORGET_BIAS, State
from framecast.ops.gates import cell_update
from framecast.types import Step, config

_HIGHWAY_WEIGHTS = 1e-3


class CausalLSTMCell(nn.Module):
    """One layer; `norm` is the `(h, w)` of the LayerNorms, None without."""

    def __init__(self, inputs: int, hidden: int, kernel: int, norm: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.hidden = hidden
        self.conv_x = GateConv(inputs, 7 * hidden, kernel, norm)
        self.conv_h = GateConv(hidden, 4 * hidden, kernel, norm)
        self.conv_c = GateConv(hidden, 3 * hidden, kernel, norm)
        self.conv_m = GateConv(hidden, 3 * hidden, kernel, norm)
        self.conv_c2m = GateConv(hidden, 4 * hidden, kernel, norm)
        self.conv_om = GateConv(hidden, hidden, kernel, norm)
        self.conv_last = SameConv(2 * hidden, hidden, 1, bias=False)

    def start(self, like: Tensor) -> State:
        """Zeros `(B, D, h, w)` for inputs like `like (B, C, h, w)`."""
        return State(zeros(like, self.hidden), zeros(like, self.hidden))

    def forward(self, x: Tensor, state: State, memory: Tensor | None) -> Step:
        """`x (B, C, h, w)`, `memory (B, D, h, w)`, zeros where None."""
        h, c = state
        m = zeros(h, self.hidden) if memory is None else memory
        i, f, g, im, fm, gm, o, m = gates(
            self.hidden,
            (self.conv_x, x, range(7)),
            (self.conv_h, h, (0, 1, 2, 6)),
            (self.conv_c, c, range(3)),
            (self.conv_m, m, (3, 4, 7)),
        )
        c, dc = cell_update(i, f, g, c, FORGET_BIAS)

        ic, gc, fc, oc = torch.chunk(self.conv_c2m(c), 4, dim=1)
        m, dm = cell_update(im + ic, fm + fc, gm + gc, torch.tanh(m), FORGET_BIAS)

        o = torch.tanh(o + oc + self.conv_om(m))
        h = o * torch.tanh(self.conv_last(c, m))
        return Step(h, State(h, c), m, increments=(dc, dm))


class GradientHighway(nn.Module):
    """A layer of its own in the stack; its state is Z `(B, D, h, w)`. The memory is passed on untouched."""

    def __init__(self, hidden: int, kernel: int, norm: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.hidden = hidden
        self.conv_x = GateConv(hidden, 2 * hidden, kernel, norm)
        self.conv_z = GateConv(hidden, 2 * hidden, kernel, norm)
        for layer in (self.conv_x, self.conv_z):
            nn.init.uniform_(layer.conv.weight, -_HIGHWAY_WEIGHTS, _HIGHWAY_WEIGHTS)

    def start(self, like: Tensor) -> Tensor:
        """Zeros `(B, D, h, w)`."""
        return zeros(like, self.hidden)

    def forward(self, x: Tensor, state: Tensor, memory: Tensor | None) -> Step:
        """`x (B, D, h, w)`."""
        p, s = gates(self.hidden, (self.conv_x, x, range(2)), (self.conv_z, state, range(2)))
        s = torch.sigmoid(s)
        z = s * torch.tanh(p) + (1 - s) * state
        return Step(z, z, memory)


@config
class PredRNNPlusPlus(TwoMemories):
    """Causal LSTM layers of one width, with a Gradient Highway after the first."""

    name: Literal["predrnn_pp"] = "predrnn_pp"

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(hidden=(6, 6), kernel=3, patch=2)

    def cells(self, channels: int, grid: tuple[int, int]) -> list[Cell]:
        """The layers and the highway."""
        width, norm = self.hidden[0], self.norm(grid)
        bottom, *rest = (CausalLSTMCell(inputs, width, self.kernel, norm) for inputs in (channels, *self.hidden[:-1]))
        return [bottom, GradientHighway(width, self.kernel, norm), *rest]
