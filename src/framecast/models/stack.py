"""A stack of cells: the plainest core, and what most of the recurrent papers build."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from framecast.models.core import Cell
from framecast.models.decoupling import Decoupling
from framecast.types import Stepped


class StackState(NamedTuple):
    """The states of the cells, bottom first, and the memory that the top layer hands to the bottom of the next step."""

    cells: tuple[Any, ...]
    memory: Tensor | None


class Stack(nn.Module):
    """Cells in layers, each fed the hidden state of the one below, and a 1x1 head without bias on the top one.

    A memory flows up through the layers and from the top layer to the bottom layer of the next step (PredRNN, Wang et
    al. 2022, fig. 2); cells that have none pass nothing. `decoupling` is computed in training mode only.
    """

    def __init__(self, cells: Sequence[Cell], hidden: int, outputs: int, decoupling: Decoupling | None = None) -> None:
        super().__init__()
        self.cells: Any = nn.ModuleList(cells)  # type: ignore[arg-type]
        self.head = nn.Conv2d(hidden, outputs, 1, bias=False)
        self.decoupling = decoupling

    def start(self, like: Tensor) -> StackState:
        """The state before the first frame, for inputs like `like (B, C, h, w)`."""
        return StackState(tuple(cell.start(like) for cell in self.cells), None)

    def step(self, x: Tensor, state: StackState, action: Tensor | None = None) -> Stepped:
        """`x (B, C, h, w)`: the frame at t; returns the prediction of the frame at t + 1."""
        if action is not None:
            raise ValueError("a plain stack of cells takes no actions")
        memory, states, decoupled = state.memory, [], []
        for cell, before in zip(self.cells, state.cells, strict=True):
            x, after, memory, _, increments = cell(x, before, memory)
            states.append(after)
            if self.decoupling is not None and self.training:
                decoupled.append(self.decoupling(*increments))
        losses = {"decoupling": torch.stack(decoupled).mean()} if decoupled else {}
        return Stepped(self.head(x), StackState(tuple(states), memory), losses)
