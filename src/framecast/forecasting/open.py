"""Opens forecasts: those that framecast has written, and CF NetCDF, Zarr or ODIM HDF5 of others with initial times
and lead times."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from framecast.checks import as_path, refuses_arrays
from framecast.data.lazy import Change, LazyArray, cached, lazy_variable
from framecast.data.quantities import QUANTITIES, with_dry
from framecast.data.readers import netcdf, odim, zarr_store
from framecast.data.readers.cf_axes import roles_of
from framecast.data.readers.cf_grids import mapping_name
from framecast.data.readers.cf_times import seconds_of
from framecast.data.readers.compressed import opener_of
from framecast.data.readers.forecast_files import forecast_role, refuse_forecast, stated_run
from framecast.data.readers.grids import grid_mapping, projection
from framecast.data.readers.odim_forecast import open_odim_forecast
from framecast.data.readers.options import ReadOptions
from framecast.data.readers.positions import positioned
from framecast.data.units import identify, resolve_units, standard_name
from framecast.errors import DataError
from framecast.forecasting.labels import DIMS, EVENT, MEMBER_DIMS, PROBABILITY, QUANTILE
from framecast.forecasting.probability_files import is_probability, joined, levels_of

_AXES = {"run": "init_time", "lead": "lead_time", "member": "member"}
"""The dimensions of a forecast by the roles of variables and dimensions."""
_DERIVED = {PROBABILITY, EVENT, QUANTILE}
_LEVELS = ("threshold", "quantile")
"""Dimensions of what is derived from a distribution."""
_ORIGIN = ("training_data_sha256", "run", "source", "history")
"""Global attributes that tell where a forecast comes from; those of framecast begin with its name."""


@refuses_arrays
def open_forecast(path: str | Path, *, variable: str | None = None, units: str | None = None) -> xr.Dataset:
    """A forecast as a Dataset with the dims of framecast, `(init_time, [member,] lead_time, channel, y, x)`, lazy, in physical
    units; its attribute `values` names the variable of the values. `framecast.plot` and `framecast.write` take it.

    `path` is NetCDF or a Zarr store: of framecast, or of another with an initial time (CF: forecast_reference_time) and lead
    times (forecast_period), or valid times in their place; or ODIM HDF5 with fields after its nominal time. `variable` is needed
    where several could be meant, `units` where the file states none. A file of probabilities alone has the variable
    `exceedance_probability (init_time, threshold, lead_time, y, x)`, thresholds in mm/h, and no attribute `values`; `units` are
    those of its thresholds. Raises `DataError` for another file, by what it lacks.
    """
    source = as_path(path, "the path of a forecast", "path")
    if odim.recognises(source):
        stored, name = open_odim_forecast(source, variable)
        dataset = stored
    else:
        stored, (name, *others) = _variables(source, variable)
        dataset = netcdf.decode(stored, name, source)
        if is_probability(stored[name]):
            return _of_probabilities(dataset, [name, *others], units, source)
    values = _with_axes(dataset, dataset[name], source)
    values = _in_own_units(values, units, source)
    parts = {str(name): values}
    for extra in _DERIVED & set(map(str, dataset.data_vars)):
        parts[extra] = _with_axes(dataset, dataset[extra], source)
    parts = {key: _from_file(part, source) for key, part in parts.items()}
    return xr.Dataset(parts, attrs={**_origin(stored), **values.attrs, "values": str(name)})


def _from_file(array: xr.DataArray, path: Path) -> xr.DataArray:
    """The array, read once, with the file that what is made of it must not replace."""
    array = array.copy(data=cached(array))
    array.encoding["sources"] = {str(path)}
    return array


def _origin(stored: xr.Dataset) -> dict[str, Any]:
    """The global attributes that tell where a forecast comes from."""
    return {str(key): text for key, text in stored.attrs.items() if key in _ORIGIN or str(key).startswith("framecast_")}


def _of_probabilities(dataset: xr.Dataset, names: Sequence[str], units: str | None, path: Path) -> xr.Dataset:
    """A forecast of probabilities alone. Raises `DataError`."""
    levels = levels_of(dataset, names, units, path)
    arrays = []
    for level in levels:
        array = _with_axes(dataset, level.array, path).isel(channel=0)
        arrays.append(xr.DataArray(changed(array, level.turned, path), array.coords))
    probability = _from_file(joined(levels, arrays), path)
    return xr.Dataset({PROBABILITY: probability}, attrs={**_origin(dataset), "forecaster": path.stem})


def _variables(path: Path, variable: str | None) -> tuple[xr.Dataset, list[str]]:
    """The dataset, and the name of the variable of the forecast; of several, if they are all probabilities. Raises
    `DataError`."""
    if not path.exists():
        raise DataError("no such file or folder", where=path, remedy="give a forecast as NetCDF or a Zarr store")
    reader = zarr_store if zarr_store.recognises(path) else netcdf if netcdf.recognises(path) else None
    if reader is None and opener_of(path) is not None:
        raise DataError("a compressed file", where=path, remedy="expand it first (gunzip, bunzip2, unxz)")
    if reader is None:
        raise DataError(
            "neither NetCDF nor a Zarr store",
            where=path,
            remedy="write the forecast as .nc or .zarr; an animation holds no values",
        )
    dataset, options = reader.groups_of(path).find(path, ReadOptions(variable=variable))
    if options.variable is not None:
        if options.variable not in dataset.data_vars:
            present = ", ".join(map(str, dataset.data_vars))
            raise DataError(f"no variable {options.variable!r}", where=path, remedy=f"variables: {present}")
        return dataset, [options.variable]
    on_grid = netcdf.names_on_grid(dataset)
    names = [name for name in on_grid if name not in _DERIVED] or [name for name in on_grid if name == PROBABILITY]
    if len(names) != 1 and not (names and all(is_probability(dataset[name]) for name in names)):
        what = f"several variables on a grid: {', '.join(names)}" if names else "no variable on a grid (y, x)"
        raise DataError(what, where=path, remedy="name one", parameter="variable", example=(names or ["NAME"])[0])
    return dataset, names


def _with_axes(dataset: xr.Dataset, array: xr.DataArray, path: Path) -> xr.DataArray:
    """The variable with the dims and coordinates of a forecast. Raises `DataError` without an initial time or lead times."""
    original = array
    array = _named(dataset, array)
    array = array.isel(
        {dim: 0 for dim in array.dims if array.sizes[dim] == 1 and dim not in (*MEMBER_DIMS, "time", *_LEVELS)}
    )
    if "init_time" not in array.coords and (reference := _reference(dataset)) is not None:
        array = array.assign_coords(init_time=reference)
    if "init_time" not in array.coords:
        raise _without_run(original, dataset, path)
    if "lead_time" not in array.coords:
        array = _leads_of_valid_times(array, path)
    added = {"init_time", "lead_time", "y", "x"}
    if not set(_LEVELS) & set(map(str, array.dims)):
        added.add("channel")
    dims = tuple(dim for dim in ("init_time", *_LEVELS, *MEMBER_DIMS[1:]) if dim in {*array.dims, *added})
    if not set(array.dims) <= set(dims) or not {"y", "x"} <= set(array.dims):
        raise DataError(
            f"dims {tuple(map(str, array.dims))} of {array.name!r} are not those of a forecast",
            where=path,
            remedy=f"expected {DIMS}",
        )
    known = {*dims, "member", "crs", "latitude", "longitude"}
    mapping = mapping_name(array)
    array.attrs.pop("grid_mapping", None)
    if mapping in dataset.variables:
        array = array.assign_coords(crs=xr.Variable((), 0, dataset[mapping].attrs))
        array.attrs["grid_mapping"] = "crs"
    elif _is_of_pysteps(dataset) and "projection" in dataset.attrs:
        crs = projection(str(dataset.attrs["projection"]), path)
        array = array.assign_coords(crs=xr.Variable((), 0, grid_mapping(crs)))
        array.attrs["grid_mapping"] = "crs"
    array = array.drop_vars([name for name in array.coords if name not in known])
    return _read_later(positioned(array, path), dims, path)


def _read_later(array: xr.DataArray, dims: tuple[str, ...], path: Path) -> xr.DataArray:
    """The array as float32 with the dims `dims`, missing ones of length 1: what is asked for is read from the file, no more."""
    leads = _as_leads(array["lead_time"], path)
    order = np.argsort(leads, kind="stable")
    if (np.diff(order) < 0).any():  # lead times are looked up in ascending order
        array, leads = array.isel(lead_time=order), leads[order]
    values = changed(array, _as_float32, path, dims)
    coordinates = {name: each.variable for name, each in array.coords.items()}
    for name, each in coordinates.items():
        if name in dims and not each.ndim:
            coordinates[name] = each.set_dims((name,))
    coordinates["lead_time"] = xr.Variable(("lead_time",), leads)
    return xr.DataArray(values, coordinates, name=array.name)


def changed(array: xr.DataArray, change: Change, path: Path, dims: tuple[str, ...] | None = None) -> xr.Variable:
    """The variable of an array as float32 with `change` applied to what is read of it, and with the dims `dims`."""
    source = LazyArray(array, dims or tuple(map(str, array.dims)), change, str(path))
    values = lazy_variable(dims or array.dims, source.shape, source.__getitem__)
    values.attrs = dict(array.attrs)
    return values


def _as_float32(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32, copy=False)


def _scaled(factor: float, offset: float, values: np.ndarray) -> np.ndarray:
    return np.asarray(values * np.float32(factor) + np.float32(offset))


def _is_of_pysteps(dataset: xr.Dataset) -> bool:
    """Whether pysteps wrote it: its NetCDF has valid times in seconds since the initial time, and a projection of PROJ."""
    return str(dataset.attrs.get("source", "")).startswith("pysteps")


def _named(dataset: xr.Dataset, array: xr.DataArray) -> xr.DataArray:
    """The variable with the names of framecast for its dims and for scalar coordinates of time."""
    names: dict[Hashable, str] = {}
    for dim, role in roles_of(dataset, array).items():
        axis = _axis(dataset, dim) or role
        if axis is not None and axis != dim:
            names[dim] = axis
    for name, coordinate in dataset.variables.items():
        axis = _axis(dataset, name)
        if axis is not None and coordinate.ndim == 0 and axis not in (*names.values(), *map(str, array.dims)):
            array = array.assign_coords({axis: coordinate})
    names = {dim: axis for dim, axis in names.items() if axis not in array.dims}
    array = array.drop_vars([axis for axis in names.values() if axis in array.coords], errors="ignore")
    return array.rename({**names})


def _axis(dataset: xr.Dataset, name: Hashable) -> str | None:
    """Which axis of a forecast a dimension or variable is, by its standard name or its name."""
    return _AXES.get(str(forecast_role(dataset, name)))


def _reference(dataset: xr.Dataset) -> np.datetime64 | None:
    """The initial time that a file states in another way: from which pysteps counts its times, as a global attribute, or as valid
    times with a lead time each. None where it states none."""
    run = _reference_of_pysteps(dataset) or stated_run(dataset)
    if run is not None or "time" not in dataset.variables or dataset["time"].dtype.kind != "M":
        return run
    leads = [dataset[name] for name in dataset.variables if _axis(dataset, name) == "lead_time"]
    for lead in leads:
        seconds = seconds_of(lead.attrs.get("units"))
        if lead.dims != dataset["time"].dims or seconds is None:
            continue
        runs = np.unique(dataset["time"].values - (lead.values * (seconds * 1e9)).astype("timedelta64[ns]"))
        if len(runs) == 1:
            return np.datetime64(runs[0], "ns")
    return None


def _reference_of_pysteps(dataset: xr.Dataset) -> np.datetime64 | None:
    """The initial time of a file of pysteps (`export_forecast_dataset`): that from which its times are counted, which it states
    nowhere else. None for a file of others, who count from any date."""
    if "time" not in dataset.variables or not _is_of_pysteps(dataset):
        return None
    _, since, date = str(dataset["time"].encoding.get("units", "")).partition(" since ")
    return np.datetime64(date.strip().replace(" ", "T"), "ns") if since else None


def _without_run(array: xr.DataArray, dataset: xr.Dataset, path: Path) -> DataError:
    """The error for a forecast without an initial time, or for observations."""
    try:
        refuse_forecast(array, dataset, path)
    except DataError:
        what = f"{array.name!r} has no initial time"
        remedy = "add one: dataset.assign_coords(forecast_reference_time=numpy.datetime64('YYYY-MM-DDTHH:MM', 'ns')) in xarray"
    else:
        what = f"{array.name!r} is no forecast: it has no initial time"
        remedy = "expected a coordinate with the CF standard name forecast_reference_time; observations: framecast.open"
    return DataError(what, where=path, remedy=remedy)


def _leads_of_valid_times(array: xr.DataArray, path: Path) -> xr.DataArray:
    """Lead times from the valid times of one run. Raises `DataError` if there are none, or several runs."""
    if "time" not in array.dims or array["init_time"].size != 1 or array["time"].dtype.kind != "M":
        raise DataError(
            f"{array.name!r} has no lead times",
            where=path,
            remedy="expected a coordinate with the CF standard name forecast_period, or the valid times of one initial time",
        )
    leads = array["time"].values - np.asarray(array["init_time"].values).ravel()[0]
    return array.rename(time="lead_time").assign_coords(lead_time=("lead_time", leads))


def _as_leads(leads: xr.DataArray, path: Path) -> np.ndarray:
    """Lead times as timedelta64, or numbers of steps where they have no unit. Raises `DataError` for another unit, and for one
    that is missing or stated twice."""
    values = np.atleast_1d(leads.values)
    units = str(leads.attrs.get("units", "")).strip().lower()
    if values.dtype.kind in "fm" and np.isnan(values).any():
        raise DataError(
            "a lead time is missing", where=path, remedy="state the lead time of each field, or leave it out"
        )
    if len(np.unique(values)) < len(values):
        raise DataError(
            "a lead time is stated twice", where=path, remedy="correct the lead times, or leave a field out"
        )
    if values.dtype.kind == "m":
        return np.asarray(values.astype("timedelta64[ns]"))
    seconds = seconds_of(units)
    if values.dtype.kind not in "iuf" or (seconds is None and units not in ("", "1")):
        raise DataError(
            f"lead times of {values.dtype} in {units or 'no unit'}", where=path, remedy="expected hours or minutes"
        )
    if seconds is None:
        return np.asarray(values.astype(np.int64))
    return np.asarray(np.rint(values * (seconds * 1e9)).astype("timedelta64[ns]"))


def _in_own_units(values: xr.DataArray, units: str | None, path: Path) -> xr.DataArray:
    """The values in the unit of their quantity, with the attributes that framecast gives. Raises `DataError`."""
    name, attributes = str(values.name), dict(values.attrs)
    stated = resolve_units(
        units, attributes.get("units"), variable=name, where=path, standard_name=attributes.get("standard_name")
    )
    quantity, factor, offset, dry = identify(stated, variable=name, where=path)
    own = attributes.get("quantity") == quantity.name and attributes.get("quantity") in QUANTITIES
    if dry is not None or (own and "dry" in attributes):
        quantity = with_dry(quantity, float(attributes["dry"] if own else dry))  # type: ignore[arg-type]
    if factor != 1 or offset:
        scaled = changed(values, partial(_scaled, factor, offset), path)
        values = xr.DataArray(scaled, values.coords, name=values.name)
    values.attrs = {
        **attributes,
        "units": quantity.units,
        "quantity": quantity.name,
        "dry": quantity.dry,
        "forecaster": str(attributes.get("forecaster", path.stem)),
    }
    if repairs := values.attrs.pop("repairs", []):
        values.attrs["repairs"] = "\n".join(map(str, repairs))
    if cf_name := standard_name(attributes.get("standard_name"), quantity):
        values.attrs["standard_name"] = cf_name
    return values
