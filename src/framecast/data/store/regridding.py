"""Put frames on another grid: crop, coarsen, reproject. Lazy; one frame at a time is in memory.

A coarser pixel is the mean of those with data, and no data if fewer than half of them have data. Reflectivity is averaged
as Z, not as dBZ, so that an echo does not vanish next to a dry pixel.
"""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from framecast.data.frames import describe_source
from framecast.data.orientation import CURVILINEAR
from framecast.data.quantities import quantity_of
from framecast.data.readers.grids import grid_mapping
from framecast.data.spacing import spacing
from framecast.errors import ArgumentError, DataError


def crop(frames: xr.DataArray, top: int, left: int, height: int, width: int) -> xr.DataArray:
    """A part of the grid, in pixels. Raises `ArgumentError` if it does not lie inside."""
    rows, columns = frames.sizes["y"], frames.sizes["x"]
    if min(top, left) < 0 or min(height, width) < 1 or top + height > rows or left + width > columns:
        raise ArgumentError(
            f"a crop of {height} x {width} at {top}, {left} does not lie inside {rows} x {columns}", parameter="crop"
        )
    return frames.isel(y=slice(top, top + height), x=slice(left, left + width))


def coarsen(frames: xr.DataArray, factor: int) -> xr.DataArray:
    """`factor` x `factor` pixels as one; rows and columns left over at the lower and right edge are dropped. Raises
    `ArgumentError`."""
    if factor < 1 or min(frames.sizes["y"], frames.sizes["x"]) < factor:
        raise ArgumentError(f"{factor} x {factor} pixels cannot become one", parameter="coarsen")
    quantity = quantity_of(frames)
    height, width = (frames.sizes[axis] // factor for axis in ("y", "x"))
    trimmed = frames.isel(y=slice(0, height * factor), x=slice(0, width * factor))
    logarithmic, dry = quantity.logarithmic, np.float32(quantity.dry)

    def mean(block: np.ndarray) -> np.ndarray:
        values = 10 ** (block.astype(np.float64) / 10) if logarithmic else block.astype(np.float64)
        parts = values.reshape(*block.shape[:-2], height, factor, width, factor)
        valid = np.isfinite(parts)
        count = valid.sum((-3, -1))
        total = np.where(valid, parts, 0).sum((-3, -1)) / np.maximum(count, 1)
        if logarithmic:
            all_dry = (~valid | (parts <= 10 ** (dry / 10))).all((-3, -1))
            total = np.where(all_dry, dry, 10 * np.log10(np.maximum(total, 1e-30)))
        return np.where(2 * count >= factor**2, total, np.nan).astype(np.float32)

    return _map_frames(
        trimmed,
        mean,
        {axis: _coarse_axis(trimmed, axis, factor) for axis in ("y", "x") if axis in frames.coords}
        | {name: _coarse_plane(trimmed, name, factor) for name in CURVILINEAR if name in frames.coords},
        (height, width),
    )


def _coarse_plane(frames: xr.DataArray, name: str, factor: int) -> xr.Variable:
    height, width = (frames.sizes[axis] // factor for axis in ("y", "x"))
    values = frames[name].values.reshape(height, factor, width, factor).mean((1, 3))
    return xr.Variable(("y", "x"), values, frames[name].attrs)


def _coarse_axis(frames: xr.DataArray, axis: str, factor: int) -> xr.Variable:
    values = frames[axis].values.reshape(-1, factor).mean(1)
    return xr.Variable(axis, values, frames[axis].attrs)


def reproject(frames: xr.DataArray, target: str) -> xr.DataArray:
    """On a grid of the projection `target` (`EPSG:3035`), whose pixels are as large as those of the frames on average, which
    covers all of them: each pixel takes the nearest one. Raises `DataError` if the frames have no projection, and
    `ArgumentError` if the target is none."""
    if "crs" not in frames.coords or "y" not in frames.coords or min(frames.sizes["y"], frames.sizes["x"]) < 2:
        raise DataError("the frames state no projection, so they cannot be reprojected", where=describe_source(frames))
    try:
        target_crs, source_crs = CRS.from_user_input(target), CRS.from_cf(frames["crs"].attrs)
        forward = Transformer.from_crs(source_crs, target_crs, always_xy=True)
    except ProjError as error:
        raise ArgumentError(f"{target!r} is no projection ({error})", parameter="reproject") from error
    if not (target_crs.is_projected or target_crs.is_geographic):
        raise ArgumentError(
            f"{target!r} is no projection ({target_crs.type_name})", parameter="reproject", example="EPSG:3035"
        )
    # the target grid: as large as the frames, with pixels of the same mean area
    y, x = (frames[axis].values.astype(np.float64) for axis in ("y", "x"))
    dy, dx = spacing(y), spacing(x)
    new_x, new_y = forward.transform(*np.meshgrid(x, y))
    if not (np.isfinite(new_x).any() and np.isfinite(new_y).any()):
        raise ArgumentError(f"the frames do not lie in {target}", parameter="reproject")
    left, right = np.nanmin(_finite(new_x)), np.nanmax(_finite(new_x))
    bottom, top = np.nanmin(_finite(new_y)), np.nanmax(_finite(new_y))
    width, height = len(x), len(y)
    steps = ((right - left) / (width - 1), (top - bottom) / (height - 1))
    if not target_crs.is_geographic:
        side = float(np.sqrt(_area(new_x, new_y)))
        steps = (side, side)
        width, height = round((right - left) / side) + 1, round((top - bottom) / side) + 1
    xs, ys = left + np.arange(width) * steps[0], top - np.arange(height) * steps[1]
    # for each target pixel the nearest source pixel
    old_x, old_y = Transformer.from_crs(target_crs, source_crs, always_xy=True).transform(*np.meshgrid(xs, ys))
    columns, rows = np.rint((_finite(old_x) - x[0]) / dx), np.rint((_finite(old_y) - y[0]) / dy)
    inside = (rows >= 0) & (rows < len(y)) & (columns >= 0) & (columns < len(x))
    index = np.where(inside, rows * len(x) + columns, 0).astype(np.int64)

    def nearest(block: np.ndarray) -> np.ndarray:
        nearest_values = block.reshape(*block.shape[:-2], -1)[..., index.ravel()].reshape(
            *block.shape[:-2], height, width
        )
        return np.where(inside, nearest_values, np.float32(np.nan)).astype(np.float32)

    units = "degrees" if target_crs.is_geographic else "m"
    coordinates = {
        "y": xr.Variable("y", ys, {"standard_name": "projection_y_coordinate", "units": units}),
        "x": xr.Variable("x", xs, {"standard_name": "projection_x_coordinate", "units": units}),
        "crs": xr.Variable((), 0, grid_mapping(target_crs)),
    }
    return _map_frames(frames, nearest, coordinates, (height, width))


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def _area(x: np.ndarray, y: np.ndarray) -> float:
    """The mean area of a pixel, from the vectors to its neighbours."""
    along = np.diff(x, axis=1)[:-1], np.diff(y, axis=1)[:-1]
    down = np.diff(x, axis=0)[:, :-1], np.diff(y, axis=0)[:, :-1]
    return float(np.nanmean(np.abs(along[0] * down[1] - along[1] * down[0])))


def _map_frames(
    frames: xr.DataArray, change: Any, coordinates: dict[str, xr.Variable], size: tuple[int, int]
) -> xr.DataArray:
    """Apply `change` to each frame of `(..., y, x)`; the result lies on a grid of `size`."""
    values = frames.data if frames.chunks is not None else da.from_array(frames.values, chunks=(1, *frames.shape[1:]))
    by_frame = values.rechunk({values.ndim - 2: -1, values.ndim - 1: -1})
    chunks = (*by_frame.chunks[:-2], (size[0],), (size[1],))
    mapped = da.map_blocks(
        change, by_frame, dtype=np.float32, chunks=chunks, meta=np.empty((0,) * by_frame.ndim, np.float32)
    )
    other_coordinates = {name: value for name, value in frames.coords.items() if name not in ("y", "x", *coordinates)}
    return xr.DataArray(
        mapped, dims=frames.dims, coords=other_coordinates | coordinates, name=frames.name, attrs=frames.attrs
    )
