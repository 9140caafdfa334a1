"""The folder of a run: what is in it, how it begins and how it goes on.

experiment.yaml   the resolved settings        log.csv, tensorboard/   losses, rates, speeds
checkpoints/      to go on from                pictures/               validation forecasts
best/, last/      trained models to use        mlflow.txt              the name of its run in MLflow, where it has one
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import yaml

from framecast.config.experiment import Experiment
from framecast.config.parsing import plain
from framecast.config.recipes import read
from framecast.data.datasets import ArchiveData
from framecast.errors import ConfigError, RunError

EXPERIMENT, CHECKPOINTS = "experiment.yaml", "checkpoints"


def has_begun(out: Path) -> bool:
    """Whether there is something to go on from, and not the settings alone, which wait for a first stage."""
    return (out / CHECKPOINTS).exists()


def check_new(out: Path) -> None:
    """Raise `RunError` where a new run would overwrite more than the settings of one that has not begun."""
    if out.exists() and (not out.is_dir() or {each.name for each in out.iterdir()} - {EXPERIMENT}):
        raise RunError(
            "there is something here already",
            where=out,
            remedy="name another folder, or resume this run",
        )


def begin(out: Path, experiment: Experiment) -> None:
    """Make the folder of a run; one that goes on takes over its new length. Raises `RunError` where it cannot be written."""
    temporary = out / f".{EXPERIMENT}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        temporary.write_text(yaml.safe_dump(plain(experiment), sort_keys=False))
        temporary.replace(out / EXPERIMENT)
    except OSError as error:
        raise RunError(f"the folder cannot be written ({error})", where=out) from error


def settings_of(out: Path) -> Experiment:
    """The experiment of an existing run. Raises `RunError` where there is none."""
    if not (out / EXPERIMENT).is_file():
        raise RunError(
            f"not a run: it has no {EXPERIMENT}",
            where=out,
            remedy="give the folder that training made; a saved model alone is judged on other data",
            parameter="data",
            example="PATH",
        )
    return read(out / EXPERIMENT)


def check_in_files(
    experiment: Experiment, out: Path, remedy: str, *, parameter: str | None = None, example: str | None = None
) -> None:
    """Raise `RunError` with `remedy` where the run in `out` was trained on frames in memory, so that they are not there."""
    if isinstance(experiment.data, ArchiveData) and experiment.data.in_memory:
        raise RunError(
            "was trained on frames in memory, which no file holds",
            where=out,
            remedy=remedy,
            parameter=parameter,
            example=example,
        )


def check_unchanged(out: Path, experiment: Experiment) -> None:
    """Raise `ConfigError` where an experiment differs from the run it would continue in anything but its length."""
    before = settings_of(out)
    length = dataclasses.replace(before.training, iterations=experiment.training.iterations)
    if plain(dataclasses.replace(before, training=length)) != plain(experiment):
        raise ConfigError(
            "the settings differ from those the run began with",
            where=out,
            remedy="only training.iterations may change; begin a new run for other settings",
        )
