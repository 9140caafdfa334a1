"""The windows on which a model is evaluated: its own test split or other data, with a check for training files among them.

Reads run folders and opens data; forecasts and scores nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from framecast.checkpoints.model_folder import ModelCard
from framecast.data.archives.opening import files_named_by, open_like
from framecast.data.datasets import IN_MEMORY, ArchiveData
from framecast.data.frames import files_of
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.data.scale import scale_of
from framecast.data.windows.inputs import Input
from framecast.data.windows.known_frames import KnownFrames
from framecast.data.windows.sources import ArchiveSource, DataSplits
from framecast.data.windows.splits import ByBlocks
from framecast.errors import ArgumentError, DataError
from framecast.forecasting.trained_model import TrainedModel
from framecast.training.run_data import open_run_data, record_of_model, record_warning
from framecast.training.run_folder import EXPERIMENT, check_in_files, read_experiment

FramesLike = str | Path | Sequence[str | Path] | xr.DataArray
"""Frames: what `framecast.open` takes, or what it returns."""


def pixel_size(frames: Sequence[xr.DataArray]) -> dict[str, float]:
    """The side of a pixel as the attribute `pixel_kilometres` of the sums; nothing if it is not known, or not the same in all
    archives."""
    scales = [scale_of(each) for each in frames]
    sides = {scale.kilometres for scale in scales if "pixel size" not in scale.assumed}
    return {"pixel_kilometres": round(sides.pop(), 6)} if len(sides) == 1 and scales else {}


def model_notes(models: Mapping[str, TrainedModel], frames: Sequence[xr.DataArray]) -> list[str]:
    """What a person must know of the models on these frames; of several models with their names."""
    return [
        text if len(models) == 1 else f"{name}: {text}"
        for name, model in models.items()
        for text in model.notes(frames)
    ]


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
    others: Sequence[Path] = (),
) -> DataSplits:
    """The windows to evaluate: those of `data`, read with `options` and otherwise as in training, or without `data` the test
    split of the run. `context`, `horizon` and `inputs` are by default those of the model. Windows of `data` with a frame on which
    the run, or one of the `others`, was trained are left out, wherever the frame lies now. Raises `DataError` if there is no
    window."""
    shape = trained.card.shape
    context, horizon = context or shape.context, horizon or shape.horizon
    inputs = tuple(trained.card.inputs if inputs is None else inputs)
    # other data: all windows, checked against the model
    if data is not None:
        frames = open_data(data, options, trained.card.read_options)
        frames = trained.fit(frames)
        sources = all_windows(frames, context, horizon, stride=stride or 1, actions=bool(shape.actions), inputs=inputs)
        if (actions := sources.held_out().shape.actions) != shape.actions:
            raise DataError(
                f"actions of {actions} numbers, but {trained.name} was trained on actions of {shape.actions}",
                where=sources.where,
                remedy="give data with the actions that it was trained on",
            )
        return leave_out_training(sources, [run, *others])
    if options.stated:
        raise ArgumentError(
            f"the test split of the run is read as in training, but {', '.join(options.stated)} is given",
            where=run,
            parameter="data",
            example="PATH",
            remedy="leave that out, or give data",
        )
    # the test split of the run
    experiment = read_experiment(run)
    check_in_files(experiment, run, "give data", parameter="data", example="PATH")
    changes: dict[str, Any] = {"context": context, "horizon": horizon}
    if isinstance(experiment.data, ArchiveData):
        changes |= {"inputs": inputs, "stride": stride or experiment.data.stride}
    elif stride is not None:
        raise ArgumentError(
            "this data set has its own windows", parameter="stride", remedy="leave it out, or give data"
        )
    return open_run_data(run, ("test",), trained.card, **changes)


def all_windows(
    frames: xr.DataArray,
    context: int,
    horizon: int,
    *,
    stride: int = 1,
    actions: bool = False,
    inputs: tuple[Input, ...] = (),
) -> DataSplits:
    """All windows of open frames, as a test split. Raises `DataError` and `ConfigError`."""
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


def open_data(data: FramesLike, options: ReadOptions, training_options: ReadOptions) -> xr.DataArray:
    """Open frames, with `options` and otherwise as in training (`training_options`). Raises `DataError`."""
    return data if isinstance(data, xr.DataArray) else open_like(data, options, training_options)


def leave_out_training(sources: DataSplits, runs: Sequence[Path]) -> DataSplits:
    """The `sources` without the windows of the test that hold a frame on which one of the `runs` was trained, by their records;
    `warnings` say what was left out, and what else is known of the frames. Raises `DataError` if no window is left."""
    records = [record for record in map(record_of_model, runs) if record is not None]
    trained, validated = KnownFrames(records, "train"), KnownFrames(records, "validation")
    masks = [trained.mask(table) for table in sources.tables]
    source, warnings = sources.held_out(), []
    name = "a model" if len(runs) > 1 else "the model"
    if (count := sum(int(mask.sum()) for mask in masks)) and isinstance(source, ArchiveSource):
        length = source.shape.context + source.shape.horizon
        left = [w for w in source.windows if not masks[w.archive][w.sequence, w.start : w.start + length].any()]
        if not left:
            raise DataError(
                f"{name} was trained on {count} of these frames, and all {len(source)} windows hold some of them",
                where=sources.where,
                remedy="give data on which it was not trained",
                parameter="data",
                example="PATH",
            )
        warnings.append(
            f"{name} was trained on {count} of these frames: {len(source) - len(left)} of {len(source)} windows hold some "
            "of them and were left out"
        )
        source = source.restricted(left)
    if chosen := sum(int(validated.mask(table).sum()) for table in sources.tables):
        warnings.append(
            f"{chosen} of these frames are of the validation of {name}, by which its best weights were chosen"
        )
    same_times = sum(
        int((trained.shared_times(table) & ~mask.any(0)).sum())
        for table, mask in zip(sources.tables, masks, strict=True)
    )
    if same_times:
        warnings.append(
            f"{name} was trained on other frames of {same_times} of these times: of another place, or, where the files do not "
            "tell the place, changed since, a crop or another resolution, which is not recognised"
        )
    return replace(sources, test=source, warnings=(*sources.warnings, *warnings))


def training_overlap(run: Path, sources: DataSplits) -> str:
    """On how many of the frames of `sources` the run was trained, as text; empty if on none, or if that is not known."""
    if (record := record_of_model(run)) is not None:
        known = KnownFrames([record], "train")
        count = sum(int(known.mask(table).sum()) for table in sources.tables)
        return f"the model was trained on {count} of these frames" if count else ""
    return _shared_files(training_files(run, sources.frames))


def _shared_files(files: Sequence[str]) -> str:
    names = ", ".join(Path(file).name for file in files[:5])
    return f"the model was trained on {len(files)} of these files: {names}" if files else ""


def training_files(run: Path, frames: Sequence[xr.DataArray]) -> tuple[str, ...]:
    """The files of the open `frames` on which a run without a record of its data was trained; scores on them are too good. Empty
    if that is unknown: a model folder without its run, or files that no longer exist. Opens no file."""
    if not (run / EXPERIMENT).is_file():
        return ()
    data = read_experiment(run).data
    if not isinstance(data, ArchiveData) or data.in_memory:
        return ()
    training = {file for path in data.paths for file in files_named_by(path)}
    return tuple(sorted(training & {file for part in frames for file in files_of(part)}))


def training_warning(run: Path, card: ModelCard, frames: Sequence[xr.DataArray]) -> str:
    """A warning that scores are too good; empty without one. `frames` are in files on which a run without a record was trained,
    or lie within the times of the events of its calibration, or of those that its card names."""
    record = record_of_model(run)
    if text := record_warning(record, card) or ("" if record else _shared_files(training_files(run, frames))):
        return text
    if same := _same_times(frames, card.calibration.get("times", ())):
        return f"the probabilities of the model were calibrated on frames of {same}, which may be these"
    if same := _same_times(frames, card.about.get("times", ())):
        return f"the model was trained on frames of {same}, which may be these"
    return ""


def _same_times(frames: Sequence[xr.DataArray], spans: Sequence[Sequence[str]]) -> str:
    """The first of the `spans` (first and last time) that shares times with the frames; empty if none does."""
    for first, last in spans:
        begin, end = (np.datetime64(text.removesuffix(" UTC")) for text in (first, last))
        for part in frames:
            times = part["time"].values
            if times.dtype.kind == "M" and ((times >= begin) & (times <= end)).any():
                return f"{first} to {last}"
    return ""
