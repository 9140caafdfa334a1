"""Reader of CF NetCDF: version 4 (through h5netcdf) and the classic format (through SciPy).

`from_dataset` also serves the Zarr reader: it finds the variable on a grid, names its axes and decodes its times.
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

import h5py
import numpy as np
import xarray as xr

from framecast.data.frames import with_actions
from framecast.data.readers.hdf5 import check_dataset, open_hdf5
from framecast.data.readers.options import ReadOptions
from framecast.data.readers.single import first_line
from framecast.errors import DataError, UnreadableFile

RECOGNISES = ["CF NetCDF (.nc)"]

_ENGINES = {b"\x89HDF": "h5netcdf", b"CDF\x01": "scipy", b"CDF\x02": "scipy"}
_AXES = {
    "y": ("y", "lat", "latitude", "projection_y_coordinate", "grid_latitude", "rlat", "northing"),
    "x": ("x", "lon", "longitude", "projection_x_coordinate", "grid_longitude", "rlon", "easting"),
    "time": ("time", "valid_time", "t"),
    "channel": ("channel", "band"),
    "sequence": ("sequence", "clip", "sample"),
}


def recognises(path: Path) -> bool:
    """True for the signature of NetCDF or HDF5, and for the suffixes, so that a damaged .nc is reported as NetCDF."""
    if not path.is_file():
        return False
    if path.suffix.lower() in (".nc", ".nc4", ".cdf"):
        return True
    with path.open("rb") as file:
        return file.read(4) in _ENGINES


def read(path: Path, options: ReadOptions) -> xr.DataArray:
    """The one variable on a grid (or `options.variable`). Raises `DataError` and `UnreadableFile`."""
    with path.open("rb") as file:
        signature = file.read(4)
    if signature == b"CDF\x05":
        raise DataError("classic NetCDF with 64-bit data is not understood", where=path, remedy="nccopy -k nc4 IN OUT")
    if signature not in _ENGINES:
        what = "is empty" if not signature else "does not begin as a NetCDF file does"
        raise UnreadableFile(f"the file {what}", where=path, remedy="expected CF NetCDF; fetch the file again")
    if _ENGINES[signature] == "h5netcdf":
        _check_chunks(path)
    try:
        dataset = xr.open_dataset(path, engine=_ENGINES[signature], decode_timedelta=False)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise UnreadableFile(
            f"the file is incomplete or unreadable ({first_line(error)})", where=path, remedy="fetch the file again"
        ) from error
    return from_dataset(dataset, path, options)


def _check_chunks(path: Path) -> None:
    """Raise `DataError` for filters that are not known and for chunks that are too large, `UnreadableFile` for damage."""
    datasets: list[h5py.Dataset] = []
    with open_hdf5(path, RECOGNISES[0]) as file:
        file.visititems(lambda name, item: datasets.append(item) if isinstance(item, h5py.Dataset) else None)
        for dataset in datasets:
            check_dataset(dataset, path)


def from_dataset(dataset: xr.Dataset, path: Path | str, options: ReadOptions) -> xr.DataArray:
    """The frames in a CF dataset, with `time`, `y`, `x` and the grid mapping as the scalar coordinate `crs`.

    Dimensions of length 1 that are no axis of frames (a height, a level) are dropped. A variable `actions`, `([sequence,]
    time, A)`, holds the actions of each frame.
    """
    array = _variable(dataset, path, options)
    stored = array.encoding.get("preferred_chunks") or {}
    roles = {dim: _role(dataset, dim) for dim in array.dims}
    array = array.isel({dim: 0 for dim, role in roles.items() if role is None and array.sizes[dim] == 1})
    axis_of = {dim: roles[dim] or str(dim) for dim in array.dims}
    if len(set(axis_of.values())) < len(axis_of):
        raise DataError(f"two of the dims {tuple(array.dims)} are the same axis of frames", where=path)
    mapping = str(array.attrs.get("grid_mapping") or array.encoding.get("grid_mapping", "")).split(":")[0]
    array = array.drop_vars([name for name in array.coords if name not in array.dims and name in axis_of.values()])
    array = array.rename({dim: name for dim, name in axis_of.items() if dim != name})
    array.encoding["preferred_chunks"] = {axis_of[dim]: size for dim, size in stored.items() if dim in axis_of}
    array = _as_rate(_with_time(array, dataset, path, options), dataset, path, options)
    array.attrs = {name: value for name, value in array.attrs.items() if name != "grid_mapping"}
    if mapping in dataset.variables:
        array = array.assign_coords(crs=xr.Variable((), 0, dataset[mapping].attrs))
        array.attrs["grid_mapping"] = "crs"
    known_coordinates = {"time", "y", "x", "channel", "sequence", "crs"}
    array = _in_metres(array.drop_vars([name for name in array.coords if name not in known_coordinates]))
    return with_actions(array, dataset["actions"].values, path) if "actions" in dataset.data_vars else array


def _in_metres(array: xr.DataArray) -> xr.DataArray:
    """Coordinates in kilometres as metres, the unit that a grid mapping has unless it says otherwise."""
    for axis in ("y", "x"):
        if axis in array.coords and array[axis].attrs.get("units") in ("km", "kilometer", "kilometre", "kilometers"):
            metres = array[axis].variable * 1000.0
            metres.attrs = {**array[axis].attrs, "units": "m"}
            array = array.assign_coords({axis: metres})
    return array


def _variable(dataset: xr.Dataset, path: Path | str, options: ReadOptions) -> xr.DataArray:
    """The variable that holds frames. Raises `DataError` if there is none, or more than one and no `options.variable`."""
    if options.variable is not None:
        if options.variable not in dataset.data_vars:
            raise DataError(
                f"no variable {options.variable!r}",
                where=path,
                remedy=f"variables: {', '.join(map(str, dataset.data_vars))}",
            )
        return dataset[options.variable]
    names = [
        name
        for name, array in dataset.data_vars.items()
        if {"y", "x"} <= {_role(dataset, dim) for dim in array.dims} and array.dtype.kind in "fiu"
    ]
    if len(names) > 1:
        raise DataError(
            f"several variables on a grid: {', '.join(map(str, names))}",
            where=path,
            remedy="name one",
            parameter="variable",
            example=str(names[0]),
        )
    if not names:
        variables = ", ".join(map(str, dataset.data_vars))
        raise DataError(
            f"no variable on a grid (y, x) among {variables}"
            if variables
            else "no variable at its root, so it is not CF NetCDF",
            where=path,
            remedy="expected CF NetCDF: dims named y and x (or lat and lon), or coordinates with the CF attribute axis",
        )
    return dataset[names[0]]


def _role(dataset: xr.Dataset, dim: Hashable) -> str | None:
    """Which axis of frames a dimension is, by the CF attributes of its coordinate or by its name."""
    attributes = dataset[dim].attrs if dim in dataset.coords else {}
    for role, names in _AXES.items():
        if str(attributes.get("axis", "")).lower() == role or attributes.get("standard_name") in names:
            return role
    return next((role for role, names in _AXES.items() if str(dim).lower() in names), None)


def _with_time(array: xr.DataArray, dataset: xr.Dataset, path: Path | str, options: ReadOptions) -> xr.DataArray:
    """Times from the coordinate, from a scalar variable with the standard name `time`, or from the stated step.

    A single frame without a time keeps none: the file's name gives it later. Raises `DataError`.
    """
    if "time" in array.coords:
        numbers = array["time"].dtype.kind in "iu" and array["time"].attrs.get("units") == "1"
        if not numbers and array["time"].dtype.kind != "M":
            raise DataError(
                f"variable 'time' holds no dates (its units: {array['time'].attrs.get('units')!r})",
                where=path,
                remedy="expected units such as 'minutes since 2015-05-15 15:45:00'",
            )
        return array
    if "time" not in array.dims:
        scalar = [name for name, value in dataset.variables.items() if value.ndim == 0 and value.dtype.kind == "M"]
        times = [name for name in scalar if dataset[name].attrs.get("standard_name") == "time"] or scalar[:1]
        array = array.drop_vars(scalar, errors="ignore")
        return array.assign_coords(time=dataset[times[0]].variable) if times else array
    if options.time_step is None and array.sizes["time"] > 1:
        raise DataError(
            f"the {array.sizes['time']} frames of variable {array.name!r} have no time coordinate",
            where=path,
            remedy="state the minutes between frames",
            parameter="time_step",
            example=5,
        )
    return array


def _as_rate(array: xr.DataArray, dataset: xr.Dataset, path: Path | str, options: ReadOptions) -> xr.DataArray:
    """An amount (mm, kg m-2) between `start_time` and `valid_time` as the rate over that time, in mm/h. Raises `DataError`
    if the intervals of the frames differ and `options.units` is not set."""
    units = str(array.attrs.get("units", "")).strip()
    if units not in ("kg m-2", "mm") or not {"start_time", "valid_time"} <= set(dataset.variables):
        return array
    start, end = dataset["start_time"], dataset["valid_time"]
    dates = start.dtype.kind == end.dtype.kind == "M"
    spans = np.unique((end - start).values / np.timedelta64(1, "m")) if dates else np.array([])
    if len(spans) != 1 or not spans[0] > 0:
        if options.units is not None:
            return array
        problem = f"are {', '.join(f'{span:g}' for span in spans[:5])} minutes apart" if dates else "hold no dates"
        raise DataError(
            f"variable {array.name!r} is an amount in {units}, but start_time and valid_time {problem}",
            where=path,
            remedy="state over how many minutes",
            parameter="units",
            example="mm per 5 min",
        )
    minutes = float(spans[0])
    rate = array.copy()
    rate.attrs = {
        **array.attrs,
        "long_name": "Rain rate",
        "standard_name": "rainfall_rate",
        "units": f"mm per {minutes:g} min",
    }
    return rate
