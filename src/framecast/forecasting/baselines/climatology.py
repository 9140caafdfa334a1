"""Climatology: the mean of the training frames, whatever the weather is now. What a forecast of the far future comes to."""

from __future__ import annotations

import numpy as np

from framecast.data.frames import same_grid
from framecast.data.windows.sources import WindowSource
from framecast.errors import DataError
from framecast.forecasting.baselines import Baseline, BaselineData
from framecast.forecasting.protocol import Context, check_length

FRAMES = 512
"""Windows that the mean is taken over at most, evenly spread; of each the first frame."""


class Climatology:
    """The mean at each pixel, where training and forecast lie on the same grid, else the mean of all pixels."""

    name = "climatology"
    context_length = 1

    def __init__(self, mean: np.ndarray) -> None:
        self.mean = mean

    @staticmethod
    def of(source: WindowSource | None, where: str | None = None) -> Climatology:
        """Of the training windows, which are in the files `where`. Raises `DataError` without any."""
        if source is None or not len(source):
            raise DataError(
                "no training window, so no climatology",
                where=where,
                remedy="leave the climatology out, or hold out less (data.split)",
            )
        chosen = np.unique(np.linspace(0, len(source) - 1, min(FRAMES, len(source))).round().astype(int))
        total = count = None
        for index in chosen:
            frame = source.read(int(index))[0].astype(np.float64)
            if total is not None and frame.shape != total.shape:
                continue  # archives on different grids: those of the first
            valid = np.isfinite(frame)
            total = np.where(valid, frame, 0) + (0 if total is None else total)
            count = valid + (0 if count is None else count)
        assert total is not None
        assert count is not None
        return Climatology(
            np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0).astype(np.float32)
        )

    def everywhere(self) -> Climatology:
        """The mean of all pixels, for frames that lie elsewhere."""
        return Climatology(np.nanmean(self.mean, axis=(1, 2), keepdims=True))

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
        """The mean at every lead time, `(1, B, L, C, H, W)`."""
        check_length(self, context.length)
        mean, shape = self.mean, context.frames.shape[2:]
        if mean.shape != shape:
            mean = np.broadcast_to(self.everywhere().mean, shape)
        return np.broadcast_to(mean, (1, len(context.frames), horizon, *shape)).copy()


def _build(data: BaselineData) -> Climatology:
    training = data.training()
    climatology = Climatology.of(training.train, training.where)
    grids = (*training.frames, *data.frames)
    return climatology if all(same_grid(grids[0], other) for other in grids) else climatology.everywhere()


CLIMATOLOGY = Baseline("climatology", "the mean of the training frames", _build)
