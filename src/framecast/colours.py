"""Colour scales: one for each quantity, with distinct colours for dry and no data.

Rain and reflectivity are drawn in steps of a palette, pale at drizzle and strong at heavy rain; dry is white and no data grey
with stripes. Intensities are grey; no data is a striped rose, distinct from any grey.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from framecast.data.quantities import Quantity
from framecast.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.colors import Colormap, Normalize

Palette = Literal["services", "uniform"]
"""`services`: blue, green, yellow, red and magenta, as weather services draw rain. `uniform`: matplotlib's magma from its light
to its dark end, whose lightness falls evenly, also for colour-blind people and in grey."""
PALETTES: tuple[Palette, ...] = get_args(Palette)
_SERVICES = ("#d2e5f5", "#a3cbec", "#5ea2de", "#2a66b8", "#1f9d55", "#f4dc2e", "#f5921e", "#dc241f", "#c3189a")
_SERVICES_ABOVE = "#5f0f6b"
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
        colours[striped] = tuple(max(0, level - 14) for level in self.no_data)
        return np.asarray(colours)


def check_palette(palette: str) -> None:
    """Raise `ArgumentError` unless there is a palette of that name."""
    if not isinstance(palette, str) or palette not in PALETTES:
        raise ArgumentError(
            f"{palette!r} is not a palette",
            parameter="palette",
            example=PALETTES[0],
            remedy=f"use {' or '.join(PALETTES)}",
        )


def scale_of(quantity: Quantity, palette: str | None = None) -> Scale:
    """The scale of a quantity, in one of `PALETTES` (None: the first); a grey scale has no palette.

    Raises `ArgumentError` for another name.
    """
    from matplotlib import colormaps
    from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap, ListedColormap, Normalize, to_rgba

    if palette is not None:
        check_palette(palette)
    ticks = quantity.colour_steps
    if not ticks:
        return Scale(colormaps["gray"], Normalize(*quantity.usual), quantity.label, (), (214, 178, 178))
    if palette == "uniform":
        colours = colormaps["magma_r"](np.append(np.linspace(0.04, 0.9, len(ticks) - 1), 1.0))
    else:
        blend = LinearSegmentedColormap.from_list("services", _SERVICES)
        colours = np.vstack([blend(np.linspace(0, 1, len(ticks) - 1)), to_rgba(_SERVICES_ABOVE)])
    steps = ListedColormap(colours[:-1]).with_extremes(under="white", over=colours[-1])
    return Scale(steps, BoundaryNorm(ticks, steps.N), quantity.label, ticks, (224, 224, 222))
