"""Persistence as a baseline: the forecast is the newest frame (Eulerian persistence), NaN where it has no data."""

from __future__ import annotations

import numpy as np

from framecast.forecasting.baselines import Baseline
from framecast.forecasting.protocol import Context, check_length


class Persistence:
    """Eulerian persistence."""

    name = "persistence"
    context_length = 1

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
        """Repeat the newest frame `horizon` times, `(1, B, L, C, H, W)`."""
        check_length(self, context.length)
        return np.repeat(context.frames[:, -1:], horizon, axis=1)[None]


PERSISTENCE = Baseline("persistence", "the newest frame at every lead time", lambda data: Persistence())
