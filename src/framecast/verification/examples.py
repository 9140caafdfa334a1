"""What a verification holds for figures besides its sums: cases with their frames, and the grid of the frames. Data only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from framecast.data.orientation import AS_STORED, Orientation
from framecast.maps.mesh import resampled


class Example(NamedTuple):
    """A case stored for figures: `context (T, C, H, W)`, `truth (S, C, H, W)` and the forecasts, in physical units. `why` is
    "best" or "worst" for the first forecaster, else empty; `orientation` is how the frames are turned to be drawn."""

    case: int
    init_time: np.datetime64 | int
    context: np.ndarray
    truth: np.ndarray
    forecasts: dict[str, np.ndarray]
    why: str = ""
    orientation: Orientation = AS_STORED

    @property
    def upright(self) -> Example:
        """The case with north at the top of its frames and west at the left."""
        turn = self.orientation.upright
        forecasts = {name: turn(frames) for name, frames in self.forecasts.items()}
        return self._replace(
            context=turn(self.context), truth=turn(self.truth), forecasts=forecasts, orientation=AS_STORED
        )

    def on(self, grid: Grid | None) -> Example:
        """The case upright, and on the grid on which it is drawn."""
        if grid is None or grid.pixels is None:
            return self.upright
        pixels = grid.pixels
        forecasts = {name: resampled(frames, pixels) for name, frames in self.forecasts.items()}
        return self._replace(
            context=resampled(self.context, pixels),
            truth=resampled(self.truth, pixels),
            forecasts=forecasts,
            orientation=AS_STORED,
        )


class Grid(NamedTuple):
    """The grid on which frames are drawn: coordinates of rows `y (H,)` and columns `x (W,)` in `units`, and the projection as WKT
    (empty if unknown). Of frames on a curvilinear grid `pixels (H, W)` are the numbers of those that are drawn, row by row."""

    y: np.ndarray
    x: np.ndarray
    units: str
    crs: str
    pixels: np.ndarray | None = None
