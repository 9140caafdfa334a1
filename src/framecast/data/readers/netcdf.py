"""CF NetCDF, version 4 (through h5netcdf) and the classic format (through SciPy)."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

import numpy as np
import xarray as xr

from framecast.data.readers.options import Options, Unreadable
from framecast.errors import DataError

RECOGNISES = ["CF NetCDF (.nc)"]

_ENGINES = {b"\x89HDF": "h5netcdf", b"CDF\x01": "scipy", b"CDF\x02": "scipy"}
_AXES = {
    "y": ("y", "lat", "latitude", "projection_y_coordinate", "grid_latitude", "northing"),
    "x": ("x", "lon", "longitude", "projection_x_coordinate", "grid_longitude", "easting"),
    "time": ("time", "valid_time", "t"),
    "channel": ("channel", "band"),
    "sequence": ("sequence", "clip", "sample"),
}


def recognises(path: Path) -> bool:
    """By signature, and by name so that an empty or damaged .nc is still called a NetCDF file."""
    if not path.is_file():
        return False
    if path.suffix.lower() in (".nc", ".nc4", ".cdf"):
        return True
    with path.open("rb") as file:
        return file.read(4) in _ENGINES


def read(path: Path, options: Options) -> xr.DataArray:
    """The one variable on a grid (or `options.variable`). Raises `DataError` and `Unreadable`."""
    with path.open("rb") as file:
        signature = file.read(4)
    if signature not in _ENGINES:
        what = "is empty" if not signature else "does not begin as a NetCDF file does"
        raise Unreadable(f"the file {what}", where=path, remedy="expected CF NetCDF; fetch the file again")
    try:
        dataset = xr.open_dataset(path, engine=_ENGINES[signature], chunks={}, decode_timedelta=False)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise Unreadable(
            f"the file is incomplete or unreadable ({_first_line(error)})", where=path, remedy="fetch the file again"
        ) from error
    return from_dataset(dataset, path, options)


def from_dataset(dataset: xr.Dataset, path: Path, options: Options) -> xr.DataArray:
    """The frames in a CF dataset, with `time`, `y`, `x` and the grid mapping as the scalar coordinate `crs`."""
    array = _variable(dataset, path, options)
    array = array.rename({dim: ours for dim in array.dims if (ours := _role(dataset, dim)) and ours != dim})
    if len(array.chunks or ()) and "time" in array.dims:
        array = array.chunk({dim: (1 if dim == "time" else -1) for dim in array.dims})
    array = _with_time(array, dataset, path, options)
    array = _as_rate(array, dataset)
    mapping = array.attrs.pop("grid_mapping", None) or array.encoding.get("grid_mapping")
    if mapping in dataset.variables:
        array = array.assign_coords(crs=xr.Variable((), 0, dataset[mapping].attrs))
        array.attrs["grid_mapping"] = "crs"
    keep = {"time", "y", "x", "channel", "sequence", "crs"}
    return array.drop_vars([name for name in array.coords if name not in keep])


def _variable(dataset: xr.Dataset, path: Path, options: Options) -> xr.DataArray:
    """The variable that holds frames."""
    if options.variable is not None:
        if options.variable not in dataset.data_vars:
            raise DataError(
                f"no variable {options.variable!r}",
                where=path,
                remedy=f"variables: {', '.join(map(str, dataset.data_vars))}",
            )
        return dataset[options.variable]
    found = [
        name
        for name, array in dataset.data_vars.items()
        if {"y", "x"} <= {_role(dataset, dim) for dim in array.dims} and array.dtype.kind in "fiu"
    ]
    if len(found) != 1:
        what = (
            "no variable on a grid (y, x)"
            if not found
            else f"several variables on a grid: {', '.join(map(str, found))}"
        )
        raise DataError(
            what,
            where=path,
            remedy="give the variable coordinates named y and x" if not found else "name one: --variable NAME",
        )
    return dataset[found[0]]


def _role(dataset: xr.Dataset, dim: Hashable) -> str | None:
    """Which axis of frames a dimension is, by the CF attributes of its coordinate or by its name."""
    attributes = dataset[dim].attrs if dim in dataset.coords else {}
    for role, names in _AXES.items():
        if str(attributes.get("axis", "")).lower() == role or attributes.get("standard_name") in names:
            return role
    return next((role for role, names in _AXES.items() if str(dim).lower() in names), None)


def _with_time(array: xr.DataArray, dataset: xr.Dataset, path: Path, options: Options) -> xr.DataArray:
    """Times from the coordinate, from a scalar variable with the standard name `time`, or from the stated step."""
    if "time" in array.coords:
        if array["time"].dtype.kind != "M":
            raise DataError(
                f"variable 'time' holds no dates (its units: {array['time'].attrs.get('units')!r})",
                where=path,
                remedy="expected units such as 'minutes since 2015-05-15 15:45:00'",
            )
        return array
    scalar = [name for name, value in dataset.variables.items() if value.ndim == 0 and value.dtype.kind == "M"]
    stated = [name for name in scalar if dataset[name].attrs.get("standard_name") == "time"] or scalar[:1]
    if stated and "time" not in array.dims:
        return array.drop_vars(scalar, errors="ignore").expand_dims(time=[dataset[stated[0]].values])
    if options.time_step is None:
        raise DataError(
            f"the frames of variable {array.name!r} have no time coordinate",
            where=path,
            remedy="state the minutes between frames: --time-step 5 (in Python: time_step=5)",
        )
    return array


def _as_rate(array: xr.DataArray, dataset: xr.Dataset) -> xr.DataArray:
    """An amount (mm, kg m-2) between `start_time` and `valid_time` as the rate over that time, in mm/h."""
    units = str(array.attrs.get("units", "")).strip()
    if units not in ("kg m-2", "mm") or not {"start_time", "valid_time"} <= set(dataset.variables):
        return array
    hours = float((dataset["valid_time"].values - dataset["start_time"].values) / np.timedelta64(1, "h"))
    rate = array / np.float32(hours)
    rate.attrs = {**array.attrs, "units": "mm h-1"}
    rate.encoding = array.encoding
    return rate


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
