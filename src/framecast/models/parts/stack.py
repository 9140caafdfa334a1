"""A stack of cells: the simplest core, and that of most recurrent papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from framecast.models.parts.decoupling import Decoupling
from framecast.models.parts.protocols import Cell
from framecast.types import Step, Stepped


class StackState(NamedTuple):
    """The states of the cells, bottom first, and the memory that the top layer hands to the bottom of the next step."""

    cells: tuple[Any, ...]
    memory: Any


class Stack(nn.Module):
    """Cells in layers, each with the hidden state of the one below as input, and a `head` that converts the top one to a frame.

    A memory flows up through the layers and from the top layer to the bottom layer of the next step (PredRNN, Wang et al. 2022,
    figure 2); cells without one pass it on. `bottom_up=False` and `top_down=False` each remove half of that path (table 2): a
    layer without an incoming memory starts with zeros. `decoupling` is computed in training mode only, for cells that return
    increments. `embed` maps the frame to the width of the first layer.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        head: nn.Module,
        decoupling: Decoupling | None = None,
        *,
        bottom_up: bool = True,
        top_down: bool = True,
        embed: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.cells: Any = nn.ModuleList(cells)  # type: ignore[arg-type]
        self.head = head
        self.decoupling = decoupling
        self.bottom_up = bottom_up
        self.top_down = top_down
        self.embed = embed or nn.Identity()

    def start(self, like: Tensor) -> StackState:
        """The state before the first frame, for inputs like `like (B, C, h, w)`."""
        return StackState(tuple(cell.start(like) for cell in self.cells), None)

    def step(self, x: Tensor, state: StackState, action: Tensor | None = None) -> Stepped:
        """Predict the frame at t + 1 from the frame at t, `x (B, C, h, w)`."""
        if action is not None:
            raise ValueError("a plain stack of cells takes no actions")
        memory = state.memory if self.top_down else None
        steps: list[Step] = []
        for cell, before in zip(self.cells, state.cells, strict=True):
            below = steps[-1].hidden if steps else self.embed(x)
            steps.append(cell(below, before, memory if self.bottom_up or not steps else None))
            memory = steps[-1].memory
        return Stepped(
            self.head(steps[-1].hidden),
            StackState(tuple(step.state for step in steps), memory),
            self.decoupling_terms(steps),
        )

    def decoupling_terms(self, steps: Sequence[Step]) -> dict[str, Tensor]:
        """The decoupling loss of one step in time; empty without one."""
        increments = [step.increments for step in steps if step.increments is not None]
        if self.decoupling is None or not self.training or not increments:
            return {}
        return {"decoupling": torch.stack([self.decoupling(*pair) for pair in increments]).mean()}
