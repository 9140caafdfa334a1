"""From the tiles of web maps to the pixels of a grid: which pixel of the grid lies at each pixel of a tile (z, x, y).

Tiles are those of the spherical Mercator projection (EPSG:3857) with y from the north. The projection is computed exactly on
every `NODE`-th pixel and interpolated between, which errs by far less than a pixel of a radar.
"""

from __future__ import annotations

import math
import threading
from functools import cache
from typing import NamedTuple

import numpy as np
from pyproj import CRS, Transformer

from framecast.maps.mesh import Mesh

LARGEST_ZOOM = 14
SIZES = (256, 512)
"""Sides of a tile in pixels."""
NODE = 8
_HALF_WORLD = math.pi * 6378137.0
_LOCK = threading.Lock()
"""A transformer of pyproj serves one thread at a time."""


class Grid(NamedTuple):
    """A regular grid: the projection as WKT, the outer edge of the first column and row, the signed size of a pixel, and the
    number of columns and rows. Lengths are metres, or degrees of a grid in longitude and latitude."""

    crs: str
    x_edge: float
    x_step: float
    columns: int
    y_edge: float
    y_step: float
    rows: int

    @classmethod
    def of(cls, crs: str, x: np.ndarray, y: np.ndarray) -> Grid:
        """The grid with pixel centres `x (W,)` and `y (H,)`."""
        x_step, y_step = ((axis[-1] - axis[0]) / max(len(axis) - 1, 1) for axis in (x, y))
        return cls(
            crs, float(x[0] - x_step / 2), float(x_step), len(x), float(y[0] - y_step / 2), float(y_step), len(y)
        )

    def pixels(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The number of the pixel, row by row, at positions on the grid; `rows * columns` for those outside of it."""
        with np.errstate(invalid="ignore", over="ignore"):
            column, row = np.floor((x - self.x_edge) / self.x_step), np.floor((y - self.y_edge) / self.y_step)
            inside = (column >= 0) & (column < self.columns) & (row >= 0) & (row < self.rows)
            pixels = np.where(inside, row * self.columns + column, self.rows * self.columns)
        return pixels.astype(np.int32)

    def pixel_at(self, longitude: float, latitude: float) -> tuple[int, int] | None:
        """Row and column at a position; None outside of the grid."""
        x, y = _transform(self.crs, "EPSG:4326", np.array([longitude]), np.array([latitude]))
        pixel = int(self.pixels(x, y)[0])
        return None if pixel == self.rows * self.columns else divmod(pixel, self.columns)

    def outline(self, points: int = 24) -> np.ndarray:
        """The border as longitudes and latitudes `(4 * points + 1, 2)`, closed."""
        across, down = np.linspace(0, self.columns, points + 1), np.linspace(0, self.rows, points + 1)
        columns = np.concatenate([across, np.full(points, self.columns), across[-2::-1], np.zeros(points)])
        rows = np.concatenate([np.zeros(points + 1), down[1:], np.full(points, self.rows), down[-2::-1]])
        x, y = self.x_edge + columns * self.x_step, self.y_edge + rows * self.y_step
        with _LOCK:
            return np.stack(_transformer("EPSG:4326", self.crs).transform(x, y), axis=1)

    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north in degrees."""
        outline = self.outline()
        finite = outline[np.isfinite(outline).all(axis=1)]
        (west, south), (east, north) = finite.min(axis=0), finite.max(axis=0)
        return float(west), float(south), float(east), float(north)


def index_map(grid: Grid | Mesh, zoom: int, x: int, y: int, size: int = 256) -> np.ndarray:
    """The number of the pixel of the grid at each pixel of a tile, `(size, size)` int32."""
    span = 2 * _HALF_WORLD / 2**zoom
    nodes = np.linspace(0, size, size // NODE + 1)
    east, north = (-_HALF_WORLD + (x + nodes / size) * span), (_HALF_WORLD - (y + nodes / size) * span)
    columns, rows = np.meshgrid(east, north)
    target = grid.crs if isinstance(grid, Grid) else "EPSG:4326"
    at_nodes = _transform(target, "EPSG:3857", columns, rows)
    weights = _weights(size)
    with np.errstate(invalid="ignore", over="ignore"):
        at_pixels = [weights @ np.where(np.isfinite(each), each, np.nan) @ weights.T for each in at_nodes]
    return grid.pixels(*at_pixels)


@cache
def _weights(size: int) -> np.ndarray:
    """The weights of linear interpolation from nodes to the centres of pixels, `(size, nodes)`."""
    centres = (np.arange(size) + 0.5) / NODE
    weights: np.ndarray = np.maximum(1 - np.abs(centres[:, None] - np.arange(size // NODE + 1)), 0.0)
    return weights


def _transform(crs: str, source: str, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with _LOCK:
        transformed: tuple[np.ndarray, np.ndarray] = _transformer(crs, source).transform(x, y)
    return transformed


@cache
def _transformer(target: str, source: str) -> Transformer:
    return Transformer.from_crs(CRS(source), CRS(target), always_xy=True)
