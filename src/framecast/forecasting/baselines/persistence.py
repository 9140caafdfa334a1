"""Persistence: the newest frame stays (Eulerian persistence). NaN where that frame has no data."""

from __future__ import annotations

import numpy as np

from framecast.forecasting.baselines import Baseline
from framecast.forecasting.protocol import Context, check_length


class Persistence:
    """The baseline that a forecast has to beat to be one."""

    name = "persistence"
    context_length = 1

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
        """The newest frame `horizon` times, `(1, B, L, C, H, W)`."""
        check_length(self, context.length)
        return np.repeat(context.frames[:, -1:], horizon, axis=1)[None]


PERSISTENCE = Baseline("persistence", "the newest frame stays", lambda data: Persistence())
