"""Climatology as a baseline: the mean of the training frames, independent of the context.

It reads the training windows once, when it is built.
"""

from __future__ import annotations

import numpy as np

from framecast.data.frames import same_grid
from framecast.data.orientation import differing_axes, turned_like
from framecast.data.windows.sources import WindowSource
from framecast.errors import DataError
from framecast.forecasting.baselines import Baseline, BaselineData
from framecast.forecasting.protocol import Context, check_length

FRAMES = 512
"""The mean is over the first frames of at most so many windows, evenly spaced."""


class Climatology:
    """The mean of each pixel if training and verification have the same grid, else the mean of all pixels."""

    name = "climatology"
    context_length = 1

    def __init__(self, mean: np.ndarray) -> None:
        self.mean = mean

    @staticmethod
    def from_windows(source: WindowSource | None, where: str | None = None) -> Climatology:
        """Compute the mean of training windows, of the files `where`. Raises `DataError` if there is no window."""
        if source is None or not len(source):
            raise DataError(
                "no training window to compute a climatology from",
                where=where,
                remedy="remove the baseline climatology, or hold out fewer data (data.split)",
            )
        chosen = np.unique(np.linspace(0, len(source) - 1, min(FRAMES, len(source))).round().astype(int))
        total = count = None
        for index in chosen:
            frame = source.read(int(index))[0].astype(np.float64)
            if total is not None and frame.shape != total.shape:
                continue  # archives on different grids: use those of the first
            valid = np.isfinite(frame)
            total = np.where(valid, frame, 0) + (0 if total is None else total)
            count = valid + (0 if count is None else count)
        assert total is not None
        assert count is not None
        return Climatology(
            np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0).astype(np.float32)
        )

    def spatial_mean(self) -> Climatology:
        """The mean of all pixels, for frames on another grid."""
        return Climatology(np.nanmean(self.mean, axis=(1, 2), keepdims=True))

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
        """Forecast the mean at every lead time, `(1, B, L, C, H, W)`."""
        check_length(self, context.length)
        mean, shape = self.mean, context.frames.shape[2:]
        if mean.shape != shape:
            mean = np.broadcast_to(self.spatial_mean().mean, shape)
        return np.broadcast_to(mean, (1, len(context.frames), horizon, *shape)).copy()


def _build(data: BaselineData) -> Climatology:
    """The climatology of the training windows, of each pixel if all grids are the same; its rows and columns are turned
    where those of the frames run the other way."""
    training = data.training()
    climatology = Climatology.from_windows(training.train, training.where)
    grids = (*training.frames, *data.frames)
    if not all(same_grid(grids[0], turned_like(other, grids[0])) for other in grids):
        return climatology.spatial_mean()
    turned = {differing_axes(frames, grids[0]) for frames in data.frames}
    if len(turned) > 1:
        return climatology.spatial_mean()
    axes = tuple({"y": -2, "x": -1}[axis] for axis in next(iter(turned), ()))
    return Climatology(np.ascontiguousarray(np.flip(climatology.mean, axes)))


CLIMATOLOGY = Baseline("climatology", "the mean of the training frames", _build, training=True)
