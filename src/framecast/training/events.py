"""The events that the training loop yields while it runs: frozen dataclasses, which `progress.py` or any other reader shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Started:
    """Training starts, or resumes at `iteration`. `report` holds the repairs and remarks about the data."""

    out: Path
    iteration: int
    iterations: int
    parameters: int
    device: str
    report: tuple[str, ...]


@dataclass(frozen=True)
class Progress:
    """The mean `loss` and its `terms` since the last event, frames per second, and memory in use in bytes."""

    iteration: int
    iterations: int
    loss: float
    terms: dict[str, float]
    learning_rate: float
    frames_per_second: float
    seconds_left: float
    memory: int


@dataclass(frozen=True)
class Validated:
    """Free-running forecasts of the validation windows: the mean `loss` over the horizon, and an image of the first window."""

    iteration: int
    loss: float
    picture: Path


@dataclass(frozen=True)
class ModelSaved:
    """The best model so far was saved in `folder`."""

    iteration: int
    folder: Path


@dataclass(frozen=True)
class Warned:
    """A warning that does not stop training."""

    iteration: int
    message: str


@dataclass(frozen=True)
class Finished:
    """Training ended at `iteration`: complete, or `interrupted` with a checkpoint to resume from."""

    out: Path
    iteration: int
    interrupted: bool


Event = Started | Progress | Validated | ModelSaved | Warned | Finished
