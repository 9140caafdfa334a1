"""One frame from a file of its own, decoded when it is used, on a grid that the file describes."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import delayed
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from framecast.data.readers.options import MEMORY_LIMIT
from framecast.errors import DataError, Unreadable


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


_parsed = lru_cache(maxsize=32)(CRS.from_user_input)
"""The files of an archive have one projection, and reading it takes longer than reading a file."""


def projection(text: str, path: Path) -> CRS:
    """The projection that a PROJ string or WKT describes. Raises `DataError`."""
    try:
        return _parsed(text)
    except ProjError as error:
        raise DataError(f"the projection {text!r} is not understood ({error})", where=path) from error


@lru_cache(maxsize=32)
def grid_mapping(crs: CRS) -> dict[str, Any]:
    """The attributes of a CF grid mapping; `crs_wkt` among them says what the others cannot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return crs.to_cf()


@lru_cache(maxsize=32)
def _transformer(crs: CRS) -> Transformer:
    return Transformer.from_crs(crs.geodetic_crs or "EPSG:4326", crs, always_xy=True)


def projected(crs: CRS, longitude: float, latitude: float, path: Path) -> tuple[float, float]:
    """x and y of a place. Raises `DataError` where it has none in this projection."""
    x, y = _transformer(crs).transform(longitude, latitude)
    if not (np.isfinite(x) and np.isfinite(y)):
        raise DataError(f"the corner {longitude:g} E, {latitude:g} N does not lie in the projection", where=path)
    return float(x), float(y)


def check_size(path: Path, height: int, width: int, channels: int = 1, itemsize: int = 4) -> None:
    """Raise `DataError` for a frame that is empty or would expand to more than `MEMORY_LIMIT`, as stored or as float32."""
    if min(height, width) < 1:
        raise DataError(f"a frame of {height} x {width} pixels", where=path)
    size = height * width * channels * max(itemsize, 4)
    if size > MEMORY_LIMIT:
        raise DataError(
            f"refused before decoding: the file declares {height} x {width} pixels, {size / 2**20:,.0f} MiB; "
            f"the limit is {MEMORY_LIMIT / 2**20:.0f} MiB a frame",
            where=path,
            remedy="crop or tile it",
        )


def single_frame(
    path: Path,
    decode: Callable[[], np.ndarray],
    *,
    name: str,
    units: str | None,
    shape: tuple[int, int],
    time: datetime.datetime | None = None,
    minutes: float | None = None,
    grid: Grid | None = None,
    repairs: tuple[str, ...] = (),
) -> xr.DataArray:
    """The frame `(y, x)` that `decode` returns as float32, NaN where there is no data.

    `time` is the time stamp, in UTC where it has no zone; values may be amounts in mm over `minutes`. What
    goes wrong in decoding is raised as `Unreadable` with the name of the file.
    """

    def values() -> np.ndarray:
        try:
            frame = decode()
        except DataError:
            raise
        except Exception as error:  # every decoder has errors of its own; the file is named whatever it is
            raise Unreadable(
                f"the frame cannot be decoded ({first_line(error)})", where=path, remedy="fetch the file again"
            ) from error
        return np.asarray(frame, dtype=np.float32).reshape(shape)

    lazy = da.from_delayed(delayed(values, pure=False)(), shape=shape, dtype=np.float32)
    array = xr.DataArray(lazy, dims=("y", "x"), name=name, coords=grid.coordinates() if grid else None)
    if minutes is not None:
        units = f"mm per {minutes:g} min"
    array.attrs = {"units": units, "repairs": list(repairs)} | ({"grid_mapping": "crs"} if grid else {})
    return array if time is None else array.expand_dims(time=[utc(time)])


def utc(time: datetime.datetime) -> np.datetime64:
    """A time in UTC; one without zone is UTC already."""
    if time.tzinfo is not None:
        time = time.astimezone(datetime.UTC).replace(tzinfo=None)
    return np.datetime64(time, "ns")


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def resized(values: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """`(y, x)` at another size, each new pixel the mean over its area of those that have data; as it is without size."""
    if size is None or values.shape == size:
        return values
    rows, columns = (_areas(old, new) for old, new in zip(values.shape, size, strict=True))
    there = np.isfinite(values)
    weight = rows @ there.astype(np.float32) @ columns.T
    total = rows @ np.where(there, values, 0) @ columns.T
    return np.asarray(np.where(weight > 0.5, total / np.where(weight > 0, weight, 1), np.nan), dtype=np.float32)


@lru_cache(maxsize=8)
def _areas(old: int, new: int) -> np.ndarray:
    """`(new, old)`: which part of each new pixel each old one covers."""
    edges = np.arange(new + 1) * (old / new)
    first, last = edges[:-1, None], edges[1:, None]
    pixel = np.arange(old)[None]
    covered = np.clip(np.minimum(last, pixel + 1) - np.maximum(first, pixel), 0, None)
    return np.asarray(covered / (old / new), dtype=np.float32)
