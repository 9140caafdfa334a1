"""MIM: Memory In Memory, LSTM cells whose forget gate is replaced by two memories of differences.

Yunbo Wang, Jianjin Zhang, Hongyu Zhu, Mingsheng Long, Jianmin Wang, Philip S. Yu: "Memory In Memory: A Predictive Neural
Network for Learning Higher-Order Non-Stationarity from Spatiotemporal Dynamics", CVPR 2019, equations 1-4. Layer 1 is an
ST-LSTM. Each layer l > 1 is a MIM block, whose forget gate for C is replaced by two recurrent modules in a row: MIM-N
looks at how the hidden state below differs from one step to the next, MIM-S turns that difference and C into the part of
C that is kept. Both have the form, with private state c,

    Memory(x, h, c):   i  = sigma(W_x * x + W_h * h + w_ci . c)        g  = tanh(W_x * x + W_h * h)
                       f  = sigma(W_x * x + W_h * h + w_cf . c + 1)    c' = f . c + i . g
                       o  = sigma(W_x * x + W_h * h + w_co . c')       h' = o . tanh(c')

and the block, given X = H^{l-1}_t and the difference d, is

    D, N' = Memory_N(d^{l-1}, D, N)            T, S' = Memory_S(D, C, S)
    C' = T + i . g                             i = sigma(W_xi * X + W_hi * H)     g  = tanh(W_xg * X + W_hg * H)
    M' = f' . M + i' . g'                      i' = sigma(W_xi * X + W_mi * M)    g' = tanh(W_xg * X + W_mg * M)
    o  = sigma(W_xo * X + W_ho * H + W_mo * M)    f' = sigma(W_xf * X + W_mf * M + 1)
    H' = o . tanh(W_1x1 * [C', M'])

Deviations, as in the released code (docs/specification.md, section 1.6): the gates of X are shared by both branches; the first
step has no difference and leaves MIM-N alone. The private memory S is part of the state and starts again with each
sequence, where the code keeps it for ever and cuts its gradient (row MI1); `detach_memory` cuts the gradient as well.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from framecast.models.parts.layers import GateConv, SameConv, gates
from framecast.models.parts.protocols import Cell
from framecast.models.parts.recurrent import TwoMemories, zeros
from framecast.models.predrnn import FORGET_BIAS, STLSTMCell
from framecast.models.predrnn import State as STLSTMState
from framecast.ops.gates import cell_update, hidden_output
from framecast.types import Step, config


class Flow(NamedTuple):
    """The flow to the next layer: the `memory` M, and the difference of the hidden state to the step before, None at the first
    step."""

    memory: Tensor
    difference: Tensor | None


class State(NamedTuple):
    """`hidden` and `cell` of a block, the `private` memory of its MIM-S, and the state of its MIM-N, all
    `(B, D, h, w)`."""

    hidden: Tensor
    cell: Tensor
    private: Tensor
    change: Tensor
    change_cell: Tensor


class BottomCell(STLSTMCell):
    """The ST-LSTM of layer 1, which passes the difference of its hidden state to the block above. Its flow starts as None,
    which marks the first step."""

    def forward(self, x: Tensor, state: STLSTMState, memory: Flow | None) -> Step:  # type: ignore[override]
        """`x (B, C, h, w)`."""
        step = super().forward(x, state, None if memory is None else memory.memory)
        difference = None if memory is None else step.hidden - state.hidden
        return step._replace(memory=Flow(step.memory, difference))


class Memory(nn.Module):
    """MIM-N and MIM-S. The peepholes have one weight a pixel, `grid = (h, w)`, and start at zero."""

    def __init__(self, hidden: int, kernel: int, grid: tuple[int, int], norm: tuple[int, int] | None) -> None:
        super().__init__()
        self.conv_h = GateConv(hidden, 4 * hidden, kernel, norm)
        self.conv_x = GateConv(hidden, 4 * hidden, kernel, norm)
        self.peep_if = nn.Parameter(torch.zeros(2 * hidden, *grid))
        self.peep_o = nn.Parameter(torch.zeros(hidden, *grid))

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """`x, h, c (B, D, h, w)` -> the new `h` and `c`."""
        i, g, f, o = gates(c.shape[1], (self.conv_x, x, range(4)), (self.conv_h, h, range(4)))
        peep_i, peep_f = torch.chunk(self.peep_if, 2)
        c, _ = cell_update(i + peep_i * c, f + peep_f * c, g, c, FORGET_BIAS)
        h, _ = hidden_output(o + self.peep_o * c, c)
        return h, c


class MIMBlock(nn.Module):
    """One layer above the first."""

    def __init__(
        self, hidden: int, kernel: int, grid: tuple[int, int], norm: tuple[int, int] | None, *, detach_memory: bool
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.detach_memory = detach_memory
        self.nonstationary = Memory(hidden, kernel, grid, norm)
        self.stationary = Memory(hidden, kernel, grid, norm)
        self.conv_h = GateConv(hidden, 3 * hidden, kernel, norm)
        self.conv_m = GateConv(hidden, 4 * hidden, kernel, norm)
        self.conv_x = GateConv(hidden, 4 * hidden, kernel, norm)
        self.conv_last = SameConv(2 * hidden, hidden, 1, bias=False)

    def start(self, like: Tensor) -> State:
        """Zeros `(B, D, h, w)` for inputs like `like (B, C, h, w)`."""
        return State(*(zeros(like, self.hidden) for _ in State._fields))

    def forward(self, x: Tensor, state: State, memory: Flow) -> Step:
        """`x (B, D, h, w)`: the hidden state below."""
        h, c, private, change, change_cell = state
        m, difference = memory
        if difference is not None:
            change, change_cell = self.nonstationary(difference, change, change_cell)
            difference = change
        delta = torch.zeros_like(h) if difference is None else difference
        stationary, private = self.stationary(delta, c, private.detach() if self.detach_memory else private)

        ih, gh, oh = torch.chunk(self.conv_h(h), 3, dim=1)
        im, gm, fm, om = torch.chunk(self.conv_m(m), 4, dim=1)
        ix, gx, fx, ox = torch.chunk(self.conv_x(x), 4, dim=1)

        dc = torch.sigmoid(ix + ih) * torch.tanh(gx + gh)
        c = stationary + dc
        m, dm = cell_update(ix + im, fx + fm, gx + gm, m, FORGET_BIAS)
        h, o = hidden_output(ox + oh + om, self.conv_last(c, m))
        after = State(h, c, private, change, change_cell)
        return Step(h, after, Flow(m, difference), output_gate=o, increments=(dc, dm))


@config
class MIM(TwoMemories):
    """An ST-LSTM and MIM blocks of one width above it. The loss of `decoupling` is that of PredRNN-V2 (Wang et al. 2022,
    table 3)."""

    name: Literal["mim"] = "mim"
    hidden: tuple[int, ...] = (64, 64, 64, 64)
    detach_memory: bool = False

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(hidden=(6, 6, 6), kernel=3, patch=2)

    @property
    def tied_to_size(self) -> bool:
        """The peepholes have one weight a pixel."""
        return True

    def cells(self, channels: int, grid: tuple[int, int]) -> list[Cell]:
        """The ST-LSTM and the blocks."""
        width, norm = self.hidden[0], self.norm(grid)
        blocks = [MIMBlock(width, self.kernel, grid, norm, detach_memory=self.detach_memory) for _ in self.hidden[1:]]
        return [BottomCell(channels, width, self.kernel, norm), *blocks]
