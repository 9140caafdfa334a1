"""Curvilinear grids: the pixel nearest to a position, and frames as they are drawn, on a regular grid in degrees.

Each position takes the nearest pixel, so that no value is changed; nothing but pictures is made of it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from framecast.data.orientation import CURVILINEAR

_DEGREE = 111.2
"""Kilometres in a degree of latitude."""
_REACH = 0.75
"""How far from the middle of its nearest pixel a position may lie, in spacings: a little beyond the corner of a square."""
_LARGEST = 2**22
"""Pixels of a regular grid."""


class Mesh:
    """A curvilinear grid of pixels with the middles `latitude (H, W)` and `longitude (H, W)`, NaN for none."""

    def __init__(self, latitude: np.ndarray, longitude: np.ndarray) -> None:
        self.rows, self.columns = latitude.shape
        self.latitude, self.longitude = (np.asarray(each, np.float64) for each in (latitude, longitude))
        known = np.isfinite(self.latitude) & np.isfinite(self.longitude)
        self._places = np.append(np.flatnonzero(known.ravel()), self.rows * self.columns).astype(np.int32)
        points = _on_sphere(self.longitude, self.latitude)
        steps = [np.linalg.norm(np.diff(points, axis=axis), axis=-1) for axis in (0, 1)]
        self.spacing = max(float(np.nanmedian(step)) for step in steps if step.size)
        """Between rows or columns, in kilometres: the larger one."""
        self._tree = cKDTree(points[known])

    def pixels(self, longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
        """The number of the nearest pixel, row by row, at positions in degrees; `rows * columns` outside of the grid."""
        points = _on_sphere(longitude, latitude)
        finite = np.isfinite(points).all(-1)
        _, nearest = self._tree.query(
            np.where(finite[..., None], points, 1e9), distance_upper_bound=_REACH * self.spacing
        )
        return np.asarray(self._places[nearest])

    def pixel_at(self, longitude: float, latitude: float) -> tuple[int, int] | None:
        """Row and column at a position; None outside of the grid."""
        pixel = int(self.pixels(np.array([longitude]), np.array([latitude]))[0])
        return None if pixel == self.rows * self.columns else divmod(pixel, self.columns)

    def outline(self) -> np.ndarray:
        """The middles of the outermost pixels as longitudes and latitudes `(N, 2)`, closed."""
        edges = []
        for plane in (self._near(self.longitude), self.latitude):
            edges.append(np.concatenate([plane[0], plane[1:, -1], plane[-1, -2::-1], plane[-2::-1, 0]]))
        outline = np.stack(edges, axis=1)
        return np.asarray(outline[np.isfinite(outline).all(1)])

    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north in degrees."""
        longitude, latitude = self._near(self.longitude), self.latitude
        limits = [float(each(axis)) for each in (np.nanmin, np.nanmax) for axis in (longitude, latitude)]
        return limits[0], limits[1], limits[2], limits[3]

    def regular(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A regular grid over all of it, so fine that no pixel is lost, up to `_LARGEST`: latitudes `(H',)` from the north,
        longitudes `(W',)`, and the numbers of the nearest pixels `(H', W')`."""
        west, south, east, north = self.bounds()
        middle = np.cos(np.radians(np.clip((south + north) / 2, -85, 85)))
        step = np.sqrt(0.5) * self.spacing / _DEGREE
        while (north - south) * (east - west) * middle / step**2 > _LARGEST:
            step *= 2
        latitude = np.arange(north, south - step / 2, -step)
        longitude = np.arange(west, east + step / middle / 2, step / middle)
        return latitude, longitude, self.pixels(*np.meshgrid(longitude, latitude))

    @staticmethod
    def _near(longitude: np.ndarray) -> np.ndarray:
        """Longitudes without a jump at 180 degrees."""
        middle = longitude[np.isfinite(longitude)][0]
        return np.asarray((longitude - middle + 180) % 360 - 180 + middle)


def _on_sphere(longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Positions `(..., 3)` in kilometres from the middle of the earth."""
    east, north = np.radians(longitude), np.radians(latitude)
    across = np.cos(north)
    radius = np.degrees(_DEGREE)
    return np.asarray(radius * np.stack([across * np.cos(east), across * np.sin(east), np.sin(north)], axis=-1))


def mesh_of(latitude: np.ndarray, longitude: np.ndarray) -> Mesh:
    """The mesh of these positions; the same object for the same ones, as the files of a domain repeat them."""
    planes = [np.ascontiguousarray(each, np.float64) for each in (latitude, longitude)]
    return _mesh(*(plane.tobytes() for plane in planes), planes[0].shape)


@lru_cache(maxsize=4)
def _mesh(latitude: bytes, longitude: bytes, shape: tuple[int, int]) -> Mesh:
    return Mesh(*(np.frombuffer(each).reshape(shape) for each in (latitude, longitude)))


def is_curvilinear(frames: xr.DataArray | xr.Dataset) -> bool:
    """Whether frames or forecasts have two-dimensional coordinates only."""
    return not {"y", "x"} & set(frames.coords) and all(
        name in frames.coords and frames[name].ndim == 2 and min(frames[name].shape) > 1 for name in CURVILINEAR
    )


def resampled(values: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Values `(..., H, W)` at the `pixels (H', W')` with these numbers; NaN at the number that is none."""
    flat = values.reshape(*values.shape[:-2], -1)
    none = np.full((*flat.shape[:-1], 1), np.nan, values.dtype)
    return np.asarray(np.concatenate([flat, none], axis=-1)[..., pixels])


def as_drawn(frames: xr.DataArray) -> xr.DataArray:
    """Frames or a forecast as they are drawn: those on a curvilinear grid on a regular one in degrees, others as they are."""
    if not is_curvilinear(frames):
        return frames
    planes = [frames[name].transpose("y", "x").values for name in CURVILINEAR]
    latitude, longitude, pixels = mesh_of(*planes).regular()
    known = {name: each.variable for name, each in frames.coords.items() if not {"y", "x"} & set(each.dims)}
    known.pop("crs", None)
    known |= {
        "y": xr.Variable(("y",), latitude, {"units": "degrees_north", "standard_name": "latitude"}),
        "x": xr.Variable(("x",), longitude, {"units": "degrees_east", "standard_name": "longitude"}),
    }
    drawn = xr.DataArray(resampled(frames.values, pixels), known, frames.dims, frames.name, frames.attrs)
    drawn.attrs.pop("grid_mapping", None)
    return drawn
