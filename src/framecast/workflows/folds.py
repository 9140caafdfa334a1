"""The folds of a cross-validation: what each is trained on, what it is judged on, and the checks before any is trained.

Opens archives and reads the settings of runs that exist; trains nothing and writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from framecast.checks import as_tuple
from framecast.config.experiment import Experiment
from framecast.config.parsing import flatten, nearest, plain
from framecast.data.archives.opening import files_named_by, open_like
from framecast.data.datasets import ArchiveData
from framecast.data.frames import files_of
from framecast.data.readers.options import DEFAULT
from framecast.data.recorded import changed_files
from framecast.data.windows.index import list_windows, time_step
from framecast.data.windows.record import read_record
from framecast.data.windows.splits import ByBlocks, ByFile, Split
from framecast.errors import ArgumentError, ConfigError, DataError
from framecast.training.run_folder import EXPERIMENT, read_experiment
from framecast.training.two_stage import first_stage_beside, second_stage
from framecast.verification.settings import EvaluationSettings

ALL = "all"
"""The fold that is trained on all archives."""


class Fold(NamedTuple):
    """A training in `folder`, on `archives` at `paths`, and the events that its model is judged on: their paths, and the folders
    of their evaluations, by name."""

    folder: Path
    experiment: Experiment
    archives: tuple[str, ...]
    paths: tuple[str, ...]
    judged: dict[str, tuple[str, Path]]


def _archive_data(experiment: Experiment) -> ArchiveData:
    """The data of the experiment. Raises `ArgumentError` unless they are two archives or more."""
    data = experiment.data
    if not isinstance(data, ArchiveData) or len(data.paths) < 2:
        held = f"one archive, {data.path}" if isinstance(data, ArchiveData) else f"the data set {data.name}"
        raise ArgumentError(
            f"{held}; an event is left out of at least two",
            parameter="data.path",
            remedy="name the archives one by one: data.path=[one.nc, two.nc, three.nc]",
        )
    return data


def plan_folds(experiment: Experiment, judged_only: Sequence[str], out: Path) -> list[Fold]:
    """A fold for each archive, and one that is trained on all if there are events that are only judged. Raises `ArgumentError`
    for fewer than two archives, and for a path that is given twice."""
    data = _archive_data(experiment)
    names = _event_names([*data.paths, *judged_only])
    left_out, never_trained_on = names[: len(data.paths)], names[len(data.paths) :]

    def fold(folder: Path, training: Sequence[int], judged: dict[str, tuple[str, Path]]) -> Fold:
        paths = tuple(data.paths[number] for number in training)
        trained = replace(experiment, data=replace(data, path=paths, split=_without_test(data.split)))
        return Fold(folder, trained, tuple(left_out[number] for number in training), paths, judged)

    every = range(len(data.paths))
    folds = [
        fold(out / name, [k for k in every if k != number], {name: (data.paths[number], out / name / "evaluation")})
        for number, name in enumerate(left_out)
    ]
    if judged_only:
        places = zip(never_trained_on, judged_only, strict=True)
        folds.append(fold(out / ALL, every, {name: (path, out / ALL / "evaluation" / name) for name, path in places}))
    return folds


def _event_names(paths: Sequence[str]) -> list[str]:
    """A name for each path that can be that of a folder: the name of its file without the suffix, or the whole path if two have
    the same. Raises `ArgumentError` for a path that is given twice."""
    names = [re.sub(r"[^\w-]+", "_", Path(path).stem) for path in paths]
    if len({ALL, *names}) <= len(names):
        names = [re.sub(r"[^\w-]+", "_", path) for path in paths]
    for name, path in zip(names, paths, strict=True):
        if names.count(name) > 1:
            raise ArgumentError(f"{path} is given twice", parameter="data.path", remedy="name each event once")
    return names


def _without_test(split: Split) -> Split:
    """The split with the frames of the test as training frames."""
    if isinstance(split, ByBlocks):
        return replace(split, test=0.0)
    return replace(split, test=()) if isinstance(split, ByFile) else replace(split, test=None)


def choose_events(events: Sequence[str | Path] | None, folds: Sequence[Fold]) -> set[str]:
    """The names of the events to evaluate. Raises `ArgumentError` for one that is unknown."""
    names = {path: event for fold in folds for event, (path, _) in fold.judged.items()}
    if events is None:
        return set(names.values())
    chosen = set()
    for given in map(str, as_tuple(events, "events")):
        if given not in names and given not in names.values():
            raise ArgumentError(
                f"no event {given!r}{nearest(given, names.values())}",
                parameter="events",
                remedy=f"one of: {', '.join(names.values())}",
            )
        chosen.add(names.get(given, given))
    return chosen


def check_settings(fold: Fold) -> None:
    """Raise `ConfigError` if the folder of a fold holds a run of other settings."""
    if not (fold.folder / EXPERIMENT).is_file():
        return
    expected, _ = second_stage(fold.experiment, fold.folder)
    recorded = first_stage_beside(read_experiment(fold.folder), fold.folder)
    before, after = flatten(plain(recorded)), flatten(plain(expected))
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    if changed:
        text = ", ".join(f"{key} {before.get(key)}, not {after.get(key)}" for key in changed[:4])
        raise ConfigError(
            f"it holds a run with other settings: {text}",
            where=fold.folder,
            parameter="out",
            remedy="use the settings with which it was begun, or another folder",
        )


def check_files(fold: Fold) -> None:
    """Raise `ConfigError` if a fold was trained, or begun, on other files than those that its archives have now: its scores would
    not be comparable, and a file that went from one event to another would be judged by a model that has seen it."""
    record = read_record(fold.folder)
    if changed := record and changed_files(fold.experiment.data, record):
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise ConfigError(
            f"its model was trained on other files than are there now: {', '.join(changed[:3])}{more} changed, gone or new",
            where=fold.folder,
            parameter="out",
            remedy="restore the files, or use another folder",
        )


def check_data(
    experiment: Experiment,
    folds: Sequence[Fold],
    chosen: Set[str],
    judged_only: Sequence[str],
    settings: EvaluationSettings,
) -> None:
    """Raise `DataError` or `ConfigError` for archives that cannot be trained on together, for an event without a window, for a
    `chosen` one of another time step than its model, and `ArgumentError` for one that shares a file with another archive."""
    data = _archive_data(experiment)
    opened = dict(zip(data.paths, data.open().frames, strict=True))
    for path in judged_only:
        opened[path] = open_like(path, DEFAULT, data.reading)
    horizon = settings.horizon or data.horizon
    files: dict[str, str] = {}
    for path, frames in opened.items():
        list_windows([frames], context=data.context, horizon=horizon, min_valid=0)
        for file in _files(path, frames):
            if file in files:
                raise ArgumentError(
                    f"{path} shares {file} with {files[file]}, so that a model would be judged on what it was trained on",
                    parameter="judge" if path in judged_only else "data.path",
                    remedy="name each file in one event only",
                )
            files[file] = path
    for fold in folds:
        _check_steps(fold, [path for event, (path, _) in fold.judged.items() if event in chosen], opened)


def _check_steps(fold: Fold, judged: Sequence[str], opened: Mapping[str, xr.DataArray]) -> None:
    """Raise `DataError` for a judged event whose time step lies outside those that the model of the fold is trained on."""
    steps = {path: time_step(frames) for path, frames in opened.items()}
    minutes = {path: step / np.timedelta64(1, "m") for path, step in steps.items() if isinstance(step, np.timedelta64)}
    trained = [minutes[path] for path in fold.paths if path in minutes]
    for path in judged:
        if trained and path in minutes and not 0.9 * min(trained) <= minutes[path] <= 1.1 * max(trained):
            known = ", ".join(f"{value:g}" for value in sorted(set(trained)))
            raise DataError(
                f"a time step of {minutes[path]:g} minutes, and the model that judges it is trained on {known}",
                where=path,
                remedy="leave it out, or train on archives whose steps include it",
            )


def _files(path: str, frames: xr.DataArray) -> set[str]:
    return files_of(frames) | files_named_by(path)
