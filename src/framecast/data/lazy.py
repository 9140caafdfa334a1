"""Lazy arrays: read slices of arrays in files, and cache small archives in memory. The basis of all readers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from framecast.data import forks as forks  # registers what makes reading safe after a fork
from framecast.data import late_dask as late_dask  # lets xarray work without importing Dask
from framecast.errors import FramecastError, UnreadableFile, resource_errors

if TYPE_CHECKING:
    import dask.array as da

Change = Callable[[np.ndarray], np.ndarray]
Selection = tuple[int | slice, ...]
"""Integers and slices that select a part of an array, as in NumPy."""

FRAME_CACHE_BYTES = 2 * 2**30
"""Bytes of frames, decoded to float32, that a process reads once and keeps, archives whole and clips frame by frame; what
finds no room is read window by window."""


@contextmanager
def in_own_threads() -> Iterator[None]:
    """Within this context Dask computes in threads of this process, without importing `distributed` to look for a cluster; if the
    program has imported it, as it chooses."""
    if "distributed" in sys.modules:
        yield
        return
    with ExitStack() as stack:
        token = _OWN_THREADS.set(stack)
        try:
            if "dask" in sys.modules:
                dask_arrays()
            yield
        finally:
            _OWN_THREADS.reset(token)


def dask_arrays() -> ModuleType:
    """The module `dask.array`, imported at its first use, since that is slow and many a forecast does without."""
    import dask.array
    from dask import threaded

    if (stack := _OWN_THREADS.get()) is not None:
        stack.enter_context(dask.config.set(scheduler=threaded.get))
        _OWN_THREADS.set(None)
    return dask.array


_OWN_THREADS: ContextVar[ExitStack | None] = ContextVar("own_threads", default=None)
"""What to undo at the end of `in_own_threads`, until the scheduler is set."""


class _Backend(BackendArray):
    """The interface of xarray for an array that it reads lazily."""

    dtype = np.dtype(np.float32)

    def __init__(self, shape: tuple[int, ...], read: Callable[[Selection], np.ndarray]) -> None:
        self.shape, self._read = shape, read

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        basic = indexing.IndexingSupport.BASIC
        part: np.ndarray = indexing.explicit_indexing_adapter(key, self.shape, basic, self._read)
        return part


def lazy_variable(
    dims: Sequence[Hashable], shape: Sequence[int], read: Callable[[Selection], np.ndarray]
) -> xr.Variable:
    """A variable of float32 whose parts `read` returns, as xarray has those of its own files: Dask would take as long to plan a
    frame as many a frame takes to decode."""
    return xr.Variable(dims, indexing.LazilyIndexedArray(_Backend(tuple(shape), read)))


def cached(array: xr.DataArray) -> Any:
    """The lazy data of an array, read once where they are asked for as a whole, as xarray has those of the files that it opens;
    parts are read anew."""
    wrappers: Any = indexing
    return wrappers.CopyOnWriteArray(wrappers.MemoryCachedArray(array.variable._data))


class LazyArray:
    """An array as NumPy slices it, over one that xarray reads lazily, with the dims `dims`, missing ones of length 1, and
    `change` applied to what is read. Dask reads only the part of a chunk that is needed. Errors in
    reading are raised as `UnreadableFile`."""

    dtype = np.dtype(np.float32)

    def __init__(self, array: xr.DataArray, dims: tuple[str, ...], change: Change, where: str) -> None:
        self._variable, self._dims, self._change, self._where = array.variable, dims, change, where
        self.shape = tuple(array.sizes.get(dim, 1) for dim in dims)
        self.ndim = len(dims)

    def __getitem__(self, key: tuple[Any, ...]) -> np.ndarray:
        known = self._variable.dims
        selection = {
            dim: slice(k, k + 1) if isinstance(k, int | np.integer) else k
            for dim, k in zip(self._dims, key, strict=True)
        }
        values = _read(self._variable.isel({dim: selection[str(dim)] for dim in known}), self._where)
        values = values.transpose([known.index(dim) for dim in self._dims if dim in known])
        values = values[tuple(slice(None) if dim in known else np.newaxis for dim in self._dims)]
        values = values[tuple(slice(None) if dim in known else selection[dim] for dim in self._dims)]
        single = tuple(0 if isinstance(k, int | np.integer) else slice(None) for k in key)
        return self._change(values)[single]


def stack_files(files: Sequence[str], variable: Callable[[int], xr.Variable], first: xr.Variable) -> xr.Variable:
    """Single frames, one from each file, along time: however many they are, they are one array to Dask. `variable` gives the lazy
    frame of each of the files, by number, all of the dims and shape of the `first`."""

    def read_frame(number: int, selection: Selection) -> np.ndarray:
        values = _read(variable(number), files[number])
        part = np.asarray(values.astype(np.float32, copy=False)[selection])
        return part if part.size == values.size else part.copy()  # a view would keep the whole frame in memory

    def read(selection: Selection) -> np.ndarray:
        time_key, *pixel_key = selection
        if not isinstance(time_key, slice):
            return read_frame(int(time_key), tuple(pixel_key))
        frames = [read_frame(number, tuple(pixel_key)) for number in range(len(files))[time_key]]
        return np.stack(frames) if frames else np.empty((0, *first.shape), np.float32)[(slice(None), *pixel_key)]

    return lazy_variable(("time", *map(str, first.dims)), (len(files), *first.shape), read)


class ArrayReader:
    """Parts of frames, as they are asked for. Where the frames are one stored array, and nothing else, it is sliced itself:
    planning with Dask takes longer than reading a window."""

    def __init__(self, frames: xr.DataArray) -> None:
        self.frames = frames
        self._stored = _lazy_source(frames.data) if frames.chunks is not None else None
        self._cache: np.ndarray | None = None
        self._lock = threading.Lock()

    def read(self, **selection: slice) -> np.ndarray:
        """The values in `selection`, all along the dimensions that it does not name. Frames for which there is room in
        `FRAME_CACHE_BYTES` are decoded once, at the first call, and kept."""
        return self._all_frames()[self._key(selection)] if self.is_kept else self.decode(**selection)

    def decode(self, **selection: slice) -> np.ndarray:
        """The same, read and decoded now."""
        key = self._key(selection)
        if self._stored is not None:
            return self._stored[key]
        return np.asarray(self.frames[key].variable.compute(scheduler="synchronous").values)

    def _key(self, selection: Mapping[str, slice]) -> tuple[slice, ...]:
        return tuple(selection.get(str(dim), slice(None)) for dim in self.frames.dims)

    @cached_property
    def is_kept(self) -> bool:
        """Whether the frames are decoded once and kept in memory."""
        return reserve_memory(self, self.frames.nbytes)

    def _all_frames(self) -> np.ndarray:
        with self._lock:
            if self._cache is None:
                self._cache = np.asarray(self.frames.values).view()  # the frames themselves may be used elsewhere
                self._cache.flags.writeable = False
            return self._cache


def reserve_memory(owner: object, size: int) -> bool:
    """Reserve `size` bytes of `FRAME_CACHE_BYTES` for `owner`; False where they do not fit. They are free again when the owner
    is garbage collected."""
    with _RESERVED_LOCK:
        if fits := sum(_RESERVED.values()) + size <= FRAME_CACHE_BYTES:
            _RESERVED[owner] = _RESERVED.get(owner, 0) + size
        return fits


_RESERVED: WeakKeyDictionary[object, int] = WeakKeyDictionary()
_RESERVED_LOCK = threading.Lock()


def _lazy_source(array: da.Array) -> LazyArray | None:
    """The source of a Dask array made by `from_array`: Dask keeps it in its graph, under the name of that array only."""
    name = f"original-{array.name}"
    layer = array.dask.layers.get(name, {}).get(name)
    return layer if isinstance(layer, LazyArray) else None


def _read(variable: xr.Variable, where: str) -> np.ndarray:
    """The values of a lazy variable. Raises `DataError` and `ResourceError`."""
    try:
        with resource_errors(where):
            return np.asarray(variable.compute(scheduler="synchronous").values)
    except FramecastError:
        raise
    except Exception as error:  # libraries raise errors of many kinds; the message names the file
        raise UnreadableFile(f"cannot be read ({error})", where=where, remedy="fetch the file again") from error
