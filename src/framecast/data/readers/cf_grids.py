"""What the attributes of CF say of the grid of a variable: its grid mapping, whether its coordinates are middles of pixels."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence

import numpy as np
import xarray as xr

from framecast.data.readers.grids import crs_of
from framecast.data.readers.positions import DEGREES, ROTATED, units_of
from framecast.data.spacing import ROUNDED

_MAPPINGS = re.compile(r"(\w+):\s*((?:\w+(?!\w*:)\s*)*)")
"""A grid mapping and the coordinates that it is of."""


def mapping_name(array: xr.DataArray) -> str:
    """The name of the grid mapping of a variable; of several, "MAPPING: COORDINATE ...", that of the coordinates of its dims."""
    stated = str(array.attrs.get("grid_mapping") or array.encoding.get("grid_mapping", ""))
    names = {name: each.split() for name, each in _MAPPINGS.findall(stated)}
    return next((name for name in names if set(map(str, array.dims)) & {*names[name]}), stated.split(":")[0])


def with_centres(array: xr.DataArray, dataset: xr.Dataset, dims: Sequence[Hashable]) -> xr.DataArray:
    """The array with the middles of its pixels as coordinates of `dims`, where their bounds say that those stand at edges."""
    for dim in (dim for dim in dims if dim in array.coords):
        bounds = dataset.variables.get(str(array[dim].attrs.get("bounds")))
        if bounds is None or bounds.shape != (array.sizes[dim], 2) or bounds.dtype.kind not in "fiu":
            continue
        edges = bounds.values.astype(np.float64)
        middles, size = edges.mean(1), float(np.abs(np.diff(edges, axis=1)).min())
        if np.isfinite(middles).all() and (np.abs(middles - array[dim].values) > ROUNDED * size).any():
            array = array.assign_coords({dim: xr.Variable((dim,), middles, array[dim].attrs)})
            message = f"the coordinates {str(dim)!r} stand at edges of pixels: the middles of their bounds were taken"
            array.attrs = {**array.attrs, "repairs": [*array.attrs.get("repairs", []), message]}
    return array


def states_place(dataset: xr.Dataset, array: xr.DataArray, mapping: str) -> bool:
    """Whether the coordinates of a variable and its grid mapping, of that name, tell where its pixels lie."""
    named = {str(dim).lower() for dim in array.dims if dim in array.coords}
    if mapping in dataset.variables:
        return bool(named) and not isinstance(crs_of(dataset[mapping].attrs), str)
    standards = {str(array[dim].attrs.get("standard_name")) for dim in array.dims if dim in array.coords}
    degrees = [dim for dim in array.dims if dim in array.coords and units_of(array[dim]).startswith(DEGREES)]
    return len(degrees) > 1 and not ROTATED & (named | standards)
