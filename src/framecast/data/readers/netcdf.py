"""Reader of CF NetCDF: version 4 (through h5netcdf) and the classic format (through SciPy).

`from_dataset` also serves the Zarr reader: it finds the variable on a grid, names its axes, and decodes its values (`packing`),
its times (`cf_times`) and amounts (`cf_amounts`). Forecasts are refused by name (`forecast_files`).
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Hashable
from pathlib import Path
from typing import Any

import h5py
import xarray as xr

from framecast.data.frames import with_actions
from framecast.data.quantities import REFLECTIVITY
from framecast.data.readers.cf_amounts import as_rate
from framecast.data.readers.cf_times import decode_times, is_time
from framecast.data.readers.forecast_files import forecast_role, refuse_forecast
from framecast.data.readers.hdf5 import check_dataset, open_hdf5
from framecast.data.readers.options import ReadOptions
from framecast.data.readers.packing import LIBRARY_FILL, Packing, is_class, unpack
from framecast.data.readers.single import first_line
from framecast.errors import DataError, UnreadableFile

RECOGNISES = ["CF NetCDF (.nc)"]

_ENGINES = {b"\x89HDF": "h5netcdf", b"CDF\x01": "scipy", b"CDF\x02": "scipy"}
RAW: dict[str, Any] = {"mask_and_scale": False, "decode_times": False, "decode_timedelta": False, "cache": False}
"""How datasets are opened: as they are stored."""
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
    damaged: type[DataError] = UnreadableFile
    filled: Collection[str] | None = None
    if _ENGINES[signature] == "h5netcdf":
        filled, damaged = _check_datasets(path), DataError  # they are whole: what fails now is not understood
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = xr.open_dataset(path, engine=_ENGINES[signature], **RAW)
    except OSError as error:
        raise UnreadableFile(
            f"the file is incomplete or unreadable ({first_line(error)})", where=path, remedy="fetch the file again"
        ) from error
    except (ValueError, KeyError, TypeError, RuntimeError, AttributeError, IndexError) as error:
        what = "incomplete or unreadable" if damaged is UnreadableFile else "no CF NetCDF that is understood"
        remedy = "fetch the file again" if damaged is UnreadableFile else "expected CF NetCDF; does ncdump -h read it?"
        raise damaged(f"the file is {what} ({first_line(error)})", where=path, remedy=remedy) from error
    return from_dataset(dataset, path, options, filled=dataset.variables if filled is None else filled)


def _check_datasets(path: Path) -> set[str]:
    """The data sets that are filled with the default value of the NetCDF library where nothing was written. Raises `DataError`
    for filters that are not known and for chunks that are too large, `UnreadableFile` for damage."""
    datasets: list[h5py.Dataset] = []
    with open_hdf5(path, RECOGNISES[0]) as file:
        file.visititems(lambda name, item: datasets.append(item) if isinstance(item, h5py.Dataset) else None)
        for dataset in datasets:
            check_dataset(dataset, path)
        return {str(dataset.name).lstrip("/") for dataset in datasets if _has_library_fill(dataset)}


def _has_library_fill(dataset: h5py.Dataset) -> bool:
    default = LIBRARY_FILL.get(dataset.dtype.str[1:])
    defined = dataset.id.get_create_plist().fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED
    return default is not None and defined and dataset.fillvalue == dataset.dtype.type(default)


def from_dataset(
    dataset: xr.Dataset, path: Path | str, options: ReadOptions, *, filled: Collection[Hashable] = ()
) -> xr.DataArray:
    """The frames in a CF dataset that was opened `RAW`, with `time`, `y`, `x` and the grid mapping as the scalar coordinate
    `crs`. Variables in `filled` hold the default fill value of the NetCDF library where nothing was written.

    Dimensions of length 1 that are no axis of frames (a height, a level) are dropped. A variable `actions`, `([sequence,]
    time, A)`, holds the actions of each frame. Raises `DataError`.
    """
    name = _variable(dataset, path, options)
    dataset = _decode(dataset, name, path, filled)
    array = dataset[name]
    refuse_forecast(array, dataset, path)
    stored = array.encoding.get("preferred_chunks") or {}
    roles = {dim: _role(dataset, dim) for dim in array.dims}
    array = array.isel({dim: 0 for dim, role in roles.items() if role is None and array.sizes[dim] == 1})
    axis_of = {dim: roles[dim] or str(dim) for dim in array.dims}
    if len(set(axis_of.values())) < len(axis_of):
        raise DataError(f"two of the dims {tuple(array.dims)} are the same axis of frames", where=path)
    if not all(array.sizes.values()):
        raise DataError(
            f"variable {name!r} of {dict(array.sizes)} holds no frame", where=path, remedy="give files with frames"
        )
    mapping = str(array.attrs.get("grid_mapping") or array.encoding.get("grid_mapping", "")).split(":")[0]
    array = array.drop_vars([name for name in array.coords if name not in array.dims and name in axis_of.values()])
    array = array.rename({dim: name for dim, name in axis_of.items() if dim != name})
    array.encoding["preferred_chunks"] = {axis_of[dim]: size for dim, size in stored.items() if dim in axis_of}
    array = as_rate(_with_time(array, dataset, path, options), dataset, path, options)
    array.attrs = {name: value for name, value in array.attrs.items() if name != "grid_mapping"}
    if mapping in dataset.variables:
        array = array.assign_coords(crs=xr.Variable((), 0, dataset[mapping].attrs))
        array.attrs["grid_mapping"] = "crs"
    known_coordinates = {"time", "y", "x", "channel", "sequence", "crs"}
    array = _in_metres(array.drop_vars([name for name in array.coords if name not in known_coordinates]))
    return with_actions(array, dataset["actions"].values, path) if "actions" in dataset.data_vars else array


def _decode(dataset: xr.Dataset, name: Hashable, path: Path | str, filled: Collection[Hashable]) -> xr.Dataset:
    """The dataset with the values of variable `name` as its attributes declare them, and all others as xarray decodes them; times
    that are not understood are refused if they are those of frames, else left as numbers."""
    variables = {}
    for each, variable in dataset.variables.items():
        if each == name:
            variables[each] = _unpacked(variable, each, path, filled)
            continue
        decoded = _decoded(each, variable)
        if is_time(decoded):
            try:
                times = decode_times(decoded, str(each), path)
                times.encoding = {key: decoded.attrs[key] for key in ("units", "calendar") if key in decoded.attrs}
                decoded = times
            except DataError:
                if _role(dataset, each) == "time" or variable.attrs.get("standard_name") == "time":
                    raise
        variables[each] = decoded
    coordinates = {each: variables.pop(each) for each in dataset.coords}
    return xr.Dataset(variables, coordinates, dataset.attrs)


def _unpacked(variable: xr.Variable, name: Hashable, path: Path | str, filled: Collection[Hashable]) -> xr.Variable:
    """The variable of the frames, with what was not understood of its attributes among its `repairs`."""
    dry = REFLECTIVITY.dry if "dbz" in str(variable.attrs.get("units", "")).lower() else 0.0
    packing = Packing.of(variable, dry_value=dry, where=f"{path}, variable {name!r}", library_fill=name in filled)
    unpacked = unpack(variable, packing)
    unpacked.attrs["repairs"] = [*variable.attrs.get("repairs", []), *packing.notes]
    return unpacked


def _decoded(name: Hashable, variable: xr.Variable) -> xr.Variable:
    """A variable other than that of the frames, scaled and masked; one whose attributes xarray refuses, as it is stored."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return xr.conventions.decode_cf_variable(name, variable, decode_times=False, decode_timedelta=False)
        except (ValueError, TypeError, KeyError, OverflowError):
            return variable


def _in_metres(array: xr.DataArray) -> xr.DataArray:
    """Coordinates in kilometres as metres, the unit that a grid mapping has unless it says otherwise."""
    for axis in ("y", "x"):
        if axis in array.coords and array[axis].attrs.get("units") in ("km", "kilometer", "kilometre", "kilometers"):
            metres = array[axis].variable * 1000.0
            metres.attrs = {**array[axis].attrs, "units": "m"}
            array = array.assign_coords({axis: metres})
    return array


def _variable(dataset: xr.Dataset, path: Path | str, options: ReadOptions) -> Hashable:
    """The name of the variable that holds frames. Raises `DataError` if there is none, if it holds classes, or if there is more
    than one and no `options.variable`."""
    if options.variable is not None:
        if options.variable not in dataset.data_vars:
            raise DataError(
                f"no variable {options.variable!r}",
                where=path,
                remedy=f"variables: {', '.join(map(str, dataset.data_vars))}",
            )
        if is_class(dataset[options.variable].variable):
            raise _class_error(dataset, options.variable, path)
        return options.variable
    names = [
        name
        for name, array in dataset.data_vars.items()
        if {"y", "x"} <= {_role(dataset, dim) for dim in array.dims} and array.dtype.kind in "fiu"
    ]
    classes = [name for name in names if is_class(dataset[name].variable)]
    if classes and len(classes) == len(names):
        raise _class_error(dataset, classes[0], path)
    names = [name for name in names if name not in classes]
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
    return names[0]


def _class_error(dataset: xr.Dataset, name: Hashable, path: Path | str) -> DataError:
    meanings = str(dataset[name].attrs["flag_meanings"]).split()
    return DataError(
        f"variable {name!r} holds classes ({', '.join(meanings[:5])}{', ...' * (len(meanings) > 5)}), not values of a quantity",
        where=path,
        remedy="name a variable of rain, reflectivity or intensity",
        parameter="variable",
        example="NAME",
    )


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
        scalar = [
            name
            for name, value in dataset.variables.items()
            if value.ndim == 0 and value.dtype.kind == "M" and forecast_role(dataset, name) is None
        ]
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
