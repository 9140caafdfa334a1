"""Where a result may be written: not onto the files that it is made from, nor where it would be read with them the next time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from framecast.errors import ConfigError
from framecast.writing import check_sources, resolve


def source_files(*archives: xr.DataArray) -> set[str]:
    """The files and stores that Frames came from, as they were named."""
    return {str(file) for frames in archives if "source" in frames.coords for file in set(frames["source"].values.flat)}


def check_output(
    path: Path, archives: Sequence[xr.DataArray], data: Any = None, others: Iterable[str | Path] = ()
) -> None:
    """Raise `ConfigError` if writing the file or store of frames `path` would change a file of the Frames `archives`, or one of
    `others`, or if `path` would be among the frames of `data`, the paths that were opened: in its folder, or of its pattern."""
    files = source_files(*archives)
    check_sources(path, [*files, *others])
    target = resolve(path)
    for place in data if isinstance(data, list | tuple) else [data]:
        if isinstance(place, str | Path) and "://" not in str(place) and _is_listed(target, str(place), files):
            raise ConfigError(
                f"would be read with the frames of {place} the next time",
                where=path,
                remedy="write it to another folder",
            )


def _is_listed(target: Path, place: str, files: set[str]) -> bool:
    """Whether a file at `target` would be opened with the `files` of a folder or of a glob pattern: of a folder without data of
    its own the subfolders are searched."""
    if os.path.isdir(place):
        folder = resolve(place)
        has_data = any(resolve(file).parent == folder for file in files)
        return target.parent == folder if has_data else folder in target.parents
    return not os.path.lexists(place) and target.match(os.path.abspath(place))
