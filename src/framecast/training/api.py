"""Training in one call, with progress shown."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import xarray as xr
from rich.console import Console

from framecast.checks import as_path, as_tuple, check_counts, require
from framecast.config.experiment import Experiment
from framecast.config.recipes import read
from framecast.data.datasets import IN_MEMORY, ArchiveData
from framecast.data.frames import check_frames
from framecast.errors import ConfigError
from framecast.training.distributed import begun, launch
from framecast.training.events import Event, Finished, Started
from framecast.training.loop import train as train_events
from framecast.training.progress import show
from framecast.training.run_folder import begin, check_in_files, check_new, check_unchanged, has_begun, settings_of
from framecast.training.two_stage import check_cache, first_stage, second_stage, unfinished


def train(
    recipe: str | Path | Experiment,
    overrides: Sequence[str] = (),
    *,
    data: xr.DataArray | str | Path | None = None,
    out: str | Path | None = None,
    console: Console | None = None,
) -> Path:
    """Train as `recipe` ("file.yaml#row", with `overrides` "key=value") says, and return the folder of the run.

    `data` are opened Frames, or a path; they stand in for `data.path`. `out` is a new folder, `runs/<model>-<time>` by
    default. Progress is shown on `console` (standard error). Ctrl-C and SIGTERM save and return; `resume` goes on. Raises
    `ConfigError`, `DataError`, and `RunError`, also where `out` exists already.
    """
    require("lightning_fabric", "tensorboard", "psutil", extra="train", purpose="training")
    overrides = as_tuple(overrides, "settings")
    path = None if data is None else _path(data)
    if isinstance(recipe, Experiment):
        experiment = _changed(recipe, path, overrides)
    else:
        experiment = read(recipe, overrides, path=path)
    if out is None:
        now = time.strftime("%Y%m%d-%H%M%S", time.localtime(begun(experiment.training)))
        out = Path("runs") / f"{experiment.model.name.split(':')[-1]}-{now}"
    folder = as_path(out, "a new folder")
    frames = (data,) if isinstance(data, xr.DataArray) else None
    check_cache(experiment)
    stage = first_stage(experiment)
    experiment, first_run = second_stage(experiment, folder)
    if stage is not None:
        if _is_rank_zero(experiment):
            check_new(folder)
        if (first_run / "last").is_dir():
            check_unchanged(first_run, stage)
        elif _shown(_first(stage, first_run, experiment, folder, frames), folder, console, frames).interrupted:
            return folder
    return _shown(train_events(experiment, folder, frames=frames), folder, console, frames).out


def _path(data: xr.DataArray | str | Path) -> str:
    """What stands in `data.path` for the data of a run. Raises `DataError` for what is neither frames nor a path."""
    if isinstance(data, str | Path):
        return str(data)
    check_frames(data)
    return IN_MEMORY


def _changed(experiment: Experiment, path: str | None, overrides: Sequence[str]) -> Experiment:
    """An experiment on the data at `path`. Raises `ConfigError` where it has none, and for settings beside it."""
    if overrides:
        raise ConfigError(
            f"{overrides[0]!r} beside an Experiment", remedy="change it with dataclasses.replace, or give a recipe"
        )
    if path is None:
        return experiment
    if not isinstance(experiment.data, ArchiveData):
        raise ConfigError(
            f"{experiment.data.name} takes no other data", where="data", remedy="give an experiment on an archive"
        )
    return dataclasses.replace(experiment, data=dataclasses.replace(experiment.data, path=path))


def _first(
    stage: Experiment, first_run: Path, second: Experiment, out: Path, frames: tuple[xr.DataArray] | None
) -> Iterator[Event]:
    """Train the first stage in the folder `first_run`, or go on with it, for a `second` one that is to follow in `out`, where its
    settings are kept from the beginning, so that `resume` finds them. What is wrong with them is said before."""
    is_rank_zero = _is_rank_zero(second)
    for event in train_events(stage, first_run, resume=first_run.exists(), frames=frames, check=second.model.check):
        if is_rank_zero and isinstance(event, Started):
            begin(out, second)
        yield event


def _is_rank_zero(experiment: Experiment) -> bool:
    """Whether this is the process that writes. Raises `ConfigError` where there is no such device."""
    return bool(launch(experiment.training).global_rank == 0)


def resume(
    folder: str | Path,
    iterations: int | None = None,
    *,
    data: xr.DataArray | None = None,
    console: Console | None = None,
) -> Path:
    """Go on with the run in `folder`, and return it: to `iterations` in all where they are stated, no fewer than are done; with
    its first stage, where that was interrupted. `data` are the Frames it was begun with, where those were in memory. Raises
    `ConfigError`, `DataError` and `RunError`."""
    require("lightning_fabric", "tensorboard", "psutil", extra="train", purpose="training")
    check_counts(iterations=iterations)
    run = as_path(folder, "the folder of a run")
    experiment = settings_of(run)
    if data is None:
        check_in_files(experiment, run, "give them again, in Python: framecast.resume(RUN, data=frames)")
    if iterations is not None:
        longer = dataclasses.replace(experiment.training, iterations=iterations)
        experiment = dataclasses.replace(experiment, training=longer)
    frames = None if data is None else (data,)
    if (first_run := unfinished(experiment, run)) is not None:
        events = _first(settings_of(first_run), first_run, experiment, run, frames)
        if _shown(events, run, console, frames).interrupted:
            return run
    return _shown(train_events(experiment, run, resume=has_begun(run), frames=frames), run, console, frames).out


def _shown(events: Iterator[Event], run: Path, console: Console | None, frames: tuple[xr.DataArray] | None) -> Finished:
    console = console or Console(stderr=True)
    finished = show(events, console)
    if finished.interrupted:
        call = f"resume {run}" if frames is None else f"framecast.resume({str(run)!r}, data=frames)"
        stage = "" if finished.out == run else " of the first stage"
        console.print(
            f"interrupted at iteration {finished.iteration}{stage}, everything is saved; go on with: {call}",
            highlight=False,
            soft_wrap=True,
        )
    return finished
