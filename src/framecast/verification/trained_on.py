"""Whether forecasts that were made before come from a model that was trained on the frames on which they are scored.

A forecast of framecast states the digest of the record of the training data. The record itself lies with the run, or the model
comes with framecast; a model without a record has a card that names the times of its training.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from framecast.checkpoints.model_folder import find, load, packaged
from framecast.checks import as_path, as_tuple
from framecast.data.coverage import coverage
from framecast.data.windows.known_frames import KnownFrames
from framecast.data.windows.record import DataRecord, table_of
from framecast.training.run_data import record_of_model
from framecast.verification.forecast_files import ForecastFiles
from framecast.verification.windows import training_warning

DIGEST = "training_data_sha256"
"""The attribute of a forecast with the digest of the record of the training data."""


class Overlap(NamedTuple):
    """Which frames of the truth were trained on `(T,)`, and `warnings`."""

    trained: np.ndarray
    warnings: list[str]


def overlap(sources: Sequence[ForecastFiles], runs: Sequence[str | Path], frames: xr.DataArray) -> Overlap:
    """The frames of the truth on which models of the `sources` were trained, as far as that can be known: from the records of the
    `runs` that made them, and of the models that come with framecast. Raises `RunError` for what is no run."""
    trained = np.zeros(frames.sizes["time"], dtype=bool)
    warnings: list[str] = []
    folders = [as_path(run, "the folder of a run", "runs") for run in as_tuple(runs, "runs")]
    records = {folder: record_of_model(folder) for folder in folders}
    digests = {record.digest for record in records.values() if record is not None}
    for source in sources:
        for digest in sorted(_digests(source) - digests):
            warnings.append(
                f"{source.name}: made by a model whose training data have the digest {digest[:12]}..., of which no run is given: "
                "frames that it was trained on are not left out"
            )
    for source in sources:
        for name in sorted(_models(source) & set(packaged())):
            records.setdefault(Path(name), record_of_model(Path(name)))
    known = [record for record in records.values() if record is not None]
    if known:
        trained |= _trained_on(known, frames)
    for folder, record in records.items():
        if record is None and (text := training_warning(folder, load(find(folder))[1], [frames])):
            warnings.append(f"{folder}: {text}")
    return Overlap(trained, list(dict.fromkeys(warnings)))


def _trained_on(records: Sequence[DataRecord], frames: xr.DataArray) -> np.ndarray:
    """Which frames are in the training of one of the records `(T,)`. Reads all frames."""
    labels = np.full((1, frames.sizes["time"]), -1)
    table = table_of(frames, coverage(frames, digests=True), labels)
    return np.asarray(KnownFrames(records, "train").mask(table).any(0))


def _digests(source: ForecastFiles) -> set[str]:
    parts = [part for each in source.forecasts.values() for part in each.parts]
    stated = (part.origin.get(DIGEST) or part.field.attrs.get(DIGEST) for part in parts)
    return {str(digest) for digest in stated if digest}


def _models(source: ForecastFiles) -> set[str]:
    """The models that made the forecasts, as the files name them."""
    parts = [part for each in source.forecasts.values() for part in each.parts]
    keys = ("framecast_rung", "framecast_run", "run")
    return {Path(str(part.origin[key])).name for part in parts for key in keys if part.origin.get(key)}
