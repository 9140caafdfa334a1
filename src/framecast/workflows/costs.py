"""The costs that papers print: weights, multiply-accumulates, memory and time, and those of a model against another.

Weights, multiply-accumulates and memory are counted from shapes; time is measured on this machine, of two models in turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from framecast.config.experiment import Experiment
from framecast.errors import ConfigError
from framecast.models.parts.flops import multiply_accumulates
from framecast.scores.metric import Better
from framecast.training.cost import count_memory, count_weights, measure_steps
from framecast.types import FrameShape


class CostContext(NamedTuple):
    """A model and the shape of its frames, the one against which its costs are stated, and the seconds that a forecast of a case
    takes."""

    experiment: Experiment
    shape: FrameShape
    against: Experiment | None
    forecast_seconds: float | None

    @property
    def other(self) -> Experiment:
        """The experiment against which costs are stated. Raises `ConfigError` if there is none."""
        if self.against is None:
            raise ConfigError("the recipe names no row against which it is stated")
        return self.against


class Cost(NamedTuple):
    """A printed cost: its title with its units, its direction, how it is computed, and why it is comparable with no other."""

    title: str
    better: Better
    compute: Callable[[CostContext], float]
    reason: str = ""


def _weights(context: CostContext) -> float:
    return count_weights(context.experiment, context.shape) / 1e6


def _operations(context: CostContext) -> float:
    return multiply_accumulates(context.experiment.model, context.experiment.head.shape(context.shape)) / 1e9


def _memory(context: CostContext) -> float:
    return count_memory(context.experiment, context.shape) / 2**30


def _training_hours(context: CostContext) -> float:
    training = context.experiment.training
    (seconds,) = measure_steps([context.experiment], [context.shape])
    return seconds * training.iterations * (2 if training.reverse_time else 1) / 3600


def _forecast_milliseconds(context: CostContext) -> float:
    return 1000 * (float("nan") if context.forecast_seconds is None else context.forecast_seconds)


def _weights_share(context: CostContext) -> float:
    return 100 * count_weights(context.experiment, context.shape) / count_weights(context.other, context.shape)


def _memory_saved(context: CostContext) -> float:
    return 100 * (1 - count_memory(context.experiment, context.shape) / count_memory(context.other, context.shape))


def _speed_gained(context: CostContext) -> float:
    seconds, other = measure_steps([context.experiment, context.other], [context.shape, context.shape])
    return 100 * (other / seconds - 1)


_MACHINE = "it was measured on another machine"
COSTS: dict[str, Cost] = {
    "parameters": Cost("parameters (M)", "neither", _weights),
    "multiply_accumulates": Cost("multiply-accumulates (G)", "neither", _operations),
    "memory": Cost("memory of training (GiB)", "lower", _memory, "ours is counted for float32, theirs was measured"),
    "training_hours": Cost("hours of training", "lower", _training_hours, _MACHINE),
    "forecast_milliseconds": Cost("milliseconds a forecast", "lower", _forecast_milliseconds, _MACHINE),
    "parameters_share": Cost("parameters (% of the larger model)", "neither", _weights_share),
    "memory_saved": Cost("memory saved (% of the larger model)", "higher", _memory_saved),
    "speed_gained": Cost("steps a second gained (%)", "higher", _speed_gained),
}
"""All costs by their names in recipes."""
