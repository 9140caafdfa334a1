"""Extrapolation as a baseline: the newest frame is advected by the motion of the context (Lagrangian persistence).

The advection is semi-Lagrangian and backward: each pixel of the forecast is traced back along the motion field to its origin in
the newest frame (Germann and Zawadzki, "Scale-Dependence of the Predictability of Precipitation from Continental Radar Images",
2002). If the origin is outside the observed area, the forecast has no basis and is NaN. Images have no observed area; there the
border is extended.
"""

from __future__ import annotations

import numpy as np

from framecast.data.motion.advection import advect
from framecast.data.motion.optical_flow import context_motion
from framecast.data.quantities import Quantity
from framecast.forecasting.baselines import Baseline
from framecast.forecasting.protocol import Context, check_length


class Extrapolation:
    """Lagrangian persistence along the motion of the context, see `context_motion`; a single frame gives no motion."""

    name = "extrapolation"
    context_length = 1

    def __init__(self, quantity: Quantity) -> None:
        self.quantity = quantity

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
        """Forecast by advection of the newest frame, `(1, B, L, C, H, W)`; all channels have the same motion."""
        check_length(self, context.length)
        return np.stack([self._forecast_case(frames, horizon) for frames in context.frames])[None]

    def _forecast_case(self, frames: np.ndarray, horizon: int) -> np.ndarray:
        """Forecast one case `(L, C, H, W)` from `frames (T, C, H, W)`."""
        flow = context_motion(frames, self.quantity)
        return advect(frames[-1], flow, horizon, self.quantity.dry, extend_border=not self.quantity.precipitation)


EXTRAPOLATION = Baseline(
    "extrapolation",
    "the newest frame, advected by the motion of the context (Lagrangian persistence)",
    lambda data: Extrapolation(data.quantity),
    least=2,
)
