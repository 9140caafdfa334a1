"""The nearest pixels of one grid for those of another: forecasts on the grid of the truth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from framecast.errors import DataError


class Pixels(NamedTuple):
    """For each pixel of a grid `(H, W)` the `rows` and `columns` of the nearest of another, and whether it lies `inside` that."""

    rows: np.ndarray
    columns: np.ndarray
    inside: np.ndarray

    def take(self, values: np.ndarray) -> np.ndarray:
        """The values `(..., H', W')` of the other grid on this one, NaN outside."""
        return np.where(self.inside, values[..., self.rows, self.columns], np.float32(np.nan))


def nearest_pixels(source: xr.DataArray, target: xr.DataArray, where: str) -> Pixels:
    """For each pixel of `target` the nearest of `source`; a pixel is inside up to half a spacing beyond the outermost centres.
    Raises `DataError` if one of them has no coordinates along its rows and columns, or their projections cannot be related."""
    for each in (source, target):
        if not {"y", "x"} <= set(each.coords) or min(each.sizes["y"], each.sizes["x"]) < 2:
            raise DataError(
                "forecast and truth cannot be put on one grid: one has no coordinates",
                where=where,
                remedy="give both coordinates y and x, and a grid mapping",
            )
    x, y = np.meshgrid(target["x"].values.astype(np.float64), target["y"].values.astype(np.float64))
    mappings = [each["crs"].attrs if "crs" in each.coords else {} for each in (target, source)]
    if all(mappings):
        try:
            one, other = (CRS.from_cf(mapping) for mapping in mappings)
            if one != other:
                x, y = Transformer.from_crs(one, other, always_xy=True).transform(x, y)
        except ProjError as error:
            raise DataError(f"the projections cannot be related ({error})", where=where) from error
    columns, beside_columns = _index(source["x"].values, x)
    rows, beside_rows = _index(source["y"].values, y)
    return Pixels(rows, columns, ~(beside_rows | beside_columns))


def _index(axis: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The index of the nearest of evenly spaced coordinates for each of `wanted`, and where that lies outside."""
    spacing = (float(axis[-1]) - float(axis[0])) / (len(axis) - 1)
    place = np.rint((wanted - float(axis[0])) / spacing)
    outside = ~((place >= 0) & (place < len(axis)))  # true where not finite
    return np.where(outside, 0, place).astype(np.int64), outside
