"""Reader of Zarr stores with CF metadata, local or remote, as xarray and `framecast convert` write them."""

from __future__ import annotations

import base64
import binascii
import os
import struct
import warnings
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from framecast.data.lazy import lazy_variable
from framecast.data.quantities import REFLECTIVITY
from framecast.data.readers.groups import Groups
from framecast.data.readers.limits import check_chunk
from framecast.data.readers.netcdf import RAW, from_dataset, names_on_grid
from framecast.data.readers.options import ReadOptions
from framecast.data.readers.outside import check_store, protocol_of
from framecast.data.readers.single import first_line
from framecast.errors import DataError, UnreadableFile

if TYPE_CHECKING:
    import zarr
    from zarr.abc.store import Store

REMOTE_TIMEOUT = 120.0
"""Seconds after which an answer of a remote store is no longer waited for."""
_ENDPOINTS = ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
"""Variables of the environment that hold the address of an object store with the interface of S3."""
_NAMED_DIMENSIONS = (
    "write it as xarray does, a group with named dimensions and times: xarray.Dataset(...).to_zarr(PATH); "
    "or write the frames as .npy"
)
RECOGNISES = ["Zarr stores (folders with zarr.json or .zgroup)"]


def recognises(path: Path) -> bool:
    """True for a folder with Zarr metadata at its root."""
    names = ("zarr.json", ".zgroup", ".zarray", ".zmetadata")
    return os.path.isdir(path) and any(os.path.isfile(path / name) for name in names)  # False without permission


def read(path: Path | str, options: ReadOptions) -> xr.DataArray:
    """The one variable on a grid (or `options.variable`). `path` may be the address of a remote store. Raises `DataError`
    and `UnreadableFile`."""
    dataset, options = groups_of(path).find(path, options)
    for name, array in dataset.data_vars.items():
        check_chunk(path, str(name), array.encoding.get("chunks") or (), array.dtype.itemsize)
    return from_dataset(dataset, path, options)


def groups_of(path: Path | str) -> Groups:
    """The groups of a store. Raises `DataError` for one that holds what lies outside of it."""
    check_store(path)
    store = _remote_store(path) if isinstance(path, str) else path
    return Groups(lambda: _group_paths(store, path), lambda group: _open(store, path, group), names_on_grid)


def _open(store: Store | str | Path, path: Path | str, group: str) -> xr.Dataset:
    """The dataset of a group. Raises `UnreadableFile`."""
    import zarr  # late, here and below: slow to import, and not needed to recognise a store

    from framecast.data.readers.zarr_pipeline import PIPELINE

    is_consolidated = False if group else _is_consolidated(path) if isinstance(path, Path) else None
    try:
        with warnings.catch_warnings(), zarr.config.set({} if isinstance(store, str) else PIPELINE):
            warnings.simplefilter("ignore")  # that a store is not consolidated, that zarrs leaves an array to zarr
            data_store = xr.backends.ZarrStore.open_group(
                store, mode="r", group=group or None, consolidated=is_consolidated, use_zarr_fill_value_as_mask=True
            )
            dataset = _with_declared_fill(xr.open_dataset(data_store, **RAW), data_store.zarr_group)
        if not isinstance(path, Path):
            return dataset
        _check_arrays(dataset, path / group)
        return _with_fast_arrays(dataset, path / group)
    except UnreadableFile:
        raise
    except Exception as error:  # zarr has no common error; whatever it raises, this store cannot be opened
        raise _refusal(error, path) from error


def _refusal(error: Exception, path: Path | str) -> DataError:
    """Why a store cannot be opened, of which zarr or xarray raised an `error`."""
    import zarr

    if isinstance(error, KeyError) and any(name in str(error) for name in ("dimension_names", "_ARRAY_DIMENSIONS")):
        return DataError("its arrays do not name their dimensions", where=path, remedy=_NAMED_DIMENSIONS)
    old_array = isinstance(path, Path) and (path / ".zarray").is_file()
    if old_array or isinstance(error, zarr.errors.ContainsArrayError):
        what = "a single Zarr array, without times and the names of its dimensions"
        return DataError(what, where=path, remedy=_NAMED_DIMENSIONS)
    if isinstance(path, str) and protocol_of(path) != "file":
        what = f"the store cannot be opened ({first_line(error)})"
        return DataError(what, where=path, remedy="look at the address and the connection, and try again")
    return _damage(first_line(error), path)


def _damage(what: str, path: Path | str) -> UnreadableFile:
    return UnreadableFile(f"the store is incomplete or unreadable ({what})", where=path, remedy="fetch the store again")


def _check_arrays(dataset: xr.Dataset, folder: Path) -> None:
    """Raise `UnreadableFile` for arrays that the root lists and that are gone: Zarr would read a fill value, maybe dry."""
    gone = [
        str(name)
        for name in dataset.variables
        if not any((folder / str(name) / metadata).is_file() for metadata in ("zarr.json", ".zarray"))
    ]
    if gone:
        raise _damage(f"its list of arrays holds {', '.join(gone[:5])}, of which nothing is stored", folder)


def _group_paths(store: Store | str | Path, path: Path | str) -> list[str]:
    """The paths of all groups below the root. Raises `UnreadableFile`."""
    import zarr

    try:
        members = zarr.open_group(store, mode="r").members(max_depth=None)
        return sorted(name for name, member in members if isinstance(member, zarr.Group))
    except Exception as error:
        raise _damage(first_line(error), path) from error


def _with_declared_fill(dataset: xr.Dataset, group: zarr.Group) -> xr.Dataset:
    """The dataset with the attribute `_FillValue` where one is declared.

    That is the attribute of the array, and in a store of version 2 also its `fill_value`, where xarray writes it. A `fill_value`
    that means dry (0 as stored, or -32 dBZ) is a value: it is the default of zarr, and saves the chunks of dry frames. In version
    3 `fill_value` is always a value.
    """
    for name, variable in dataset.variables.items():
        array: Any = group[str(name)]
        declared = _number(array.attrs.get("_FillValue"))
        fill, notes = array.fill_value, []
        variable.attrs.pop("_FillValue", None)
        if declared is None and group.metadata.zarr_format == 2 and fill is not None and variable.dtype.kind in "iuf":
            if _is_dry(float(fill), variable.attrs):
                notes = [
                    f"the fill value {fill:g} of the Zarr array is read as a value: no attribute _FillValue declares it"
                ]
            elif not np.isnan(fill):
                declared, notes = fill, [f"the fill value {fill:g} of the Zarr array is read as no data"]
        if declared is not None:
            variable.attrs["_FillValue"] = declared
        if variable.ndim > 1 and notes:
            variable.attrs["repairs"] = notes
    return dataset


def _number(value: Any) -> Any:
    """A `_FillValue` as a number: xarray writes floating-point ones as base64. Others as they are."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        pass
    try:
        return struct.unpack("<d", base64.standard_b64decode(value))[0]
    except (struct.error, binascii.Error):
        return value


def _is_dry(fill: float, attributes: dict[Any, Any]) -> bool:
    """Whether a fill value is 0 as stored, or the usual value of no echo."""
    values = (attributes.get("scale_factor", 1), attributes.get("add_offset", 0))
    factor, offset = (float(value) if isinstance(value, int | float) else np.nan for value in values)
    in_dbz = "dbz" in str(attributes.get("units", "")).lower()
    return fill == 0 or (in_dbz and bool(np.isclose(fill * factor + offset, REFLECTIVITY.dry)))


def _with_fast_arrays(dataset: xr.Dataset, path: Path) -> xr.Dataset:
    """The dataset, in which `Shards` reads the arrays whose storage it supports."""
    from framecast.data.readers.zarr_shards import Shards

    arrays = {}
    for name, array in dataset.data_vars.items():
        shards = Shards.of(path / str(name))
        if shards is not None and shards.shape == array.shape:
            arrays[name] = lazy_variable(array.dims, array.shape, shards.read)
            arrays[name].attrs, arrays[name].encoding = array.attrs, array.encoding
    return dataset.assign(arrays)


def _remote_store(address: str) -> Store | str:
    """The store at an address: through obstore if it is installed and supports the address, else through fsspec."""
    import zarr

    if zarr.config.get("async.timeout") is None:  # without one, a server that stops answering is waited for without end
        zarr.config.set({"async.timeout": REMOTE_TIMEOUT})
    if find_spec("obstore") is None:
        return _fsspec_store(address)
    from obstore.store import from_url
    from zarr.storage import ObjectStore

    timeout, limit = (timedelta(seconds=seconds) for seconds in (REMOTE_TIMEOUT / 4, REMOTE_TIMEOUT / 2))
    try:
        store = from_url(
            address,
            client_options={
                "timeout": timeout,
                "connect_timeout": timeout,
                "allow_http": protocol_of(address) == "http" or _has_plain_endpoint(),
            },
            retry_config={"max_retries": 2, "retry_timeout": limit},
        )
        return ObjectStore(store, read_only=True)
    except Exception:  # it has no common error either
        return _fsspec_store(address)


def _has_plain_endpoint() -> bool:
    """Whether the environment names an object store without encryption, as many have in their own network. obstore leaves what
    the environment says of HTTP out where it is given other options."""
    return any(os.environ.get(name, "").lower().startswith("http://") for name in _ENDPOINTS)


def _fsspec_store(address: str) -> Store | str:
    """The store at an address through fsspec, of a web server with a limit of time."""
    if protocol_of(address) not in ("http", "https") or find_spec("aiohttp") is None:
        return address
    from aiohttp import ClientTimeout
    from zarr.storage import FsspecStore

    options = {"client_kwargs": {"timeout": ClientTimeout(total=REMOTE_TIMEOUT / 4)}}
    return FsspecStore.from_url(address, storage_options=options, read_only=True)


def _is_consolidated(path: Path) -> bool:
    """Whether the root lists the metadata of all arrays."""
    root = path / "zarr.json"
    return (path / ".zmetadata").is_file() or (root.is_file() and b'"consolidated_metadata"' in root.read_bytes())
