"""A product as CF NetCDF: one file a product, all its lead times or windows in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from framecast.data.orientation import CURVILINEAR
from framecast.forecasting.products import Format, Output
from framecast.forecasting.products.fields import RATE, Field
from framecast.forecasting.products.source import Source, origin_of
from framecast.writing.netcdf import netcdf_bytes

_STANDARD = {"member": "realization", "quantile": "quantile"}


def write(field: Field, output: Output) -> list[Path]:
    """Write `NAME.nc`."""
    return [output.write(f"{field.name}.nc", netcdf_bytes(to_dataset(field, output.source)))]


def to_dataset(field: Field, source: Source) -> xr.Dataset:
    """The field with the dims `([axis,] lead_time, y, x)`; lead times are the ends of spans, whose begins are in the bounds."""
    seconds = np.rint(60 * np.array(field.spans)).astype("timedelta64[s]").astype("timedelta64[ns]")
    init = source.init_time.astype("datetime64[ns]")
    coordinates = {
        name: source.values[name].variable for name in ("y", "x", "crs", *CURVILINEAR) if name in source.values.coords
    }
    dims: tuple[str, ...] = ("lead_time", "y", "x")
    if field.axis is not None:
        dims = (field.axis.name, *dims)
        attributes = {"units": field.axis.units}
        if standard := _STANDARD.get(field.axis.name):
            attributes["standard_name"] = standard
        coordinates[field.axis.name] = xr.Variable((field.axis.name,), np.array(field.axis.values), attributes)
    coordinates |= {
        "init_time": xr.Variable((), init, {"standard_name": "forecast_reference_time"}),
        "lead_time": xr.Variable(
            ("lead_time",), seconds[:, 1], {"standard_name": "forecast_period", "bounds": "lead_time_bounds"}
        ),
        "time": xr.Variable(
            ("lead_time",), init + seconds[:, 1], {"standard_name": "time", "axis": "T", "bounds": "time_bounds"}
        ),
    }
    values = xr.Variable(dims, field.values if field.axis is not None else field.values[0], _attributes(field, source))
    values.encoding = {"zlib": True, "complevel": 1, "dtype": "uint16", "scale_factor": field.kind.step}
    values.encoding |= {"_FillValue": np.uint16(2**16 - 1)}
    values.values = np.minimum(values.values, np.float32((2**16 - 2) * field.kind.step))
    bounds = {"lead_time_bounds": seconds, "time_bounds": init + seconds}
    dataset = xr.Dataset(
        {field.kind.variable: values, **{name: (("lead_time", "bounds"), each) for name, each in bounds.items()}},
        coordinates,
    )
    for name in ("lead_time", "lead_time_bounds"):
        dataset[name].encoding = {"units": "seconds", "dtype": "int64"}
    for name in ("init_time", "time", "time_bounds"):
        dataset[name].encoding = {"units": "seconds since 1970-01-01", "dtype": "int64"}
    for name in {"y", "x", *CURVILINEAR} & set(dataset.coords):
        dataset[name].encoding = {"_FillValue": None}
    dataset.attrs = {
        "Conventions": "CF-1.10",
        "title": f"{field.description}, forecast by {source.name}",
        "source": f"framecast, {source.name}",
        **origin_of(source.forecast),
    }
    return dataset


def _attributes(field: Field, source: Source) -> dict[str, str]:
    kind = field.kind
    attributes = {"units": kind.units, "long_name": field.description, "method": field.method}
    if kind.standard_name is not None and field.axis is None:
        attributes["standard_name"] = kind.standard_name
    if kind.cell_methods is not None and (kind is not RATE or "mean_over_seconds" in source.values.attrs):
        attributes["cell_methods"] = kind.cell_methods
    if "crs" in source.values.coords:
        attributes["grid_mapping"] = "crs"
    return attributes


NETCDF = Format("netcdf", "CF NetCDF, one file a product.", lambda source: None, write)
