"""NetCDF files, written into memory first: the HDF5 library crashes when a disk is full.

xarray writes them, with its own store: `Dataset.to_netcdf` imports Dask and `distributed` to look for a cluster. Large compressed
variables are compressed by several threads, since the HDF5 library does that in one.
"""

from __future__ import annotations

import io
import itertools
import os
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from framecast.writing.files import write_bytes

if TYPE_CHECKING:
    import h5py

_LARGE = 2**22
"""Bytes of a variable from which threads are worth while."""


def write_netcdf(
    path: str | Path, dataset: xr.Dataset, sources: Iterable[str | Path] = (), *, overwrite: bool = True
) -> None:
    """Write a dataset as NetCDF in one step; raises what `replacing` raises."""
    write_bytes(path, netcdf_bytes(dataset), sources, overwrite=overwrite)


def netcdf_bytes(dataset: xr.Dataset) -> memoryview:
    """The content of a NetCDF file with this dataset."""
    import h5netcdf  # late: slow to import
    import h5py
    from xarray.backends import H5NetCDFStore

    class Store(H5NetCDFStore):
        """The store of xarray, in which large arrays are compressed by threads."""

        def prepare_variable(self, name: str, variable: xr.Variable, *arguments: Any, **options: Any) -> Any:
            target, data = super().prepare_variable(name, variable, *arguments, **options)  # type: ignore[no-untyped-call]
            stored = file[name]
            return _Chunks(stored) if _is_plain(stored) else target, data

    content = io.BytesIO()
    with h5py.File(content, "w", track_order=True) as file, h5netcdf.File(file, "w") as netcdf:
        dataset.compute().dump_to_store(Store(netcdf))
    return content.getbuffer()


def _is_plain(stored: h5py.Dataset) -> bool:
    """Whether a data set is large, of numbers, and compressed by zlib alone, with or without shuffled bytes."""
    others = stored.fletcher32 or stored.scaleoffset is not None
    return stored.nbytes >= _LARGE and stored.compression == "gzip" and stored.dtype.kind in "iuf" and not others


class _Chunks:
    """A data set that is written as a whole, chunk by chunk."""

    def __init__(self, stored: h5py.Dataset) -> None:
        self._stored, self._sides, self._dtype = stored, stored.chunks, stored.dtype
        self._shuffle, self._level = stored.shuffle, stored.compression_opts

    def __setitem__(self, key: Any, values: np.ndarray) -> None:
        if key is not Ellipsis:
            raise IndexError(f"{key!r} given, all is written at once")
        offsets = [*itertools.product(*map(range, itertools.repeat(0), values.shape, self._sides))]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            chunks = pool.map(lambda offset: self._compress(values, offset), offsets)
            for offset, chunk in zip(offsets, chunks, strict=True):
                self._stored.id.write_direct_chunk(offset, chunk)

    def _compress(self, values: np.ndarray, offset: tuple[int, ...]) -> bytes:
        """The chunk at an offset as it is stored; beyond the end of the array are zeros."""
        part = values[tuple(slice(k, k + side) for k, side in zip(offset, self._sides, strict=True))]
        chunk = np.zeros(self._sides, self._dtype)
        chunk[tuple(map(slice, part.shape))] = part
        if self._shuffle:
            chunk = chunk.reshape(-1).view(np.uint8).reshape(-1, chunk.itemsize).T.copy()
        return zlib.compress(chunk.data, self._level)
