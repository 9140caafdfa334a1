"""The cost of a training step of an experiment, measured before training: one step on a batch of zeros.

It opens the data to learn the shape of the frames, and writes nothing.
"""

from __future__ import annotations

import time

import torch

from framecast.checks import require
from framecast.config.experiment import Experiment
from framecast.models.parts.flops import multiply_accumulates, parameters
from framecast.ops import free_running
from framecast.training.step import frame_loss
from framecast.training.validation import build_card
from framecast.types import Batch


def estimate(experiment: Experiment) -> dict[str, str]:
    """Weights, multiply-accumulates, time and memory of one training step, as text. Raises `ConfigError` and `DataError`."""
    require("psutil", extra="train", purpose="measuring a training step")
    import psutil

    sources = experiment.data.open(experiment.check)
    shape, size = sources.shape(experiment.data.crop_size), experiment.training.batch_size
    torch.manual_seed(0)
    model = build_card(experiment, sources).build().train()
    length, planes = shape.context + shape.horizon, experiment.head.conditions
    frames = torch.zeros(size, length, shape.channels + planes, shape.height, shape.width)
    frames[:, :, shape.channels :] = 1
    before = psutil.Process().memory_info().rss
    start = time.perf_counter()
    actions = torch.zeros(size, length, shape.actions) if shape.actions else None
    prediction = model(frames, free_running(size, shape.context, shape.horizon), actions)
    valid = torch.ones_like(frames[:, :, :1], dtype=torch.bool)
    loss = frame_loss(experiment, prediction, Batch(frames[:, :, : shape.predicted], valid)) + sum(
        prediction.losses.values()
    )
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
