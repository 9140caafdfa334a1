"""Labels of windows: the groups of a data set by what is seen, such as the action, the environment, the season, the number of
digits.

A source that knows some implements `LabelledSource`. Diagnosis compares the features of a model between such groups; training
reads no label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import xarray as xr

from framecast.data.frames import files_of
from framecast.errors import ArgumentError

SEASONS = ("December to February", "March to May", "June to August", "September to November")


@runtime_checkable
class LabelledSource(Protocol):
    """Windows with labels."""

    def labels(self, index: int) -> Mapping[str, str]:
        """The labels of a window by their names, the coarsest first; the names are the same for all windows."""
        ...


class Labels(NamedTuple):
    """The label `name` of some windows, one value each."""

    name: str
    values: tuple[str, ...]


def labels_of(source: object, indices: Sequence[int], name: str | None = None) -> Labels | None:
    """The label `name` of windows of a source, by default the first that differs among them; None if there is none.

    Raises `ArgumentError` if the windows have no label of that `name`.
    """
    rows = [source.labels(index) for index in indices] if isinstance(source, LabelledSource) else []
    names = list(rows[0]) if rows else []
    if name is not None and name not in names:
        raise ArgumentError(
            f"the windows have no label {name!r}",
            parameter="group_by",
            remedy=f"one of: {', '.join(names)}" if names else "leave it out: this data set has no labels",
        )
    for each in names if name is None else [name]:
        values = tuple(row[each] for row in rows)
        if name is not None or len(set(values)) > 1:
            return Labels(each, values)
    return None


def season(month: int) -> str:
    """The season of a month from 1 to 12, named by its months."""
    return SEASONS[month % 12 // 3]


def archive_labels(archives: Sequence[xr.DataArray], number: int, time: np.datetime64 | int) -> dict[str, str]:
    """The labels of a window of archive `number` at `time`: of frames with a clock its season, of several archives which it is,
    and the month."""
    labels: dict[str, str] = {}
    month = int(time.astype("datetime64[M]").astype(int)) % 12 + 1 if isinstance(time, np.datetime64) else None
    if month is not None:
        labels["season"] = season(month)
    if len(archives) > 1:
        labels["archive"] = _name(archives[number], number)
    if month is not None:
        labels["month"] = f"{month:02}"
    return labels


def _name(frames: xr.DataArray, number: int) -> str:
    """The name of the file of an archive, or of the folder of its files."""
    files = [Path(file) for file in sorted(files_of(frames))]
    if not files:
        return f"archive {number + 1}"
    return files[0].name if len(files) == 1 else files[0].parent.name
