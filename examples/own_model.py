"""An example: train a model of your own, an `nn.Module`, with the names of `framecast` alone.

The config is a frozen dataclass whose `name` says where it is; `build(shape)` returns the module. The module has two methods:
`forward(frames, teacher, actions)` returns the last S frames of the window as predicted, and `forecast(context, horizon)` the
frames after the context. Frames are `(B, T, C, H, W)` and scaled. Here a convolution maps the context to the horizon at once.

    PYTHONPATH=examples python examples/own_model.py archive/ runs/mine
"""

import sys
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor, nn

import framecast

NAME = "own_model:Linear"


class Network(nn.Module):
    """The last context frame plus a convolution of the context, one output for each lead time."""

    def __init__(self, shape: framecast.FrameShape, kernel: int) -> None:
        super().__init__()
        self.context, self.horizon = shape.context, shape.horizon
        self.layer = nn.Conv2d(
            shape.context * shape.channels, shape.horizon * shape.channels, kernel, padding=kernel // 2
        )

    def forward(self, frames: Tensor, teacher: Tensor, actions: Tensor | None = None) -> framecast.Prediction:
        """`frames (B, T, C, H, W)` -> the last `horizon` frames. The teacher mask is for recurrent models."""
        return framecast.Prediction(self.forecast(frames[:, : self.context], self.horizon), {})

    def forecast(self, context: Tensor, horizon: int, actions: Tensor | None = None) -> Tensor:
        """`context (B, T, C, H, W)` -> `(B, horizon, C, H, W)`; beyond the horizon of training the forecast is continued."""
        frames = context
        while frames.shape[1] < context.shape[1] + horizon:
            recent = frames[:, -self.context :]
            change = self.layer(recent.flatten(1, 2)).unflatten(1, (self.horizon, -1))
            frames = torch.cat([frames, recent[:, -1:] + change], dim=1)
        return frames[:, context.shape[1] : context.shape[1] + horizon]


@dataclass(frozen=True, kw_only=True)
class Linear:
    """The settings of the model: what a recipe or `model.kernel=7` may change."""

    name: Literal["own_model:Linear"] = NAME
    kernel: int = 5
    tied_to_size = False
    multiple = 1

    @classmethod
    def tiny(cls) -> Self:
        """A small model, for tests."""
        return cls(kernel=3)

    def check(self, shape: framecast.FrameShape) -> None:
        """Refuse what the model cannot do."""
        if shape.actions or shape.inputs:
            raise framecast.ConfigError("the model takes neither actions nor extra inputs")

    def build(self, shape: framecast.FrameShape) -> Network:
        """A network with new weights."""
        self.check(shape)
        return Network(shape, self.kernel)


def main(data: str, out: str, *settings: str) -> None:
    """Train on `data`, and say how good the model is."""
    run = framecast.train("radar#convlstm", [f"model.name={NAME}", *settings], data=data, out=out)
    verification = framecast.evaluate(run)
    for name in verification.forecasters:
        print(f"{name:22} MSE {verification.frame(name, 'mse').value:.4g}")


if __name__ == "__main__":
    main(*sys.argv[1:])
