"""An experiment: data, model, curriculum, loss, optimiser and training, as frozen dataclasses that validate their values.

They are written in Python or read from a recipe (`config/recipes.py`); `config/parsing.py` builds them from plain data. This
module reads no files.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal, Self

from framecast.checks import Range, Seed
from framecast.curriculum import Curriculum, NoSampling
from framecast.data.datasets import ArchiveData, Data
from framecast.data.motion.coordinates import Coordinates, Eulerian
from framecast.data.windows.augmentation import Augmentation
from framecast.errors import ConfigError
from framecast.losses import L2, PROBABILISTIC, Loss
from framecast.models import Model
from framecast.models.heads import Head, Values
from framecast.types import FrameShape, config


@config
class Optimiser:
    """AdamW (Adam if `weight_decay` is 0). `clip` is the maximum norm of the gradient. With `schedule` cosine the rate falls from
    `learning_rate` to `minimum`; with one_cycle it rises to `learning_rate` within `warmup` iterations and falls to 0. With
    warm_restarts it falls along a cosine again and again: in the first `cycle` optimiser steps, then in `cycle_factor` times as
    many, and so on; the second pass of `training.reverse_time` is a step of its own. With constant and cosine, `warmup`
    iterations of linear increase come first. The rate of a cosine changes every `hold` iterations, as where a script changes it
    once an epoch."""

    learning_rate: float = 3e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    clip: float | None = None
    schedule: Literal["constant", "cosine", "one_cycle", "warm_restarts"] = "constant"
    warmup: int = 0
    minimum: float = 0.0
    hold: int = 1
    cycle: int = 5_000
    cycle_factor: int = 2

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise ConfigError(f"{self.learning_rate} must be greater than 0", where="optimiser.learning_rate")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"{list(self.betas)} must be at least 0 and below 1", where="optimiser.betas")
        if self.clip is not None and not self.clip > 0:
            raise ConfigError(
                f"{self.clip} must be greater than 0", where="optimiser.clip", remedy="use null for no clipping"
            )
        for name in ("weight_decay", "warmup", "minimum"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{getattr(self, name)} must be at least 0", where=f"optimiser.{name}")
        for name in ("hold", "cycle", "cycle_factor"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{getattr(self, name)} must be at least 1", where=f"optimiser.{name}")
        if not self.minimum < self.learning_rate:
            raise ConfigError(f"{self.minimum} must be less than the learning rate", where="optimiser.minimum")

    def scaled(self, scale: float) -> Self:
        """The same for a training of `scale` times as many iterations."""
        cycle = max(round(self.cycle * scale), 1) if self.schedule == "warm_restarts" else self.cycle
        return replace(self, warmup=round(self.warmup * scale), hold=max(round(self.hold * scale), 1), cycle=cycle)


@config
class Training:
    """Length, intervals and devices of training. `iterations`, `log_every`, `validate_every` and `checkpoint_every` count
    iterations; with `reverse_time` each iteration makes a second optimiser step on the reversed sequence, whose actions are
    reversed with its frames, so that each belongs to the frame that followed it. `loss_start` is the number of the first frame of
    a window that the loss compares, from 1; later ones leave out the predictions before it. `workers` threads load windows. `ema`
    is the decay of a moving average of the weights, which is validated and saved in their place. After `max_skipped` losses in a
    row that are not finite, training stops. `accelerator` to `strategy` are arguments of Lightning Fabric. With `graph`, a step
    on a GPU is recorded once as a CUDA graph and replayed, which saves the launch time of thousands of small operations. With
    `deterministic`, GPUs use only deterministic algorithms, or training stops and names the operation that has none. `mlflow` is
    the tracking URI of an MLflow server that receives the curves as well."""

    iterations: int = 80_000
    batch_size: int = 8
    seed: Seed = 0
    workers: Annotated[int, Range(0, 256)] = 2
    reverse_time: bool = False
    loss_start: int = 1
    ema: float | None = None
    max_skipped: int = 10
    log_every: int = 20
    validate_every: int = 1_000
    validation_windows: int = 64
    checkpoint_every: int = 500
    accelerator: str = "auto"
    devices: Annotated[int, Range(1, 1024)] = 1
    num_nodes: Annotated[int, Range(1, 65_536)] = 1
    strategy: str = "auto"
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    compile: bool = False
    graph: bool = False
    deterministic: bool = False
    mlflow: str | None = None

    def __post_init__(self) -> None:
        counts = (
            "iterations",
            "batch_size",
            "max_skipped",
            "log_every",
            "validate_every",
            "checkpoint_every",
            "loss_start",
        )
        for name in counts:
            if getattr(self, name) < 1:
                raise ConfigError(f"{getattr(self, name)} must be at least 1", where=f"training.{name}")
        for name in ("seed", "workers", "validation_windows"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{getattr(self, name)} must be at least 0", where=f"training.{name}")
        if self.ema is not None and not 0 < self.ema < 1:
            raise ConfigError(f"{self.ema} must lie between 0 and 1", where="training.ema")


@config
class Experiment:
    """All settings that determine the result of a training run. `coordinates` are those in which the model works, and `head` says
    whether it predicts values or distributions; both apply to any model."""

    data: Data
    model: Model
    coordinates: Coordinates = Eulerian()
    head: Head = Values()
    augmentation: Augmentation = Augmentation()
    curriculum: Curriculum = NoSampling()
    loss: Loss = L2()
    optimiser: Optimiser = Optimiser()
    training: Training = Training()

    def __post_init__(self) -> None:
        probabilistic = bool(self.head.rates)
        if probabilistic != isinstance(self.loss, PROBABILISTIC):
            names = [each().name for each in PROBABILISTIC] if probabilistic else ["l2", "l1", "l1l2"]
            raise ConfigError(
                f"the head {self.head.name} cannot be trained by the loss {self.loss.name}",
                where="loss.name",
                remedy=f"choose {' or '.join(names)}",
            )
        self.head.check(self.model)
        if isinstance(self.data, ArchiveData) and self.data.several_steps and not self.head.conditions:
            raise ConfigError(
                f"a model with the head {self.head.name} does not read the time step",
                where="data.several_steps",
                remedy="use head.name=exceedance, or archives with one step",
            )
        if self.training.loss_start > self.data.context:
            raise ConfigError(
                f"{self.training.loss_start} lies after the first forecast frame, {self.data.context}",
                where="training.loss_start",
                remedy="leave out predictions of the context only",
            )
        if self.training.reverse_time and (probabilistic or self.coordinates != Eulerian()):
            raise ConfigError(
                "a reversed sequence has another newest frame",
                where="training.reverse_time",
                remedy="leave it out with coordinates that move, and with a head of distributions",
            )

    def check(self, shape: FrameShape) -> None:
        """Raise `ConfigError` if the model cannot be built for frames of `shape`."""
        self.model.check(self.head.shape(shape))
