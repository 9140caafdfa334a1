"""A training run: what it is made of, how far it is, and what happens in one iteration.

`Run.prepare` puts together data, network, optimiser and folder; `loop.train` calls the rest in turn. Everything random at an
iteration follows from `(seed, iteration)`, so the order of the calls in `prepare` and `step` decides the weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
import xarray as xr
from torch import Tensor

from framecast.checkpoints.model_folder import ModelCard
from framecast.config.experiment import Experiment, Training
from framecast.data.windows.batches import Batches
from framecast.data.windows.sources import Check, DataSplits
from framecast.errors import ConfigError, RunError
from framecast.models.parts.flops import parameters
from framecast.models.parts.layers import channels_last
from framecast.ops.native.library import available
from framecast.ops.native.memory import keep_free, return_free
from framecast.training import resume_state
from framecast.training.cuda_graph import Recorded, check_recordable, cuda_graph
from framecast.training.distributed import agreed, launch
from framecast.training.events import Event, Finished, Kept, Started, Validated, Warned
from framecast.training.latent_cache import cached
from framecast.training.logs import Logs, MLflow
from framecast.training.optimiser import build, learning_rate, set_rate, update_average
from framecast.training.run_folder import CHECKPOINTS, begin, check_new, check_unchanged
from framecast.training.step import (
    Gradients,
    gradients_of,
    move,
    seed_everything,
    teacher_mask,
    training_passes,
    update,
)
from framecast.training.throughput import Meter
from framecast.training.two_stage import adopt_first_stage, caches_latents, trained_part
from framecast.training.validation import averaged, card_of, save_model, validate
from framecast.types import Batch

SLOW = (
    "convolutions take two to three times as long as they could: the loops in C are made when framecast is installed, "
    "where there is a C compiler with OpenMP (gcc)"
)


@dataclass
class Run:
    """The parts of a run, and its state after `iteration` iterations. `network` is the whole model on its device, `model` what of
    it is trained, as Fabric wraps it. `average` of the weights is None without `training.ema`, `logs` in all processes but the
    first. `skipped` counts the steps in a row that were not made, `best` is the lowest validation loss."""

    experiment: Experiment
    out: Path
    fabric: Any
    sources: DataSplits
    batches: Batches
    network: Any
    model: Any
    optimiser: Any
    gradients: Gradients
    average: dict[str, Tensor] | None
    card: ModelCard
    iteration: int = 0
    skipped: int = 0
    best: float = float("inf")
    warnings: list[str] = field(default_factory=list)
    logs: Logs | None = None
    meter: Meter = field(init=False)
    stream: Iterator[Batch] = field(init=False)
    rate: float = field(init=False)

    @classmethod
    def prepare(
        cls,
        experiment: Experiment,
        out: Path,
        resume: bool,
        frames: Sequence[xr.DataArray] | None,
        check: Check | None,
    ) -> Self:
        """Open the data, build network and optimiser, and begin the folder `out`, or read it back with `resume`. Raises
        `ConfigError`, `DataError` and `RunError`, all before anything is written."""
        settings = experiment.training
        # the folder, before anything is opened
        fabric = launch(settings)
        is_rank_zero = fabric.global_rank == 0
        if fabric.device.type == "cpu":
            keep_free()
        if is_rank_zero:
            check_unchanged(out, experiment) if resume else check_new(out)
        mlflow = MLflow(settings.mlflow) if is_rank_zero and settings.mlflow is not None else None

        # data, and a network with the weights that the seed gives
        sources = experiment.data.open(check or experiment.model.check, frames)
        shape = sources.shape(experiment.data.crop_size)
        batches = _batches(experiment, sources, fabric)
        torch.manual_seed(settings.seed)
        network: Any = experiment.model.build(shape)
        if not resume:
            adopt_first_stage(network, experiment.model)
        optimiser = build(experiment.optimiser, network.parameters())
        average = {name: weight.clone() for name, weight in network.state_dict().items()} if settings.ema else None

        # the device
        if settings.graph:
            check_recordable(network)
        if fabric.device.type == "cuda":
            channels_last(network)
        trained = trained_part(experiment.model, network.to(fabric.device))
        model, optimiser = fabric.setup(torch.compile(trained) if settings.compile else trained, optimiser)
        gradients: Gradients = gradients_of(experiment, fabric, model)
        if settings.graph:
            gradients = Recorded(gradients, model, cuda_graph)

        card = card_of(experiment, sources)
        run = cls(experiment, out, fabric, sources, batches, network, model, optimiser, gradients, average, card)
        if resume:
            run._restore()
        if run.average is not None:
            run.average = {name: weight.to(fabric.device) for name, weight in run.average.items()}
        if is_rank_zero:
            begin(out, experiment)
            run.logs = Logs(out, run.iteration, mlflow)
        frames_read = settings.batch_size * fabric.world_size * (shape.context + shape.horizon)
        run.meter = Meter(run.iteration, settings.iterations, frames_read)
        return run

    @property
    def settings(self) -> Training:
        """How long, how often."""
        return self.experiment.training

    @property
    def finished(self) -> bool:
        """Whether all iterations are done."""
        return self.iteration >= self.settings.iterations

    def due(self, every: int) -> bool:
        """Whether what is done `every` so many iterations is done now; everything is done after the last."""
        return self.iteration % every == 0 or self.finished

    def started(self) -> Iterator[Event]:
        """The first events: what is trained, on what, and what a person should know of it."""
        report = (*self.sources.repairs, *self.sources.report)
        device = str(self.fabric.device)
        yield Started(self.out, self.iteration, self.settings.iterations, parameters(self.network), device, report)
        if self.fabric.device.type == "cpu" and not available():
            self.warnings.append(SLOW)
        yield from (Warned(self.iteration, message) for message in self.warnings)

    def read_batches(self) -> None:
        """Open the stream of batches at this iteration: of frames, or of cached latents, which are computed where they are not
        there yet."""
        self.meter.restart()
        batches: Any = self.batches
        if caches_latents(self.experiment.model):
            batches = cached(self.network, self.batches, self.out / "latents", self.fabric)
        self.stream = batches.stream(self.iteration)

    def step(self) -> Iterator[Warned]:
        """One iteration: the next batch, and an optimiser step for each of its passes. Raises `RunError` after `max_skipped`
        steps in a row whose gradient is not finite."""
        settings, device = self.settings, self.fabric.device
        rank, processes = self.fabric.global_rank, self.fabric.world_size
        rng = seed_everything(settings.seed, self.iteration, rank)
        self.rate = learning_rate(self.experiment.optimiser, self.iteration, settings.iterations)
        set_rate(self.optimiser, self.rate)
        teacher = teacher_mask(self.experiment, self.iteration, rng, rank, processes)
        if settings.graph:  # a recorded step reads nothing from the CPU
            teacher = teacher.to(device)
        self.model.train()
        for batch in training_passes(move(next(self.stream), device), settings.reverse_time):
            losses = update(self.experiment, self.model, self.optimiser, self.gradients, batch, teacher)
            if losses is None:
                self.skipped += 1
                yield Warned(self.iteration + 1, f"the loss is not finite: step skipped, {self.skipped} in a row")
                if self.skipped >= settings.max_skipped:
                    raise _not_finite(self.out, self.iteration + 1, self.skipped)
                continue
            self.skipped = 0
            self.meter.add(losses)
            if self.average is not None and settings.ema is not None:
                update_average(self.average, self.network, settings.ema)
        self.iteration += 1

    def interrupted(self, signals: list[int]) -> bool:
        """Whether a signal came to any of the processes."""
        return agreed(self.fabric, bool(signals))

    def progress(self) -> Iterator[Event]:
        """The losses and the speed since the last such event, logged."""
        progress = self.meter.progress(self.iteration, self.rate, self.fabric)
        if self.logs:
            self.logs.progress(progress)
        yield progress
        if self.logs and (trouble := self.logs.trouble()):
            yield Warned(self.iteration, trouble)

    def validate(self) -> Iterator[Validated | Kept]:
        """Forecast the validation windows with the average of the weights, where there is one, and save the best model so far.
        The first process does; the others wait."""
        if self.logs:
            with averaged(self.network, self.average) as weights:
                validated = validate(self.experiment, self.sources, weights, self.iteration, self.out)
                if validated is not None:
                    self.logs.validated(validated)
                    yield validated
                    if validated.loss < self.best:
                        self.best = validated.loss
                        scores = {"validation_loss": self.best, "iteration": float(self.iteration)}
                        save_model(self.out / "best", weights, self.card, **scores)
                        yield Kept(self.iteration, self.out / "best")
        self.fabric.barrier()
        self.meter.restart()

    def save(self) -> None:
        """Write a checkpoint."""
        if self.logs:
            content = {
                "iteration": self.iteration,
                "skipped": self.skipped,
                "best": self.best,
                "average": self.average,
                "model": self.network.state_dict(),
                "optimiser": self.optimiser.state_dict(),
            }
            resume_state.write(self.out / CHECKPOINTS, self.iteration, content)
        self.fabric.barrier()

    def finish(self) -> Finished:
        """Close the logs, and save the last model of a run that is complete."""
        if self.logs:
            self.logs.close()
            if self.finished:
                with averaged(self.network, self.average) as weights:
                    save_model(self.out / "last", weights, self.card, iteration=float(self.iteration))
        self.fabric.barrier()
        return_free()
        return Finished(self.out, self.iteration, interrupted=not self.finished)

    def _restore(self) -> None:
        """Take over the newest whole checkpoint."""
        content, self.warnings = resume_state.read(self.out / CHECKPOINTS)
        names = ("iteration", "skipped", "best", "average")
        self.iteration, self.skipped, self.best, self.average = (content[name] for name in names)
        if self.settings.iterations < self.iteration:
            raise ConfigError(
                f"{self.iteration} iterations are done, more than {self.settings.iterations}",
                where="training.iterations",
            )
        self.network.load_state_dict(content["model"])
        self.optimiser.load_state_dict(content["optimiser"])


def _batches(experiment: Experiment, sources: DataSplits, fabric: Any) -> Batches:
    settings, data = experiment.training, experiment.data
    assert sources.train is not None
    return Batches(
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


def _not_finite(out: Path, iteration: int, skipped: int) -> RunError:
    return RunError(
        f"the loss was not finite {skipped} times in a row, at iteration {iteration}",
        where=out,
        remedy="lower optimiser.learning_rate, set optimiser.clip=1, or look at the data with `framecast inspect`; "
        "the last good checkpoint is untouched",
    )
