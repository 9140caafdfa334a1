"""The folder of a run: its layout, the file of its settings, and checks before a run is started or resumed.

experiment.yaml   the resolved settings        log.csv, tensorboard/   losses, rates, speeds
data.json         the record of its data       pictures/               images of validation forecasts
checkpoints/      to resume from               mlflow.txt              the name of its run in MLflow, if it has one
best/, last/      trained models to use        .lock                   of the process that trains

Only this module reads and writes `experiment.yaml`; the other files belong to the modules that write them. A run has begun when
its first checkpoint is complete; what a process leaves that was killed before is begun again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from framecast.config.experiment import Experiment
from framecast.config.parsing import plain
from framecast.config.recipes import read
from framecast.data.datasets import ArchiveData
from framecast.data.windows.record import RECORD, DataRecord, read_record
from framecast.errors import ConfigError, RunError
from framecast.reading.paths import is_file
from framecast.reading.plain_data import format_yaml, read_yaml
from framecast.training import resume_state
from framecast.training.settings import describe, differences
from framecast.writing import LOCK, TEMPORARY, write_bytes, write_text

EXPERIMENT, CHECKPOINTS = "experiment.yaml", "checkpoints"
_BEFORE_FIRST_CHECKPOINT = {EXPERIMENT, RECORD, CHECKPOINTS, "log.csv", "tensorboard", "mlflow.txt", "latents"}
"""What a run may have written before its first checkpoint is complete."""


NO_RECORD = (
    "the run has no record of its data (data.json), which earlier versions did not write: its split is computed again, "
    "so frames may be in another split than in training if the data have changed"
)


def has_checkpoints(out: Path) -> bool:
    """Whether the run has begun, so that it can be resumed; one that waits for its first stage has not."""
    return resume_state.exists(out / CHECKPOINTS)


def check_new(out: Path, experiment: Experiment) -> None:
    """Raise `RunError` if `out` holds anything but what a run with these settings leaves that was killed before its first
    checkpoint, or waits for its first stage."""
    if not out.exists():
        return
    names = {each.name for each in out.iterdir()} if out.is_dir() else {out.name}
    names = {name for name in names if name != LOCK and not name.startswith(TEMPORARY)}
    if not names:
        return
    if names & {"best", "last"} and EXPERIMENT in names and not has_checkpoints(out):
        raise RunError(
            "the run has trained models, and no checkpoint to resume from", where=out, remedy="use another folder"
        )
    if EXPERIMENT not in names or names - _BEFORE_FIRST_CHECKPOINT or has_checkpoints(out):
        raise RunError(
            "the folder exists and is not empty",
            where=out,
            remedy="use another folder, or resume this run",
        )
    if changed := differences(settings_of(read_experiment(out)), settings_of(experiment)):
        raise RunError(
            f"the folder holds a run that has not begun, with other settings: {describe(changed)}",
            where=out,
            remedy="use another folder, or remove this one",
        )


def settings_of(experiment: Experiment) -> dict[str, Any]:
    """The settings of a run as plain data, as they stand in `experiment.yaml` and in its checkpoints."""
    return plain(experiment)


def create_run_folder(out: Path, experiment: Experiment, record: bytes | None = None) -> None:
    """Create the folder of a run and write its settings and the `record` of its data; a resumed run replaces them, since its
    length may change. Raises `RunError` if the folder cannot be written."""
    write_text(out / EXPERIMENT, format_yaml(settings_of(experiment)))
    if record is not None:
        write_bytes(out / RECORD, record)


def read_run_record(out: Path, digest: str | None) -> DataRecord | None:
    """The record of the data of a run; None for one of an earlier version. `digest` is that of its checkpoint, None if it has
    none. Raises `RunError` if it is gone, was changed, or is that of other data."""
    record = read_record(out)
    if digest and (record is None or record.digest != digest):
        raise RunError(
            "the record of the data is gone" if record is None else "the record of the data is that of another run",
            where=out / RECORD,
            remedy="restore it from a copy: one lies in best/ and last/ of the run",
        )
    return record


def read_experiment(out: Path) -> Experiment:
    """The experiment of an existing run. Raises `RunError` if `out` is not a run, and `ConfigError` if its settings are not those
    in its checkpoints: they were edited."""
    if not is_file(out / EXPERIMENT):
        raise RunError(
            f"not a run: it has no {EXPERIMENT}",
            where=out,
            remedy="use the folder that training created; a saved model alone is evaluated on other data",
            parameter="data",
            example="PATH",
        )
    experiment = read(out / EXPERIMENT, saved=True)
    # As they are used, or as they stand there: a run of an earlier version lacks later settings.
    resume_state.check_settings(out / CHECKPOINTS, settings_of(experiment), read_yaml(out / EXPERIMENT))
    return experiment


def check_in_files(
    experiment: Experiment, out: Path, remedy: str, *, parameter: str | None = None, example: str | None = None
) -> None:
    """Raise `RunError` with `remedy` if the run in `out` was trained on frames in memory, which cannot be opened again."""
    if isinstance(experiment.data, ArchiveData) and experiment.data.in_memory:
        raise RunError(
            "was trained on frames in memory, which are in no file",
            where=out,
            remedy=remedy,
            parameter=parameter,
            example=example,
        )


def check_unchanged(out: Path, recorded: Experiment, experiment: Experiment) -> None:
    """Raise `ConfigError` if `experiment` differs from the `recorded` one of the run in `out` in anything but its length."""
    if changed := differences(settings_of(recorded), settings_of(experiment)):
        raise ConfigError(
            f"the settings differ from those of the run: {describe(changed)}",
            where=out,
            remedy="only training.iterations may change; start a new run for other settings",
        )
