"""Colour scales: one for each quantity, readable for colour-blind people, with distinct colours for dry and no data.

Rain and reflectivity are drawn in steps of viridis, whose brightness rises evenly; dry is white and no data grey with
stripes. Intensities are grey; no data is a striped rose, distinct from any grey.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, Normalize

from framecast.data.quantities import Quantity

_STRIPE = 6


@dataclass(frozen=True)
class Scale:
    """A map from values to colours; `ticks` are the limits of the steps, empty for a continuous scale."""

    colours: Colormap
    norm: Normalize
    units: str
    ticks: tuple[float, ...]
    no_data: tuple[int, int, int]

    def paint(self, frame: np.ndarray) -> np.ndarray:
        """`frame (C, H, W)` in physical units -> `(H, W, 3)` uint8. Three channels are drawn as colours, else the first
        channel."""
        if len(frame) == 3 and not self.ticks:
            levels = self.norm(np.ma.masked_invalid(frame)).filled(0)
            colours = (np.clip(levels, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
        else:
            values = np.ma.masked_invalid(frame[0])
            colours = (self.colours(self.norm(values))[..., :3] * 255).astype(np.uint8)
        missing = ~np.isfinite(frame).all(axis=0)
        rows, columns = np.indices(missing.shape)
        striped = missing & ((rows + columns) % _STRIPE < 2)
        colours[missing] = self.no_data
        colours[striped] = tuple(max(0, level - 40) for level in self.no_data)
        return np.asarray(colours)


def scale_of(quantity: Quantity) -> Scale:
    """The scale of a quantity."""
    ticks = quantity.colour_steps
    if not ticks:
        return Scale(colormaps["gray"], Normalize(*quantity.usual), quantity.label, (), (214, 178, 178))
    steps = ListedColormap(colormaps["viridis_r"](np.linspace(0.02, 1, len(ticks) - 1))).with_extremes(
        under="white", over=colormaps["viridis_r"](1.0)
    )
    return Scale(steps, BoundaryNorm(ticks, steps.N), quantity.label, ticks, (205, 205, 205))
