"""A map of a case: a true frame with the coordinates of its grid, longitudes and latitudes."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from framecast.colours import scale_of
from framecast.report.figures import STYLE, png
from framecast.verification.result import Verification

_LARGEST = 400
_KILOMETRES = {"m": 1e-3, "km": 1.0}


def place(verification: Verification) -> str:
    """The first true frame of the first example with the coordinates of its grid, as the data address of a PNG; with longitudes
    and latitudes if the projection is known. Empty for frames without coordinates."""
    grid, examples = verification.grid, verification.examples
    if grid is None or not examples or examples[0].truth.shape[-2:] != (len(grid.y), len(grid.x)):
        return ""
    frame = examples[0].truth[0]
    every = max(1, -(-max(frame.shape[-2:]) // _LARGEST))
    projected = grid.units in _KILOMETRES
    x, y = (axis * _KILOMETRES.get(grid.units, 1.0) for axis in (grid.x, grid.y))
    scale = scale_of(verification.quantity)
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        wide = abs(x[-1] - x[0]) / max(abs(y[-1] - y[0]), 1e-9)
        figure, axes = plt.subplots(figsize=(6.4, min(max(6 / wide, 2.5), 9)))
        halves = [abs(axis[1] - axis[0]) / 2 if len(axis) > 1 else 0.5 for axis in (x, y)]
        extent = (x.min() - halves[0], x.max() + halves[0], y.min() - halves[1], y.max() + halves[1])
        upright = frame if y[0] > y[-1] else frame[:, ::-1]
        upright = upright if x[0] < x[-1] else upright[:, :, ::-1]
        axes.imshow(scale.paint(upright[:, ::every, ::every]), extent=extent, interpolation="nearest")
        degrees = grid.units.startswith("degree")
        axes.set_xlabel("x (km)" if projected else "longitude (°)" if degrees else f"x {grid.units}")
        axes.set_ylabel("y (km)" if projected else "latitude (°)" if degrees else f"y {grid.units}")
        if projected and grid.crs:
            _graticule(axes, grid.crs, x, y)
        figure.tight_layout()
        return png(figure)


def _graticule(axes: Any, crs: str, x: np.ndarray, y: np.ndarray) -> None:
    """Draw lines of equal longitude and latitude; none if the projection is unknown."""
    try:
        to_degrees = Transformer.from_crs(CRS(crs), "EPSG:4326", always_xy=True)
    except CRSError:
        return
    some_x, some_y = np.meshgrid(np.linspace(x[0], x[-1], 60), np.linspace(y[0], y[-1], 60))
    for values, form in zip(to_degrees.transform(some_x * 1000, some_y * 1000), ("%g° E", "%g° N"), strict=True):
        if not np.isfinite(values).all():
            continue
        levels = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(values.min(), values.max())
        lines = axes.contour(some_x, some_y, values, levels=levels, colors="#555555", linewidths=0.5, linestyles=":")
        axes.clabel(lines, fmt=form, fontsize=7)
