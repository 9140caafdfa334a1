"""ConvGRU, a gated recurrent unit with convolutions: an example of a model in a package of its own.

Nicolas Ballas, Li Yao, Chris Pal, Aaron Courville: "Delving Deeper into Convolutional Networks for Learning Video
Representations", ICLR 2016, equations 6-9:

    z = sigmoid(W_z * x + U_z * h)        update gate
    r = sigmoid(W_r * x + U_r * h)        reset gate
    c = tanh(W * x + U * (r h))           candidate
    h' = (1 - z) h + z c

Deviation: convolutions have biases.
"""

from __future__ import annotations

from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from framecast.models.parts.protocols import Cell
from framecast.models.parts.recurrent import RecurrentConfig, zeros
from framecast.types import Step, config


class ConvGRUCell(nn.Module):
    """One layer, `channels` in and `hidden` out. Its state is the hidden state `(B, D, h, w)`; it has no memory."""

    def __init__(self, channels: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.gates = nn.Conv2d(channels + hidden, 2 * hidden, kernel, padding="same")
        self.candidate = nn.Conv2d(channels + hidden, hidden, kernel, padding="same")

    def start(self, like: Tensor) -> Tensor:
        """A zero state."""
        return zeros(like, self.hidden)

    def forward(self, x: Tensor, state: Tensor, memory: Any) -> Step:
        """`x (B, C, h, w)`, `state (B, D, h, w)`; `memory` is passed on unchanged."""
        update, reset = self.gates(torch.cat([x, state], dim=1)).sigmoid().chunk(2, dim=1)
        candidate = self.candidate(torch.cat([x, reset * state], dim=1)).tanh()
        hidden = (1 - update) * state + update * candidate
        return Step(hidden, hidden, memory)


@config
class ConvGRU(RecurrentConfig):
    """A stack of ConvGRU cells. Its `name` is the name of the entry point."""

    name: Literal["example_convgru"] = "example_convgru"

    @classmethod
    def tiny(cls) -> Self:
        """A model of a few thousand weights, for tests."""
        return cls(hidden=(8, 8), kernel=3, patch=2)

    def cells(self, channels: int, grid: tuple[int, int]) -> list[Cell]:
        """The cells of all layers, for maps of any size."""
        widths = zip((channels, *self.hidden), self.hidden, strict=False)
        return [ConvGRUCell(inputs, hidden, self.kernel) for inputs, hidden in widths]
