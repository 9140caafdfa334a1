"""Persistence: the newest frame stays (Eulerian persistence). NaN where that frame has no data."""

from __future__ import annotations

import numpy as np
import xarray as xr

from framecast.forecasting.labels import forecast_frames


class Persistence:
    """The baseline that a forecast has to beat to be one."""

    name = "persistence"

    def forecast_array(self, context: np.ndarray, horizon: int) -> np.ndarray:
        """`context (T, C, H, W)` -> `(horizon, C, H, W)`."""
        return np.repeat(context[-1:], horizon, axis=0)

    def __call__(self, frames: xr.DataArray, horizon: int) -> xr.DataArray:
        """The Forecast that continues `frames`."""
        return forecast_frames(self, frames, 1, horizon)
