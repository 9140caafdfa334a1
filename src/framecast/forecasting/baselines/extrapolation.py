"""Extrapolation as a baseline: the newest frame is advected by the motion of the context (Lagrangian persistence).

The advection is semi-Lagrangian and backward: each pixel of the forecast is traced back along the motion field to its origin in
the newest frame (Germann and Zawadzki, "Scale-Dependence of the Predictability of Precipitation from Continental Radar Images",
2002). If the origin is outside the observed area, the forecast has no basis and is NaN. Images have no observed area; there the
border is extended.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from framecast.data.quantities import Quantity
from framecast.data.scaling import RainLog
from framecast.forecasting.baselines import Baseline
from framecast.forecasting.baselines.optical_flow import estimate_motion
from framecast.forecasting.protocol import Context, check_length


class Extrapolation:
    """Lagrangian persistence. Motion is estimated from at most the last `recent` frames of the context, for rain and
    reflectivity on the logarithm of the rain rate; a single frame gives no motion."""

    name = "extrapolation"
    context_length = 1

    def __init__(self, quantity: Quantity, recent: int = 4) -> None:
        self.quantity = quantity
        self.recent = recent

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
        """Forecast by advection of the newest frame, `(1, B, L, C, H, W)`; all channels have the same motion."""
        check_length(self, context.length)
        return np.stack([self._forecast_case(frames, horizon) for frames in context.frames])[None]

    def _forecast_case(self, frames: np.ndarray, horizon: int) -> np.ndarray:
        """Forecast one case `(L, C, H, W)` from `frames (T, C, H, W)`."""
        recent = frames[-self.recent :]
        low, high = self.quantity.usual
        scaled = (recent - low) / (high - low)
        fields = RainLog().forward(recent, self.quantity) if self.quantity.precipitation else scaled
        fields = np.where(np.isfinite(fields), fields, 0.0).mean(axis=1)
        extend_border = not self.quantity.precipitation
        return advect(frames[-1], estimate_motion(fields), horizon, self.quantity.dry, extend_border=extend_border)


EXTRAPOLATION = Baseline(
    "extrapolation",
    "the newest frame, advected by the motion of the context (Lagrangian persistence)",
    lambda data: Extrapolation(data.quantity),
)


def advect(frame: np.ndarray, flow: np.ndarray, horizon: int, dry: float, *, extend_border: bool = False) -> np.ndarray:
    """Advect `frame (C, H, W)` by `flow (2, H, W)` (rows, columns, in pixels per step) for 1..horizon steps: `(L, C, H, W)`.

    Values are interpolated bilinearly. The result is NaN where the nearest pixel of the origin is missing, or outside the frame
    unless `extend_border`.
    """
    # Channels of the field: the flow, the values, and the mask of missing pixels.
    channels, height, width = frame.shape
    missing = ~np.isfinite(frame)
    field = torch.from_numpy(np.concatenate([flow, np.where(missing, dry, frame), missing]).astype(np.float32))[None]
    grid = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")).float()
    # Trace the origin of every pixel back, one step further for each lead time.
    origin, steps = grid, []
    for _ in range(horizon):
        # Two iterations of the midpoint rule: the displacement is the flow halfway along the path.
        displacement = _sample(field[:, :2], origin)
        for _ in range(2):
            displacement = _sample(field[:, :2], origin - displacement / 2)
        origin = origin - displacement
        values = _sample(field[:, 2 : 2 + channels], origin)
        no_data = _sample(field[:, 2 + channels :], origin, mode="nearest") > 0.5
        inside = (origin >= -0.5).all(0) & (origin[0] <= height - 0.5) & (origin[1] <= width - 0.5)
        steps.append(torch.where(no_data | ~(inside | extend_border), torch.nan, values))
    return torch.stack(steps).numpy()


def _sample(field: torch.Tensor, positions: torch.Tensor, mode: str = "bilinear") -> torch.Tensor:
    """Interpolate `field (1, K, H, W)` at `positions (2, H, W)` (rows, columns), with the border extended: `(K, H, W)`."""
    height, width = field.shape[-2:]
    scale = torch.tensor([2 / max(height - 1, 1), 2 / max(width - 1, 1)]).reshape(2, 1, 1)
    grid = (positions * scale - 1).flip(0).permute(1, 2, 0)[None]
    return functional.grid_sample(field, grid, mode=mode, padding_mode="border", align_corners=True)[0]
