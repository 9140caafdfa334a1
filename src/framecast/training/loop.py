"""The training loop: prepare, step, validate, save.

Everything random at an iteration - the batch, the mask of the curriculum, dropout - follows from `(seed, iteration)`, and
the learning rate from the iteration. So a checkpoint holds the weights, the state of the optimiser and a handful of
numbers, and a run that was stopped anywhere goes on to the very same weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import xarray as xr

from framecast.config.experiment import Experiment
from framecast.data.windows.sources import Check
from framecast.training.distributed import exactly, interruptible
from framecast.training.events import Event
from framecast.training.run import Run


def train(
    experiment: Experiment,
    out: Path,
    *,
    resume: bool = False,
    frames: Sequence[xr.DataArray] | None = None,
    check: Check | None = None,
) -> Iterator[Event]:
    """Train into the folder `out`, or go on there with `resume`, and yield what happens.

    `frames` stand in for the files that `experiment.data` names; `check` is handed their shape in place of the model's own
    check. SIGTERM and Ctrl-C end the iteration, save and finish cleanly. Raises `ConfigError`, `DataError` and `RunError`; the
    last also after `max_skipped` steps in a row whose gradient was not finite, with the last good checkpoint untouched.
    """
    run = Run.prepare(experiment, out, resume, frames, check)
    yield from run.started()
    if not resume:
        run.save()

    settings = experiment.training
    with interruptible() as signals, exactly(settings.deterministic):
        run.read_batches()
        interrupted = False
        while not (run.finished or interrupted):
            yield from run.step()
            interrupted = run.interrupted(signals)  # before the events: what they bring about is for the next iteration
            if run.due(settings.log_every):
                yield from run.progress()
            if run.due(settings.validate_every):
                yield from run.validate()
            if run.due(settings.checkpoint_every) or interrupted:
                run.save()
    yield run.finish()
