"""The training loop: prepare, step, validate, save.

All random numbers of an iteration (batch, teacher mask, dropout) are functions of `(seed, iteration)`, and the learning rate is a
function of the iteration. A checkpoint therefore holds the weights, the state of the optimiser and a few numbers, and a run that
is interrupted at any iteration and resumed ends with identical weights. The state of a run is in `run.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import xarray as xr

from framecast.config.experiment import Experiment
from framecast.data.windows.sources import Check
from framecast.training.distributed import catch_signals, deterministic_algorithms, launch
from framecast.training.events import Event
from framecast.training.run import Run
from framecast.writing import claim


def train(
    experiment: Experiment,
    out: Path,
    *,
    resume: bool = False,
    frames: Sequence[xr.DataArray] | None = None,
    check: Check | None = None,
) -> Iterator[Event]:
    """Train into the folder `out`, or resume the run there with `resume`, and yield events.

    `frames` replace the files that `experiment.data` names; `check` replaces the model's own check of their shape. The folder is
    claimed first: no other process can write to it meanwhile. SIGTERM, SIGHUP and Ctrl-C end the iteration, save a checkpoint and
    finish. Raises `ConfigError`, `DataError` and `RunError`; the last also after `max_skipped` steps in a row with a gradient
    that is not finite, and for weights or a last validation loss that are not; the last good checkpoint is kept then.
    """
    fabric = launch(experiment.training)
    with claim(out) if fabric.global_rank == 0 else nullcontext():
        # set up, and write a first checkpoint of a new run
        run = Run.prepare(experiment, out, resume, frames, check, fabric)
        yield from run.start_events()
        if not resume:
            run.save()

        # iterate
        settings = experiment.training
        with catch_signals() as signals, deterministic_algorithms(settings.deterministic):
            run.read_batches()
            interrupted = False
            while not (run.finished or interrupted):
                yield from run.step()
                interrupted = run.interrupted(signals)  # before the events: their reader may send a signal
                if run.due(settings.log_every):
                    yield from run.progress()
                if run.due(settings.validate_every):
                    yield from run.validate()
                if run.due(settings.checkpoint_every) or interrupted:
                    run.save()
        finished = run.finish()
    yield finished
