"""The data of an existing run, opened by the record that was written when it began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from framecast.checkpoints.model_folder import find
from framecast.config.parsing import plain
from framecast.data.recorded import open_recorded
from framecast.data.windows.record import RECORD, DataRecord, read_record
from framecast.data.windows.sources import DataSplits
from framecast.errors import ConfigError
from framecast.training.run_folder import EXPERIMENT, NO_RECORD, read_experiment
from framecast.training.settings import describe, differences


def open_run_data(run: Path, splits: Sequence[str], **changes: Any) -> DataSplits:
    """The data of a run in its recorded splits, those in `splits` unchanged since training. `changes` replace the lengths of
    windows, the stride or the inputs. A run of an earlier version, without a record, is split again, which `repairs` says.

    Raises `RunError` if it is not a run or its record was changed, `ConfigError` if its settings were, and `DataError`.
    """
    data, record = read_experiment(run).data, read_record(run)
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
