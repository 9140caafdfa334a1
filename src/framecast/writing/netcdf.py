"""NetCDF files, written into memory first: the HDF5 library crashes when a disk is full."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import xarray as xr

from framecast.writing.files import write_bytes


def write_netcdf(
    path: str | Path, dataset: xr.Dataset, sources: Iterable[str | Path] = (), *, overwrite: bool = True
) -> None:
    """Write a dataset as NetCDF in one step; raises what `replacing` raises."""
    write_bytes(path, netcdf_bytes(dataset), sources, overwrite=overwrite)


def netcdf_bytes(dataset: xr.Dataset) -> memoryview:
    """The content of a NetCDF file with this dataset."""
    return memoryview(dataset.to_netcdf(engine="h5netcdf"))
