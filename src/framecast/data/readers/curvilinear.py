"""Curvilinear grids of CF (and of WRF): pixels whose latitudes and longitudes are two-dimensional coordinates."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import xarray as xr

NAME = "name_in_file"
"""The key of the encoding of a coordinate that holds its name in its file."""
_KINDS = {"latitude": ("lat", "xlat", "latitude"), "longitude": ("lon", "xlong", "longitude")}
"""The names of coordinates that have no CF standard name."""
NAMES = (*_KINDS,)


def kind_of(dataset: xr.Dataset, name: Hashable) -> str | None:
    """Which of latitude and longitude a variable is; None if it is neither."""
    stated = str(dataset[name].attrs.get("standard_name", ""))
    return next((kind for kind, names in _KINDS.items() if stated == kind or str(name).lower() in names), None)


def coordinates(dataset: xr.Dataset, array: xr.DataArray) -> dict[str, xr.Variable]:
    """The two-dimensional `latitude` and `longitude` of the pixels of a variable, loaded; none unless there are both. Those that
    are repeated in time, as WRF has them, are taken from the first time."""
    known: dict[str, xr.Variable] = {}
    for name, each in dataset.variables.items():
        kind = kind_of(dataset, name)
        if kind is None or each.ndim not in (2, 3) or not set(each.dims) <= set(array.dims) or not each.size:
            continue
        plane = each if each.ndim == 2 else each.isel({each.dims[0]: 0})
        known.setdefault(kind, plane.astype(np.float64)).encoding[NAME] = str(name)
    return known if len(known) == len(_KINDS) else {}


def rows_and_columns(dataset: xr.Dataset, array: xr.DataArray) -> dict[Hashable, str]:
    """Which dimension is `y` and which is `x`: latitudes change most along the rows' axis. Nothing without coordinates."""
    if not (known := coordinates(dataset, array)):
        return {}
    latitude = known["latitude"]
    steps = [
        float(np.nanmean(np.abs(np.diff(latitude.values, axis=axis)))) if size > 1 else 0.0
        for axis, size in enumerate(latitude.shape)
    ]
    y, x = latitude.dims if steps[0] >= steps[1] else latitude.dims[::-1]
    return {y: "y", x: "x"}
