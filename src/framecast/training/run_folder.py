"""The folder of a run: its layout, the file of its settings, and checks before a run is started or resumed.

experiment.yaml   the resolved settings        log.csv, tensorboard/   losses, rates, speeds
checkpoints/      to resume from               pictures/               images of validation forecasts
best/, last/      trained models to use        mlflow.txt              the name of its run in MLflow, if it has one

Only this module reads and writes `experiment.yaml`; the other files belong to the modules that write them.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from framecast.config.experiment import Experiment
from framecast.config.parsing import plain
from framecast.config.recipes import read
from framecast.data.datasets import ArchiveData
from framecast.errors import ConfigError, RunError
from framecast.paths import is_file
from framecast.plain_data import format_yaml

EXPERIMENT, CHECKPOINTS = "experiment.yaml", "checkpoints"


def has_checkpoints(out: Path) -> bool:
    """Whether the run can be resumed from a checkpoint; a run that waits for its first stage has settings only."""
    return (out / CHECKPOINTS).exists()


def check_new(out: Path) -> None:
    """Raise `RunError` if `out` holds anything but the settings of a run that waits for its first stage."""
    if out.exists() and (not out.is_dir() or {each.name for each in out.iterdir()} - {EXPERIMENT}):
        raise RunError(
            "the folder exists and is not empty",
            where=out,
            remedy="use another folder, or resume this run",
        )


def create_run_folder(out: Path, experiment: Experiment) -> None:
    """Create the folder of a run and write its settings; a resumed run replaces them, since its length may change. Raises
    `RunError` if the folder cannot be written."""
    temporary = out / f".{EXPERIMENT}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        temporary.write_text(format_yaml(plain(experiment)), encoding="utf-8")
        temporary.replace(out / EXPERIMENT)
    except OSError as error:
        raise RunError(f"the folder cannot be written ({error})", where=out) from error


def read_experiment(out: Path) -> Experiment:
    """The experiment of an existing run. Raises `RunError` if `out` is not a run."""
    if not is_file(out / EXPERIMENT):
        raise RunError(
            f"not a run: it has no {EXPERIMENT}",
            where=out,
            remedy="use the folder that training created; a saved model alone is evaluated on other data",
            parameter="data",
            example="PATH",
        )
    return read(out / EXPERIMENT)


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


def check_unchanged(out: Path, experiment: Experiment) -> None:
    """Raise `ConfigError` if `experiment` differs from the settings of the run in `out` in anything but its length."""
    before = read_experiment(out)
    length = dataclasses.replace(before.training, iterations=experiment.training.iterations)
    if plain(dataclasses.replace(before, training=length)) != plain(experiment):
        raise ConfigError(
            "the settings differ from those of the run",
            where=out,
            remedy="only training.iterations may change; start a new run for other settings",
        )
