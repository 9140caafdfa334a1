"""One optimiser step, and everything random about it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framecast.config.experiment import Experiment
from framecast.errors import ConfigError
from framecast.ops import all_valid
from framecast.types import Batch, Prediction


def seed_everything(seed: int, iteration: int, rank: int) -> torch.Generator:
    """Seed what is random within an iteration (dropout, whatever an outsider's model draws), different in each process,
    and return the rng of the curriculum, the same in each."""
    rng, local = np.random.SeedSequence([seed, iteration]).generate_state(2)
    torch.manual_seed(int(local) + rank)
    np.random.seed((int(local) + rank) % 2**32)  # noqa: NPY002  - some models use the global generator
    random.seed(int(local) + rank)
    return torch.Generator().manual_seed(int(rng))


def teacher_mask(experiment: Experiment, iteration: int, rng: torch.Generator, rank: int, processes: int) -> Tensor:
    """This process's rows `(B, T-1)` of the mask of the batch of all processes together."""
    size, data = experiment.training.batch_size, experiment.data
    mask = experiment.curriculum(iteration, size * processes, data.context, data.horizon, rng)
    return mask[rank * size : (rank + 1) * size]


Gradients = Callable[[Batch, Tensor], dict[str, Tensor]]
"""Leaves the gradients of the loss on a batch, with a teacher mask `(B, T-1)`, at the weights; returns the loss and its terms."""


def gradients_of(experiment: Experiment, fabric: Any, model: Any) -> Gradients:
    """Forward and backward, operation by operation."""

    def gradients(batch: Batch, teacher: Tensor) -> dict[str, Tensor]:
        model.zero_grad()
        prediction = model(batch.seen, teacher, batch.actions)
        frames = frame_loss(experiment, prediction, batch)
        loss = frames + sum(prediction.losses.values())
        fabric.backward(loss)
        return {name: value.detach() for name, value in {"loss": loss, "frames": frames, **prediction.losses}.items()}

    return gradients


def update(
    experiment: Experiment, model: Any, optimiser: Any, gradients: Gradients, batch: Batch, teacher: Tensor
) -> dict[str, Tensor] | None:
    """One optimiser step on `batch`; the loss and its terms, or None where no step was made because the gradient is not
    finite; then the model is as it was. Gradients are shared before they are looked at, so all processes decide alike."""
    before = [(buffer, buffer.clone()) for buffer in model.buffers()]
    losses = gradients(batch, teacher)
    weights = [weight for weight in model.parameters() if weight.grad is not None]
    norm = torch.nn.utils.get_total_norm([weight.grad for weight in weights])
    if not torch.isfinite(norm):
        for buffer, values in before:
            buffer.copy_(values)
        return None
    if experiment.optimiser.clip is not None:
        torch.nn.utils.clip_grads_with_norm_(weights, experiment.optimiser.clip, norm)
    optimiser.step()
    return losses


def frame_loss(experiment: Experiment, prediction: Prediction, batch: Batch) -> Tensor:
    """The loss between what is predicted and what it is to be compared with: the frames of the batch where they are
    valid, or the target in the model's own space where all pixels that make a place of it are."""
    steps = prediction.frames.shape[1]
    target, valid = batch.frames[:, -steps:], batch.valid[:, -steps:]
    if prediction.target is not None:
        target = prediction.target
        valid = all_valid(valid, target.shape[-2:])
    return experiment.loss(prediction.frames, target, valid)


def training_passes(batch: Batch, reverse_time: bool) -> list[Batch]:
    """What one iteration trains on: the batch, and with `reverse_time` the same windows backwards in time."""
    if not reverse_time:
        return [batch]
    if batch.actions is not None:
        raise ConfigError("sequences with actions cannot be reversed", where="training.reverse_time")
    if batch.inputs is not None:
        raise ConfigError("sequences with inputs cannot be reversed", where="training.reverse_time")
    return [batch, Batch(batch.frames.flip(1), batch.valid.flip(1))]


def move(batch: Batch, device: torch.device) -> Batch:
    """The batch on `device`."""
    return Batch(*(None if part is None else part.to(device) for part in batch))  # type: ignore[arg-type]
