"""The data of an existing run, opened by the record that was written when it began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from framecast.checkpoints.model_folder import ModelCard, find
from framecast.config.parsing import plain
from framecast.data.recorded import open_recorded
from framecast.data.windows.record import RECORD, DataRecord, read_record
from framecast.data.windows.sources import DataSplits
from framecast.errors import ConfigError
from framecast.training.run_folder import EXPERIMENT, NO_RECORD, read_experiment, read_run_record
from framecast.training.settings import describe, differences


def open_run_data(run: Path, splits: Sequence[str], card: ModelCard, **changes: Any) -> DataSplits:
    """The data of a run with a model of this `card` in its recorded splits, those in `splits` unchanged since training. `changes`
    replace the lengths of windows, the stride or the inputs. A run of an earlier version, without a record, is split again, which
    `repairs` says.

    Raises `RunError` if it is not a run or its record was changed, `ConfigError` if its settings were, and `DataError`.
    """
    data, record = read_experiment(run).data, read_run_record(run, card.training_data_sha256)
    chosen: Any = replace(data, **changes)
    if record is None:
        sources: DataSplits = chosen.open()
        return replace(sources, repairs=(NO_RECORD, *sources.repairs))
    if changed := differences({"data": dict(record.settings)}, {"data": plain(data)}):
        raise ConfigError(
            f"the settings of the data were changed since training: {describe(changed)}",
            where=run / EXPERIMENT,
            remedy=f"set them back to those in {RECORD}, or give data",
            parameter="data",
            example="PATH",
        )
    return open_recorded(chosen, record, splits)


def record_of_model(folder: Path) -> DataRecord | None:
    """The record of the training data of a run or a saved model; None if it has none. Raises `RunError`."""
    return read_record(find(folder)) or read_record(folder)


def record_warning(record: DataRecord | None, card: ModelCard) -> str:
    """A warning if the `record` of a model is not there, or not that which its `card` names."""
    if not card.training_data_sha256 or (record is not None and record.digest == card.training_data_sha256):
        return ""
    what = "is gone" if record is None else "is that of another model"
    return f"the record of the training data of the model ({RECORD}) {what}: frames of training cannot all be left out"
