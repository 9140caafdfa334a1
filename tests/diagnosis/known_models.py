"""Models whose gradients, slots and predictions are known, for tests of diagnoses."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from framecast.ops import free_running
from framecast.types import Prediction, Step


class State(NamedTuple):
    """The hidden state `(B, C, H, W)`."""

    hidden: Tensor


class Decaying(nn.Module):
    """One layer whose hidden state is `factor` times the one before."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, hidden: Tensor) -> Step:
        """`hidden (B, C, H, W)`: that of the step before."""
        after = self.factor * hidden
        return Step(after, State(after), None)


class Forecaster(nn.Module):
    """A model of next frames, as a forecaster."""

    def forecast(self, context: Tensor, horizon: int, actions: Tensor | None = None) -> Tensor:
        """`context (B, T, C, H, W)` -> `(B, horizon, C, H, W)`."""
        predicted: Tensor = self(context, free_running(len(context), context.shape[1], horizon)).frames
        return predicted[:, -horizon:]


class Decay(Forecaster):
    """Predicts the hidden states of two `Decaying` layers, which start from the first frame; the prediction is the sum."""

    def __init__(self, *factors: float) -> None:
        super().__init__()
        self.cells = nn.ModuleList(map(Decaying, factors))

    def forward(self, frames: Tensor, teacher: Tensor, actions: Tensor | None = None) -> Prediction:
        """`frames (B, T, C, H, W)`, `teacher (B, T - 1)`."""
        start = frames[:, 0].clone().requires_grad_(torch.is_grad_enabled())
        hidden, predictions = [start] * len(self.cells), []
        for _ in range(teacher.shape[1]):
            hidden = [cell(each).hidden for cell, each in zip(self.cells, hidden, strict=True)]
            predictions.append(torch.stack(hidden).sum(0))
        return Prediction(torch.stack(predictions, dim=1), {})


class Persistent(Forecaster):
    """Predicts the frame that it was fed last."""

    def forward(self, frames: Tensor, teacher: Tensor, actions: Tensor | None = None) -> Prediction:
        """`frames (B, T, C, H, W)`, `teacher (B, T - 1)`."""
        predictions: list[Tensor] = []
        for t in range(teacher.shape[1]):
            predictions.append(frames[:, t] if bool(teacher[0, t]) else predictions[-1])
        return Prediction(torch.stack(predictions, dim=1), {})


class Split(nn.Module):
    """Two slots: the mean of a frame, and what is left of it."""

    probe = "slots"

    def forward(self, frame: Tensor) -> list[Tensor]:
        """`frame (B, C, H, W)`."""
        mean = frame.mean((-2, -1), keepdim=True).expand_as(frame)
        return [mean, frame - mean]

    def observe(self, inputs: tuple[Any, ...], output: list[Tensor]) -> list[Tensor]:
        """The slots."""
        return output


class Weigh(nn.Module):
    """The sum of slots, with constant weights for two slots and a shortcut."""

    probe = "slot_weights"

    def forward(self, slots: list[Tensor]) -> Tensor:
        """Slots `(B, C, H, W)`."""
        return torch.stack(slots).sum(0)

    def observe(self, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        """The weights `(B, 3)`."""
        return output.new_tensor([0.5, 0.25, 0.125]).expand(len(output), 3)


class TwoSlots(Forecaster):
    """Predicts the sum of the mean and the rest of the frame that it was fed last: a slot swap changes exactly one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.split, self.weigh = Split(), Weigh()

    def forward(self, frames: Tensor, teacher: Tensor, actions: Tensor | None = None) -> Prediction:
        """`frames (B, T, C, H, W)`, `teacher (B, T - 1)`."""
        predictions: list[Tensor] = []
        for t in range(teacher.shape[1]):
            frame = frames[:, t] if bool(teacher[0, t]) else predictions[-1]
            predictions.append(self.weigh(self.split(frame)))
        return Prediction(torch.stack(predictions, dim=1), {})


class CellState(NamedTuple):
    """The cell state `(B, 2 C, H, W)`."""

    cell: Tensor


class Copying(nn.Module):
    """A layer whose output is its input, and its cell state the input and its square."""

    def forward(self, frame: Tensor) -> Step:
        """`frame (B, C, H, W)`."""
        cell = torch.cat([frame, frame.square()], dim=1)
        return Step(frame, CellState(cell), None)


class Brightness(Forecaster):
    """Persistence with a layer whose states are the frame: groups of different brightness are separable."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = Copying()

    def forward(self, frames: Tensor, teacher: Tensor, actions: Tensor | None = None) -> Prediction:
        """`frames (B, T, C, H, W)`, `teacher (B, T - 1)`."""
        predictions: list[Tensor] = []
        for t in range(teacher.shape[1]):
            frame = frames[:, t] if bool(teacher[0, t]) else predictions[-1]
            predictions.append(self.cell(frame).hidden)
        return Prediction(torch.stack(predictions, dim=1), {})
