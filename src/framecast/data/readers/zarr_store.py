"""Reader of Zarr stores with CF metadata, local or remote, as xarray and `framecast convert` write them."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path

import xarray as xr
import zarr
from zarr.abc.store import Store

from framecast.data.lazy import lazy_variable
from framecast.data.readers.groups import Groups
from framecast.data.readers.limits import check_chunk
from framecast.data.readers.netcdf import from_dataset, names_on_grid
from framecast.data.readers.options import ReadOptions
from framecast.data.readers.zarr_shards import Shards
from framecast.errors import UnreadableFile

RECOGNISES = ["Zarr stores (folders with zarr.json or .zgroup)"]
PIPELINE = {"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}
"""Reads the many small chunks of a window three times as fast as zarr's own. Given several threads it writes them in no
particular order."""


def recognises(path: Path) -> bool:
    """True for a folder with Zarr metadata at its root."""
    return path.is_dir() and any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zmetadata"))


def read(path: Path | str, options: ReadOptions) -> xr.DataArray:
    """The one variable on a grid (or `options.variable`). `path` may be the address of a remote store. Raises `DataError`
    and `UnreadableFile`."""
    store = _remote_store(path) if isinstance(path, str) else path
    groups = Groups(lambda: _group_paths(store, path), lambda group: _open(store, path, group), names_on_grid)
    dataset, options = groups.find(path, options)
    for name, array in dataset.data_vars.items():
        check_chunk(path, str(name), array.encoding.get("chunks") or (), array.dtype.itemsize)
    return from_dataset(dataset, path, options)


def _open(store: Store | str | Path, path: Path | str, group: str) -> xr.Dataset:
    """The dataset of a group. Raises `UnreadableFile`."""
    is_consolidated = False if group else _is_consolidated(path) if isinstance(path, Path) else None
    try:
        with warnings.catch_warnings(), zarr.config.set({} if isinstance(store, str) else PIPELINE):
            warnings.simplefilter("ignore", RuntimeWarning)  # that a remote store without consolidated metadata is slow
            warnings.filterwarnings("ignore", "Array is unsupported")  # zarrs leaves some to zarr
            dataset = xr.open_zarr(
                store, chunks=None, decode_timedelta=False, consolidated=is_consolidated, group=group or None
            )
        return _with_fast_arrays(dataset, path / group) if isinstance(path, Path) else dataset
    except Exception as error:  # zarr has no common error; whatever it raises, this store cannot be opened
        raise UnreadableFile(f"the store is incomplete or unreadable ({error})", where=path) from error


def _group_paths(store: Store | str | Path, path: Path | str) -> list[str]:
    """The paths of all groups below the root. Raises `UnreadableFile`."""
    try:
        members = zarr.open_group(store, mode="r").members(max_depth=None)
        return sorted(name for name, member in members if isinstance(member, zarr.Group))
    except Exception as error:
        raise UnreadableFile(f"the store is incomplete or unreadable ({error})", where=path) from error


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
    if find_spec("obstore") is None:
        return address
    from obstore.store import from_url
    from zarr.storage import ObjectStore

    try:
        return ObjectStore(from_url(address), read_only=True)
    except Exception:  # it has no common error either
        return address


def _is_consolidated(path: Path) -> bool:
    """Whether the root lists the metadata of all arrays."""
    root = path / "zarr.json"
    return (path / ".zmetadata").is_file() or (root.is_file() and b'"consolidated_metadata"' in root.read_bytes())
