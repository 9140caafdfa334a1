"""Arrays that lie in files and are read where they are asked for: nothing more is read than what a slice holds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from framecast.errors import FramecastError, Unreadable

Change = Callable[[np.ndarray], np.ndarray]

KEPT_IN_MEMORY = 2 * 2**30
"""Bytes up to which an archive, decoded to float32, is read once and kept; a larger one is read window by window."""


class Stored:
    """An array as NumPy slices it, over one that xarray reads lazily, with the dims `dims`, missing ones of length 1, and
    `change` applied to what is read. Dask asks it for the part of a piece that is needed, not for the piece. Whatever goes
    wrong in reading is raised as `Unreadable`."""

    dtype = np.dtype(np.float32)

    def __init__(self, array: xr.DataArray, dims: tuple[str, ...], change: Change, where: str) -> None:
        self._variable, self._dims, self._change, self._where = array.variable, dims, change, where
        self.shape = tuple(array.sizes.get(dim, 1) for dim in dims)
        self.ndim = len(dims)

    def __getitem__(self, key: tuple[Any, ...]) -> np.ndarray:
        known = self._variable.dims
        place = {
            dim: slice(k, k + 1) if isinstance(k, int | np.integer) else k
            for dim, k in zip(self._dims, key, strict=True)
        }
        values = _read(self._variable.isel({dim: place[str(dim)] for dim in known}), self._where)
        values = values.transpose([known.index(dim) for dim in self._dims if dim in known])
        values = values[tuple(slice(None) if dim in known else np.newaxis for dim in self._dims)]
        values = values[tuple(slice(None) if dim in known else place[dim] for dim in self._dims)]
        single = tuple(0 if isinstance(k, int | np.integer) else slice(None) for k in key)
        return self._change(values)[single]


class Row:
    """Single frames, one from each file, as one array `(time, ...)`: however many they are, they are one array to Dask."""

    def __init__(self, files: Sequence[str], variable: Callable[[int], xr.Variable], shape: Sequence[int]) -> None:
        """`variable` gives the lazy frame of each of the files, by number, all of one `shape`."""
        self._files, self._variable = files, variable
        self.dtype = np.dtype(np.float32)
        self.shape = (len(files), *shape)
        self.ndim = len(self.shape)

    def __getitem__(self, key: tuple[Any, ...]) -> np.ndarray:
        numbers = np.arange(len(self._files))[key[0]]
        frames = [self._read(int(number), key[1:]) for number in np.atleast_1d(numbers)]
        if not frames:
            return np.empty((0, *self.shape[1:]), dtype=self.dtype)[(slice(None), *key[1:])]
        return np.stack(frames) if np.ndim(numbers) else frames[0]

    def _read(self, number: int, key: tuple[Any, ...]) -> np.ndarray:
        values = _read(self._variable(number), self._files[number])
        return np.asarray(values.astype(self.dtype, copy=False)[key])


class Parts:
    """Parts of frames, as they are asked for. Frames of up to `KEPT_IN_MEMORY` bytes are decoded once, at the first; where others
    are one stored array, and nothing else, it is sliced itself: planning with Dask takes longer than reading a window."""

    def __init__(self, frames: xr.DataArray) -> None:
        self.frames = frames
        self._stored = _behind(frames.data) if frames.chunks is not None else None
        self._kept: np.ndarray | None = None
        self._lock = threading.Lock()

    def read(self, **place: slice) -> np.ndarray:
        """The values in `place`, all along the dimensions that it does not name."""
        key = tuple(place.get(str(dim), slice(None)) for dim in self.frames.dims)
        if self.frames.nbytes <= KEPT_IN_MEMORY:
            return self._whole()[key]
        if self._stored is not None:
            return self._stored[key]
        return np.asarray(self.frames[key].variable.compute(scheduler="synchronous").values)

    def _whole(self) -> np.ndarray:
        with self._lock:
            if self._kept is None:
                self._kept = np.asarray(self.frames.values).view()  # the frames themselves may be somebody's
                self._kept.flags.writeable = False
            return self._kept


def _behind(array: da.Array) -> Stored | None:
    """What a Dask array was made of by `from_array`: Dask keeps it in its graph, under the name of that array only."""
    name = f"original-{array.name}"
    found = array.dask.layers.get(name, {}).get(name)
    return found if isinstance(found, Stored) else None


def _read(variable: xr.Variable, where: str) -> np.ndarray:
    """The values of a lazy variable. Raises `DataError`."""
    try:
        return np.asarray(variable.compute(scheduler="synchronous").values)
    except FramecastError:
        raise
    except Exception as error:  # each library has errors of its own; the file is named whatever it is
        raise Unreadable(f"cannot be read ({error})", where=where, remedy="fetch the file again") from error
