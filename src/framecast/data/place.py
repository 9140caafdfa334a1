"""Where pixels lie: projection, corner and size of pixels, longitudes and latitudes, and the part of the world they cover."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import xarray as xr
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from framecast.data.orientation import CURVILINEAR, Orientation
from framecast.data.spacing import SAME, is_even, metres_of, spacing


@dataclass(frozen=True, eq=False)
class Place:
    """A regular grid in a projection, north up: `left` and `top` are the outer corner, `dx` and `dy` the size of a pixel, in the
    units of `crs`. `orientation` turns frames so."""

    crs: CRS
    left: float
    top: float
    dx: float
    dy: float
    height: int
    width: int
    orientation: Orientation

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top in the units of the projection."""
        return self.left, self.top - self.height * self.dy, self.left + self.width * self.dx, self.top

    def corners(self) -> list[list[float]]:
        """Longitude and latitude of the outer corners: top left, top right, bottom right, bottom left."""
        left, bottom, right, top = self.bounds
        longitude, latitude = _to_degrees(self.crs).transform([left, right, right, left], [top, top, bottom, bottom])
        return [[round(float(a), 6), round(float(b), 6)] for a, b in zip(longitude, latitude, strict=True)]


def place_of(frames: xr.DataArray) -> Place | str:
    """The place of frames with `y` and `x`; a text that says why it is not known."""
    missing = [axis for axis in ("y", "x") if axis not in frames.coords or frames.sizes[axis] < 2]
    if missing:
        curvilinear = set(CURVILINEAR) <= set(frames.coords)
        return "the grid is curvilinear, it has no rows and columns of one spacing" if curvilinear else "no coordinates"
    crs = _crs_of(frames)
    if isinstance(crs, str):
        return crs
    steps = {}
    for axis in ("y", "x"):
        positions = frames[axis].values.astype(np.float64) * _factor(frames[axis], crs)
        if not is_even(positions):
            return f"the {axis} coordinates are not evenly spaced"
        steps[axis] = (min(positions[0], positions[-1]), max(positions[0], positions[-1]), abs(spacing(positions)))
    (_, north, dy), (west, _, dx) = steps["y"], steps["x"]
    orientation = Orientation(
        bool(frames["y"].values[-1] > frames["y"].values[0]), bool(frames["x"].values[-1] < frames["x"].values[0])
    )
    return Place(crs, west - dx / 2, north + dy / 2, dx, dy, frames.sizes["y"], frames.sizes["x"], orientation)


def degrees_of(frames: xr.DataArray) -> tuple[np.ndarray, np.ndarray] | str:
    """Longitude and latitude of the pixel centres, each `(H, W)`, as the frames are stored; a text if they are not known."""
    if set(CURVILINEAR) <= set(frames.coords) and frames[CURVILINEAR[0]].ndim == 2:
        latitude, longitude = (frames[name].transpose("y", "x").values.astype(np.float64) for name in CURVILINEAR)
        return longitude, latitude
    crs = _crs_of(frames)
    if isinstance(crs, str):
        return crs
    x, y = np.meshgrid(*(frames[axis].values.astype(np.float64) * _factor(frames[axis], crs) for axis in ("x", "y")))
    longitude, latitude = _to_degrees(crs).transform(x, y)
    return np.asarray(longitude), np.asarray(latitude)


def has_same_corners(one: xr.DataArray, other: xr.DataArray) -> bool:
    """Whether the projections of frames of one size and with the same coordinates put their corners at the same places, to a
    part of a pixel; True where that is not known."""
    if not {"y", "x", "crs"} <= set(one.coords) or "crs" not in other.coords:
        return True
    if str(one["crs"].attrs) == str(other["crs"].attrs):
        return True
    ends = {axis: [0, one.sizes[axis] - 1] for axis in ("y", "x")}
    place, other_place = (degrees_of(each.isel(ends)) for each in (one, other))
    if isinstance(place, str) or isinstance(other_place, str):
        return True
    (longitude, latitude), (other_longitude, other_latitude) = (
        (np.where(np.isfinite(each), each, np.nan) for each in corners) for corners in (place, other_place)
    )
    width = np.cos(np.radians(latitude))
    apart = np.hypot(((longitude - other_longitude + 180) % 360 - 180) * width, latitude - other_latitude)
    across = np.hypot(np.diff(longitude, axis=1) * width[:, :1], np.diff(latitude, axis=1)) / max(ends["x"][1], 1)
    known = np.isfinite(apart) & np.isfinite(across)
    return bool((apart <= SAME * across)[known].all())


def _crs_of(frames: xr.DataArray) -> CRS | str:
    """The projection of frames; a text if it is not known."""
    if not {"y", "x"} <= set(frames.coords):
        return "no coordinates"
    if "crs" in frames.coords:
        try:
            return CRS.from_cf(dict(frames["crs"].attrs))
        except (ProjError, KeyError) as error:
            return f"the projection is not understood ({str(error).splitlines()[0]})"
    if all(str(frames[axis].attrs.get("units", "")).startswith("degree") for axis in ("y", "x")):
        return CRS.from_epsg(4326)
    return "no projection"


def _factor(axis: xr.DataArray, crs: CRS) -> float:
    """Units of the projection in one unit of a coordinate."""
    metres = metres_of(str(axis.attrs.get("units", "")))
    if crs.is_geographic or metres is None or not crs.axis_info:
        return 1.0
    return metres / float(crs.axis_info[0].unit_conversion_factor or 1.0)


Bounds = tuple[float, float, float, float]
"""West, south, east and north in degrees; east may be above 180."""
_SAMPLES = 17
"""Rows and columns whose pixels tell the bounds of a grid."""
_SAME_PLACE = 0.5
"""Of the smaller of two parts of the world, the share that they have in common, from which they are one place."""


def bounds_of(frames: xr.DataArray) -> Bounds | None:
    """The part of the world in which the pixel centres of frames lie; None where it is not known."""
    if not {"y", "x"} <= set(frames.dims):
        return None
    chosen = {axis: np.unique(np.linspace(0, frames.sizes[axis] - 1, _SAMPLES).astype(int)) for axis in ("y", "x")}
    degrees = degrees_of(frames.isel(chosen))
    if isinstance(degrees, str):
        return None
    longitude, latitude = (each[np.isfinite(degrees[0]) & np.isfinite(degrees[1])] for each in degrees)
    if not longitude.size:
        return None
    around = longitude[0] + (longitude - longitude[0] + 180) % 360 - 180  # over the date line in one piece
    west = float(around.min())
    shift = (west + 180) % 360 - 180 - west
    edges = (west + shift, latitude.min(), around.max() + shift, latitude.max())
    west, south, east, north = (round(float(edge), 4) for edge in edges)
    return west, south, east, north


def is_same_place(one: Bounds, other: Bounds) -> bool:
    """Whether two parts of the world share at least half of the smaller of them."""
    shared = max(_common(one, (other[0] + turn, other[1], other[2] + turn, other[3])) for turn in (-360, 0, 360))
    return shared >= _SAME_PLACE * min(map(_area, (one, other)))


def _common(one: Bounds, other: Bounds) -> float:
    """The area that two parts share, -1 for none."""
    west, south, east, north = (
        max(one[0], other[0]),
        max(one[1], other[1]),
        min(one[2], other[2]),
        min(one[3], other[3]),
    )
    return -1.0 if west > east or south > north else _area((west, south, east, north))


def _area(bounds: Bounds) -> float:
    west, south, east, north = bounds
    return (east - west) * (north - south)


@lru_cache(maxsize=16)
def _to_degrees(crs: CRS) -> Transformer:
    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
