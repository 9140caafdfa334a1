"""Inputs: further channels that a model reads with the frames and does not forecast.

A static field (terrain, distance to the nearest radar) is one frame without time; another variable (satellite, lightning) has
the times of the frames, as near as stamps are to one clock. Only the past of both is used: after the context the last field is
repeated. An input may come from any file that `framecast.open` reads, on the grid of the frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from framecast.data.clock import TOLERANCE, most_common_step
from framecast.data.frames import files_of, same_grid
from framecast.data.lazy import ArrayReader
from framecast.data.orientation import turned_like
from framecast.data.region import Region
from framecast.errors import ArgumentError, ConfigError, DataError
from framecast.types import config


@config
class Input:
    """`variable` of the file at `path` (by default of the files of the frames themselves); for several archives one path
    each. Values from `low` to `high`, in the units of the file, become 0 to 1; missing values become 0."""

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
        """The name for messages."""
        return f"input {self.variable or self.path}"

    def paths(self, archives: int) -> tuple[str | None, ...]:
        """One path for each archive. Raises `ConfigError` if there are more or fewer."""
        paths = self.path if isinstance(self.path, tuple) else (self.path,) * archives
        if len(paths) != archives:
            raise ConfigError(f"{self.label} has {len(paths)} paths for {archives} archives", where="data.inputs.path")
        return paths


class Field:
    """An input, opened, for one archive of frames. Static fields, and small ones, are read once."""

    def __init__(self, setting: Input, frames: xr.DataArray, path: str | None) -> None:
        """Raises `DataError` if grid or clock differ from those of the frames, or if there is more than one channel."""
        from framecast.data.archives.opening import open as open_frames  # all readers; a saved model may need none

        where = path or sorted(files_of(frames))
        if not where:
            raise DataError(f"{setting.label} needs a path: the frames come from no file", remedy="data.inputs.path")
        self.setting = setting
        self.values = turned_like(open_frames(where, variable=setting.variable, units="1"), frames)
        source = f"{path or where[0]}, variable {self.values.name!r}"
        if self.values.sizes["channel"] != 1 or "sequence" in self.values.dims:
            raise DataError("an input is one value a pixel, in one sequence", where=source)
        if not same_grid(frames, self.values):
            size, frame_size = (f"{array.sizes['y']} x {array.sizes['x']}" for array in (self.values, frames))
            raise DataError(
                f"{setting.label} lies on another grid ({size} pixels) than the frames ({frame_size})",
                where=source,
                remedy="bring it to the grid of the frames: convert it, with crop, coarsen or reproject",
            )
        self._static = None
        self._tolerance = _tolerance(frames["time"].values)
        self._reader = ArrayReader(self.values)
        if self.values.sizes["time"] == 1:
            self._static = self._scale(self.values.values[0])
        elif self.values["time"].dtype.kind != frames["time"].dtype.kind:
            raise DataError(f"the frames of {setting.label} and the frames have different clocks", where=source)

    def read(self, times: np.ndarray, context: int, region: Region | None = None) -> np.ndarray:
        """`(T, h, w)` float32 at `times (T,)`, of which the first `context` are read; the last of them is repeated after
        that. It is 0 at times without a field."""
        rows, columns = region.slices if region is not None else (slice(None), slice(None))
        if self._static is not None:
            still = self._static[0, rows, columns]
            return np.broadcast_to(still, (len(times), *still.shape))
        field_times = self.values["time"].values
        after = np.clip(np.searchsorted(field_times, times[:context]), 1, len(field_times) - 1)
        later_is_nearer = field_times[after] - times[:context] <= times[:context] - field_times[after - 1]
        indices = np.where(later_is_nearer, after, after - 1)
        valid = np.abs(field_times[indices] - times[:context]) <= self._tolerance
        field_indices = indices[valid]
        first, last = (field_indices[0], field_indices[-1]) if len(field_indices) else (0, -1)
        values = self._reader.read(time=slice(first, last + 1), y=rows, x=columns)[field_indices - first, 0]
        context_values = np.zeros((context, *values.shape[1:]), dtype=np.float32)
        context_values[valid] = self._scale(values)
        return np.concatenate([context_values, np.repeat(context_values[-1:], len(times) - context, axis=0)])

    def _scale(self, values: np.ndarray) -> np.ndarray:
        span = self.setting.high - self.setting.low
        scaled = (values.astype(np.float32) - np.float32(self.setting.low)) / np.float32(span)
        return np.where(np.isnan(scaled), np.float32(0), scaled)


def _tolerance(times: np.ndarray) -> np.timedelta64 | int:
    """How far the stamp of a field may be from that of a frame: as far as two stamps of one time on the clock may be apart."""
    if times.dtype.kind != "M":
        return 0
    if len(times) < 2:
        return np.timedelta64(0, "ns")
    return np.timedelta64(int(2 * TOLERANCE * int(most_common_step(times) / np.timedelta64(1, "ns"))), "ns")


def fields(settings: Sequence[Input], archives: Sequence[xr.DataArray]) -> list[list[Field]]:
    """The fields of all inputs for each archive. Raises `DataError` and `ConfigError`."""
    paths = [setting.paths(len(archives)) for setting in settings]
    return [
        [Field(setting, frames, where[number]) for setting, where in zip(settings, paths, strict=True)]
        for number, frames in enumerate(archives)
    ]


def with_paths(settings: Sequence[Input], paths: Sequence[str]) -> tuple[Input, ...]:
    """The inputs with new `paths`; unchanged if there are none. Raises `ArgumentError` if the numbers differ."""
    if not paths:
        return tuple(settings)
    if len(paths) != len(settings):
        labels = ", ".join(setting.label for setting in settings) or "none"
        raise ArgumentError(f"{len(paths)} inputs given, the model has {len(settings)}: {labels}", parameter="inputs")
    return tuple(replace(setting, path=path) for setting, path in zip(settings, paths, strict=True))
