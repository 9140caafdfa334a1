"""Lets xarray work without importing Dask.

Where Dask is installed, xarray imports it to ask of each array whether it is one of Dask's, which takes 0.4 s. Before Dask is
imported, none is. The two places where xarray asks are not public: if they are not as expected, Dask is imported as before.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

from xarray.namedarray import pycompat, utils


class _LateModule:
    """What xarray knows of Dask: until that is imported, no type of arrays."""

    def __getattr__(self, name: str) -> Any:
        if name == "type" and "dask.array" not in sys.modules:
            return ()
        known = pycompat.DuckArrayModule("dask")
        if known.type:  # imported to its end
            pycompat._cached_duck_array_modules["dask"] = known
        return getattr(known, name)


def _install() -> None:
    """Replace what xarray asks."""
    asked: Any = utils.is_dask_collection
    modules: dict[Any, Any] = pycompat._cached_duck_array_modules
    modules.setdefault("dask", _LateModule())
    vars(utils)["is_dask_collection"] = lambda x: "dask.base" in sys.modules and asked(x)


with suppress(AttributeError):  # of another version of xarray
    _install()
