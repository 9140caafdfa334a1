"""The public function `framecast.calibrate`: a trained model whose probabilities are calibrated on events it was not trained on.

It forecasts every window of the events, fits the calibration, and writes the model with it to a new folder.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr

from framecast.checkpoints.model_folder import ModelCard, find, save, warn_of_last
from framecast.checkpoints.model_folder import load as load_saved
from framecast.checks import as_path, as_tuple, check_counts, refuses_arrays
from framecast.data.archives.outputs import source_files
from framecast.data.datasets import ArchiveData
from framecast.data.frames import files_of, stamp
from framecast.data.quantities import ZR
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.data.windows.sources import DataSplits
from framecast.errors import ArgumentError, DataError
from framecast.forecasting.calibration import LEAST_EVENTS, Sample, SamplePart, apply_calibration
from framecast.forecasting.protocol import Context, Forecasts
from framecast.forecasting.trained_model import TrainedModel
from framecast.progress import Progress, no_progress
from framecast.training.run_data import record_of_model
from framecast.training.run_folder import EXPERIMENT, read_experiment
from framecast.verification.run import spread_evenly
from framecast.verification.stored_parts import StoredParts
from framecast.verification.windows import training_overlap, windows_of
from framecast.workflows.calibration_parts import PARTIAL, SAMPLE, sample_dependencies
from framecast.writing import claim

_log = logging.getLogger(__name__)
_LEAST = 1e-5
"""Probabilities are kept so far from 0 and from 1 where their logits are taken."""


@refuses_arrays
def calibrate(
    run: str | Path,
    data: str | Path | xr.DataArray | Sequence[str | Path | xr.DataArray] = (),
    *,
    out: str | Path,
    folds: str | Path | None = None,
    options: ReadOptions = DEFAULT,
    limit: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Calibrate the probabilities of the model of `run` on `data`, one or several archives on none of which it was trained, and
    write the calibrated model to the new folder `out`.

    Where all events were needed for training, `folds` is the folder of a cross-validation of the same recipe: each of its models
    forecasts the event that it has not seen, and the calibration of these forecasts is given to the model of `run`.

    Every window of an archive is forecast, or `limit` of each, evenly spread. Returns the calibration, as it stands in the card:
    a factor for each rate, the numbers of pixels and events, the files and times. A rate with
    fewer events than `LEAST_EVENTS` is not calibrated, and is said so wherever its probability is forecast. What an interrupted
    call has forecast lies in a hidden folder beside `out`: the same call continues, with the same result to the last bit.

    Raises `ArgumentError` if the model predicts no distributions, there is nothing to calibrate on, two archives hold one file
    or `out` exists, `DataError`
    if the data have no window, are those of training, or have no rate with enough events, and `RunError` if there is no trained
    model.
    """
    check_counts(limit=limit)
    folder, target = as_path(run, "the folder of a run", "run"), as_path(out, "a new folder", "out")
    if target.exists():
        raise ArgumentError(f"{target} exists already", parameter="out", remedy="name another folder")
    network: Any
    network, card = load_saved(find(folder))
    warn_of_last(folder)
    if not card.head.rates:
        raise ArgumentError(
            f"{card.model.name} predicts values, which have no probabilities",
            parameter="run",
            remedy="train with head.name=exceedance",
        )
    archives = (data,) if isinstance(data, str | Path | xr.DataArray) else as_tuple(data, "data")
    pairs: list[tuple[Path, Any]] = [(folder, archive) for archive in archives]
    if folds is not None:
        pairs += _left_out(as_path(folds, "the folder of a cross-validation", "folds"), folder, card)
    if not pairs:
        raise ArgumentError(
            "nothing to calibrate on", parameter="data", example="PATH", remedy="name events it was not trained on"
        )
    with claim(target, sibling=True):
        return _calibrate(_Job(folder, target, network, card, pairs, options, limit), progress or no_progress)


class _Job(NamedTuple):
    """What is calibrated: the model of the run `folder`, on `pairs` of a run that judges and an archive; written to `target`."""

    folder: Path
    target: Path
    network: Any
    card: ModelCard
    pairs: list[tuple[Path, Any]]
    options: ReadOptions
    limit: int | None


def _calibrate(job: _Job, progress: Progress) -> dict[str, Any]:
    """See `calibrate`."""
    folder, network, card = job.folder, job.network, job.card
    # forecast the events
    sources = [_open(judge, archive, job.options) for judge, archive in job.pairs]
    _check_repeats(job.pairs, [source.frames for _, source in sources])
    frames = [part for _, source in sources for part in source.frames]
    sample = Sample(np.array(card.head.rates))
    hidden = job.target.with_name(f".{job.target.name}{PARTIAL}")
    store = StoredParts(hidden, sample_dependencies(job.pairs, sources, job.limit), SAMPLE)
    _collect(sources, sample, job.limit, progress, store)
    # fit, and write the calibrated model
    calibration = sample.fit()
    apply_calibration(network, calibration)
    if not any(calibration["calibrated"]):
        raise DataError(
            f"no rate of the ladder has {LEAST_EVENTS} events and as many others among {calibration['pixels']} pixels",
            where=sources[0][1].where,
            remedy="calibrate on more events, or wetter ones",
        )
    calibration["files"] = sorted({Path(file).name for part in frames for file in files_of(part)})
    calibration["quantities"] = sorted(
        {str(part.attrs.get("converted_from", part.attrs["quantity"])) for part in frames}
    )
    calibration["times"] = [[stamp(part["time"].values[0]), stamp(part["time"].values[-1])] for part in frames]
    save(job.target, network, replace(card, calibration=calibration), record_of_model(folder))
    store.remove()
    return calibration


def _check_repeats(pairs: Sequence[tuple[Path, Any]], frames: Sequence[Sequence[xr.DataArray]]) -> None:
    """Raise `ArgumentError` for a file that two of the archives hold: its events would count twice. Frames in memory may be parts
    of one file."""
    known: set[str] = set()
    for (_, archive), parts in zip(pairs, frames, strict=True):
        files = (
            set() if isinstance(archive, xr.DataArray) else {os.path.realpath(each) for each in source_files(*parts)}
        )
        if repeated := files & known:
            raise ArgumentError(f"{min(repeated)} is given twice", parameter="data", remedy="name each event once")
        known |= files


def _left_out(folds: Path, run: Path, card: ModelCard) -> list[tuple[Path, str]]:
    """The folds of a cross-validation with the event that each has left out of the data of `run`. Raises `ArgumentError` if there
    is none, or if one has another model than `card`."""
    data = read_experiment(run).data
    paths = set(data.paths) if isinstance(data, ArchiveData) else set()
    pairs = []
    for fold in sorted(path.parent for path in folds.glob(f"*/{EXPERIMENT}")):
        data_of_fold = read_experiment(fold).data
        events = paths - set(data_of_fold.paths) if isinstance(data_of_fold, ArchiveData) else set()
        if len(events) != 1 or not (fold / "last").is_dir():
            continue
        if load_saved(find(fold))[1].model != card.model:
            raise ArgumentError(f"{fold} has another model than {run}", parameter="folds")
        pairs.append((fold, events.pop()))
    if not pairs:
        raise ArgumentError(
            f"{folds} has no finished fold that leaves out one event of {run}",
            parameter="folds",
            remedy="name the folder that crossvalidate has written",
        )
    return pairs


def _open(run: Path, archive: Any, options: ReadOptions) -> tuple[list[TrainedModel], DataSplits]:
    """The model of a run as it started and as it is, and the windows of an archive. Raises `DataError` if the model was trained
    on them."""
    models = []
    for trust in (0.0, 1.0):
        network: Any
        network, card = load_saved(find(run))
        network.reweight(torch.full((len(card.head.rates),), trust))
        models.append(TrainedModel(network, card))
    trained = models[-1]
    sources = windows_of(run, trained, archive, options=options)
    if overlap := training_overlap(run, sources):
        raise DataError(overlap, where=sources.where, remedy="calibrate on events that it was not trained on")
    return models, sources


def _collect(
    sources: Sequence[tuple[Sequence[TrainedModel], DataSplits]],
    sample: Sample,
    limit: int | None,
    progress: Progress,
    store: StoredParts[SamplePart],
) -> None:
    """Forecast the windows of all sources, and add pixels of each to the sample; the first ones are taken from the `store` as far
    as it has them."""
    windows = []
    for models, splits in sources:
        source: Any = splits.held_out()
        windows += [(models, source, index) for index in spread_evenly(len(source), limit)]
    first = next(number for number in range(len(windows) + 1) if number not in store.parts)
    for number in range(first):
        sample.restore(store.parts[number])
    done = first
    try:
        for number, (models, source, index) in enumerate(windows[first:], first):
            values, context, horizon = source.read(index), source.shape.context, source.shape.horizon
            scale = source.scale(index)
            case = Context(values[None, :context], scales=(scale,))
            rain = np.asarray(source.quantity.rain_rate(values[context:, 0], ZR()))
            start, full = (_logits(model, case, horizon) for model in models)
            store.add(number, sample.add(start, full - start, rain))
            done = number + 1
            progress(done, len(windows))
    except KeyboardInterrupt:
        _log.warning("%s of %s windows are stored: the same command continues", done, len(windows))
        raise
    finally:
        store.write()


def _logits(model: TrainedModel, case: Context, horizon: int) -> np.ndarray:
    """The logits `(K, L, H, W)` of one case."""
    forecasts = model.forecast(case, horizon)
    assert isinstance(forecasts, Forecasts)
    assert forecasts.distribution is not None
    bounded = forecasts.distribution.probability[:, 0].clip(_LEAST, 1 - _LEAST)
    return np.asarray(np.log(bounded / (1 - bounded)))
