"""Speed, memory and mean losses of training between two progress events."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

import torch
from torch import Tensor

from framecast.training.events import Progress


class Meter:
    """Means of losses, and speed without the time of validation. `frames` is the number of frames that an iteration reads."""

    def __init__(self, iteration: int, iterations: int, frames: int) -> None:
        self._iteration, self._iterations, self._frames = iteration, iterations, frames
        self._start = time.perf_counter()
        self._values: dict[str, list[Tensor]] = defaultdict(list)

    def add(self, values: dict[str, Tensor]) -> None:
        """Add the loss and its terms of one optimiser step."""
        for name, value in values.items():
            self._values[name].append(value)

    def losses(self, fabric: Any) -> dict[str, Tensor]:
        """The losses and terms since the last event `(n,)`, means over the processes. All processes must call it together."""
        return {name: fabric.all_reduce(torch.stack(values)).cpu() for name, values in self._values.items()}

    def restore(self, losses: dict[str, Tensor], device: torch.device) -> None:
        """Continue with the `losses` of a checkpoint."""
        self._values.update({name: list(values.to(device)) for name, values in losses.items()})

    def restart(self) -> None:
        """Restart the clock, so that the time since the last event does not count."""
        self._start = time.perf_counter()

    def progress(self, iteration: int, learning_rate: float, fabric: Any) -> Progress:
        """The event, after which the means start again. All processes must call it together."""
        import psutil

        means = {name: float(fabric.all_reduce(torch.stack(values).mean())) for name, values in self._values.items()}
        seconds = (time.perf_counter() - self._start) / max(iteration - self._iteration, 1)
        on_gpu = fabric.device.type == "cuda"
        event = Progress(
            iteration=iteration,
            iterations=self._iterations,
            loss=means.pop("loss", float("nan")),
            terms=means,
            learning_rate=learning_rate,
            frames_per_second=self._frames / max(seconds, 1e-9),
            seconds_left=seconds * (self._iterations - iteration),
            memory=torch.cuda.max_memory_allocated() if on_gpu else psutil.Process().memory_info().rss,
        )
        self._iteration = iteration
        self._values.clear()
        self.restart()
        return event
