"""The state of a training run, and its operations: step, validate, save, resume.

`Run.prepare` opens the data, builds network and optimiser, and creates the folder of the run; `loop.train` calls the other
methods. All random numbers of an iteration follow from `(seed, iteration)`, so the order of the calls in `prepare` and `step`
matters.
"""

from __future__ import annotations

import math
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
from framecast.data.windows.presentation import Presentation
from framecast.data.windows.record import DataRecord
from framecast.data.windows.sources import Check, DataSplits
from framecast.errors import RunError, counted
from framecast.models.parts.flops import parameters
from framecast.models.parts.layers import channels_last
from framecast.ops.native.library import status
from framecast.ops.native.memory import keep_free, return_free
from framecast.training import resume_state
from framecast.training.cuda_graph import RecordedStep, check_recordable, cuda_graph
from framecast.training.decoding import describe_decoding
from framecast.training.distributed import any_process
from framecast.training.events import Event, Finished, ModelSaved, Started, Validated, Warned
from framecast.training.latent_cache import cache_latents
from framecast.training.logs import Logs, MLflow
from framecast.training.optimiser import build, learning_rate, set_rate, update_average
from framecast.training.restoring import are_finite, load_fitting, open_run
from framecast.training.run_folder import CHECKPOINTS, create_run_folder, settings_of
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
from framecast.training.two_stage import caches_latents, load_first_stage, trained_part
from framecast.training.validation import build_card, save_model, use_average, validate
from framecast.types import Batch

SLOW = "convolutions take two to three times as long without the loops in C; `framecast doctor` shows how to get them"


@dataclass
class Run:
    """The parts of a run, and its state after `iteration` iterations. `network` is the complete model on its device, `model` the
    part of it that is trained, wrapped by Fabric. `average` of the weights is None without `training.ema`; `logs` is None unless
    the process has rank zero; `record` is that of its data, None for a run of an earlier version. `skipped` counts the skipped
    steps in a row, `proven` is the last iteration from whose weights a step was made, `best` is the lowest validation loss and
    `validated` the last one."""

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
    record: DataRecord | None = None
    iteration: int = 0
    skipped: int = 0
    proven: int = -1
    best: float = float("inf")
    validated: float | None = None
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
        fabric: Any,
    ) -> Self:
        """Open the data, build network and optimiser, and create the folder `out`, or restore its checkpoint with `resume`.
        Raises `ConfigError`, `DataError` and `RunError`, all before anything is written."""
        settings = experiment.training
        # the data, and the checkpoint to resume from
        is_rank_zero = fabric.global_rank == 0
        if fabric.device.type == "cpu":
            keep_free()
        opened = open_run(experiment, out, resume, frames, check or experiment.check, is_rank_zero)
        sources, record, state = opened.sources, opened.record, opened.state
        mlflow = MLflow(settings.mlflow) if is_rank_zero and settings.mlflow is not None else None

        # a network whose initial weights follow from the seed
        shape = sources.shape(experiment.data.crop_size)
        card = build_card(experiment, sources, "" if record is None else record.digest)
        batches = _batches(experiment, sources, fabric)
        torch.manual_seed(settings.seed)
        network: Any = card.build()
        if not resume:
            load_first_stage(network, experiment.model)
        optimiser = build(experiment.optimiser, network.parameters())
        average = {name: weight.clone() for name, weight in network.state_dict().items()} if settings.ema else None

        # to the device
        if settings.graph:
            check_recordable(network)
        if fabric.device.type == "cuda":
            channels_last(network)
        trained = trained_part(experiment.model, network.to(fabric.device))
        model, optimiser = fabric.setup(torch.compile(trained) if settings.compile else trained, optimiser)
        gradients: Gradients = gradients_of(experiment, fabric, model)
        if settings.graph:
            gradients = RecordedStep(gradients, model, cuda_graph)

        # state, logs and clock
        run = cls(
            experiment, out, fabric, sources, batches, network, model, optimiser, gradients, average, card, record
        )
        run.warnings = [*opened.warnings, *(describe_decoding(experiment, sources) if is_rank_zero else ())]
        if state is not None:
            state = run._restore(state)
        if run.average is not None:
            run.average = {name: weight.to(fabric.device) for name, weight in run.average.items()}
        if is_rank_zero:
            create_run_folder(out, experiment, None if record is None else record.dump())
            run.logs = Logs(out, run.iteration, mlflow, None if state is None else state.get("log"))
            run.warnings += run.logs.warnings
        frames_read = settings.batch_size * fabric.world_size * (shape.context + shape.horizon)
        run.meter = Meter(run.iteration, settings.iterations, frames_read)
        run.meter.restore({} if state is None else state.get("losses", {}), fabric.device)
        return run

    @property
    def settings(self) -> Training:
        """The settings of training."""
        return self.experiment.training

    @property
    def finished(self) -> bool:
        """Whether all iterations are done."""
        return self.iteration >= self.settings.iterations

    def due(self, every: int) -> bool:
        """Whether an action of every `every` iterations is due now; all are due after the last iteration."""
        return self.iteration % every == 0 or self.finished

    def start_events(self) -> Iterator[Event]:
        """The first events: `Started`, and warnings."""
        report = (*self.sources.repairs, *self.sources.report)
        if self.settings.reverse_time and self.card.shape.actions:
            report = (*report, "the second step of each iteration reverses the actions with the frames")
        device = str(self.fabric.device)
        yield Started(self.out, self.iteration, self.settings.iterations, parameters(self.network), device, report)
        if self.fabric.device.type == "cpu" and (loops := status()).path is None:
            self.warnings.append(f"{SLOW} ({loops.reason})")
        yield from (Warned(self.iteration, message) for message in self.warnings)

    def read_batches(self) -> None:
        """Open the stream of batches at this iteration: of frames, or of cached latents, which are computed first if the cache
        does not exist."""
        self.meter.restart()
        batches: Any = self.batches
        if caches_latents(self.experiment.model):
            batches = cache_latents(self.network, self.batches, self.out / "latents", self.fabric)
        self.stream = batches.stream(self.iteration)

    def step(self) -> Iterator[Warned]:
        """Run one iteration: read the next batch, and make an optimiser step for each of its passes. Raises `RunError` after
        `max_skipped` steps in a row with a gradient that is not finite."""
        settings, device = self.settings, self.fabric.device
        rank, processes = self.fabric.global_rank, self.fabric.world_size
        rng = seed_everything(settings.seed, self.iteration, rank)
        teacher = teacher_mask(self.experiment, self.iteration, rng, rank, processes)
        if settings.graph:  # a recorded step reads nothing from the CPU
            teacher = teacher.to(device)
        self.model.train()
        batches = training_passes(move(next(self.stream), device), settings.reverse_time)
        for number, batch in enumerate(batches, self.iteration * len(batches)):
            self.rate = learning_rate(self.experiment.optimiser, self.iteration, settings.iterations, number)
            set_rate(self.optimiser, self.rate)
            losses = update(self.experiment, self.model, self.optimiser, self.gradients, batch, teacher)
            if losses is None:
                self.skipped += 1
                yield Warned(self.iteration + 1, f"the loss is not finite: step skipped, {self.skipped} in a row")
                if self.skipped >= settings.max_skipped:
                    raise self._fail(f"the loss was not finite {self.skipped} times in a row")
                continue
            self.skipped, self.proven = 0, self.iteration
            self.meter.add(losses)
            if self.average is not None and settings.ema is not None:
                update_average(self.average, self.network, settings.ema)
        self.iteration += 1

    def interrupted(self, signals: list[int]) -> bool:
        """Whether any process received a signal."""
        return any_process(self.fabric, bool(signals))

    def progress(self) -> Iterator[Event]:
        """Log and yield the mean losses and the speed since the last such event."""
        progress = self.meter.progress(self.iteration, self.rate, self.fabric)
        if self.logs:
            self.logs.progress(progress)
        yield progress
        if self.logs and (failure := self.logs.failure()):
            yield Warned(self.iteration, failure)

    def validate(self) -> Iterator[Validated | ModelSaved]:
        """Forecast the validation windows with the average of the weights, or the weights if there is none, and save the best
        model so far. The process of rank zero does; the others wait."""
        if self.logs:
            with use_average(self.network, self.average) as weights:
                presentation = self.batches.presentation
                validated = validate(self.experiment, self.sources, presentation, weights, self.iteration, self.out)
                self.validated = None if validated is None else validated.loss
                if validated is not None:
                    self.logs.validated(validated)
                    yield validated
                    if validated.loss < self.best:
                        self.best = validated.loss
                        scores = {"validation_loss": self.best, "iteration": float(self.iteration)}
                        save_model(self.out / "best", weights, self.card, self.record, **scores)
                        yield ModelSaved(self.iteration, self.out / "best")
        self.fabric.barrier()
        self.meter.restart()

    def save(self) -> None:
        """Write a checkpoint to resume from. Raises `RunError` if the weights are not finite."""
        self._check_weights()
        losses = self.meter.losses(self.fabric)
        if self.logs:
            content = {
                "iteration": self.iteration,
                "skipped": self.skipped,
                "proven": self.proven,
                "best": self.best,
                "average": self.average,
                "model": self.network.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "settings": settings_of(self.experiment),
                "data": "" if self.record is None else self.record.digest,
                "losses": losses,
                "log": self.logs.text,
            }
            resume_state.write(self.out / CHECKPOINTS, self.iteration, content)
        self.fabric.barrier()

    def finish(self) -> Finished:
        """Close the logs, and save the model in `last` if all iterations are done. Raises `RunError` if the last steps were
        skipped, or the last validation loss is not finite."""
        if self.finished:
            if self.skipped:
                raise self._fail(f"the loss was not finite in the last {counted(self.skipped, 'step')}")
            invalid = self.validated is not None and not math.isfinite(self.validated)  # known to rank zero
            if any_process(self.fabric, invalid):
                raise self._fail("the validation loss is not finite")
            self._check_weights()
        if self.logs:
            self.logs.close()
            if self.finished:
                with use_average(self.network, self.average) as weights:
                    save_model(self.out / "last", weights, self.card, self.record, iteration=float(self.iteration))
        self.fabric.barrier()
        return_free()
        return Finished(self.out, self.iteration, interrupted=not self.finished)

    def _check_weights(self) -> None:
        """Raise `RunError` if a weight, or one of their averages, is not finite."""
        if not are_finite(self.network, self.average):
            raise self._fail("weights are not finite")

    def _fail(self, what: str) -> RunError:
        """The error of a training that has diverged. What was saved since the last good checkpoint is removed."""
        if self.logs:
            self.logs.close()
            resume_state.remove_unproven(self.out / CHECKPOINTS, self.proven)
        return RunError(
            f"{what}, at iteration {self.iteration} of {self.settings.iterations}: training has diverged",
            where=self.out,
            remedy="lower optimiser.learning_rate, set optimiser.clip=1, or check the data with `framecast inspect`; "
            "the last good checkpoint is untouched",
        )

    def _restore(self, state: dict[str, Any]) -> dict[str, Any]:
        """Restore a checkpoint, or the newest before it that fits, and return it. Raises `ConfigError` and `RunError`."""
        state, warnings = load_fitting(
            self.network, self.optimiser, self.average, state, self.out / CHECKPOINTS, self.experiment
        )
        names = ("iteration", "skipped", "best", "average")
        self.iteration, self.skipped, self.best, self.average = (state[name] for name in names)
        self.proven = state.get("proven", -1)
        self.warnings += warnings
        return state


def _batches(experiment: Experiment, sources: DataSplits, fabric: Any) -> Batches:
    settings, data = experiment.training, experiment.data
    assert sources.train is not None
    presentation = Presentation(experiment.coordinates, conditions=experiment.head.conditions > 0)
    presentation.check(sources.train)
    experiment.augmentation.check(sources.train.quantity)
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
        augmentation=experiment.augmentation,
        presentation=presentation,
    )
