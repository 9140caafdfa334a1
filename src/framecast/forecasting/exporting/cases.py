"""The cases on which an exported network is checked: what the network reads and returns when framecast runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from framecast.data.quantities import Quantity
from framecast.data.scale import ASSUMED, Scale, scale_of
from framecast.errors import ConfigError, DataError
from framecast.forecasting.protocol import Context
from framecast.forecasting.trained_model import TrainedModel

COUNT = 3
"""Cases of one export."""


class Cases(NamedTuple):
    """What the network reads, `frames (N, T, C, H, W)` in its scaling and `actions (N, S, A)` or None, and what it returns,
    `output (N, L, C', H, W)`."""

    frames: Tensor
    actions: Tensor | None
    output: Tensor

    def arguments(self, number: int) -> tuple[Tensor, ...]:
        """The arguments of the network for one case, with a batch of 1."""
        part = slice(number, number + 1)
        return (self.frames[part],) if self.actions is None else (self.frames[part], self.actions[part])


class Network(nn.Module):
    """The forecast of a network for a fixed horizon, as a function of tensors alone."""

    def __init__(self, network: Any, horizon: int) -> None:
        super().__init__()
        self.network = network
        self.horizon = horizon

    def forward(self, frames: Tensor, actions: Tensor | None = None) -> Tensor:
        """`frames (B, T, C, H, W)` -> `(B, horizon, C', H, W)`."""
        output: Tensor = self.network.forecast(frames, self.horizon, actions)
        return output


class _Recorder(nn.Module):
    """Stands in for a network, and keeps what it reads and returns."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.calls: list[Cases] = []

    def forecast(self, frames: Tensor, horizon: int, actions: Tensor | None = None) -> Tensor:
        output: Tensor = self.network.forecast(frames, horizon, actions)
        self.calls.append(Cases(frames.clone(), actions, output.clone()))  # the caller marks pixels in place
        return output


def record(model: TrainedModel, context: Context, horizon: int) -> Cases:
    """What the network of `model` reads and returns for a context: framecast's own path, with its scaling and coordinates."""
    network = model.model
    model.model = recorder = _Recorder(network)
    try:
        model.forecast(context, horizon)
    finally:
        model.model = network
    return recorder.calls[0]


def observed(model: TrainedModel, frames: xr.DataArray, size: tuple[int, int], kilometres: float) -> Context:
    """Contexts of observed frames, cut out of their middle: the first, the middle and the last. Raises `DataError` for frames
    that are smaller or fewer, and `ConfigError` for a model that reads more than frames."""
    shape = model.card.shape
    if shape.actions or shape.inputs:
        raise ConfigError(f"{model.name} reads more than frames", parameter="data", remedy="leave it out")
    frames, length = model.fit(frames), shape.context
    count = frames.sizes["time"] - length + 1
    height, width = size
    top, left = (frames.sizes["y"] - height) // 2, (frames.sizes["x"] - width) // 2
    if count < 1 or min(top, left) < 0:
        raise DataError(
            f"{frames.sizes['time']} frames of {frames.sizes['y']} x {frames.sizes['x']}, expected {length} or more of at "
            f"least {height} x {width}",
            remedy="give more frames, or a smaller size",
        )
    scale = scale_of(frames)._replace(kilometres=kilometres)
    part = frames.isel(y=slice(top, top + height), x=slice(left, left + width))
    starts = np.unique(np.linspace(0, count - 1, COUNT).astype(int))
    values = np.stack([part.isel(time=slice(start, start + length)).values for start in starts])
    return Context(values.astype(np.float32), scales=(scale,) * len(starts))


def generated(model: TrainedModel, size: tuple[int, int], horizon: int, kilometres: float) -> Context:
    """Contexts of generated frames: fields that move, others with a part without data, and a single shower."""
    shape, seconds, rng = model.card.shape, model.card.step_seconds, np.random.default_rng(0)
    fields = [_fields(model.card.quantity, shape.context, shape.predicted, size, rng) for _ in range(COUNT)]
    fields[1][..., : size[1] // 4] = np.nan
    fields[2][..., size[0] // 3 :, :] = model.card.quantity.dry
    actions = rng.normal(size=(COUNT, shape.context + horizon, shape.actions)).astype(np.float32)
    inputs = rng.random((COUNT, shape.context, shape.inputs, *size)).astype(np.float32)
    return Context(
        np.stack(fields),
        actions if shape.actions else None,
        inputs if shape.inputs else None,
        (Scale(ASSUMED.minutes if seconds is None else seconds / 60, kilometres),) * COUNT,
    )


def _fields(
    quantity: Quantity, length: int, channels: int, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Frames `(T, C, H, W)` with smooth fields that move a pixel a step; a third of the pixels is dry."""
    noise = gaussian_filter(rng.normal(size=(channels, *size)), (0, 2, 2), mode="wrap")
    strength = np.clip(noise / noise.std() + 0.4, 0, 3) / 3
    low, high = quantity.usual
    values = np.where(strength > 0, low + (high - low) * strength**2, quantity.dry)
    return np.stack([np.roll(values, step, axis=-1) for step in range(length)]).astype(np.float32)


def largest_difference(cases: Cases, outputs: Sequence[np.ndarray | Tensor]) -> float:
    """The largest difference of `outputs`, one a case, relative to the largest output of its case."""
    differences = []
    for own, other in zip(cases.output, outputs, strict=True):
        gap = torch.as_tensor(other).reshape(own.shape) - own
        differences.append(float(gap.abs().max() / own.abs().max().clamp(min=1e-12)))
    return max(differences)
