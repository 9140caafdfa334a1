"""Extrapolation: the newest frame moves on along the motion of the context (Lagrangian persistence).

Semi-Lagrangian and backward: each pixel of the forecast is followed back along the motion field to where it came from in
the newest frame (Germann and Zawadzki, "Scale-Dependence of the Predictability of Precipitation from Continental Radar
Images", 2002). Where it came from outside the observed area the forecast has no basis and is NaN; images, which have no
surroundings that a radar could have seen, are continued by their border instead.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from framecast.data.quantities import Quantity
from framecast.data.scaling import RainLog
from framecast.forecasting.baselines import Baseline
from framecast.forecasting.baselines.optical_flow import motion
from framecast.forecasting.protocol import Context, check_length


class Extrapolation:
    """The baseline that a nowcast has to beat. Motion is estimated from at most the last `recent` frames of the context, on the
    logarithm of the rain rate where the quantity is rain or reflectivity; with a single frame there is none."""

    name = "extrapolation"
    context_length = 1

    def __init__(self, quantity: Quantity, recent: int = 4) -> None:
        self.quantity = quantity
        self.recent = recent

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
        """The newest frames moved on, `(1, B, L, C, H, W)`, all channels alike."""
        check_length(self, context.length)
        return np.stack([self._moved(frames, horizon) for frames in context.frames])[None]

    def _moved(self, frames: np.ndarray, horizon: int) -> np.ndarray:
        """The forecast `(L, C, H, W)` of one case, `frames (T, C, H, W)`."""
        recent = frames[-self.recent :]
        low, high = self.quantity.usual
        scaled = (recent - low) / (high - low)
        fields = RainLog().forward(recent, self.quantity) if self.quantity.precipitation else scaled
        fields = np.where(np.isfinite(fields), fields, 0.0).mean(axis=1)
        surroundings = not self.quantity.precipitation
        return advect(frames[-1], motion(fields), horizon, self.quantity.dry, continued=surroundings)


EXTRAPOLATION = Baseline(
    "extrapolation",
    "the newest frame moves on along the motion of the context (Lagrangian persistence)",
    lambda data: Extrapolation(data.quantity),
)


def advect(frame: np.ndarray, flow: np.ndarray, horizon: int, dry: float, *, continued: bool = False) -> np.ndarray:
    """`frame (C, H, W)` moved along `flow (2, H, W)` (rows, columns, pixels a step) for 1..horizon steps.

    Interpolation is bilinear in the values; NaN where the nearest pixel of origin is missing, or outside unless the frame
    is `continued` by its border.
    """
    channels, height, width = frame.shape
    missing = ~np.isfinite(frame)
    field = torch.from_numpy(np.concatenate([flow, np.where(missing, dry, frame), missing]).astype(np.float32))[None]
    grid = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")).float()
    origin, steps = grid, []
    for _ in range(horizon):
        # Two iterations of the midpoint rule: the displacement is that halfway along the path.
        move = _sample(field[:, :2], origin)
        for _ in range(2):
            move = _sample(field[:, :2], origin - move / 2)
        origin = origin - move
        values = _sample(field[:, 2 : 2 + channels], origin)
        no_data = _sample(field[:, 2 + channels :], origin, mode="nearest") > 0.5
        inside = (origin >= -0.5).all(0) & (origin[0] <= height - 0.5) & (origin[1] <= width - 0.5)
        steps.append(torch.where(no_data | ~(inside | continued), torch.nan, values))
    return torch.stack(steps).numpy()


def _sample(field: torch.Tensor, at: torch.Tensor, mode: str = "bilinear") -> torch.Tensor:
    """`field (1, K, H, W)` at `at (2, H, W)` (rows, columns), the border continued -> `(K, H, W)`."""
    height, width = field.shape[-2:]
    scale = torch.tensor([2 / max(height - 1, 1), 2 / max(width - 1, 1)]).reshape(2, 1, 1)
    grid = (at * scale - 1).flip(0).permute(1, 2, 0)[None]
    return functional.grid_sample(field, grid, mode=mode, padding_mode="border", align_corners=True)[0]
