"""Zarr stores with CF metadata, as xarray writes them."""

from __future__ import annotations

import warnings
from pathlib import Path

import xarray as xr

from framecast.data.readers.netcdf import from_dataset
from framecast.data.readers.options import Options
from framecast.errors import Unreadable

RECOGNISES = ["Zarr stores (folders with zarr.json or .zgroup)"]


def recognises(path: Path) -> bool:
    """By the metadata at its root."""
    return path.is_dir() and any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zmetadata"))


def read(path: Path | str, options: Options) -> xr.DataArray:
    """The one variable on a grid (or `options.variable`). `path` may be an address that fsspec understands. Raises
    `DataError` and `Unreadable`."""
    consolidated = _consolidated(path) if isinstance(path, Path) else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # that a remote store without consolidated metadata is slow
            dataset = xr.open_zarr(path, chunks=None, decode_timedelta=False, consolidated=consolidated)
    except Exception as error:  # zarr has no common error; whatever it raises, this store cannot be opened
        raise Unreadable(f"the store is incomplete or unreadable ({error})", where=path) from error
    return from_dataset(dataset, path, options)


def _consolidated(path: Path) -> bool:
    """Whether the root lists the metadata of all arrays."""
    root = path / "zarr.json"
    return (path / ".zmetadata").is_file() or (root.is_file() and b'"consolidated_metadata"' in root.read_bytes())
