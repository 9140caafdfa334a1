"""Inputs: what a model sees beside the frames and does not forecast.

A static field (terrain, distance to the nearest radar) is one frame without time; another variable (satellite, lightning) has
the times of the frames. Of both only the past is seen: after the context they stay as they were last. Anything that
`framecast.open` reads will do, on the grid of the frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from framecast.data.frames import files_of, same_grid
from framecast.data.lazy import ArrayReader
from framecast.data.region import Region
from framecast.errors import ArgumentError, ConfigError, DataError
from framecast.types import config


@config
class Input:
    """`variable` of what lies at `path` (of the files of the frames themselves, where none is stated); of several archives a path
    for each. Values from `low` to `high`, in the units of the file, become 0 to 1; where there is no value, 0."""

    path: str | tuple[str, ...] | None = None
    variable: str | None = None
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ConfigError(f"a range from {self.low:g} to {self.high:g} is empty", where="data.inputs")
        if self.path is None and self.variable is None:
            raise ConfigError("neither a path nor a variable", where="data.inputs", remedy="name one, or both")

    @property
    def label(self) -> str:
        """What it is called in messages."""
        return f"input {self.variable or self.path}"

    def paths(self, archives: int) -> tuple[str | None, ...]:
        """One for each archive. Raises `ConfigError` for another number."""
        paths = self.path if isinstance(self.path, tuple) else (self.path,) * archives
        if len(paths) != archives:
            raise ConfigError(f"{self.label} has {len(paths)} paths for {archives} archives", where="data.inputs.path")
        return paths


class Field:
    """An input, opened beside the frames that it goes with. A static field is read once, as is a small one that changes."""

    def __init__(self, setting: Input, frames: xr.DataArray, path: str | None) -> None:
        """Raises `DataError` for another grid, for channels, and for times that are none of the frames'."""
        from framecast.data.archives.opening import open as open_frames  # all readers; a saved model may need none

        where = path or sorted(files_of(frames))
        if not where:
            raise DataError(f"{setting.label} needs a path: the frames come from no file", remedy="data.inputs.path")
        self.setting = setting
        self.values = open_frames(where, variable=setting.variable, units="1")
        named = f"{path or where[0]}, variable {self.values.name!r}"
        if self.values.sizes["channel"] != 1 or "sequence" in self.values.dims:
            raise DataError("an input is one value a pixel, in one sequence", where=named)
        if not same_grid(frames, self.values):
            here, there = (f"{array.sizes['y']} x {array.sizes['x']}" for array in (self.values, frames))
            raise DataError(
                f"{setting.label} lies on another grid ({here} pixels) than the frames ({there})",
                where=named,
                remedy="bring it to the grid of the frames: convert it, with crop, coarsen or reproject",
            )
        self._still = None
        self._parts = ArrayReader(self.values)
        if self.values.sizes["time"] == 1:
            self._still = self._scaled(self.values.values[0])
        elif self.values["time"].dtype.kind != frames["time"].dtype.kind:
            raise DataError(
                f"the frames of {setting.label} and those that it goes with have different clocks", where=named
            )

    def read(self, times: np.ndarray, context: int, region: Region | None = None) -> np.ndarray:
        """`(T, h, w)` float32 at `times (T,)`, of which the first `context` are seen: after that as it was last. Where there is
        no frame of that time it is 0."""
        rows, columns = region.slices if region is not None else (slice(None), slice(None))
        if self._still is not None:
            still = self._still[0, rows, columns]
            return np.broadcast_to(still, (len(times), *still.shape))
        known = self.values["time"].values
        places = np.searchsorted(known, times[:context])
        there = (places < len(known)) & (known[np.minimum(places, len(known) - 1)] == times[:context])
        wanted = places[there]
        first, last = (wanted[0], wanted[-1]) if len(wanted) else (0, -1)
        cut = self._parts.read(time=slice(first, last + 1), y=rows, x=columns)[wanted - first, 0]
        seen = np.zeros((context, *cut.shape[1:]), dtype=np.float32)
        seen[there] = self._scaled(cut)
        return np.concatenate([seen, np.repeat(seen[-1:], len(times) - context, axis=0)])

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        span = self.setting.high - self.setting.low
        scaled = (values.astype(np.float32) - np.float32(self.setting.low)) / np.float32(span)
        return np.where(np.isnan(scaled), np.float32(0), scaled)


def fields(settings: Sequence[Input], archives: Sequence[xr.DataArray]) -> list[list[Field]]:
    """All inputs beside each archive. Raises `DataError` and `ConfigError`."""
    paths = [setting.paths(len(archives)) for setting in settings]
    return [
        [Field(setting, frames, where[number]) for setting, where in zip(settings, paths, strict=True)]
        for number, frames in enumerate(archives)
    ]


def with_paths(settings: Sequence[Input], paths: Sequence[str]) -> tuple[Input, ...]:
    """The same inputs, which lie at `paths` now; where they were, without any. Raises `ConfigError` for another number."""
    if not paths:
        return tuple(settings)
    if len(paths) != len(settings):
        labels = ", ".join(setting.label for setting in settings) or "none"
        raise ArgumentError(f"{len(paths)} inputs given, the model has {len(settings)}: {labels}", parameter="inputs")
    return tuple(replace(setting, path=path) for setting, path in zip(settings, paths, strict=True))
