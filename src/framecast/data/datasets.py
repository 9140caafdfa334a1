"""Data sets for training: archives of files (`ArchiveData`), and the registry `Data`, the union of all configs.

A data set is one file with its config (`sets/`, `synthetic/`) and its name in `Data` below: docs/adding_a_data_set.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Literal

import numpy as np
import xarray as xr

from framecast.checks import check_fraction
from framecast.data.conversion import as_rain_rate
from framecast.data.coverage import coverage
from framecast.data.frames import actions_of, check_frames, describe_source, files_of
from framecast.data.lazy import ArrayReader
from framecast.data.orientation import turned_like
from framecast.data.quantities import quantity_of
from framecast.data.readers.options import ReadOptions
from framecast.data.scaling import Scaling, check_scaling, default_scaling
from framecast.data.sets import BAIR, KTH, SEVIR, Human36M, RoboNet, TaxiBJ
from framecast.data.synthetic.moving_mnist import MovingDigits
from framecast.data.synthetic.varied_mnist import MixedDigits, VariedDigits
from framecast.data.windows.index import Window, WindowList, list_windows, time_step
from framecast.data.windows.inputs import Input
from framecast.data.windows.inputs import fields as fields_of
from framecast.data.windows.record import FrameTable, table_of
from framecast.data.windows.sampling import Importance
from framecast.data.windows.sources import ArchiveSource, Check, DataSplits, check_lengths
from framecast.data.windows.splits import NAMES, ByBlocks, Split, describe_split, split_by_labels
from framecast.errors import ArgumentError, ConfigError, DataError, shown
from framecast.types import FrameShape, config

IN_MEMORY = "(frames in memory)"
"""The recorded path of a run that was trained on frames in memory."""


@config
class ArchiveData(ReadOptions):
    """Frames from files. `path` is what `framecast.open` takes; a list of them is opened one by one, so that archives on
    different grids can be trained on together with `crop`. `scaling` follows the quantity by default. With
    `sampling`, training windows with rain are drawn more often than dry ones. `inputs` are further channels that are not
    forecast. With `quantity` rain_rate, reflectivity is converted, so that radars of both kinds can be trained on together;
    with `several_steps` the steps of archives may differ, for a model that reads the step. Archives whose rows run from the other
    side than those of the first are turned. The fields of `ReadOptions`,
    inherited here, control the reading of files.
    """

    name: Literal["archive"] = "archive"
    path: str | tuple[str, ...]
    context: int = 10
    horizon: int = 10
    stride: int = 1
    min_valid: float = 0.5
    split: Split = ByBlocks()
    crop: int | tuple[int, int] | None = None
    flips: bool = False
    rotations: bool = False
    scaling: Scaling | None = None
    actions: bool = False
    sampling: Importance | None = None
    inputs: tuple[Input, ...] = ()
    quantity: Literal["rain_rate"] | None = None
    several_steps: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.paths or not all(isinstance(path, str) and path for path in self.paths):
            raise ArgumentError(f"{shown(self.path)} given, expected a path, or a list of paths", parameter="data.path")
        check_lengths(self.context, self.horizon)
        if self.stride < 1:
            raise ArgumentError(f"{self.stride} given, expected at least 1", parameter="data.stride")
        check_fraction(self.min_valid, "data.min_valid")
        if self.crop_size is not None and min(self.crop_size) < 1:
            height, width = self.crop_size
            raise ArgumentError(f"{height} x {width} pixels given, expected at least 1 x 1", parameter="data.crop")

    @property
    def crop_size(self) -> tuple[int, int] | None:
        """Height and width of training crops."""
        return (self.crop, self.crop) if isinstance(self.crop, int) else self.crop

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths, opened one by one."""
        return (self.path,) if isinstance(self.path, str) else self.path

    @property
    def description(self) -> str:
        """A description of the data, for reports."""
        return ", ".join(self.paths)

    @property
    def reading(self) -> ReadOptions:
        """The options of reading."""
        return ReadOptions(**{each.name: getattr(self, each.name) for each in fields(ReadOptions)})

    @property
    def in_memory(self) -> bool:
        """Whether the frames were in memory, so that there are no files to open."""
        return self.path == IN_MEMORY

    def open_archives(self) -> tuple[xr.DataArray, ...]:
        """The Frames of each path; nothing but headers is read. Raises `DataError`."""
        from framecast.data.archives.opening import open as open_frames  # all readers; a saved model may need none

        if self.in_memory:
            raise DataError(
                "they were frames in memory, which no file holds",
                where="data.path",
                remedy="give them again, in Python: data=frames; or name files: data.path=PATH",
            )
        return tuple(open_frames(path, self.reading) for path in self.paths)

    def open(self, check: Check = lambda shape: None, frames: Sequence[xr.DataArray] | None = None) -> DataSplits:
        """Open the archives (or take `frames`, opened before), list the windows and split them.

        `check` receives the shape of the training frames before any frame is read. Raises `DataError`, `ConfigError`.
        """
        archives = self.convert(self.open_archives() if frames is None else tuple(map(check_frames, frames)))
        check(self.frame_shape(archives))
        self.scaling_of(archives)
        covered = [coverage(archive, digests=True) for archive in archives]
        windows = self.list_windows(archives, covered)
        labels = self.split.labels(archives, windows.length)
        parts = split_by_labels(windows, labels)
        return self.assemble(archives, windows, parts, tuple(map(table_of, archives, covered, labels)))

    def convert(self, archives: Sequence[xr.DataArray]) -> tuple[xr.DataArray, ...]:
        """The archives in the quantity of the data, with the order of rows and columns of the first. Raises `DataError`, and
        `ConfigError` if a file is part of two of them."""
        converted = tuple(archives) if self.quantity is None else tuple(map(as_rain_rate, archives))
        converted = tuple(turned_like(archive, converted[0]) for archive in converted)
        _check_disjoint(converted)
        return converted

    def frame_shape(self, archives: Sequence[xr.DataArray]) -> FrameShape:
        """The shape of training frames."""
        height, width = self.crop_size or archives[0].shape[-2:]
        action_size = actions_of(archives[0]).shape[-1] if self.actions else 0
        channels = archives[0].sizes["channel"] + len(self.inputs)
        return FrameShape(channels, height, width, self.context, self.horizon, action_size, len(self.inputs))

    def scaling_of(self, archives: Sequence[xr.DataArray]) -> Scaling:
        """The scaling of the frames. Raises `ConfigError` if it does not fit their quantity."""
        scaling = self.scaling or default_scaling(quantity_of(archives[0]))
        check_scaling(scaling, quantity_of(archives[0]))
        return scaling

    def list_windows(self, archives: Sequence[xr.DataArray], covered: Sequence[xr.DataArray]) -> WindowList:
        """The windows of archives with the coverage `covered`. Raises `DataError`."""
        return list_windows(
            archives,
            context=self.context,
            horizon=self.horizon,
            stride=self.stride,
            min_valid=self.min_valid,
            covered=covered,
            several_steps=self.several_steps,
        )

    def assemble(
        self,
        archives: Sequence[xr.DataArray],
        windows: WindowList,
        parts: Mapping[str, tuple[Window, ...]],
        tables: tuple[FrameTable, ...],
    ) -> DataSplits:
        """The data set of `archives`, whose frames are listed in `tables` and whose `windows` are split into `parts`."""
        # reports
        repairs = [repair for frames in archives for repair in frames.attrs.get("repairs", ())]
        repairs += windows.impossible_pixels
        repairs += [f"{count} window starts refused: {reason}" for reason, count in windows.refused.items()]
        report = [", ".join(f"{len(parts[name])} {name}" for name in NAMES) + " windows"]
        # sources of windows
        input_fields = fields_of(self.inputs, archives)
        readers = [ArrayReader(archive) for archive in archives]
        train, validation, test = (
            ArchiveSource(readers, parts[name], self.context, self.horizon, actions=self.actions, inputs=input_fields)
            if parts[name]
            else None
            for name in NAMES
        )
        # weighted sampling of training windows
        probabilities = None
        if self.sampling is not None and parts["train"]:
            probabilities = self.sampling.probabilities(archives, parts["train"], self.context + self.horizon)
            ratio = probabilities.max() / probabilities.min()
            report.append(f"windows are drawn by {self.sampling.by}, some up to {ratio:.3g} times as often as others")
        step = time_step(archives[0])
        labels = [table.labels for table in tables]
        return DataSplits(
            train,
            validation,
            test,
            scaling=self.scaling_of(archives),
            step=step if isinstance(step, np.timedelta64) else None,
            report=tuple(report),
            repairs=tuple(repairs),
            frames=tuple(archives),
            tables=tables,
            windows=parts,
            input_files=tuple(
                file for each in input_fields for field in each for file in sorted(files_of(field.values))
            ),
            probabilities=probabilities,
            where=describe_source(*archives),
            parts="" if all(parts.values()) else describe_split(windows, archives, labels),
        )


Data = ArchiveData | MovingDigits | VariedDigits | MixedDigits | KTH | Human36M | RoboNet | BAIR | TaxiBJ | SEVIR


def _check_disjoint(archives: Sequence[xr.DataArray]) -> None:
    """Raise `ConfigError` if one file is part of two archives: its frames could be in two splits."""
    known_files: set[str] = set()
    for frames in archives:
        files = files_of(frames)
        if shared := known_files & files:
            raise ConfigError(
                "the same file in two archives, so that a frame could be in two splits",
                where=f"data.path, {min(shared)}",
                remedy="name each file once",
            )
        known_files |= files
