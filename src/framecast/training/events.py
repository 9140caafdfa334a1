"""What the training loop says while it runs. Who shows it, and how, is no business of the loop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Started:
    """Training begins, or goes on at `iteration`. `report` says what was found in the data."""

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
    """Free-running forecasts of the validation windows: the mean `loss` over the horizon, and a picture of the first."""

    iteration: int
    loss: float
    picture: Path


@dataclass(frozen=True)
class Kept:
    """The best model so far was saved in `folder`."""

    iteration: int
    folder: Path


@dataclass(frozen=True)
class Warned:
    """Something that does not stop training but that a person should know."""

    iteration: int
    message: str


@dataclass(frozen=True)
class Finished:
    """Training ended at `iteration`: complete, or `interrupted` with everything saved to go on."""

    out: Path
    iteration: int
    interrupted: bool


Event = Started | Progress | Validated | Kept | Warned | Finished
