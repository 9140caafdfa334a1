"""Reader of CF NetCDF: version 4 (through h5netcdf) and the classic format (through SciPy).

`from_dataset` also serves the Zarr reader: it finds the variable on a grid, names its axes (`cf_axes`), and decodes its values
(`packing`), its times (`cf_times`, `cf_frame_times`) and amounts (`cf_amounts`). Forecasts are refused by name
(`forecast_files`). A variable in a group is named by its path, `GROUP/NAME`. On a curvilinear grid the two-dimensional
`latitude` and `longitude` are kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import xarray as xr

from framecast.data.frames import with_actions
from framecast.data.quantities import REFLECTIVITY
from framecast.data.readers import curvilinear
from framecast.data.readers.benchmark_sets import set_of_hdf5
from framecast.data.readers.cf_amounts import as_rate
from framecast.data.readers.cf_axes import role_of, roles_of
from framecast.data.readers.cf_frame_times import NAMES, with_frame_times, with_scalar_time
from framecast.data.readers.cf_grids import mapping_name, states_place, with_centres
from framecast.data.readers.cf_times import decode_text, decode_times, is_time
from framecast.data.readers.forecast_files import refuse_forecast, refuse_forecast_dims, says_forecast
from framecast.data.readers.groups import Groups
from framecast.data.readers.hdf5 import check_dataset, open_hdf5
from framecast.data.readers.options import ReadOptions
from framecast.data.readers.packing import LIBRARY_FILL, Packing, is_class, unpack
from framecast.data.readers.single import first_line
from framecast.errors import DataError, UnreadableFile

RECOGNISES = ["CF NetCDF (.nc)"]

_ENGINES = {b"\x89HDF": "h5netcdf", b"CDF\x01": "scipy", b"CDF\x02": "scipy"}
RAW: dict[str, Any] = {"mask_and_scale": False, "decode_times": False, "decode_timedelta": False, "cache": False}
"""How datasets are opened: as they are stored."""
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
    dataset, options = groups_of(path).find(path, options)
    return from_dataset(dataset, path, options)


def groups_of(path: Path) -> Groups:
    """The groups of a file, checked as far as that can be before it is read. Raises `DataError` and `UnreadableFile`."""
    with path.open("rb") as file:
        signature = file.read(4)
    if signature == b"CDF\x05":
        raise DataError("classic NetCDF with 64-bit data is not understood", where=path, remedy="nccopy -k nc4 IN OUT")
    if signature not in _ENGINES:
        what = "is empty" if not signature else "does not begin as a NetCDF file does"
        raise UnreadableFile(f"the file {what}", where=path, remedy="expected CF NetCDF or HDF5; fetch the file again")
    engine = _ENGINES[signature]
    structure = _check_structure(path) if engine == "h5netcdf" else _Structure([], None)
    return Groups(lambda: structure.groups, lambda group: _open(path, engine, group, structure.filled), names_on_grid)


class _Structure(NamedTuple):
    """The paths of the groups of a file that hold data sets, without the root, and of the data sets that are filled with the
    default value of the NetCDF library where nothing was written; None for all."""

    groups: list[str]
    filled: set[str] | None


def _open(path: Path, engine: str, group: str, filled: set[str] | None) -> xr.Dataset:
    """The dataset of a group, `RAW`. Raises `DataError` for HDF5 that is no NetCDF, and `UnreadableFile`."""
    more: dict[str, Any] = {"group": group or None, "phony_dims": "access"} if engine == "h5netcdf" else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = xr.open_dataset(path, engine=engine, **more, **RAW)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, IndexError) as error:
        if engine == "h5netcdf" and not isinstance(error, OSError):  # its structure is whole: see _check_structure
            plain = _is_plain_hdf5(path)
            problem = (
                "HDF5, but no NetCDF: its data sets have no dimension scales"
                if plain
                else "NetCDF that is not understood"
            )
            raise DataError(
                f"{problem} ({first_line(error)})",
                where=path,
                remedy="write it as CF NetCDF, or the frames as .npy (numpy.save)",
            ) from error
        raise UnreadableFile(
            f"the file is incomplete or unreadable ({first_line(error)})", where=path, remedy="fetch the file again"
        ) from error
    for name, variable in dataset.variables.items():
        fill = LIBRARY_FILL.get(variable.dtype.str[1:]) if variable.ndim > 1 else None
        if fill is not None and (filled is None or f"{group}/{name}".strip("/") in filled):
            variable.attrs.setdefault("_FillValue", variable.dtype.type(fill))
    return dataset


def _check_structure(path: Path) -> _Structure:
    """The structure of an HDF5 file. Raises `DataError` for filters that are not known, chunks that are too large and files of a
    benchmark set, `UnreadableFile` for damage."""
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
        filled = {str(dataset.name).strip("/") for dataset in datasets if _has_library_fill(dataset)}
        return _Structure([group for group in dict.fromkeys(groups) if group], filled)


def _is_plain_hdf5(path: Path) -> bool:
    """Whether no data set of a file is a dimension scale, as those of NetCDF are."""
    scales: list[str] = []
    with open_hdf5(path, RECOGNISES[0]) as file:
        file.visititems(
            lambda name, item: scales.append(name) if isinstance(item, h5py.Dataset) and item.is_scale else None
        )
    return not scales


def _has_library_fill(dataset: h5py.Dataset) -> bool:
    default = LIBRARY_FILL.get(dataset.dtype.str[1:])
    defined = dataset.id.get_create_plist().fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED
    return default is not None and defined and dataset.fillvalue == dataset.dtype.type(default)


def from_dataset(dataset: xr.Dataset, path: Path | str, options: ReadOptions) -> xr.DataArray:
    """The frames in a CF dataset that was opened `RAW`, with `time`, `y`, `x` and the grid mapping as the scalar coordinate
    `crs`.

    Dimensions of length 1 that are no axis of frames (a height, a level) are dropped. A variable `actions`, `([sequence,]
    time, A)`, holds the actions of each frame. Raises `DataError`.
    """
    name = _variable(dataset, path, options)
    dataset = with_frame_times(decode(dataset, name, path), name, path)
    array = dataset[name]
    refuse_forecast(array, dataset, path)
    stored = array.encoding.get("preferred_chunks") or {}
    roles = roles_of(dataset, array)
    array = array.isel({dim: 0 for dim, role in roles.items() if role is None and array.sizes[dim] == 1})
    if others := [str(dim) for dim in array.dims if roles[dim] is None]:
        raise DataError(
            f"variable {name!r} has the dims {tuple(map(str, array.dims))}, of which {', '.join(others)} "
            f"{'is no axis' if len(others) == 1 else 'are no axes'} of frames",
            where=path,
            remedy=f"select one of each, and write it: xarray.open_dataset(FILE).isel({others[0]}=0).to_netcdf(OUT); "
            "an axis of time is named time, one of channels channel",
        )
    axis_of = {dim: str(roles[dim]) for dim in array.dims}
    if len(set(axis_of.values())) < len(axis_of):
        raise DataError(f"two of the dims {tuple(array.dims)} are the same axis of frames", where=path)
    if not all(array.sizes.values()):
        raise DataError(
            f"variable {name!r} of {dict(array.sizes)} holds no frame", where=path, remedy="give files with frames"
        )
    mapping = mapping_name(array)
    array = with_centres(array, dataset, [dim for dim, axis in axis_of.items() if axis in ("y", "x")])
    geographic = {} if states_place(dataset, array, mapping) else curvilinear.coordinates(dataset, array)
    array = array.drop_vars([name for name in array.coords if name not in array.dims and name in axis_of.values()])
    array = array.drop_vars(curvilinear.NAMES, errors="ignore").assign_coords(geographic)
    array = array.rename({dim: name for dim, name in axis_of.items() if dim != name})
    for dim, name in axis_of.items():
        if name in ("y", "x") and name in array.coords:
            array[name].encoding[curvilinear.NAME] = str(dim)
    array = array.assign_coords({name: array[name].transpose("y", "x") for name in geographic})
    array.encoding["preferred_chunks"] = {axis_of[dim]: size for dim, size in stored.items() if dim in axis_of}
    array = as_rate(_with_time(array, dataset, path, options), dataset, path, options)
    array.attrs = {name: value for name, value in array.attrs.items() if name != "grid_mapping"}
    if mapping in dataset.variables:
        array = array.assign_coords(crs=xr.Variable((), 0, dataset[mapping].attrs))
        array.attrs["grid_mapping"] = "crs"
    if hint := says_forecast(array, dataset):
        array.attrs["repairs"] = [
            *array.attrs.get("repairs", []),
            f"{hint}: forecasts are opened with framecast.open_forecast",
        ]
    stated = {name: dataset.attrs[name] for name in ("institution", "license") if dataset.attrs.get(name)}
    array.attrs = {**stated, **array.attrs}
    known_coordinates = {"time", "y", "x", "channel", "sequence", "crs", *geographic}
    array = array.drop_vars([name for name in array.coords if name not in known_coordinates])
    return with_actions(array, dataset["actions"].values, path) if "actions" in dataset.data_vars else array


def decode(dataset: xr.Dataset, name: Hashable, path: Path | str) -> xr.Dataset:
    """The dataset with the values of variable `name` as its attributes declare them, and all others as xarray decodes them; times
    that are not understood are refused if they are those of frames, else left as numbers."""
    variables = {}
    for each, variable in dataset.variables.items():
        if each == name:
            variables[each] = _unpacked(variable, each, path)
            continue
        decoded = _decoded(each, variable)
        if is_time(decoded):
            try:
                times = decode_times(decoded, str(each), path)
                times.encoding = {key: decoded.attrs[key] for key in ("units", "calendar") if key in decoded.attrs}
                decoded = times
            except DataError:
                if role_of(dataset, each) == "time" or variable.attrs.get("standard_name") == "time":
                    raise
        elif str(each).lower() in NAMES or variable.attrs.get("standard_name") == "time":
            decoded = decode_text(decoded)
        variables[each] = decoded
    coordinates = {each: variables.pop(each) for each in dataset.coords}
    return xr.Dataset(variables, coordinates, dataset.attrs)


def _unpacked(variable: xr.Variable, name: Hashable, path: Path | str) -> xr.Variable:
    """The variable of the frames, with what was not understood of its attributes among its `repairs`."""
    dry = REFLECTIVITY.dry if "dbz" in str(variable.attrs.get("units", "")).lower() else 0.0
    packing = Packing.of(variable, dry_value=dry, where=f"{path}, variable {name!r}")
    unpacked = unpack(variable, packing)
    stated = variable.attrs.get("repairs", [])  # of frames and forecasts that were written
    unpacked.attrs["repairs"] = [*(stated.splitlines() if isinstance(stated, str) else stated), *packing.notes]
    return unpacked


def _decoded(name: Hashable, variable: xr.Variable) -> xr.Variable:
    """A variable other than that of the frames, scaled and masked; one whose attributes xarray refuses, as it is stored."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return xr.conventions.decode_cf_variable(name, variable, decode_times=False, decode_timedelta=False)
        except (ValueError, TypeError, KeyError, OverflowError):
            return variable


def _variable(dataset: xr.Dataset, path: Path | str, options: ReadOptions) -> Hashable:
    """The name of the variable that holds frames. Raises `DataError` if there is none, if it holds classes, or if there is more
    than one and no `options.variable`."""
    if options.variable is not None:
        if options.variable not in dataset.data_vars:
            raise DataError(
                f"no variable {options.variable!r}",
                where=path,
                remedy=f"variables: {', '.join(map(str, dataset.data_vars)) or 'none at the root'}",
            )
        if is_class(dataset[options.variable].variable):
            raise _class_error(dataset, options.variable, path)
        return options.variable
    names = names_on_grid(dataset)
    for name in names:
        refuse_forecast_dims(dataset[name], dataset, path)
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
    if is_class(dataset[names[0]].variable):
        raise _class_error(dataset, names[0], path)
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
    """The variables of numbers that have the axes y and x; those of classes only where there are no others."""
    names = [
        str(name)
        for name, array in dataset.data_vars.items()
        if array.dtype.kind in "fiu"
        and {"y", "x"} <= set(roles_of(dataset, array).values())
        and curvilinear.kind_of(dataset, name) is None
    ]
    return [name for name in names if not is_class(dataset[name].variable)] or names


def _with_time(array: xr.DataArray, dataset: xr.Dataset, path: Path | str, options: ReadOptions) -> xr.DataArray:
    """Times from the coordinate, from a scalar variable, or from the stated step.

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
        return with_scalar_time(array, dataset, path)
    if options.time_step is None and array.sizes["time"] > 1:
        raise DataError(
            f"the {array.sizes['time']} frames of variable {array.name!r} have no time coordinate",
            where=path,
            remedy="state the minutes between frames",
            parameter="time_step",
            example=5,
        )
    return array
