"""Window sources: the interface from which batches are read, and the source of archives.

A source has a `shape`, a `quantity`, a length, and `read(index, region)`, a pure function of its arguments: the same
window in any thread, in any order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import xarray as xr

from framecast.data.frames import actions_of, describe_source
from framecast.data.lazy import ArrayReader
from framecast.data.quantities import Quantity, quantity_of
from framecast.data.readers.options import ReadOptions
from framecast.data.region import Region
from framecast.data.scale import Scale, scale_of
from framecast.data.scaling import Scaling
from framecast.data.windows.index import Window
from framecast.data.windows.inputs import Field, Input
from framecast.data.windows.labels import archive_labels
from framecast.data.windows.record import FrameTable
from framecast.data.windows.splits import Split
from framecast.errors import ConfigError, DataError, counted, shown
from framecast.types import FrameShape


class WindowSource(Protocol):
    """Windows by number."""

    shape: FrameShape
    quantity: Quantity

    def __len__(self) -> int: ...

    def size_of(self, index: int) -> tuple[int, int]:
        """Height and width of the frames of a window; they differ where archives lie on different grids."""
        ...

    def read(self, index: int, region: Region | None = None) -> np.ndarray:
        """`(T, C, H, W)` float32 in physical units, NaN where there is no data; not to be written to."""
        ...

    def valid_mask(self, index: int) -> np.ndarray | None:
        """Where the frames of a window usually have data `(H, W)` bool, for the choice of crops; None if everywhere."""
        ...

    def actions(self, index: int) -> np.ndarray:
        """The actions of a window `(T, A)` float32, with A = `shape.actions`, which may be 0."""
        ...

    def inputs(self, index: int, region: Region | None = None) -> np.ndarray:
        """The inputs of a window `(T, E, H, W)` float32, with E = `shape.inputs`, which may be 0."""
        ...

    def init_time(self, index: int) -> np.datetime64 | int:
        """The time of the last frame of the context; the number of the window where there is no clock."""
        ...

    def block(self, index: int) -> tuple[int, ...]:
        """The block of a window: windows of different blocks, but for neighbours, share no frame."""
        ...


@runtime_checkable
class ScaledSource(Protocol):
    """Windows whose frames have a scale in time and space, and whose newest frames of the context can be read alone."""

    def newest(self, index: int, count: int) -> np.ndarray:
        """The newest `count` frames of the context of a window, `(count, C, H, W)`, as `read` returns them."""
        ...

    def scale(self, index: int) -> Scale:
        """Minutes a step and kilometres a pixel of the frames of a window."""
        ...


Check = Callable[[FrameShape], None]
"""A check of a shape: raises `ConfigError` if the model cannot be built for it."""


@dataclass(frozen=True)
class DataSplits:
    """A data set, opened: the windows of each split (None where there are none) and how they are scaled.

    `step` is the time between frames, None where there is no clock; `report` describes the data in words, `repairs` what was
    repaired, left out or refused, `warnings` what makes scores on it doubtful; `frames` are the opened archives, none for
    generated data, `tables` list their frames, and `windows` are those of each split; `input_files` are the files of extra
    inputs. `clips` names the clips of each split of a data set that has its own. `where` names the files, `parts` describes the
    split if one part has no window.
    """

    train: WindowSource | None
    validation: WindowSource | None
    test: WindowSource | None
    scaling: Scaling
    step: np.timedelta64 | None
    report: tuple[str, ...]
    repairs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    frames: tuple[xr.DataArray, ...] = ()
    tables: tuple[FrameTable, ...] = ()
    windows: Mapping[str, tuple[Window, ...]] = field(default_factory=dict)
    input_files: tuple[str, ...] = ()
    clips: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    probabilities: np.ndarray | None = None
    """The probability of each training window `(n,)`; None if each is drawn once an epoch."""
    where: str | None = None
    parts: str = ""

    def shape(self, crop: tuple[int, int] | None) -> FrameShape:
        """What a model is built for: the frames of the training windows, cropped. Raises `ConfigError` without any."""
        if self.train is None:
            raise ConfigError(
                self._none_left("training"),
                where=self.where,
                remedy="give more frames, shorten the windows (data.context, data.horizon), or hold out less: "
                "'data.split={name: blocks, validation: 0, test: 0}' trains on all of them",
            )
        shape = self.train.shape
        return shape if crop is None else shape._replace(height=crop[0], width=crop[1])

    def source(self, split: str) -> WindowSource | None:
        """The windows of a split by its name; None without any."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[split]

    def held_out(self) -> WindowSource:
        """The windows of the test. Raises `DataError` without any."""
        if self.test is None:
            raise DataError(
                self._none_left("the test"),
                where=self.where,
                remedy="give data to evaluate on",
                parameter="data",
                example="PATH",
            )
        return self.test

    def _none_left(self, part: str) -> str:
        return f"no window is left for {part}" + (f": {self.parts}" if self.parts else "")


class DataConfig(Protocol):
    """The settings of a data set, as training and evaluation use them: a frozen dataclass made by `config`."""

    @property
    def name(self) -> str:
        """`data.name` in a recipe."""
        ...

    @property
    def context(self) -> int:
        """Number of context frames."""
        ...

    @property
    def horizon(self) -> int:
        """Number of forecast frames."""
        ...

    @property
    def crop_size(self) -> tuple[int, int] | None:
        """Height and width of training crops; None for whole frames."""
        ...

    @property
    def flips(self) -> bool:
        """Whether training windows are mirrored at random."""
        ...

    @property
    def rotations(self) -> bool:
        """Whether training windows are rotated by multiples of 90 degrees at random."""
        ...

    @property
    def split(self) -> Split | None:
        """How windows are split; None for a data set with parts of its own."""
        ...

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The inputs of a model besides the frames."""
        ...

    @property
    def reading(self) -> ReadOptions:
        """How files are read."""
        ...

    @property
    def description(self) -> str:
        """A description of the data, for reports."""
        ...

    def open(self, check: Check = ..., frames: Sequence[xr.DataArray] | None = None) -> DataSplits:
        """The windows of each split. `check` receives the shape of the frames before any is read; `frames` replace the files,
        if the data set supports them. Raises `DataError` and `ConfigError`."""
        ...


def no_actions(length: int) -> np.ndarray:
    """Empty actions `(T, 0)`, for sources without actions."""
    return np.zeros((length, 0), dtype=np.float32)


def no_inputs(length: int, size: tuple[int, int], region: Region | None) -> np.ndarray:
    """Empty inputs `(T, 0, H, W)`, for sources without inputs."""
    height, width = size if region is None else (region.height, region.width)
    return np.zeros((length, 0, height, width), dtype=np.float32)


LONGEST_WINDOW = 100_000
"""Frames of a context, and of a horizon."""


def check_lengths(context: int, horizon: int) -> None:
    """Raise `ConfigError` if context or horizon is below 1, or beyond `LONGEST_WINDOW`."""
    if context < 1 or horizon < 1:
        raise ConfigError(f"context {context} and horizon {horizon} must be at least 1", where="data")
    if max(context, horizon) > LONGEST_WINDOW:
        raise ConfigError(
            f"context {shown(context)} and horizon {shown(horizon)} must be at most {LONGEST_WINDOW:,}", where="data"
        )


def _actions(frames: xr.DataArray) -> np.ndarray:
    """The actions of Frames `(sequence, time, A)`. Raises `DataError` if one is not finite."""
    actions = actions_of(frames)
    missing = np.argwhere(~np.isfinite(actions).all(-1))
    if len(missing):
        raise DataError(
            f"{counted(len(missing), 'frame')} without an action: one that is not a number, first at frame {missing[0, 1]}",
            where=describe_source(frames),
            remedy="give every frame an action, 0 where nothing is done",
        )
    return actions


class ArchiveSource:
    """Windows of opened archives, read in `readers`, so that sources share those that are kept in memory. With `actions`
    the source also has the actions of the archives, and with `inputs` the input fields of each archive."""

    def __init__(
        self,
        readers: Sequence[ArrayReader],
        windows: Sequence[Window],
        context: int,
        horizon: int,
        *,
        actions: bool = False,
        inputs: Sequence[Sequence[Field]] = (),
    ) -> None:
        self.archives = archives = tuple(each.frames for each in readers)
        first = archives[0]
        for other in archives[1:]:
            if other.attrs["quantity"] != first.attrs["quantity"] or other.sizes["channel"] != first.sizes["channel"]:
                raise DataError(
                    f"{other.attrs['quantity']} in {counted(other.sizes['channel'], 'channel')} cannot be mixed with "
                    f"{first.attrs['quantity']} in {first.sizes['channel']}",
                    where=describe_source(first, other),
                )
        self.windows = tuple(windows)
        self.quantity = quantity_of(first)
        self._actions = [_actions(archive) for archive in archives] if actions else []
        sizes = {each.shape[-1] for each in self._actions}
        if len(sizes) > 1:
            raise DataError(
                f"archives with different numbers of actions: {sorted(sizes)}", where=describe_source(*archives)
            )
        self._inputs = [list(fields) for fields in inputs] or [[] for _ in archives]
        extra = len(self._inputs[0])
        self.shape = FrameShape(
            first.sizes["channel"] + extra,
            first.sizes["y"],
            first.sizes["x"],
            context,
            horizon,
            max(sizes, default=0),
            extra,
        )
        self._length = context + horizon
        self._scales = [scale_of(archive) for archive in archives]
        self._sizes = [(archive.sizes["y"], archive.sizes["x"]) for archive in archives]
        self.readers = tuple(readers)
        self._masks: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.windows)

    def restricted(self, windows: Sequence[Window]) -> ArchiveSource:
        """The same source with some of its windows only."""
        other = copy(self)
        other.windows = tuple(windows)
        return other

    def size_of(self, index: int) -> tuple[int, int]:
        """Height and width of the frames of a window."""
        return self._sizes[self.windows[index].archive]

    def scale(self, index: int) -> Scale:
        """Minutes a step and kilometres a pixel of the archive of a window."""
        return self._scales[self.windows[index].archive]

    def read(self, index: int, region: Region | None = None) -> np.ndarray:
        """`(T, C, H, W)` float32 in physical units, NaN where there is no data."""
        start = self.windows[index].start
        return self._read(index, slice(start, start + self._length), region)

    def newest(self, index: int, count: int) -> np.ndarray:
        """The newest `count` frames of the context, or all of them if it is shorter, `(count, C, H, W)`."""
        start, stop = self.windows[index].start, self.windows[index].start + self.shape.context
        return self._read(index, slice(max(start, stop - count), stop), None)

    def _read(self, index: int, times: slice, region: Region | None) -> np.ndarray:
        window = self.windows[index]
        rows, columns = (slice(None), slice(None)) if region is None else region.slices
        values = self.readers[window.archive].read(
            sequence=slice(window.sequence, window.sequence + 1), time=times, y=rows, x=columns
        )
        return values.reshape(-1, *values.shape[-3:]).astype(np.float32, copy=False)

    def valid_mask(self, index: int) -> np.ndarray:
        """Where the archive of a window has data `(H, W)`, in its first, its middle or its last frame."""
        number = self.windows[index].archive
        with self._lock:
            if number not in self._masks:
                archive = self.archives[number]
                samples = archive.isel(time=sorted({0, archive.sizes["time"] // 2, archive.sizes["time"] - 1}))
                if "sequence" in archive.dims:
                    samples = samples.isel(sequence=0)
                self._masks[number] = samples.notnull().all("channel").any("time").values
            return self._masks[number]

    def actions(self, index: int) -> np.ndarray:
        """The actions of a window `(T, A)`; A is 0 without `actions`."""
        if not self._actions:
            return no_actions(self._length)
        window = self.windows[index]
        actions = self._actions[window.archive][window.sequence, window.start : window.start + self._length]
        return np.asarray(actions, dtype=np.float32)

    def inputs(self, index: int, region: Region | None = None) -> np.ndarray:
        """The inputs of a window `(T, E, H, W)`; after the context the last field is repeated."""
        window = self.windows[index]
        fields = self._inputs[window.archive]
        if not fields:
            return no_inputs(self._length, self.size_of(index), region)
        times = self.archives[window.archive]["time"].values[window.start : window.start + self._length]
        return np.stack([field.read(times, self.shape.context, region) for field in fields], axis=1)

    def init_time(self, index: int) -> np.datetime64 | int:
        """The time of the last frame of the context; the number of the window where there is no clock."""
        window = self.windows[index]
        time = self.archives[window.archive]["time"].values[window.start + self.shape.context - 1]
        return time if isinstance(time, np.datetime64) else index

    def labels(self, index: int) -> dict[str, str]:
        """Season and month of the newest frame of the context, and of several archives the name."""
        return archive_labels(self.archives, self.windows[index].archive, self.init_time(index))

    def block(self, index: int) -> tuple[int, ...]:
        """Windows that start within one window length of each other share a block."""
        window = self.windows[index]
        return window.archive, window.sequence, window.start // self._length
