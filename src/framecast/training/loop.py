"""The training loop.

Everything random at an iteration - the batch, the coins of the curriculum, dropout - follows from `(seed, iteration)`, and
the learning rate from the iteration. So a checkpoint holds the weights, the state of the optimiser and a handful of
numbers, and a run that was stopped anywhere goes on to the very same weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import xarray as xr

from framecast.config.experiment import Experiment
from framecast.data.windows.batches import Batches
from framecast.data.windows.sources import Check
from framecast.errors import ConfigError, RunError
from framecast.models import ModularDesign
from framecast.models.parts.flops import parameters
from framecast.models.parts.layers import channels_last
from framecast.ops.native.library import available
from framecast.ops.native.memory import keep_free, return_free
from framecast.training import resume_state as checkpoint
from framecast.training import run_folder as run
from framecast.training.cuda_graph import Recorded, check_recordable, cuda_graph
from framecast.training.distributed import agreed, exactly, interruptible, launch
from framecast.training.events import Event, Finished, Kept, Started, Warned
from framecast.training.latent_cache import cached
from framecast.training.logs import Logs, MLflow
from framecast.training.optimiser import build, learning_rate, set_rate, update_average
from framecast.training.step import Gradients, gradients_of, move, passes, seed_everything, teacher_mask, update
from framecast.training.throughput import Meter
from framecast.training.two_stage import adopt_autoencoder
from framecast.training.validation import averaged, card_of, keep, validate

SLOW = (
    "convolutions take two to three times as long as they could: the loops in C are made when framecast is installed, "
    "where there is a C compiler with OpenMP (gcc)"
)


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
    settings, data = experiment.training, experiment.data
    fabric = launch(settings)
    chief = fabric.global_rank == 0
    if fabric.device.type == "cpu":
        keep_free()
    if chief:
        run.check_unchanged(out, experiment) if resume else run.check_new(out)
    mlflow = MLflow(settings.mlflow) if chief and settings.mlflow is not None else None
    sources = data.open(check or experiment.model.check, frames)
    shape = sources.shape(data.crop_size)
    assert sources.train is not None
    batches = Batches(
        sources.train,
        sources.scaling,
        settings.batch_size,
        seed=settings.seed,
        crop=data.crop_size,
        flips=data.flips,
        rotations=data.rotations,
        workers=settings.workers,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
        probabilities=sources.probabilities,
    )
    torch.manual_seed(settings.seed)
    network: Any = experiment.model.build(shape)
    if not resume and isinstance(experiment.model, ModularDesign):
        adopt_autoencoder(network, experiment.model)
    optimiser = build(experiment.optimiser, network.parameters())
    average = {name: weight.clone() for name, weight in network.state_dict().items()} if settings.ema else None
    # With its latents cached, a modular design trains its predictor alone, on latents as if they were frames.
    latent = isinstance(experiment.model, ModularDesign) and experiment.model.cache
    if settings.graph:
        check_recordable(network)
    if fabric.device.type == "cuda":
        channels_last(network)
    trained = network.to(fabric.device).predictor if latent else network
    model, optimiser = fabric.setup(torch.compile(trained) if settings.compile else trained, optimiser)
    gradients: Gradients = gradients_of(experiment, fabric, model)
    if settings.graph:
        gradients = Recorded(gradients, model, cuda_graph)
    card = card_of(experiment, sources)

    done, skipped, best = 0, 0, float("inf")
    warnings: list[str] = []
    if resume:
        content, warnings = checkpoint.read(out / run.CHECKPOINTS)
        done, skipped, best, average = (content[key] for key in ("iteration", "skipped", "best", "average"))
        if settings.iterations < done:
            raise ConfigError(
                f"{done} iterations are done, more than {settings.iterations}", where="training.iterations"
            )
        network.load_state_dict(content["model"])
        optimiser.load_state_dict(content["optimiser"])
    if average is not None:
        average = {name: weight.to(fabric.device) for name, weight in average.items()}

    def save() -> None:
        if chief:
            content = {
                "iteration": done,
                "skipped": skipped,
                "best": best,
                "average": average,
                "model": network.state_dict(),
                "optimiser": optimiser.state_dict(),
            }
            checkpoint.write(out / run.CHECKPOINTS, done, content)
        fabric.barrier()

    if chief:
        run.begin(out, experiment)
    logs = Logs(out, done, mlflow) if chief else None
    found = (*sources.repairs, *sources.report)
    yield Started(out, done, settings.iterations, parameters(network), str(fabric.device), found)
    if fabric.device.type == "cpu" and not available():
        warnings = [*warnings, SLOW]
    yield from (Warned(done, message) for message in warnings)
    if not resume:
        save()
    meter = Meter(done, settings.iterations, settings.batch_size * fabric.world_size * (shape.context + shape.horizon))
    stop = False
    with interruptible() as signals, exactly(settings.deterministic):
        stream = (cached(network, batches, out / "latents", fabric) if latent else batches).stream(done)
        while done < settings.iterations and not stop:
            coins = seed_everything(settings.seed, done, fabric.global_rank)
            rate = learning_rate(experiment.optimiser, done, settings.iterations)
            set_rate(optimiser, rate)
            teacher = teacher_mask(experiment, done, coins, fabric.global_rank, fabric.world_size)
            if settings.graph:
                teacher = teacher.to(fabric.device)
            model.train()
            for batch in passes(move(next(stream), fabric.device), settings.reverse_time):
                losses = update(experiment, model, optimiser, gradients, batch, teacher)
                if losses is None:
                    skipped += 1
                    yield Warned(done + 1, f"the loss is not finite: step skipped, {skipped} in a row")
                    if skipped >= settings.max_skipped:
                        raise _not_finite(out, done + 1, skipped)
                    continue
                skipped = 0
                meter.add(losses)
                if average is not None and settings.ema is not None:
                    update_average(average, network, settings.ema)
            done += 1
            stop = agreed(fabric, bool(signals))
            last = done == settings.iterations
            if done % settings.log_every == 0 or last:
                progress = meter.progress(done, rate, fabric)
                if logs:
                    logs.progress(progress)
                yield progress
                if logs and (trouble := logs.trouble()):
                    yield Warned(done, trouble)
            if done % settings.validate_every == 0 or last:
                if chief and logs:
                    with averaged(network, average) as weights:
                        validated = validate(experiment, sources, weights, done, out)
                        if validated is not None:
                            logs.validated(validated)
                            yield validated
                            if validated.loss < best:
                                best = validated.loss
                                keep(out / "best", weights, card, validation_loss=best, iteration=float(done))
                                yield Kept(done, out / "best")
                fabric.barrier()
                meter.restart()
            if done % settings.checkpoint_every == 0 or last or stop:
                save()
    finished = done >= settings.iterations
    if chief and logs:
        logs.close()
        if finished:
            with averaged(network, average) as weights:
                keep(out / "last", weights, card, iteration=float(done))
    fabric.barrier()
    return_free()
    yield Finished(out, done, interrupted=not finished)


def _not_finite(out: Path, iteration: int, skipped: int) -> RunError:
    return RunError(
        f"the loss was not finite {skipped} times in a row, at iteration {iteration}",
        where=out,
        remedy="lower optimiser.learning_rate, set optimiser.clip=1, or look at the data with `framecast inspect`; "
        "the last good checkpoint is untouched",
    )
