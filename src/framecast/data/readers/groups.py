"""Variables in groups of NetCDF, HDF5 and Zarr: `GROUP/NAME` names one; the only one on a grid is found by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import xarray as xr

from framecast.data.readers.options import ReadOptions
from framecast.errors import DataError

_NAMES_SHOWN = 20
_RAIN = re.compile(r"precipitation|rain|reflectivity|dbz", re.IGNORECASE)
"""What the name of a variable that is likely wanted holds; an example in a message."""
ROOT = ""


@dataclass(frozen=True)
class Groups:
    """The groups of a file: how their paths are listed, without that of the root, and how one is opened (`ROOT` the root)."""

    list_paths: Callable[[], Sequence[str]]
    open: Callable[[str], xr.Dataset]
    on_grid: Callable[[xr.Dataset], list[str]]
    """The names of the variables of a dataset that can be frames."""

    def find(self, path: Path | str, options: ReadOptions) -> tuple[xr.Dataset, ReadOptions]:
        """The dataset with the variable to read, and the options with the name of the variable in it. Raises `DataError` where
        a group or variable is not there, or several are on a grid and none is named."""
        wanted = options.variable
        if wanted is not None and "/" in wanted.strip("/"):
            parent, _, name = wanted.strip("/").rpartition("/")
            if parent not in (paths := self.list_paths()):
                raise DataError(f"no group {parent!r}", where=path, remedy=f"groups: {_first(paths) or 'none'}")
            return self._with_coordinates(parent), replace(options, variable=name)
        root = self.open(ROOT)
        if wanted in root.data_vars if wanted is not None else self.on_grid(root):
            return root, options
        places = [(group, name) for group in self.list_paths() for name in self.on_grid(self._with_coordinates(group))]
        places = [(group, name) for group, name in places if wanted in (None, name)]
        if not places:
            return root, options
        if len(places) > 1:
            names = [f"{group}/{name}" for group, name in places]
            likely = [name for name in names if _RAIN.search(name)]
            raise DataError(
                f"several variables on a grid: {_first(names)}",
                where=path,
                remedy="name one",
                parameter="variable",
                example=(likely or names)[0],
            )
        return self._with_coordinates(places[0][0]), replace(options, variable=places[0][1])

    def _with_coordinates(self, group: str) -> xr.Dataset:
        """The dataset of a group, with the coordinates of its dimensions that the groups around it hold."""
        dataset = self.open(group)
        for parent in [*PurePosixPath(group).parents]:
            outer = self.open(ROOT if str(parent) == "." else str(parent))
            for name, coordinate in outer.variables.items():
                if (
                    name not in dataset.variables
                    and set(coordinate.dims) <= set(dataset.dims)
                    and _fits(coordinate, dataset)
                ):
                    dataset = dataset.assign_coords({name: coordinate})
        return dataset


def _fits(coordinate: xr.Variable, dataset: xr.Dataset) -> bool:
    return all(coordinate.sizes[dim] == dataset.sizes[dim] for dim in coordinate.dims)


def _first(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
