"""The mean of the context as a baseline: an example of a baseline in a package of its own."""

from __future__ import annotations

import numpy as np

from framecast.forecasting.baselines import Baseline
from framecast.forecasting.protocol import Context


class RecentMean:
    """The mean of the context frames; NaN where no frame has data."""

    name = "recent_mean"
    context_length = 1

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
        """Repeat the mean of the context `horizon` times, `(1, B, L, C, H, W)`."""
        valid = np.isfinite(context.frames)
        count = valid.sum(axis=1, keepdims=True)
        total = np.where(valid, context.frames, 0).sum(axis=1, keepdims=True)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
        return np.repeat(mean, horizon, axis=1)[None]


RECENT_MEAN = Baseline("recent_mean", "the mean of the context", lambda data: RecentMean())
