"""Climatology: the mean of the training frames, whatever the weather is now. What a forecast of the far future comes to."""

from __future__ import annotations

import numpy as np
import xarray as xr

from framecast.data.windows.sources import Source
from framecast.errors import DataError
from framecast.forecasting.labels import forecast_frames

FRAMES = 512
"""Windows that the mean is taken over at most, evenly spread; of each the first frame."""


class Climatology:
    """The mean at each pixel, where training and forecast lie on the same grid, else the mean of all pixels."""

    name = "climatology"

    def __init__(self, mean: np.ndarray) -> None:
        self.mean = mean

    @staticmethod
    def of(source: Source | None, where: str | None = None) -> Climatology:
        """Of the training windows, which are in the files `where`. Raises `DataError` without any."""
        if source is None or not len(source):
            raise DataError(
                "there is no training window, so there is no climatology",
                where=where,
                remedy="leave the climatology out, or hold out less (data.split)",
            )
        chosen = np.unique(np.linspace(0, len(source) - 1, min(FRAMES, len(source))).round().astype(int))
        total = count = None
        for index in chosen:
            frame = source.read(int(index))[0].astype(np.float64)
            if total is not None and frame.shape != total.shape:
                continue  # archives on different grids: those of the first
            there = np.isfinite(frame)
            total = np.where(there, frame, 0) + (0 if total is None else total)
            count = there + (0 if count is None else count)
        assert total is not None
        assert count is not None
        return Climatology(
            np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0).astype(np.float32)
        )

    def everywhere(self) -> Climatology:
        """The mean of all pixels, for frames that lie elsewhere."""
        return Climatology(np.nanmean(self.mean, axis=(1, 2), keepdims=True))

    def forecast_array(self, context: np.ndarray, horizon: int) -> np.ndarray:
        """`context (T, C, H, W)` -> `(horizon, C, H, W)`."""
        mean = self.mean
        if mean.shape != context.shape[1:]:
            mean = np.broadcast_to(self.everywhere().mean, context.shape[1:])
        return np.repeat(mean[None], horizon, axis=0)

    def __call__(self, frames: xr.DataArray, horizon: int) -> xr.DataArray:
        """The Forecast that continues `frames`."""
        return forecast_frames(self, frames, 1, horizon)
