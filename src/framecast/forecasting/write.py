"""Writing a Forecast as CF NetCDF or Zarr: whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import xarray as xr

from framecast.errors import ConfigError, RunError

SUFFIXES = (".nc", ".zarr")


def check_target(out: Path, *, overwrite: bool = False) -> None:
    """Raise `ConfigError` where a forecast cannot be written to `out`, before anything is computed."""
    if out.suffix not in SUFFIXES:
        raise ConfigError(f"{out.suffix or 'no suffix'} is no format", where=out, remedy=f"use {' or '.join(SUFFIXES)}")
    if out.exists() and not overwrite:
        raise ConfigError("exists already", where=out, remedy="name another file, or allow it with --overwrite")
    if not out.absolute().parent.is_dir():
        raise ConfigError("its folder does not exist", where=out, remedy=f"make {out.parent} first")


def write(forecast: xr.DataArray, out: Path, *, overwrite: bool = False) -> None:
    """Write `forecast` to `out`, NetCDF or Zarr by its suffix, with the grid, projection, init and lead times.

    It is written under a temporary name in the same folder and moved into place. Raises `ConfigError` and `RunError`.
    """
    check_target(out, overwrite=overwrite)
    dataset = to_dataset(forecast)
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        if out.suffix == ".nc":
            dataset.to_netcdf(temporary, engine="h5netcdf")
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(out)
        else:
            dataset.to_zarr(temporary, mode="w", zarr_format=2, consolidated=True)
            shutil.rmtree(out, ignore_errors=True)
            temporary.rename(out)
    except OSError as error:
        raise RunError(f"cannot be written ({error})", where=out) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True) if temporary.is_dir() else temporary.unlink(missing_ok=True)


def to_dataset(forecast: xr.DataArray) -> xr.Dataset:
    """The Forecast as a CF dataset; `time (init_time, lead_time)` is the time a frame is valid."""
    variable = forecast.copy()
    mapping = variable.attrs.pop("grid_mapping", None)
    variable.encoding = {"zlib": True, "complevel": 1, "_FillValue": np.float32(np.nan), "dtype": "float32"}
    if mapping is not None:
        variable.encoding["grid_mapping"] = mapping
    dataset = variable.to_dataset(name=str(forecast.name))
    if forecast["init_time"].dtype.kind == "M":
        valid = (forecast["init_time"] + forecast["lead_time"]).transpose("init_time", "lead_time")
        dataset = dataset.assign_coords(time=valid)
        epoch = {"units": "seconds since 1970-01-01", "dtype": "int64"}
        dataset["init_time"].encoding = dict(epoch)
        dataset["time"].encoding = dict(epoch)
        dataset["lead_time"].encoding = {"units": "seconds", "dtype": "int64"}
        dataset["init_time"].attrs = {"standard_name": "forecast_reference_time"}
        dataset["lead_time"].attrs = {"standard_name": "forecast_period"}
        dataset["time"].attrs = {"standard_name": "time"}
    dataset.attrs = {"Conventions": "CF-1.10", "source": f"framecast, {forecast.attrs.get('forecaster', 'forecast')}"}
    return dataset
