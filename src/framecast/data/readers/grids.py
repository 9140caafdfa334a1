"""Map grids: coordinates and projection of the pixels of a frame, from what readers find in files to CF coordinates."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from framecast.errors import DataError


@dataclass(frozen=True)
class Grid:
    """The centres of pixels along y (from the top row down) and x, and the projection they are in."""

    y: np.ndarray
    x: np.ndarray
    crs: CRS

    @staticmethod
    def from_corner(crs: CRS, left: float, top: float, dx: float, dy: float, height: int, width: int) -> Grid:
        """From the outer corner at the top left and the size of a pixel, `dy` negative where y falls from row to row."""
        return Grid(top + (np.arange(height) + 0.5) * dy, left + (np.arange(width) + 0.5) * dx, crs)

    def coordinates(self) -> dict[str, Any]:
        """`y`, `x` and the grid mapping `crs` as CF has them."""
        units = "degrees" if self.crs.is_geographic else "m"
        return {
            "y": ("y", self.y, {"standard_name": "projection_y_coordinate", "units": units}),
            "x": ("x", self.x, {"standard_name": "projection_x_coordinate", "units": units}),
            "crs": ((), 0, grid_mapping(self.crs)),
        }


_parse_crs = lru_cache(maxsize=32)(CRS.from_user_input)
"""The files of an archive have one projection, and reading it takes longer than reading a file."""
_OTHER_NAMES = ("proj4", "proj4_params", "proj4text", "proj_params", "proj4string", "epsg_code", "epsg", "spatial_epsg")
"""Attributes of a grid mapping that hold a projection where those of CF do not, in small letters."""
_FALSE_ORIGIN = ("false_easting", "false_northing")
_LARGEST_LENGTH = 3e7
"""Metres that a false origin may be away."""


def crs_of(attributes: Mapping[Any, Any], metres: float = 1.0) -> CRS | str:
    """The projection of the attributes of a grid mapping whose coordinates are in units of so many metres; a text that says why
    there is none."""
    try:
        return _crs_of(tuple(sorted((str(key), _plain(value)) for key, value in attributes.items())), metres)
    except (ProjError, KeyError, ValueError, TypeError) as error:
        return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _plain(value: Any) -> Any:
    """An attribute that can be hashed: several numbers are an array in NetCDF, and a list in Zarr."""
    value = value.tolist() if isinstance(value, np.ndarray) else value
    return tuple(value) if isinstance(value, list) else value


@lru_cache(maxsize=32)
def _crs_of(items: tuple[tuple[str, Any], ...], metres: float) -> CRS:
    attributes = dict(items)
    if not {"grid_mapping_name", "crs_wkt", "spatial_ref"} & set(attributes):
        stated = next((attributes[key] for key in attributes if key.lower() in _OTHER_NAMES), None)
        if stated is not None:
            return CRS.from_user_input(int(stated) if str(stated).isdecimal() else str(stated))
    if not {"crs_wkt", "spatial_ref"} & set(attributes):
        for name in (name for name in _FALSE_ORIGIN if name in attributes):  # CF: in the units of the coordinates
            if abs(length := float(attributes[name]) * metres) < _LARGEST_LENGTH:
                attributes[name] = length
    return CRS.from_cf(attributes)


@lru_cache(maxsize=32)
def in_metres(crs: CRS) -> CRS:
    """A projection whose coordinates are metres; the same one if it is so, or geographic."""
    if crs.is_geographic or not crs.axis_info or all(axis.unit_conversion_factor == 1 for axis in crs.axis_info):
        return crs
    description = crs.to_json_dict()
    inner = description.get("source_crs", description)  # of one that is bound to another datum
    for axis in inner["coordinate_system"]["axis"]:
        axis["unit"] = "metre"
    inner.pop("id", None)
    return CRS.from_json_dict(description)


def projection(text: str, path: Path) -> CRS:
    """The projection, in metres or degrees, that a PROJ string or WKT describes. Raises `DataError`."""
    try:
        return in_metres(_parse_crs(text))
    except ProjError as error:
        raise DataError(
            f"the projection {text[:200]!r} is not understood ({str(error)[:200]})",
            where=path,
            remedy="correct it in the file: a string of PROJ, such as +proj=longlat, or WKT",
        ) from error


@lru_cache(maxsize=32)
def grid_mapping(crs: CRS) -> dict[str, Any]:
    """The attributes of a CF grid mapping; `crs_wkt` among them says what the others cannot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return crs.to_cf()


@lru_cache(maxsize=32)
def _transformer(crs: CRS) -> Transformer:
    return Transformer.from_crs(crs.geodetic_crs or "EPSG:4326", crs, always_xy=True)


def project(crs: CRS, longitude: float, latitude: float, path: Path) -> tuple[float, float]:
    """x and y of a geographic point in the projection. Raises `DataError` if it has none."""
    x, y = _transformer(crs).transform(longitude, latitude)
    if not (np.isfinite(x) and np.isfinite(y)):
        raise DataError(f"the corner {longitude:g} E, {latitude:g} N does not lie in the projection", where=path)
    return float(x), float(y)
