"""How fast training goes and what it costs, between two progress events."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

import torch
from torch import Tensor

from framecast.training.events import Progress


class Meter:
    """Means of losses, and speed without the time that validation takes. `frames` is how many an iteration reads."""

    def __init__(self, done: int, iterations: int, frames: int) -> None:
        self._done, self._iterations, self._frames = done, iterations, frames
        self._begun = time.perf_counter()
        self._values: dict[str, list[Tensor]] = defaultdict(list)

    def add(self, values: dict[str, Tensor]) -> None:
        """The loss and its terms at one optimiser step."""
        for name, value in values.items():
            self._values[name].append(value)

    def restart(self) -> None:
        """The clock starts anew: what happened since the last event was not training."""
        self._begun = time.perf_counter()

    def progress(self, done: int, learning_rate: float, fabric: Any) -> Progress:
        """The event, and a new beginning. All processes must call it together."""
        import psutil

        means = {name: float(fabric.all_reduce(torch.stack(values).mean())) for name, values in self._values.items()}
        seconds = (time.perf_counter() - self._begun) / max(done - self._done, 1)
        on_gpu = fabric.device.type == "cuda"
        event = Progress(
            iteration=done,
            iterations=self._iterations,
            loss=means.pop("loss", float("nan")),
            terms=means,
            learning_rate=learning_rate,
            frames_per_second=self._frames / max(seconds, 1e-9),
            seconds_left=seconds * (self._iterations - done),
            memory=torch.cuda.max_memory_allocated() if on_gpu else psutil.Process().memory_info().rss,
        )
        self._done = done
        self._values.clear()
        self.restart()
        return event
