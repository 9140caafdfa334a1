"""CUDA graphs: the forward and backward pass of a step, recorded once and replayed by a GPU.

Written for GPUs, tested on the CPU with a recorder that repeats the work, never measured on a GPU. It belongs to ops/gpu but
needs types of training. `python benchmarks/gpu.py` measures it.

A recurrent model launches thousands of small operations a step, and a GPU finishes each one before the next is launched. A graph
reads and writes fixed memory: batches and the teacher mask are copied there, so that nothing in the graph depends on their
values. The optimiser and the check of the gradients stay outside.
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
"""Of a model and the work to record: a function that replays it, and the tensors that then hold the results."""

WARM_UP = 3
"""Calls before the recording, in which libraries select algorithms and compile kernels."""


class RecordedStep:
    """`gradients` of one model for batches of one size, recorded by the first call. The warm-up calls leave the buffers of the
    model and the state of the random numbers unchanged."""

    def __init__(self, gradients: Gradients, model: Any, recorder: Recorder) -> None:
        self._gradients, self._model, self._recorder = gradients, model, recorder
        self._replay: Callable[[], None] | None = None

    def __call__(self, batch: Batch, teacher: Tensor) -> dict[str, Tensor]:
        """As `Gradients`. Raises `ValueError` for a batch of another size than the first."""
        if self._replay is None:
            self._batch, self._teacher = _clone(batch), teacher.clone()
            self._replay, self._losses = self._recorder(
                self._model, lambda: self._gradients(self._batch, self._teacher)
            )
        static, inputs = _tensors(self._batch, self._teacher), _tensors(batch, teacher)
        if [part.shape for part in static] != [part.shape for part in inputs]:
            raise ValueError("a recorded step takes batches of one size")
        for target, part in zip(static, inputs, strict=True):
            target.copy_(part)
        self._replay()
        return {name: value.clone() for name, value in self._losses.items()}


def _tensors(batch: Batch, teacher: Tensor) -> list[Tensor]:
    return [part for part in (*batch, teacher) if part is not None]


def _clone(batch: Batch) -> Batch:
    return Batch(*(None if part is None else part.clone() for part in batch))  # type: ignore[arg-type]


def check_recordable(network: nn.Module) -> None:
    """Raise `ConfigError` for a model whose steps depend on the values of the data, or recompute activations."""
    if (reason := why_unrecordable(network)) is not None:
        raise ConfigError(reason, where="training.graph", remedy="training.graph=false")


def cuda_graph(model: Any, work: Work) -> tuple[Callable[[], None], dict[str, Tensor]]:
    """A `Recorder` that uses CUDA graphs."""
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
