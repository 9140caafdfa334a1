"""Which axis of frames each dimension of a CF variable is: by its attributes, its name, or the latitudes along it."""

from __future__ import annotations

from collections.abc import Hashable

import xarray as xr

from framecast.data.readers import curvilinear
from framecast.data.readers.forecast_files import forecast_role

AXES = {
    "y": (
        *("y", "lat", "latitude", "projection_y_coordinate", "grid_latitude", "rlat", "northing", "nj", "j"),
        *("south_north", "row", "rows"),
    ),
    "x": (
        *("x", "lon", "longitude", "projection_x_coordinate", "grid_longitude", "rlon", "easting", "ni", "i"),
        *("west_east", "col", "cols", "column", "columns"),
    ),
    "time": ("time", "valid_time", "t"),
    "channel": ("channel", "band"),
    "sequence": ("sequence", "clip", "sample"),
}
"""The names and CF standard names of each axis of frames, in small letters."""
_CF_AXES = {"x": "x", "y": "y", "t": "time"}
"""The axes that the CF attribute `axis` states, in small letters."""


def roles_of(dataset: xr.Dataset, array: xr.DataArray) -> dict[Hashable, str | None]:
    """Which axis of frames each dimension of a variable is: as its coordinate or its name tells, else its latitudes."""
    roles = {dim: role_of(dataset, dim) for dim in array.dims}
    times = [dim for dim, role in roles.items() if role == "time"]
    if len(times) > 1:  # a second one of length 1 is that of a run or an analysis
        roles |= {dim: None for dim in times if array.sizes[dim] == 1 and str(dim).lower() not in AXES["time"]}
    return roles if {"y", "x"} & set(roles.values()) else {**roles, **curvilinear.rows_and_columns(dataset, array)}


def role_of(dataset: xr.Dataset, dim: Hashable) -> str | None:
    """Which axis of frames a dimension is, by the CF attributes of its coordinate or by its name."""
    attributes = dataset[dim].attrs if dim in dataset.coords else {}
    stated = str(attributes.get("axis", "")).lower()
    axis = _CF_AXES.get(stated, stated)
    if axis == "time" and forecast_role(dataset, dim) is not None:
        axis = ""
    for role, names in AXES.items():
        if axis == role or attributes.get("standard_name") in names:
            return role
    return next((role for role, names in AXES.items() if str(dim).lower() in names), None)
