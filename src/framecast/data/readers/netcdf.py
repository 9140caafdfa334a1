"""Reader of CF NetCDF: version 4 (through h5netcdf) and the classic format (through SciPy).

`from_dataset` also serves the Zarr reader: it finds the variable on a grid, names its axes and decodes its times. A variable in a
group is named by its path, `GROUP/NAME`. On a curvilinear grid the two-dimensional `latitude` and `longitude` are kept.
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from framecast.data.frames import with_actions
from framecast.data.readers import curvilinear
from framecast.data.readers.benchmark_sets import set_of_hdf5
from framecast.data.readers.groups import Groups
from framecast.data.readers.hdf5 import check_dataset, open_hdf5
from framecast.data.readers.options import ReadOptions
from framecast.data.readers.single import first_line
from framecast.errors import DataError, UnreadableFile

RECOGNISES = ["CF NetCDF (.nc)"]

_ENGINES = {b"\x89HDF": "h5netcdf", b"CDF\x01": "scipy", b"CDF\x02": "scipy"}
_AXES = {
    "y": (
        *("y", "lat", "latitude", "projection_y_coordinate", "grid_latitude", "rlat", "northing", "nj", "j"),
        *("south_north", "row", "rows"),
    ),
    "x": (
        *("x", "lon", "longitude", "projection_x_coordinate", "grid_longitude", "rlon", "easting", "ni", "i"),
        *("west_east", "col", "cols", "column", "columns"),
    ),
    "time": ("time", "valid_time", "t"),
    "channel": ("channel", "band"),
    "sequence": ("sequence", "clip", "sample"),
}
_PHONY = "phony_dim"
"""How h5netcdf begins the names of dimensions of HDF5 without dimension scales."""


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
    engine = _ENGINES[signature]
    paths = _check_structure(path) if engine == "h5netcdf" else []
    groups = Groups(lambda: paths, lambda group: _open(path, engine, group), names_on_grid)
    dataset, options = groups.find(path, options)
    return from_dataset(dataset, path, options)


def _open(path: Path, engine: str, group: str) -> xr.Dataset:
    """The dataset of a group. Raises `DataError` for HDF5 that is no NetCDF, and `UnreadableFile`."""
    more: dict[str, Any] = {"group": group or None, "phony_dims": "access"} if engine == "h5netcdf" else {}
    try:
        return xr.open_dataset(path, engine=engine, decode_timedelta=False, **more)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        if engine == "h5netcdf" and not isinstance(error, OSError) and _is_plain_hdf5(path):
            raise DataError(
                f"HDF5, but no NetCDF: its data sets have no dimension scales ({first_line(error)})",
                where=path,
                remedy="write it as CF NetCDF, or the frames as .npy (numpy.save)",
            ) from error
        raise UnreadableFile(
            f"the file is incomplete or unreadable ({first_line(error)})", where=path, remedy="fetch the file again"
        ) from error


def _check_structure(path: Path) -> list[str]:
    """The paths of the groups that hold data sets, without the root. Raises `DataError` for filters that are not known, chunks
    that are too large and files of a benchmark set, `UnreadableFile` for damage."""
    datasets: list[h5py.Dataset] = []
    with open_hdf5(path, RECOGNISES[0]) as file:
        file.visititems(lambda name, item: datasets.append(item) if isinstance(item, h5py.Dataset) else None)
        for dataset in datasets:
            check_dataset(dataset, path)
        if benchmark := set_of_hdf5(file):
            raise DataError(
                f"a file of the benchmark set {benchmark.title}, which is read as a whole",
                where=path,
                remedy=benchmark.remedy,
            )
        groups = (str(dataset.name).strip("/").rpartition("/")[0] for dataset in datasets)
        return [group for group in dict.fromkeys(groups) if group]


def _is_plain_hdf5(path: Path) -> bool:
    """Whether no data set of a file is a dimension scale, as those of NetCDF are."""
    scales: list[str] = []
    with open_hdf5(path, RECOGNISES[0]) as file:
        file.visititems(
            lambda name, item: scales.append(name) if isinstance(item, h5py.Dataset) and item.is_scale else None
        )
    return not scales


def from_dataset(dataset: xr.Dataset, path: Path | str, options: ReadOptions) -> xr.DataArray:
    """The frames in a CF dataset, with `time`, `y`, `x` and the grid mapping as the scalar coordinate `crs`.

    Dimensions of length 1 that are no axis of frames (a height, a level) are dropped. A variable `actions`, `([sequence,]
    time, A)`, holds the actions of each frame.
    """
    array = _variable(dataset, path, options)
    stored = array.encoding.get("preferred_chunks") or {}
    roles = _roles(dataset, array)
    array = array.isel({dim: 0 for dim, role in roles.items() if role is None and array.sizes[dim] == 1})
    axis_of = {dim: roles[dim] or str(dim) for dim in array.dims}
    if len(set(axis_of.values())) < len(axis_of):
        raise DataError(f"two of the dims {tuple(array.dims)} are the same axis of frames", where=path)
    mapping = str(array.attrs.get("grid_mapping") or array.encoding.get("grid_mapping", "")).split(":")[0]
    located = any(dim in array.coords for dim, axis in axis_of.items() if axis in ("y", "x"))
    geographic = {} if located else curvilinear.coordinates(dataset, array)
    array = array.drop_vars([name for name in array.coords if name not in array.dims and name in axis_of.values()])
    array = array.drop_vars(curvilinear.NAMES, errors="ignore").assign_coords(geographic)
    array = array.rename({dim: name for dim, name in axis_of.items() if dim != name})
    array.encoding["preferred_chunks"] = {axis_of[dim]: size for dim, size in stored.items() if dim in axis_of}
    array = _as_rate(_with_time(array, dataset, path, options), dataset, path, options)
    array.attrs = {name: value for name, value in array.attrs.items() if name != "grid_mapping"}
    if mapping in dataset.variables:
        array = array.assign_coords(crs=xr.Variable((), 0, dataset[mapping].attrs))
        array.attrs["grid_mapping"] = "crs"
    known_coordinates = {"time", "y", "x", "channel", "sequence", "crs", *geographic}
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
                remedy=f"variables: {', '.join(map(str, dataset.data_vars)) or 'none at the root'}",
            )
        return dataset[options.variable]
    names = names_on_grid(dataset)
    if len(names) > 1:
        raise DataError(
            f"several variables on a grid: {', '.join(map(str, names))}",
            where=path,
            remedy="name one",
            parameter="variable",
            example=str(names[0]),
        )
    if not names:
        raise _no_variable(dataset, path)
    return dataset[names[0]]


def _no_variable(dataset: xr.Dataset, path: Path | str) -> DataError:
    """Why no variable of a dataset can be frames."""
    arrays = [f"{name} ({', '.join(map(str, array.dims))})" for name, array in dataset.data_vars.items()]
    if not arrays:
        return DataError("no variable at all", where=path, remedy="expected CF NetCDF with a variable on a grid")
    if all(str(dim).startswith(_PHONY) for dim in dataset.dims):
        sizes = [f"{name} {array.shape}" for name, array in dataset.data_vars.items()]
        return DataError(
            f"HDF5 whose data sets have no dimension scales, so that their axes have no names: {', '.join(sizes[:10])}",
            where=path,
            remedy="write it as CF NetCDF, or the frames as .npy (numpy.save)",
        )
    return DataError(
        f"no variable of numbers on a grid (y, x) among {', '.join(arrays[:20])}",
        where=path,
        remedy="name the dims of its rows and columns y and x (or lat and lon), or give their coordinates the CF attribute axis",
    )


def names_on_grid(dataset: xr.Dataset) -> list[str]:
    """The variables of numbers that have the axes y and x."""
    return [
        str(name)
        for name, array in dataset.data_vars.items()
        if array.dtype.kind in "fiu"
        and {"y", "x"} <= set(_roles(dataset, array).values())
        and curvilinear.kind_of(dataset, name) is None
    ]


def _roles(dataset: xr.Dataset, array: xr.DataArray) -> dict[Hashable, str | None]:
    """Which axis of frames each dimension of a variable is: as its coordinate or its name tells, else its latitudes."""
    roles = {dim: _role(dataset, dim) for dim in array.dims}
    return roles if {"y", "x"} & set(roles.values()) else {**roles, **curvilinear.rows_and_columns(dataset, array)}


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
