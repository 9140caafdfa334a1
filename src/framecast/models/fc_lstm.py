"""FC-LSTM: an LSTM whose states are vectors, on frames that are flattened.

Nitish Srivastava, Elman Mansimov, Ruslan Salakhutdinov: "Unsupervised Learning of Video Representations using LSTMs", ICML
2015, as the baseline of Xingjian Shi et al., "Convolutional LSTM Network", NeurIPS 2015, equation 2:

    i  = sigma(W_xi x + W_hi h + w_ci . c + b_i)
    f  = sigma(W_xf x + W_hf h + w_cf . c + b_f)
    c' = f . c + i . tanh(W_xc x + W_hc h + b_c)
    o  = sigma(W_xo x + W_ho h + w_co . c' + b_o)
    h' = o . tanh(c')

x and h are vectors, and so are the peepholes w_c. Deviations: one network predicts each next frame and reads it, where Srivastava
et al. have an encoder and a decoder with weights of their own.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from framecast.models.parts.recurrent import FrameConfig
from framecast.types import FrameShape, Stepped, config


class State(NamedTuple):
    """`hidden` and `cell` of a layer, both `(B, D)`."""

    hidden: Tensor
    cell: Tensor


class FCLSTMCell(nn.Module):
    """One layer."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.of_input = nn.Linear(inputs, 4 * hidden)
        self.of_hidden = nn.Linear(hidden, 4 * hidden, bias=False)
        self.peep_i, self.peep_f, self.peep_o = (nn.Parameter(torch.zeros(hidden)) for _ in range(3))

    def start(self, like: Tensor) -> State:
        """Zeros, for frames like `like (B, C, h, w)`."""
        return State(like.new_zeros(len(like), self.hidden), like.new_zeros(len(like), self.hidden))

    def forward(self, x: Tensor, state: State) -> State:
        """`x (B, inputs)`."""
        h, c = state
        i, f, g, o = (self.of_input(x) + self.of_hidden(h)).chunk(4, dim=1)
        i, f = torch.sigmoid(i + self.peep_i * c), torch.sigmoid(f + self.peep_f * c)
        c = f * c + i * torch.tanh(g)
        return State(torch.sigmoid(o + self.peep_o * c) * torch.tanh(c), c)


class FCLSTMCore(nn.Module):
    """Layers of cells, and a linear readout of `pixels` values."""

    def __init__(self, pixels: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        widths = zip((pixels, *hidden), hidden, strict=False)
        self.cells: Any = nn.ModuleList(FCLSTMCell(inputs, width) for inputs, width in widths)
        self.head = nn.Linear(hidden[-1], pixels)

    def start(self, like: Tensor) -> tuple[State, ...]:
        """Zeros, for frames like `like (B, C, h, w)`."""
        return tuple(cell.start(like) for cell in self.cells)

    def step(self, x: Tensor, state: tuple[State, ...], action: Tensor | None = None) -> Stepped:
        """`x (B, C, h, w)`: the frame at t; returns the prediction of the frame at t + 1."""
        if action is not None:
            raise ValueError("FC-LSTM takes no actions")
        below, after = x.flatten(1), []
        for cell, before in zip(self.cells, state, strict=True):
            after.append(cell(below, before))
            below = after[-1].hidden
        return Stepped(self.head(below).view_as(x), tuple(after), {})


@config
class FCLSTM(FrameConfig):
    """Layers of `hidden` units. `segment`, see `rollout`."""

    name: Literal["fc_lstm"] = "fc_lstm"
    hidden: tuple[int, ...] = (2048, 2048)

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(hidden=(12, 8))

    @property
    def tied_to_size(self) -> bool:
        """Every pixel has weights of its own."""
        return True

    def core(self, shape: FrameShape) -> FCLSTMCore:
        """One step, from frame to frame."""
        return FCLSTMCore(shape.channels * shape.height * shape.width, self.hidden)
