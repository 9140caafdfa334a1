"""PredNet: layers that predict their own input and pass on only what they did not expect.

William Lotter, Gabriel Kreiman, David Cox: "Deep Predictive Coding Networks for Video Prediction and Unsupervised Learning", ICLR
2017, equations 1 to 4. With the layers l from 0, A_0 the frame, R the representations and E the errors:

    A_l    = maxpool(relu(W_a * E_(l-1)))                   l > 0
    Ahat_l = relu(W_p * R_l),  at l = 0 at most 1
    E_l    = [relu(A_l - Ahat_l); relu(Ahat_l - A_l)]
    R_l    = ConvLSTM(E_l, R_l, upsample(R_(l+1)))          from the top down, of the step before

The prediction of the next frame is Ahat_0. A step reads a frame, computes the errors upwards and the next representations
downwards. The paper trains the error E_0 of the lowest layer (L_0), which is the L1 loss of the next frame, or with it
`error_weight` 0.1 times those above (L_all). Deviations: the loss on frames is that of the recipe.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from framecast.models.parts.layers import SameConv
from framecast.models.parts.recurrent import FrameConfig, zeros
from framecast.ops.gates import cell_update, hidden_output
from framecast.types import FrameShape, Stepped, config


class State(NamedTuple):
    """Of a layer: the representation R and the cell C, `(B, D, h, w)`, as they are before its frame is read."""

    hidden: Tensor
    cell: Tensor


class PredNetCore(nn.Module):
    """Layers of `widths`, the first of which is the number of channels of the frame."""

    def __init__(self, widths: tuple[int, ...], kernel: int, error_weight: float) -> None:
        super().__init__()
        self.widths, self.error_weight = widths, error_weight
        above = (*widths[1:], 0)
        self.to_target = nn.ModuleList(SameConv(2 * below, width, kernel) for below, width in pairwise(widths))
        self.to_prediction = nn.ModuleList(SameConv(width, width, kernel) for width in widths)
        self.to_gates = nn.ModuleList(
            SameConv(3 * width + more, 4 * width, kernel) for width, more in zip(widths, above, strict=True)
        )

    def start(self, like: Tensor) -> tuple[State, ...]:
        """The representations before the first frame: those after errors of zero, for frames like `like (B, C, H, W)`."""
        maps = [like[..., :: 2**layer, :: 2**layer] for layer in range(len(self.widths))]
        empty = tuple(
            State(zeros(each, width), zeros(each, width)) for each, width in zip(maps, self.widths, strict=True)
        )
        return self._represent([zeros(each, 2 * width) for each, width in zip(maps, self.widths, strict=True)], empty)

    def step(self, x: Tensor, state: tuple[State, ...], action: Tensor | None = None) -> Stepped:
        """`x (B, C, H, W)`: the frame at t; returns the prediction of the frame at t + 1."""
        if action is not None:
            raise ValueError("PredNet takes no actions")
        target, errors = x, []
        for layer, (hidden, _) in enumerate(state):
            predicted = self._predict(layer, hidden)
            errors.append(functional.relu(torch.cat([target - predicted, predicted - target], dim=1)))
            if layer + 1 < len(state):
                target = functional.max_pool2d(functional.relu(self.to_target[layer](errors[-1])), 2)
        after = self._represent(errors, state)
        losses = {}
        if self.training and self.error_weight and len(errors) > 1:
            losses = {"errors": self.error_weight * torch.stack([error.mean() for error in errors[1:]]).sum()}
        return Stepped(self._predict(0, after[0].hidden), after, losses)

    def _predict(self, layer: int, hidden: Tensor) -> Tensor:
        """Ahat of a layer."""
        predicted = functional.relu(self.to_prediction[layer](hidden))
        return predicted.clamp(max=1) if layer == 0 else predicted

    def _represent(self, errors: list[Tensor], state: tuple[State, ...]) -> tuple[State, ...]:
        """The next representations, from the top down."""
        after: list[State] = []
        for error, before, gates in reversed(list(zip(errors, state, self.to_gates, strict=True))):
            above = [functional.interpolate(after[-1].hidden, scale_factor=2.0)] if after else []
            i, f, g, o = gates(error, before.hidden, *above).chunk(4, dim=1)
            cell, _ = cell_update(i, f, g, before.cell)
            hidden, _ = hidden_output(o, cell)
            after.append(State(hidden, cell))
        return tuple(reversed(after))


@config
class PredNet(FrameConfig):
    """Layers of `hidden` channels above that of the frame, each at half the resolution of the one below. `error_weight` is that
    of the errors of the layers above the lowest: 0 (L_0) or 0.1 (L_all). `segment`, see `rollout`."""

    name: Literal["prednet"] = "prednet"
    hidden: tuple[int, ...] = (48, 96, 192)
    kernel: int = 3
    error_weight: float = 0.0

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(hidden=(6, 8), error_weight=0.1)

    @property
    def multiple(self) -> int:
        """Each layer halves the frame."""
        return int(2 ** len(self.hidden))

    def core(self, shape: FrameShape) -> PredNetCore:
        """One step, from frame to frame."""
        return PredNetCore((shape.channels, *self.hidden), self.kernel, self.error_weight)
