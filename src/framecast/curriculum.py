"""Curricula: teacher masks for training, which decide at each step whether the model is fed the observed frame.

A curriculum is a pure function `(iteration, batch, context, horizon, generator) -> teacher (batch, T - 1)`, bool, with
T = context + horizon. In column t, true feeds the observed frame t to step t, false the model's own prediction of it; column
0 is always true. Random numbers are drawn for each sequence and step unless a setting says otherwise. `iteration` counts from
0; the published schedules count from 1, so k = iteration + 1 below. `scaled(scale)` is the curriculum for a training of another
length.

Sources: scheduled sampling, Bengio et al. 2015, as used by Wang et al. 2022 (equation 8); reverse scheduled sampling,
Wang et al. 2022, section 4.3 (equation 9); numbers of the released code in docs/specification.md, section 9.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, Self

import torch
from torch import Tensor

from framecast.errors import ConfigError
from framecast.ops import free_running
from framecast.types import config


def _random_mask(
    encoder: float, forecaster: float, batch: int, context: int, horizon: int, rng: torch.Generator
) -> Tensor:
    """True with probability `encoder` in columns 1..context-1 and `forecaster` after them."""
    probability = torch.tensor([1.0] + [encoder] * (context - 1) + [forecaster] * (horizon - 1))
    return torch.rand(batch, len(probability), generator=rng) < probability


@config
class NoSampling:
    """The context is observed, every later step is fed a prediction: training as in the forecast."""

    name: Literal["none"] = "none"

    def __call__(self, iteration: int, batch: int, context: int, horizon: int, rng: torch.Generator) -> Tensor:
        """The teacher mask `(batch, context + horizon - 1)`; the same at every iteration."""
        return free_running(batch, context, horizon)

    def scaled(self, scale: float) -> Self:
        """The same."""
        return self


@config
class TeacherForced:
    """Every step is fed the observed frame: training in one parallel pass, for transformers."""

    name: Literal["teacher_forced"] = "teacher_forced"

    def __call__(self, iteration: int, batch: int, context: int, horizon: int, rng: torch.Generator) -> Tensor:
        """The teacher mask `(batch, context + horizon - 1)`; the same at every iteration."""
        return torch.ones(batch, context + horizon - 1, dtype=torch.bool)

    def scaled(self, scale: float) -> Self:
        """The same."""
        return self


@config
class Scheduled:
    """Scheduled sampling: a step after the context is fed the observed frame with probability eta, which falls linearly.

        eta = start (1 - k / stop), and 0 from k = stop on

    With the defaults this is the released code: 1.0 minus 2e-5 an iteration, 0 from iteration 50,000. With `draw="batch"` one
    number decides for all sequences and steps of a batch, as in the released code of PhyDNet.
    """

    name: Literal["scheduled"] = "scheduled"
    start: float = 1.0
    stop: int = 50_000
    draw: Literal["step", "batch"] = "step"

    def __post_init__(self) -> None:
        if not 0 <= self.start <= 1:
            raise ConfigError(f"{self.start} is not a probability", where="curriculum.start")
        if self.stop < 1:
            raise ConfigError(f"stop {self.stop} must be at least 1", where="curriculum.stop")

    def eta(self, iteration: int) -> float:
        """Probability of the observed frame after the context."""
        return self.start * max(0.0, 1 - (iteration + 1) / self.stop)

    def __call__(self, iteration: int, batch: int, context: int, horizon: int, rng: torch.Generator) -> Tensor:
        """The teacher mask `(batch, context + horizon - 1)` of one iteration."""
        if self.draw == "batch":
            observed = bool(torch.rand(1, generator=rng) < self.eta(iteration))
            return (TeacherForced() if observed else NoSampling())(iteration, batch, context, horizon, rng)
        return _random_mask(1.0, self.eta(iteration), batch, context, horizon, rng)

    def scaled(self, scale: float) -> Self:
        """The schedule for a training of `scale` times as many iterations."""
        return replace(self, stop=max(round(self.stop * scale), 1))


@config
class ReverseScheduled:
    """Reverse scheduled sampling for the context, scheduled sampling after it.

    A context frame is observed with probability epsilon, which rises from eps_s to 1 between iterations `start` and `stop`,
    with n = k - start and eps_e = 1:

        linear        eps_s + (eps_e - eps_s) n / (stop - start)
        exponential   eps_e - (eps_e - eps_s) exp(-n / alpha)
        sigmoid       eps_s + (eps_e - eps_s) / (1 + exp((beta - k) / alpha))     beta halfway between start and stop

    and is 1 from `stop` on. A frame after the context is observed with probability eta, which falls linearly to 0 over the
    same iterations. Before `start` both keep their first value, but for the sigmoid, which rises from the first iteration on.
    The second strategy (figure 5) starts both at 0.5; the first starts epsilon at 0 and eta at 1. The sign in the sigmoid's
    exponent is the one that makes it rise (docs/specification.md, row P7); the linear form does not use `alpha`.
    """

    name: Literal["reverse_scheduled"] = "reverse_scheduled"
    strategy: Literal[1, 2] = 2
    mode: Literal["linear", "exponential", "sigmoid"] = "exponential"
    start: int = 25_000
    stop: int = 50_000
    alpha: float = 5_000.0

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise ConfigError(f"start {self.start} and stop {self.stop}: 0 <= start < stop", where="curriculum")
        if self.alpha <= 0:
            raise ConfigError(f"alpha {self.alpha} must be greater than 0", where="curriculum.alpha")

    def epsilon(self, iteration: int) -> float:
        """Probability of the observed frame within the context."""
        k, low = iteration + 1, 0.5 if self.strategy == 2 else 0.0
        if k < self.start and self.mode != "sigmoid":
            return low
        if k >= self.stop:
            return 1.0
        if self.mode == "linear":
            return low + (1 - low) * (k - self.start) / (self.stop - self.start)
        if self.mode == "exponential":
            return 1 - (1 - low) * math.exp(-(k - self.start) / self.alpha)
        beta = (self.start + self.stop) / 2
        return low + (1 - low) / (1 + math.exp(min((beta - k) / self.alpha, 700.0)))

    def eta(self, iteration: int) -> float:
        """Probability of the observed frame after the context."""
        k, high = iteration + 1, 0.5 if self.strategy == 2 else 1.0
        return high * min(1.0, max(0.0, (self.stop - k) / (self.stop - self.start)))

    def __call__(self, iteration: int, batch: int, context: int, horizon: int, rng: torch.Generator) -> Tensor:
        """The teacher mask `(batch, context + horizon - 1)` of one iteration."""
        return _random_mask(self.epsilon(iteration), self.eta(iteration), batch, context, horizon, rng)

    def scaled(self, scale: float) -> Self:
        """The schedule for a training of `scale` times as many iterations."""
        start = round(self.start * scale)
        return replace(self, start=start, stop=max(round(self.stop * scale), start + 1), alpha=self.alpha * scale)


Curriculum = NoSampling | TeacherForced | Scheduled | ReverseScheduled
