"""Splits into training, validation and test that never share a frame.

A rule gives each frame one label, or none; a window belongs to a split if all its frames carry that label. So no frame
can be in two splits, whatever the rule.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import PurePath
from typing import Literal

import numpy as np
import xarray as xr

from framecast.data.clock import clock_of
from framecast.data.windows.index import Window, WindowList, longest_run
from framecast.errors import ConfigError
from framecast.types import config

NAMES = ("train", "validation", "test")
NONE = -1


@config
class ByBlocks:
    """Contiguous blocks of time: first training, then `validation`, last `test`, as shares of the frames, with a gap of
    one window between them. Sets of clips are split by clip. Frames of all archives count through, in their order."""

    name: Literal["blocks"] = "blocks"
    validation: float = 0.15
    test: float = 0.15

    def __post_init__(self) -> None:
        if min(self.validation, self.test) < 0 or self.validation + self.test >= 1:
            raise ConfigError(
                "shares of validation and test must be 0 or more and leave some training", where="data.split"
            )

    def labels(self, archives: Sequence[xr.DataArray], length: int) -> list[np.ndarray]:
        """For each archive the label of each frame, `(sequence, time)`."""
        clips = any("sequence" in frames.dims for frames in archives)
        sizes = [frames.sizes["sequence" if "sequence" in frames.dims else "time"] for frames in archives]
        total, gap = sum(sizes), 0 if clips else length
        parts = [(1, self.validation), (2, self.test)]
        labels = np.zeros(total, dtype=np.int8)
        end = total
        for label, share in reversed(parts):
            if share > 0:
                start = end - max(round(share * total), 1 if clips else length)
                labels[max(start, 0) : end] = label
                labels[max(start - gap, 0) : max(start, 0)] = NONE
                end = max(start - gap, 0)
        pieces = np.split(labels, np.cumsum(sizes)[:-1])
        return [
            np.repeat(piece[:, None], frames.sizes["time"], axis=1) if "sequence" in frames.dims else piece[None]
            for piece, frames in zip(pieces, archives, strict=True)
        ]


@config
class ByFile:
    """By the file a frame came from: patterns such as `*2017*` on the file's name; what matches none is training."""

    name: Literal["file"] = "file"
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    def labels(self, archives: Sequence[xr.DataArray], length: int) -> list[np.ndarray]:
        """For each archive the label of each frame, `(sequence, time)`. Raises `ConfigError` for a pattern that matches
        nothing."""
        files = [np.broadcast_to(frames["source"].values, frames.sizes["time"]) for frames in archives]
        for pattern in (*self.validation, *self.test):
            if not any(_matches(file, (pattern,)) for each in files for file in set(each)):
                names = sorted({PurePath(file).name for each in files for file in each})
                raise ConfigError(
                    f"pattern {pattern!r} matches no file", where="data.split", remedy=f"files: {', '.join(names[:10])}"
                )
        return [
            np.tile(self._of(each), (frames.sizes.get("sequence", 1), 1))
            for each, frames in zip(files, archives, strict=True)
        ]

    def _of(self, files: np.ndarray) -> np.ndarray:
        labels = [2 if _matches(file, self.test) else 1 if _matches(file, self.validation) else 0 for file in files]
        return np.array(labels, dtype=np.int8)


@config
class ByDates:
    """By time: `validation` and `test` are periods `(from, to)` in UTC, `to` excluded; what lies less than one window
    outside them is left out, the rest is training. A stamp that is seconds off the clock of its archive counts as its tick."""

    name: Literal["dates"] = "dates"
    validation: tuple[datetime.datetime, datetime.datetime] | None = None
    test: tuple[datetime.datetime, datetime.datetime] | None = None

    def __post_init__(self) -> None:
        for name, period in (("validation", self.validation), ("test", self.test)):
            if period is not None and not _utc(period[0]) < _utc(period[1]):
                raise ConfigError(
                    f"a period from {period[0]} to {period[1]} has no time in it", where=f"data.split.{name}"
                )

    def labels(self, archives: Sequence[xr.DataArray], length: int) -> list[np.ndarray]:
        """For each archive the label of each frame, `(sequence, time)`. Raises `ConfigError` for frames without clock."""
        result = []
        for frames in archives:
            times = frames["time"].values
            if times.dtype.kind != "M":
                raise ConfigError("frames without clock cannot be split by dates", where="data.split.name")
            if len(times) > 1:
                times = clock_of(times).times
            labels = np.zeros(len(times), dtype=np.int8)
            for label, period in ((1, self.validation), (2, self.test)):
                if period is not None:
                    inside = (times >= _utc(period[0])) & (times < _utc(period[1]))
                    near = np.convolve(inside, np.ones(2 * length + 1))[length : length + len(times)] > 0
                    labels[near & (labels == 0)] = NONE
                    labels[inside] = label
            result.append(np.tile(labels, (frames.sizes.get("sequence", 1), 1)))
        return result


Split = ByBlocks | ByFile | ByDates


def split(windows: WindowList, archives: Sequence[xr.DataArray], rule: Split) -> dict[str, tuple[Window, ...]]:
    """The windows of each split, by name. A window whose frames do not all carry one label is in none."""
    return split_by_labels(windows, rule.labels(archives, windows.length))


def split_by_labels(windows: WindowList, labels: Sequence[np.ndarray]) -> dict[str, tuple[Window, ...]]:
    """`split` by the labels of the frames of each archive `(sequence, time)`."""
    parts: dict[str, list[Window]] = {name: [] for name in NAMES}
    for window in windows.windows:
        covered = np.unique(labels[window.archive][window.sequence, window.start : window.start + windows.length])
        if len(covered) == 1 and covered[0] != NONE:
            parts[NAMES[covered[0]]].append(window)
    return {name: tuple(part) for name, part in parts.items()}


def describe_split(windows: WindowList, archives: Sequence[xr.DataArray], labels: Sequence[np.ndarray]) -> str:
    """The number of frames of each split and its longest run of frames, in words, from their labels."""
    messages = []
    for label, name in enumerate(("training", "validation", "test")):
        count = sum(int((each == label).sum()) for each in labels)
        longest = max(longest_run(frames, each == label) for frames, each in zip(archives, labels, strict=True))
        messages.append(f"{count} for {name} (at most {longest} in a row)" if count else f"none for {name}")
    total = sum(each.size for each in labels)
    messages.append(f"{sum(int((each == NONE).sum()) for each in labels)} between them")
    return f"windows take {windows.length} frames in a row; of {total} frames there are {', '.join(messages)}"


def _matches(file: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(file, pattern) or fnmatch(PurePath(file).name, pattern) for pattern in patterns)


def _utc(time: datetime.datetime) -> np.datetime64:
    if time.tzinfo is not None:
        time = time.astimezone(datetime.UTC).replace(tzinfo=None)
    return np.datetime64(time, "ns")
