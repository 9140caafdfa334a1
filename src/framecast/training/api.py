"""`train` and `resume`: one call runs the training loop, both stages of a two-stage design, and shows the progress.

This module reads recipes, creates the folder of the run and prints to a console. The loop itself is in `loop.py`.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, TextIO

import xarray as xr
from rich.console import Console

from framecast.checks import as_path, as_tuple, check_counts, refuses_arrays, require
from framecast.config.experiment import Experiment
from framecast.config.recipes import read
from framecast.data.datasets import IN_MEMORY, ArchiveData
from framecast.data.frames import check_frames
from framecast.data.readers.zarr_store import recognises
from framecast.errors import ConfigError
from framecast.training.distributed import launch, start_time
from framecast.training.events import Event, Finished, Started
from framecast.training.loop import train as train_events
from framecast.training.progress import show
from framecast.training.run_folder import (
    check_in_files,
    check_new,
    check_unchanged,
    create_run_folder,
    has_checkpoints,
    read_experiment,
)
from framecast.training.two_stage import (
    check_cache,
    first_stage,
    first_stage_beside,
    pending_first_stage,
    second_stage,
)
from framecast.writing import check_sources, claim


@refuses_arrays
def train(
    recipe: str | Path | Experiment,
    overrides: Sequence[str] = (),
    *,
    data: xr.DataArray | str | Path | None = None,
    out: str | Path | None = None,
    console: Console | None = None,
) -> Path:
    """Train the experiment of `recipe` ("file.yaml#row", with `overrides` "key=value") and return the folder of the run.

    `data` are opened Frames, or a path; they replace `data.path`. `out` is a new folder, `runs/<model>-<time>` by default.
    Progress is shown on `console` (default: standard error). Ctrl-C, SIGTERM and SIGHUP save a checkpoint and return; `resume`
    continues from it. Raises `ConfigError`, `DataError`, and `RunError`, also if `out` exists already.
    """
    # the experiment
    require("lightning_fabric", "tensorboard", "psutil", extra="train", purpose="training")
    overrides = as_tuple(overrides, "settings")
    path = None if data is None else _data_path(data)
    if isinstance(recipe, Experiment):
        experiment = _with_data(recipe, path, overrides)
    else:
        experiment = read(recipe, overrides, path=path)
    # the folder of the run
    if out is None:
        now = time.strftime("%Y%m%d-%H%M%S", time.localtime(start_time(experiment.training)))
        out = Path("runs") / f"{experiment.model.name.split(':')[-1]}-{now}"
    folder = as_path(out, "a new folder", "out")
    if isinstance(experiment.data, ArchiveData):  # a run may lie in a folder of files, not in a store
        check_sources(folder, [path for path in experiment.data.paths if recognises(Path(path))])
    frames = (data,) if isinstance(data, xr.DataArray) else None
    check_cache(experiment)
    # the first stage of a two-stage design, where it is not trained yet
    stage = first_stage(experiment)
    experiment, first_run = second_stage(experiment, folder)
    if stage is not None:
        if _is_rank_zero(experiment):
            check_new(folder, experiment)
        if (first_run / "last").is_dir():
            check_unchanged(first_run, read_experiment(first_run), stage)
        elif _show(
            _train_first_stage(stage, first_run, experiment, folder, frames), folder, console, frames
        ).interrupted:
            return folder
    return _show(train_events(experiment, folder, frames=frames), folder, console, frames).out


def _data_path(data: xr.DataArray | str | Path) -> str:
    """The value of `data.path` for the data of a run. Raises `DataError` unless `data` are Frames or a path."""
    if isinstance(data, str | Path):
        return str(data)
    check_frames(data)
    return IN_MEMORY


def _with_data(experiment: Experiment, path: str | None, overrides: Sequence[str]) -> Experiment:
    """The experiment on the data at `path`. Raises `ConfigError` if its data has no path, and for `overrides`."""
    if overrides:
        raise ConfigError(
            f"{overrides[0]!r} cannot change an Experiment", remedy="use dataclasses.replace, or pass a recipe"
        )
    if path is None:
        return experiment
    if not isinstance(experiment.data, ArchiveData):
        raise ConfigError(
            f"{experiment.data.name} takes no other data", where="data", remedy="use an experiment on an archive"
        )
    return dataclasses.replace(experiment, data=dataclasses.replace(experiment.data, path=path))


def _train_first_stage(
    stage: Experiment, first_run: Path, second: Experiment, out: Path, frames: tuple[xr.DataArray] | None
) -> Iterator[Event]:
    """Train the first stage in the folder `first_run`, or resume it, for a `second` stage that follows in `out`. The settings of
    the second stage are checked first and written to `out` at the start, so that `resume` can read them."""
    is_rank_zero = _is_rank_zero(second)
    with claim(out) if is_rank_zero else nullcontext():
        if is_rank_zero:
            check_new(out, second)
        resumes = has_checkpoints(first_run)
        for event in train_events(stage, first_run, resume=resumes, frames=frames, check=second.check):
            if is_rank_zero and isinstance(event, Started):
                create_run_folder(out, second)
            yield event


def _is_rank_zero(experiment: Experiment) -> bool:
    """Whether this process has rank zero, the one that writes. Raises `ConfigError` if the device does not exist."""
    return bool(launch(experiment.training).global_rank == 0)


@refuses_arrays
def resume(
    folder: str | Path,
    iterations: int | None = None,
    *,
    data: xr.DataArray | None = None,
    console: Console | None = None,
) -> Path:
    """Resume the run in `folder` and return that folder. `iterations` is a new total, at least the number already done. An
    interrupted first stage is resumed first. `data` are the Frames of a run that was trained on frames in memory. Raises
    `ConfigError`, `DataError` and `RunError`."""
    require("lightning_fabric", "tensorboard", "psutil", extra="train", purpose="training")
    check_counts(iterations=iterations)
    run = as_path(folder, "the folder of a run", "folder")
    experiment = read_experiment(run)
    if data is None:
        check_in_files(experiment, run, "pass them again, in Python: framecast.resume(RUN, data=frames)")
    if iterations is not None:
        longer = dataclasses.replace(experiment.training, iterations=iterations)
        experiment = dataclasses.replace(experiment, training=longer)
    if not has_checkpoints(run) and (moved := first_stage_beside(experiment, run)) != experiment:
        experiment = moved
        create_run_folder(run, experiment)
    frames = None if data is None else (data,)
    if (first_run := pending_first_stage(experiment, run)) is not None:
        events = _train_first_stage(read_experiment(first_run), first_run, experiment, run, frames)
        if _show(events, run, console, frames).interrupted:
            return run
    return _show(train_events(experiment, run, resume=has_checkpoints(run), frames=frames), run, console, frames).out


class _LossyStream:
    """A stream that goes on without a word when its terminal or pipe is gone, so that training can save."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write `text` if that is possible."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush if that is possible."""
        with suppress(OSError, ValueError):
            self._stream.flush()


def _show(events: Iterator[Event], run: Path, console: Console | None, frames: tuple[xr.DataArray] | None) -> Finished:
    stream: Any = _LossyStream(sys.stderr)
    console = console or Console(file=stream)
    finished = show(events, console)
    if finished.interrupted:
        call = f"framecast.resume({str(run)!r}{'' if frames is None else ', data=frames'})"
        stage = "" if finished.out == run else " of the first stage"
        console.print(
            f"interrupted at iteration {finished.iteration}{stage}, everything is saved; continue with: {call}",
            highlight=False,
            soft_wrap=True,
        )
    return finished
