"""The cost of a training step of an experiment: weights, multiply-accumulates, memory and time, before or without training.

Memory is counted, not measured, so that it does not depend on the machine. Nothing is written.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from framecast.checks import require
from framecast.config.experiment import Experiment
from framecast.models.parts.flops import multiply_accumulates, parameters
from framecast.ops import free_running
from framecast.training.optimiser import build as build_optimiser
from framecast.training.step import frame_loss
from framecast.training.validation import build_card
from framecast.types import Batch, FrameShape

_COPIES = 3
"""Numbers of a trained weight besides itself: its gradient and the two moments of Adam."""
_ROUNDS = 3


def estimate(experiment: Experiment) -> dict[str, str]:
    """Weights, multiply-accumulates, time and memory of one training step on a batch of zeros, as text. It opens the data to
    learn the shape of the frames. Raises `ConfigError` and `DataError`."""
    require("psutil", extra="train", purpose="measuring a training step")
    import psutil

    sources = experiment.data.open(experiment.check)
    shape, size = sources.shape(experiment.data.crop_size), experiment.training.batch_size
    torch.manual_seed(0)
    model = build_card(experiment, sources).build().train()
    before = psutil.Process().memory_info().rss
    start = time.perf_counter()
    loss: Any = _loss(experiment, model, shape)
    activations = psutil.Process().memory_info().rss - before
    loss.backward()
    seconds = time.perf_counter() - start
    iterations = experiment.training.iterations
    gmacs = multiply_accumulates(experiment.model, experiment.head.shape(shape)) / 1e9
    return {
        "model": f"{experiment.model.name}: {parameters(model):,} weights, {gmacs:.2f} G multiply-accumulates a window",
        "training step": f"{seconds:.2f} s on this machine's CPU, about {max(activations, 0) / 2**30:.2f} GiB of activations "
        f"(batch of {size}, {shape.height} x {shape.width})",
        "whole training": f"{iterations:,} iterations, {iterations * seconds / 3600:.1f} hours on this CPU",
    }


def count_weights(experiment: Experiment, shape: FrameShape) -> int:
    """The number of weights of the model, with those of a frozen part."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in _build(experiment, shape).parameters())


def count_memory(experiment: Experiment, shape: FrameShape) -> int:
    """Bytes of a training step in float32: the batch, the weights, their gradients and moments, and what the forward pass keeps
    for the backward pass. Only shapes are computed."""
    with torch.device("meta"):
        model = _build(experiment, shape).train()
    weights = [weight.untyped_storage() for weight in model.parameters()]
    storages = {storage._cdata: storage for storage in weights}

    def keep(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage()._cdata] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        _loss(experiment, model, shape, "meta")
    copies: int = _COPIES * sum(
        weight.numel() * weight.element_size() for weight in model.parameters() if weight.requires_grad
    )
    frames = (
        experiment.training.batch_size * (shape.context + shape.horizon) * shape.channels * shape.height * shape.width
    )
    held = sum(int(storage.nbytes()) for storage in storages.values())
    return held + copies + 4 * frames


def measure_steps(experiments: Sequence[Experiment], shapes: Sequence[FrameShape]) -> list[float]:
    """The seconds of an optimiser step of each experiment on a batch of zeros, on the GPU if there is one and the experiment does
    not ask for the CPU: the median of some rounds in turn, so that a busy machine slows all alike."""
    steps = [_Step(experiment, shape) for experiment, shape in zip(experiments, shapes, strict=True)]
    rounds = [[step.seconds() for step in steps] for _ in range(_ROUNDS + 1)]
    return [statistics.median(times) for times in zip(*rounds[1:], strict=True)]  # without the first, which allocates


class _Step:
    """An optimiser step that can be made again and again."""

    def __init__(self, experiment: Experiment, shape: FrameShape) -> None:
        on_gpu = torch.cuda.is_available() and experiment.training.accelerator != "cpu"
        self.experiment, self.shape, self.device = experiment, shape, "cuda" if on_gpu else "cpu"
        self.model = _build(experiment, shape).train().to(self.device)
        trained = (weight for weight in self.model.parameters() if weight.requires_grad)
        self.optimiser = build_optimiser(experiment.optimiser, trained)

    def seconds(self) -> float:
        """Make a step and return how long it takes."""
        start = time.perf_counter()
        self.optimiser.zero_grad()
        loss: Any = _loss(self.experiment, self.model, self.shape, self.device)
        loss.backward()
        self.optimiser.step()
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start


def _build(experiment: Experiment, shape: FrameShape) -> Any:
    return experiment.model.build(experiment.head.shape(shape))


def _loss(experiment: Experiment, model: Any, shape: FrameShape, device: str = "cpu") -> Tensor:
    """The loss of a batch of zeros."""
    size, planes = experiment.training.batch_size, experiment.head.conditions
    length = shape.context + shape.horizon
    with torch.device(device):
        frames = torch.zeros(size, length, shape.channels + planes, shape.height, shape.width)
        frames[:, :, shape.channels :] = 1
        actions = torch.zeros(size, length, shape.actions) if shape.actions else None
        valid = torch.ones_like(frames[:, :, :1], dtype=torch.bool)
        teacher = free_running(size, shape.context, shape.horizon).to(device)
    prediction = model(frames, teacher, actions)
    loss = frame_loss(experiment, prediction, Batch(frames[:, :, : shape.predicted], valid))
    total: Tensor = loss + sum(prediction.losses.values())
    return total
