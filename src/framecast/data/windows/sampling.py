"""Sampling of training windows: each once an epoch in random order, or windows with rain more often than dry ones.

Most of a radar archive is dry. A window is drawn with probability p instead of 1 / n; the training loss does not weigh it by
1 / (n p): it is a mean over the windows that are drawn, not over the archive.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import xarray as xr

from framecast.data.quantities import ZR, quantity_of
from framecast.data.windows.index import Window
from framecast.errors import ConfigError
from framecast.types import config


@config
class Importance:
    """Windows are drawn in proportion to `least` + the mean over their observed pixels of a weight `by`: "wet", 1 where a
    pixel is wet, or "intensity", 1 - exp(-R / `saturation`) of a rain rate R in mm/h (Ravuri et al., 2021, importance
    sampling). Dry windows are drawn too, the less often the smaller `least` is. `by` "archive", each archive is drawn equally
    often, however many windows it has."""

    by: Literal["wet", "intensity", "archive"] = "wet"
    least: float = 0.02
    saturation: float = 1.0

    def __post_init__(self) -> None:
        if not (self.least > 0 and self.saturation > 0):
            raise ConfigError("least and saturation must be greater than 0", where="data.sampling")

    def of_frames(self, frames: xr.DataArray) -> np.ndarray:
        """The mean over the observed pixels of each frame `(sequence, time)`; 0 where there is none. Reads all frames once.
        Raises `ConfigError` for quantities other than rain."""
        quantity = quantity_of(frames)
        if not quantity.precipitation:
            raise ConfigError(f"{quantity.name} cannot be sampled by rain", where="data.sampling")
        if self.by == "wet":
            weights = (frames >= quantity.wet).astype(np.float32)
        else:
            values: Any = frames
            rate: Any = quantity.rain_rate(values, ZR())
            weights = 1 - np.exp(-rate / self.saturation)
        mean = weights.where(frames.notnull()).mean(("channel", "y", "x")).compute()
        return np.asarray(mean.fillna(0.0).values.reshape(-1, frames.sizes["time"]))

    def probabilities(self, archives: Sequence[xr.DataArray], windows: Sequence[Window], length: int) -> np.ndarray:
        """The probability of each window `(n,)`; they add up to 1."""
        if self.by == "archive":
            counts = np.bincount([window.archive for window in windows])
            return np.array([1 / counts[window.archive] for window in windows]) / np.count_nonzero(counts)
        weights = [self.of_frames(frames) for frames in archives]
        values = np.array([weights[w.archive][w.sequence, w.start : w.start + length].mean() for w in windows])
        return np.asarray((self.least + values) / (self.least + values).sum())


class Order:
    """The order of windows: each once an epoch, or drawn with `probabilities (n,)`."""

    def __init__(self, windows: int, probabilities: np.ndarray | None = None) -> None:
        self.windows, self.probabilities = windows, probabilities
        self.epoch = lru_cache(maxsize=4)(self._epoch)

    def _epoch(self, seed: int, epoch: int) -> np.ndarray:
        """The numbers of the windows of an epoch, as many as there are windows, a function of seed and epoch alone."""
        rng = np.random.default_rng([seed, epoch])
        if self.probabilities is None:
            return rng.permutation(self.windows)
        positions = (rng.random() + np.arange(self.windows)) / self.windows  # stratified: least variance
        windows = np.searchsorted(np.cumsum(self.probabilities)[:-1], positions)
        return rng.permutation(windows)
