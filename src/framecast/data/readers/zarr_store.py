"""Reader of Zarr stores with CF metadata, local or remote, as xarray and `framecast convert` write them."""

from __future__ import annotations

import warnings
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import xarray as xr
import zarr
from zarr.abc.store import Store

from framecast.data.lazy import lazy_variable
from framecast.data.readers.limits import check_chunk
from framecast.data.readers.netcdf import from_dataset
from framecast.data.readers.options import ReadOptions
from framecast.data.readers.outside import check_store, protocol_of
from framecast.data.readers.single import first_line
from framecast.data.readers.zarr_pipeline import PIPELINE
from framecast.data.readers.zarr_shards import Shards
from framecast.errors import DataError, UnreadableFile

REMOTE_TIMEOUT = 120.0
"""Seconds after which an answer of a remote store is no longer waited for."""
RECOGNISES = ["Zarr stores (folders with zarr.json or .zgroup)"]


def recognises(path: Path) -> bool:
    """True for a folder with Zarr metadata at its root."""
    return path.is_dir() and any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zmetadata"))


def read(path: Path | str, options: ReadOptions) -> xr.DataArray:
    """The one variable on a grid (or `options.variable`). `path` may be the address of a remote store. Raises `DataError`
    and `UnreadableFile`."""
    check_store(path)
    store = _remote_store(path) if isinstance(path, str) else path
    is_consolidated = _is_consolidated(path) if isinstance(path, Path) else None
    try:
        with warnings.catch_warnings(), zarr.config.set({} if isinstance(store, str) else PIPELINE):
            warnings.simplefilter("ignore", RuntimeWarning)  # that a remote store without consolidated metadata is slow
            warnings.filterwarnings("ignore", "Array is unsupported")  # zarrs leaves some to zarr
            dataset = xr.open_zarr(store, chunks=None, decode_timedelta=False, consolidated=is_consolidated)
        if isinstance(path, Path):
            dataset = _with_fast_arrays(dataset, path)
    except Exception as error:  # zarr has no common error; whatever it raises, this store cannot be opened
        if isinstance(path, str) and protocol_of(path) != "file":
            raise DataError(
                f"the store cannot be opened ({first_line(error)})",
                where=path,
                remedy="look at the address and the connection, and try again",
            ) from error
        raise UnreadableFile(f"the store is incomplete or unreadable ({first_line(error)})", where=path) from error
    for name, array in dataset.data_vars.items():
        check_chunk(path, str(name), array.encoding.get("chunks") or (), array.dtype.itemsize)
    return from_dataset(dataset, path, options)


def _with_fast_arrays(dataset: xr.Dataset, path: Path) -> xr.Dataset:
    """The dataset, in which `Shards` reads the arrays whose storage it supports."""
    arrays = {}
    for name, array in dataset.data_vars.items():
        shards = Shards.of(path / str(name))
        if shards is not None and shards.shape == array.shape:
            arrays[name] = lazy_variable(array.dims, array.shape, shards.read)
            arrays[name].attrs, arrays[name].encoding = array.attrs, array.encoding
    return dataset.assign(arrays)


def _remote_store(address: str) -> Store | str:
    """The store at an address: through obstore if it is installed and supports the address, else through fsspec."""
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
                "allow_http": protocol_of(address) == "http",
            },
            retry_config={"max_retries": 2, "retry_timeout": limit},
        )
        return ObjectStore(store, read_only=True)
    except Exception:  # it has no common error either
        return _fsspec_store(address)


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
