"""The windows that a model is evaluated on: its own test split or other data, and whether it has seen them in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import xarray as xr

from framecast.data.archives.opening import files_named_by, open_like
from framecast.data.datasets import IN_MEMORY, ArchiveData
from framecast.data.frames import files_of
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.data.windows.inputs import Input
from framecast.data.windows.sources import DataSplits
from framecast.data.windows.splits import ByBlocks
from framecast.errors import ArgumentError, DataError
from framecast.forecasting.trained_model import TrainedModel
from framecast.training.run_folder import EXPERIMENT, check_in_files, read_experiment

FramesLike = str | Path | Sequence[str | Path] | xr.DataArray
"""Frames: what `framecast.open` takes, or what it gives."""


def windows_of(
    run: Path,
    trained: TrainedModel,
    data: FramesLike | None = None,
    *,
    options: ReadOptions = DEFAULT,
    context: int | None = None,
    horizon: int | None = None,
    stride: int | None = None,
    inputs: Sequence[Input] | None = None,
) -> DataSplits:
    """The windows to evaluate: all of `data`, read as those were that the model was trained on where `options` state nothing
    else; without it the test split of the run. `context`, `horizon` and `inputs` are those of the model unless stated. Raises
    `DataError` where there is none."""
    shape = trained.card.shape
    context, horizon = context or shape.context, horizon or shape.horizon
    inputs = tuple(trained.card.inputs if inputs is None else inputs)
    if data is not None:
        frames = opened(data, options, trained.card.read_options)
        trained.check(frames)
        judged = all_windows(frames, context, horizon, stride=stride or 1, actions=bool(shape.actions), inputs=inputs)
        if (actions := judged.held_out().shape.actions) != shape.actions:
            raise DataError(
                f"actions of {actions} numbers, but {trained.name} was trained on actions of {shape.actions}",
                where=judged.where,
                remedy="give data with the actions that it was trained on",
            )
        return judged
    if options.stated:
        raise ArgumentError(
            f"the run's own test split is read as in training, but {', '.join(options.stated)} is stated",
            where=run,
            parameter="data",
            example="PATH",
            remedy="leave that out, or give data",
        )
    experiment = read_experiment(run)
    check_in_files(experiment, run, "give frames to look at", parameter="data", example="PATH")
    own = experiment.data
    if isinstance(own, ArchiveData):
        own = replace(own, inputs=inputs, stride=stride or own.stride)
    elif stride is not None:
        raise ArgumentError(
            "this data set has windows of its own", parameter="stride", remedy="leave it out, or give data"
        )
    return replace(own, context=context, horizon=horizon).open()


def all_windows(
    frames: xr.DataArray,
    context: int,
    horizon: int,
    *,
    stride: int = 1,
    actions: bool = False,
    inputs: tuple[Input, ...] = (),
) -> DataSplits:
    """All windows of opened frames, for testing. Raises `DataError` and `ConfigError`."""
    archive = ArchiveData(
        path=IN_MEMORY,
        context=context,
        horizon=horizon,
        stride=stride,
        actions=actions,
        inputs=inputs,
        split=ByBlocks(validation=0, test=0),
    )
    sources = archive.open(frames=[frames])
    return replace(sources, test=sources.train, train=None)


def opened(data: FramesLike, options: ReadOptions, before: ReadOptions) -> xr.DataArray:
    """Frames, read as those of training were (`before`), where they are not open. Raises `DataError`."""
    return data if isinstance(data, xr.DataArray) else open_like(data, options, before)


def trained_on(run: Path, frames: Sequence[xr.DataArray]) -> tuple[str, ...]:
    """Those files of the opened `frames` on which the run was trained, so that scores on them flatter the model. Nothing where
    that cannot be told: a saved model without its run, files that are gone. No file is opened for it."""
    if not (run / EXPERIMENT).is_file():
        return ()
    data = read_experiment(run).data
    if not isinstance(data, ArchiveData) or data.in_memory:
        return ()
    training = {file for path in data.paths for file in files_named_by(path)}
    return tuple(sorted(training & {file for part in frames for file in files_of(part)}))


def training_warning(run: Path, frames: Sequence[xr.DataArray]) -> str:
    """What makes scores of a run on `frames` look better than they are; empty if nothing is known to."""
    files = trained_on(run, frames)
    names = ", ".join(Path(file).name for file in files[:5])
    return f"the model was trained on {len(files)} of these files: {names}" if files else ""
