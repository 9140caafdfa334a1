"""The ground below a frame: the edges of its image in kilometres of a projection or in degrees, and the way to degrees."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import CRSError, ProjError

_KILOMETRES = {"m": 1e-3, "metre": 1e-3, "metres": 1e-3, "meter": 1e-3, "meters": 1e-3, "km": 1.0, "kilometres": 1.0}
_SAMPLES = 40
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Ground:
    """`extent` holds the left, right, bottom and top edge of an image with north at the top: in degrees if `degrees`, those of a
    rotated pole included, else in kilometres, of the projection `crs` if it is known."""

    extent: Box
    degrees: bool = False
    crs: CRS | None = None

    @property
    def located(self) -> bool:
        """Whether longitudes and latitudes are known."""
        return self.box is not None

    @cached_property
    def _transformer(self) -> Transformer | None:
        try:
            return None if self.crs is None else Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)
        except (CRSError, ProjError):
            return None

    @cached_property
    def _crs_units(self) -> float:
        """Units of the projection in a kilometre; 1 for degrees."""
        if self.degrees:
            return 1.0
        axes = [] if self.crs is None else self.crs.axis_info
        return 1000 / (axes[0].unit_conversion_factor if axes else 1.0)

    @property
    def _is_true(self) -> bool:
        """Whether the extent is one of longitudes and latitudes, and not of those of a rotated pole."""
        return self.degrees and (self.crs is None or not self.crs.is_derived)

    def to_degrees(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Longitudes and latitudes of positions, infinite where there are none."""
        if self._is_true or self._transformer is None:
            return x, y
        longitude, latitude = self._transformer.transform(x * self._crs_units, y * self._crs_units)
        return np.asarray(longitude), np.asarray(latitude)

    def from_degrees(self, longitude: np.ndarray, latitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions of longitudes and latitudes, infinite where there are none."""
        if self._is_true or self._transformer is None:
            return longitude, latitude
        x, y = self._transformer.transform(longitude, latitude, direction="INVERSE")
        return np.asarray(x) / self._crs_units, np.asarray(y) / self._crs_units

    @cached_property
    def box(self) -> Box | None:
        """West, south, east and north in degrees; None if they are not known."""
        left, right, bottom, top = self.extent
        if self._is_true:
            return left, bottom, right, top
        if self._transformer is None:
            return None
        x, y = np.meshgrid(np.linspace(left, right, _SAMPLES), np.linspace(bottom, top, _SAMPLES))
        longitude, latitude = (values.ravel() for values in self.to_degrees(x, y))
        known = np.isfinite(longitude) & np.isfinite(latitude)
        if not known.any():
            return None
        longitude, latitude = longitude[known], latitude[known]
        middle = longitude[len(longitude) // 2]
        longitude = (longitude - middle + 180) % 360 - 180 + middle
        return float(longitude.min()), float(latitude.min()), float(longitude.max()), float(latitude.max())

    @cached_property
    def kilometres(self) -> float:
        """Kilometres on the ground along a unit of x in the middle of the image."""
        left, right, bottom, top = self.extent
        x, y = (left + right) / 2, (bottom + top) / 2
        if not self.located:
            return 1.0
        step = (right - left) / 100
        longitude, latitude = self.to_degrees(np.array([x - step, x + step]), np.array([y, y]))
        if not np.isfinite([longitude, latitude]).all():
            return 1.0
        _, _, metres = Geod(ellps="WGS84").inv(longitude[0], latitude[0], longitude[1], latitude[1])
        return float(metres) / 1000 / (2 * step)

    @property
    def aspect(self) -> float:
        """How many times longer a unit of y is than one of x on the ground."""
        if not self.degrees:
            return 1.0
        middle = np.clip((self.extent[2] + self.extent[3]) / 2, -85, 85)
        return float(1 / np.cos(np.radians(middle)))

    def cropped(self, shape: tuple[int, int], rows: slice, columns: slice) -> Ground:
        """The ground below some rows and columns of the image `shape (H, W)`."""
        left, right, bottom, top = self.extent
        x, y = np.linspace(left, right, shape[1] + 1), np.linspace(top, bottom, shape[0] + 1)
        return Ground((x[columns.start], x[columns.stop], y[rows.stop], y[rows.start]), self.degrees, self.crs)


def ground_of(frames: xr.DataArray | xr.Dataset) -> Ground | None:
    """The ground below Frames or a forecast; None without coordinates in degrees or kilometres."""
    if not {"y", "x"} <= set(frames.coords):
        return None
    crs = None
    if "crs" in frames.coords and frames["crs"].attrs:
        try:
            crs = CRS.from_cf(frames["crs"].attrs)
        except (CRSError, KeyError, ValueError):  # attributes that lack a parameter of the projection
            crs = None
    return ground_below(frames["y"].values, frames["x"].values, str(frames["x"].attrs.get("units", "")), crs)


def ground_below(y: np.ndarray, x: np.ndarray, units: str, crs: CRS | None) -> Ground | None:
    """The ground below pixels with the middles `y (H,)` and `x (W,)`; None for other units than of length or degrees."""
    degrees = units.lower().startswith("degree")
    factor = 1.0 if degrees else _KILOMETRES.get(units.lower())
    if factor is None or min(len(y), len(x)) < 2:
        return None
    edges: list[float] = []
    for axis in (x, y):
        values = np.asarray(axis, np.float64) * factor
        half = abs(values[-1] - values[0]) / (len(values) - 1) / 2
        edges += [float(values.min() - half), float(values.max() + half)]
    return Ground((edges[0], edges[1], edges[2], edges[3]), degrees, crs)


def data_window(*frames: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns in which any of the frames `(..., H, W)` has data, and a small margin; all without any data."""
    height, width = frames[0].shape[-2:]
    known = np.any([np.isfinite(each).reshape(-1, height, width).any(0) for each in frames], axis=0)
    if not known.any():
        return slice(0, height), slice(0, width)
    windows = []
    for axis, size in ((1, height), (0, width)):
        used = np.flatnonzero(known.any(axis))
        margin = max(2, (used[-1] - used[0]) // 50)
        windows.append(slice(int(max(0, used[0] - margin)), int(min(size, used[-1] + 1 + margin))))
    return windows[0], windows[1]
