"""Map grids: coordinates and projection of the pixels of a frame, from what readers find in files to CF coordinates."""

from __future__ import annotations

import warnings
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


def projection(text: str, path: Path) -> CRS:
    """The projection that a PROJ string or WKT describes. Raises `DataError`."""
    try:
        return _parse_crs(text)
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
