"""A Forecast as a CF dataset: variables, coordinates, times, and where all of it came from.

What is stated is known: `cell_methods` and the bounds of the times are those of the frames that were read, and absent where these
state none (CF then takes a rate for one at a time). `institution` and `license` are those of the input.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr

from framecast.data.quantities import QUANTITIES
from framecast.forecasting.labels import EVENT, PROBABILITY, QUANTILE, Forecast, values_of
from framecast.forecasting.times import present
from framecast.reading.paths import as_utf8

CONVENTIONS = "CF-1.10"
_KNOWN_METHODS = re.compile(r"((time|area): \w+( \([^)]*\))?\s*)+")
"""Cell methods over what a forecast has too."""
_GLOBAL = ("institution", "license", "training_data_sha256", "repairs", "warnings")
"""Attributes of a forecast that are also those of the file."""
_EPOCH = {"units": "seconds since 1970-01-01", "dtype": "int64"}
_LONG_NAMES = {
    "y": "position of the row",
    "x": "position of the column",
    "channel": "channel",
    "member": "ensemble member",
    "threshold": "rain rate that is reached or exceeded",
    "quantile": "probability of a lower rain rate",
}


def to_dataset(forecast: Forecast) -> xr.Dataset:
    """Convert a Forecast to a CF dataset; `time (init_time, lead_time)` is the valid time of a frame."""
    values = values_of(forecast)
    dataset = _encode(values, "float32").to_dataset(name=str(values.name))
    if isinstance(forecast, xr.Dataset):
        mapping = {name: values.attrs[name] for name in ("grid_mapping",) if name in values.attrs}
        for name in [each for each in (PROBABILITY, EVENT, QUANTILE) if each in forecast]:
            kind = "float32" if name == QUANTILE else "int16"
            dataset[name] = _encode(forecast[name].assign_attrs(mapping), kind)
    variable = dataset[str(values.name)]
    if not _KNOWN_METHODS.fullmatch(str(variable.attrs.get("cell_methods", "")).strip()):
        variable.attrs.pop("cell_methods", None)
    dataset = _with_coordinates(dataset)
    if forecast["init_time"].dtype.kind == "M":
        dataset = _with_times(dataset, forecast, variable.attrs.pop("mean_over_seconds", None))
    dataset.attrs = _global_attributes(forecast, values)
    for each in (dataset, *(dataset[name] for name in dataset.variables)):  # names of files may hold any bytes
        each.attrs = {key: as_utf8(value) if isinstance(value, str) else value for key, value in each.attrs.items()}
    return dataset


def _encode(variable: xr.DataArray, kind: str) -> xr.DataArray:
    """The variable as it is written: numbers as float32, probabilities as int16 in steps of 1/10,000."""
    variable = variable.drop_encoding()  # the encoding of the source files does not apply
    mapping = variable.attrs.pop("grid_mapping", None)
    for name in ("institution", "license"):
        variable.attrs.pop(name, None)
    variable.encoding = {"zlib": True, "complevel": 1, "dtype": kind, "_FillValue": np.float32(np.nan)}
    if kind == "int16":
        variable.encoding |= {"_FillValue": np.int16(-1), "scale_factor": np.float32(1e-4)}
    if mapping is not None:
        variable.encoding["grid_mapping"] = mapping
    return variable


def _with_coordinates(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset with the attributes of its coordinates, but for those of time."""
    if "member" in dataset.dims:
        members = dataset.coords.get("member", np.arange(dataset.sizes["member"]))
        dataset = dataset.assign_coords(
            member=("member", np.asarray(members), {"standard_name": "realization", "units": "1"})
        )
    for name in set(_LONG_NAMES) & set(map(str, dataset.coords)):
        coordinate = dataset[name]
        coordinate.encoding = {"_FillValue": None}  # CF: coordinates have no missing values
        if "standard_name" not in coordinate.attrs:
            coordinate.attrs.setdefault("long_name", _LONG_NAMES[name])
    for name in {"y", "x"} & set(map(str, dataset.coords)):
        attributes = dataset[name].attrs
        if "standard_name" in attributes or str(attributes.get("units", "")).startswith("degree"):
            dataset[name].attrs.setdefault("axis", name.upper())
    if "crs" in dataset.coords:
        mapping = dataset["crs"].attrs
        if (code := _epsg(str(mapping.get("crs_wkt", "")))) is not None:
            mapping.setdefault("epsg_code", f"EPSG:{code}")
        if mapping.get("grid_mapping_name") == "polar_stereographic" and np.size(mapping.get("standard_parallel", ())):
            pole = float(np.copysign(90, np.ravel(mapping["standard_parallel"])[0]))  # CF wants it, PROJ leaves it out
            mapping.setdefault("latitude_of_projection_origin", pole)
    return dataset


def _with_times(dataset: xr.Dataset, forecast: Forecast, mean_over: Any) -> xr.Dataset:
    """The dataset with the attributes of its times, and the valid times; with bounds if a frame is the mean over so many seconds
    before its time."""
    valid = (forecast["init_time"] + forecast["lead_time"]).transpose("init_time", "lead_time").variable
    dataset = dataset.assign_coords(time=(valid.dims, valid.values))
    times = {
        "init_time": {"standard_name": "forecast_reference_time", "long_name": "initial time", "axis": "T"},
        "lead_time": {"standard_name": "forecast_period", "long_name": "lead time"},
        "time": {"standard_name": "time", "long_name": "valid time"},
    }
    for name, attributes in times.items():
        dataset[name].attrs = attributes
        dataset[name].encoding = {"units": "seconds", "dtype": "int64"} if name == "lead_time" else dict(_EPOCH)
        if name != "lead_time":
            dataset[name].attrs["units_metadata"] = "leap_seconds: none"
    if mean_over is not None:
        start = valid.values - np.timedelta64(round(float(mean_over)), "s")
        dataset["time"].attrs["bounds"] = "time_bounds"
        dataset["time_bounds"] = ((*valid.dims, "bound"), np.stack([start, valid.values], axis=-1))
        dataset["time_bounds"].encoding = {**_EPOCH, "_FillValue": None}
    return dataset


def _global_attributes(forecast: Forecast, values: xr.DataArray) -> dict[str, Any]:
    """What a file says of itself: title, history, and where the forecast came from."""
    from framecast import __version__

    stated = {**values.attrs, **forecast.attrs}
    forecaster = str(stated.get("forecaster", "forecast"))
    rung = str(stated.get("framecast_rung", forecaster))
    name = QUANTITIES[values.attrs["quantity"]].title
    init = forecast["init_time"].values
    written = f"{np.datetime_as_string(present(), unit='s')}Z: written by framecast {__version__}"
    begun = f" from {np.datetime_as_string(init[0], unit='s')}Z" if init.dtype.kind == "M" and len(init) == 1 else ""
    return {
        "Conventions": CONVENTIONS,
        "title": f"{name} forecast by {rung}{begun}",
        "source": f"framecast {__version__}, {rung}" + (f" ({forecaster})" if forecaster != rung else ""),
        "history": "\n".join(filter(None, [str(stated.get("history", "")), written])),
        "framecast_version": __version__,
        **{key: stated[key] for key in stated if key.startswith("framecast_")},
        **{key: stated[key] for key in _GLOBAL if stated.get(key)},
    }


@lru_cache(maxsize=32)
def _epsg(wkt: str) -> int | None:
    """The EPSG code of a projection; None where it is not known."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        crs = CRS.from_wkt(wkt) if wkt else None
    except CRSError:
        return None
    if crs is not None and crs.is_bound:  # with a transformation to another datum
        crs = crs.source_crs
    return None if crs is None else crs.to_epsg()
