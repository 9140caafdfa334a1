"""PredRNN and PredRNN-V2.

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

Deviations, all as in the released code (spec/models.md): forget biases of 1, an optional LayerNorm (row P3); W_co and
W_mo are one convolution on [C', M'] (row P1); the decoupling loss is a mean, not a sum (row P4).
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from framecast.models.decoupling import Decoupling
from framecast.models.layers import GateConv
from framecast.models.recurrent import (
    Patches,
    Recurrent,
    check_divisible,
    check_layers,
    check_no_actions,
    grid_of,
    zeros,
)
from framecast.models.stack import Stack
from framecast.types import FrameShape, Step, config

FORGET_BIAS = 1.0


class State(NamedTuple):
    """`hidden` and `cell`, both `(B, D, h, w)`."""

    hidden: Tensor
    cell: Tensor


class STLSTMCell(nn.Module):
    """One ST-LSTM layer; `norm` is the `(h, w)` of the LayerNorms, None without."""

    def __init__(self, inputs: int, hidden: int, kernel: int, norm: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.hidden = hidden
        self.conv_x = GateConv(inputs, 7 * hidden, kernel, norm)
        self.conv_h = GateConv(hidden, 4 * hidden, kernel, norm)
        self.conv_m = GateConv(hidden, 3 * hidden, kernel, norm)
        self.conv_o = GateConv(2 * hidden, hidden, kernel, norm)
        self.conv_last = nn.Conv2d(2 * hidden, hidden, 1, bias=False)

    def start(self, like: Tensor) -> State:
        """Zeros `(B, D, h, w)` for inputs like `like (B, C, h, w)`."""
        return State(zeros(like, self.hidden), zeros(like, self.hidden))

    def forward(self, x: Tensor, state: State, memory: Tensor | None) -> Step:
        """`x (B, C, h, w)`, `memory (B, D, h, w)`, zeros where None."""
        h, c = state
        m = zeros(h, self.hidden) if memory is None else memory
        ix, fx, gx, imx, fmx, gmx, ox = torch.chunk(self.conv_x(x), 7, dim=1)
        ih, fh, gh, oh = torch.chunk(self.conv_h(h), 4, dim=1)
        im, fm, gm = torch.chunk(self.conv_m(m), 3, dim=1)

        dc = torch.sigmoid(ix + ih) * torch.tanh(gx + gh)
        c = torch.sigmoid(fx + fh + FORGET_BIAS) * c + dc
        dm = torch.sigmoid(imx + im) * torch.tanh(gmx + gm)
        m = torch.sigmoid(fmx + fm + FORGET_BIAS) * m + dm

        both = torch.cat([c, m], dim=1)
        o = torch.sigmoid(ox + oh + self.conv_o(both))
        h = o * torch.tanh(self.conv_last(both))
        return Step(h, State(h, c), m, output_gate=o, increments=(dc, dm))


@config
class PredRNN:
    """A stack of ST-LSTM cells of one width. `decoupling` is lambda of equation 6; 0 leaves the loss out."""

    name: Literal["predrnn"] = "predrnn"
    hidden: tuple[int, ...] = (128, 128, 128, 128)
    kernel: int = 5
    patch: int = 4
    layer_norm: bool = False
    decoupling: float = 0.0
    segment: int | None = None

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(hidden=(8, 8), kernel=3, patch=2)

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
        check_layers(self.hidden, self.kernel, equal=True)
        check_divisible(shape.height, shape.width, self.patch)
        check_no_actions(shape, self.name)

    def build(self, shape: FrameShape) -> Recurrent:
        """A forecaster with new weights for frames of `shape`."""
        self.check(shape)
        channels, width = self.patch**2 * shape.channels, self.hidden[0]
        norm = grid_of(shape, self.patch) if self.layer_norm else None
        cells = [
            STLSTMCell(channels if layer == 0 else width, width, self.kernel, norm) for layer in range(len(self.hidden))
        ]
        decoupling = Decoupling(width, self.decoupling) if self.decoupling else None
        tied_to = (shape.height, shape.width) if self.tied_to_size else None
        core = Stack(cells, width, channels, decoupling)
        return Recurrent(core, Patches(self.patch), tied_to=tied_to, segment=self.segment)


@config
class PredRNNV2(PredRNN):
    """PredRNN with memory decoupling; the paper also trains it with reverse scheduled sampling."""

    name: Literal["predrnn_v2"] = "predrnn_v2"  # type: ignore[assignment]
    decoupling: float = 0.1
