"""Arrays that lie in a file and are read where they are asked for: nothing more is read than what a slice holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from framecast.errors import FramecastError, Unreadable

Change = Callable[[np.ndarray], np.ndarray]


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
        try:
            values = self._variable.isel({dim: place[str(dim)] for dim in known}).values
        except FramecastError:
            raise
        except Exception as error:  # each library has errors of its own; the file is named whatever it is
            raise Unreadable(f"cannot be read ({error})", where=self._where, remedy="fetch the file again") from error
        values = values.transpose([known.index(dim) for dim in self._dims if dim in known])
        values = values[tuple(slice(None) if dim in known else np.newaxis for dim in self._dims)]
        values = values[tuple(slice(None) if dim in known else place[dim] for dim in self._dims)]
        single = tuple(0 if isinstance(k, int | np.integer) else slice(None) for k in key)
        return self._change(values)[single]
