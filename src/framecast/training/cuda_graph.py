"""A step's forward and backward pass as one recording that a GPU plays back (a CUDA graph): written for GPUs, tested on
the CPU with a recorder that does the work again, never measured on a GPU (ops/gpu, which is below the types that this needs).
`python benchmarks/gpu.py` measures it.

A recurrent model starts thousands of small operations a step, and a GPU is done with each before the next was asked for. What is
recorded reads and writes fixed places in memory: batches are copied there, and the mask of the curriculum with them, so that
nothing in the recording depends on what they hold. The optimiser, and whatever looks at the gradients, stay outside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from framecast.errors import ConfigError
from framecast.models.parts.capabilities import why_unrecordable
from framecast.training.step import Gradients
from framecast.types import Batch

Work = Callable[[], dict[str, Tensor]]
Recorder = Callable[[Any, Work], tuple[Callable[[], None], dict[str, Tensor]]]
"""Of a model and what is to be done with it: how to do it again, and where the results then lie."""

WARM_UP = 3
"""Rounds before the recording, in which libraries choose algorithms and kernels are compiled."""


class Recorded:
    """`gradients` of one model for batches of one size, recorded by the first call. What the rounds before the recording did to
    the model and to the random numbers is undone."""

    def __init__(self, gradients: Gradients, model: Any, recorder: Recorder) -> None:
        self._gradients, self._model, self._recorder = gradients, model, recorder
        self._play: Callable[[], None] | None = None

    def __call__(self, batch: Batch, teacher: Tensor) -> dict[str, Tensor]:
        """As `Gradients`. Raises ValueError for a batch of another size than the first."""
        if self._play is None:
            self._batch, self._teacher = _copied(batch), teacher.clone()
            self._play, self._losses = self._recorder(self._model, lambda: self._gradients(self._batch, self._teacher))
        kept, given = _present(self._batch, self._teacher), _present(batch, teacher)
        if [part.shape for part in kept] != [part.shape for part in given]:
            raise ValueError("a recorded step takes batches of one size")
        for place, part in zip(kept, given, strict=True):
            place.copy_(part)
        self._play()
        return {name: value.clone() for name, value in self._losses.items()}


def _present(batch: Batch, teacher: Tensor) -> list[Tensor]:
    return [part for part in (*batch, teacher) if part is not None]


def _copied(batch: Batch) -> Batch:
    return Batch(*(None if part is None else part.clone() for part in batch))  # type: ignore[arg-type]


def check_recordable(network: nn.Module) -> None:
    """Raise `ConfigError` for a model whose steps differ by what they find in the data, or are computed again."""
    if (reason := why_unrecordable(network)) is not None:
        raise ConfigError(reason, where="training.graph", remedy="training.graph=false")


def cuda_graph(model: Any, work: Work) -> tuple[Callable[[], None], dict[str, Tensor]]:
    """Recorded by CUDA."""
    random = torch.cuda.get_rng_state()
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        losses = work()
    torch.cuda.set_rng_state(random)
    for buffer, before in buffers:
        buffer.copy_(before)
    return graph.replay, losses
