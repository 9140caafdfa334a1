"""The contracts between a model and the other packages: cell, core, forecaster and config.

A cell implements the equations of a paper, a core advances one step in time, and a forecaster is the interface for everything
outside of the models package.
"""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from framecast.types import FrameShape, Prediction, Step, Stepped


class Cell(Protocol):
    """One recurrent layer. Its state is a NamedTuple of its own; the module itself is stateless."""

    def start(self, like: Tensor) -> Any:
        """The state before the first frame, with the batch, height, width, device and dtype of `like (B, C, h, w)`."""
        ...

    def __call__(self, x: Tensor, state: Any, memory: Any) -> Step:
        """`x (B, C, h, w)`, `memory` such as `(B, D, h, w)`, None before the first frame. A cell without one passes it
        on."""
        ...


class Core(Protocol):
    """A network that advances one step in time, the only contract of the time loop."""

    def start(self, like: Tensor) -> Any:
        """The state before the first frame, for inputs like `like (B, C, h, w)`."""
        ...

    def step(self, x: Tensor, state: Any, action: Tensor | None = None) -> Stepped:
        """Predict the frame at t + 1 from the frame at t, `x (B, C, h, w)`. `action (B, A)`."""
        ...


class Network(Protocol):
    """The network that a config builds, as training, forecasting and diagnosis use it; an `nn.Module` that needs none of them.

    `forward` returns the last S frames of the window: T - 1 of them for next-step models, the horizon for one-shot
    models, so that the loss compares with `frames[:, -S:]` for all. `forecast` is the same function handed the
    context alone.
    """

    def __call__(self, frames: Tensor, teacher: Tensor, actions: Tensor | None = None) -> Prediction:
        """`frames (B, T, C, H, W)`, `teacher (B, T - 1)` bool, `actions (B, T, A)`."""
        ...

    def forecast(self, context: Tensor, horizon: int, actions: Tensor | None = None) -> Tensor:
        """`context (B, T, C, H, W)` -> `(B, horizon, C, H, W)`."""
        ...


class ModelConfig(Protocol):
    """The methods of a model's config; the union of the configs in `framecast.models` is the registry."""

    @property
    def name(self) -> str: ...

    @property
    def tied_to_size(self) -> bool:
        """Whether a model that was built for one frame size works for that size only."""
        ...

    @property
    def multiple(self) -> int:
        """Height and width of a frame must be multiples of this number."""
        ...

    def check(self, shape: FrameShape) -> None:
        """Raise `ConfigError` if no model can be built from this config for `shape`."""
        ...

    def build(self, shape: FrameShape) -> Any:
        """A `Network` with new weights. Raises `ConfigError` as `check` does."""
        ...
