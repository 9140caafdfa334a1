"""Files on several grids: listed as groups, of which `ReadOptions.like` picks one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import xarray as xr

from framecast.data.frames import same_grid
from framecast.errors import DataError, counted

_SHOWN = 10
"""The number of grids that a message lists."""


class GridGroup(NamedTuple):
    """Files whose frames lie on one grid."""

    files: list[Path]
    first: xr.DataArray

    def describe(self) -> str:
        """Size, place, number of files and an example, in words."""
        text = f"{self.first.sizes.get('y')} x {self.first.sizes.get('x')} pixels"
        if {"y", "x"} <= set(self.first.coords):
            y, x = self.first["y"].values, self.first["x"].values
            text += f" (y {y[0]:g} to {y[-1]:g}, x {x[0]:g} to {x[-1]:g})"
        return f"{text} in {counted(len(self.files), 'file')} such as {self.files[0].name}"


def group_by_grid(arrays: Mapping[Path, xr.DataArray]) -> list[GridGroup]:
    """The files by their grids, in the order of the first file of each. Rows and columns in the other order are the
    same grid."""
    groups: list[GridGroup] = []
    for file, array in arrays.items():
        group = next((each for each in groups if _is_same(each.first, array)), None)
        if group is None:
            groups.append(GridGroup([file], array))
        else:
            group.files.append(file)
    return groups


def pick_grid(groups: Sequence[GridGroup], like: str | None) -> GridGroup:
    """The only group, or the one with the file `like`. Raises `DataError` that lists the groups where there are several and none
    is picked, or that file is not among them."""
    if like is None and len(groups) == 1:
        return groups[0]
    listing = "; ".join(group.describe() for group in groups[:_SHOWN]) + "; and more" * (len(groups) > _SHOWN)
    most = max(groups, key=lambda group: len(group.files))
    if like is None:
        raise DataError(
            f"the files lie on {len(groups)} grids: {listing}",
            where=groups[0].files[0].parent,
            remedy="name a file of the grid that is wanted, or open them one by one",
            parameter="like",
            example=most.files[0].name,
        )
    for group in groups:
        if any(like in (file.name, str(file)) or Path(like).resolve() == file.resolve() for file in group.files):
            return group
    raise DataError(
        f"the file {like[:200]!r} is not among those that were read: {listing}",
        where=groups[0].files[0].parent,
        parameter="like",
        example=most.files[0].name,
    )


def _is_same(one: xr.DataArray, other: xr.DataArray) -> bool:
    if {one.sizes.get(axis) for axis in ("y", "x")} == {None} or not {"y", "x"} <= set(one.dims) & set(other.dims):
        return one.sizes == other.sizes
    orders = itertools.product((1, -1), repeat=2)
    return any(same_grid(one, other.isel(y=slice(None, None, y), x=slice(None, None, x))) for y, x in orders)
