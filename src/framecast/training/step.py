"""One optimiser step: random seeds, teacher mask, loss, gradients and the update of the weights. It touches no files."""

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
    """Seed the global generators for an iteration (dropout, models of other packages), differently in each process, and return
    the generator of the curriculum, the same in all processes."""
    rng, local = np.random.SeedSequence([seed, iteration]).generate_state(2)
    torch.manual_seed(int(local) + rank)
    np.random.seed((int(local) + rank) % 2**32)  # noqa: NPY002  - some models use the global generator
    random.seed(int(local) + rank)
    return torch.Generator().manual_seed(int(rng))


def teacher_mask(experiment: Experiment, iteration: int, rng: torch.Generator, rank: int, processes: int) -> Tensor:
    """The rows `(B, T-1)` of this process, of the teacher mask of the batch of all processes."""
    size, data = experiment.training.batch_size, experiment.data
    mask = experiment.curriculum(iteration, size * processes, data.context, data.horizon, rng)
    return mask[rank * size : (rank + 1) * size]


Gradients = Callable[[Batch, Tensor], dict[str, Tensor]]
"""Computes the gradients of the loss on a batch, with a teacher mask `(B, T-1)`, into the weights; returns the loss and its
terms."""


def gradients_of(experiment: Experiment, fabric: Any, model: Any) -> Gradients:
    """A `Gradients` function that runs the forward and backward pass eagerly."""

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
    """Make one optimiser step on `batch` and return the loss and its terms. If the gradient is not finite, return None and leave
    the model unchanged. Gradients are averaged over the processes before the check, so that all of them decide the same."""
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
    """The loss between a prediction and the frames of the batch from `training.loss_start` on, where they are valid; or the
    target in the model's own space, where all pixels of a cell of it are valid."""
    steps = min(prediction.frames.shape[1], batch.frames.shape[1] - experiment.training.loss_start)
    target, valid = batch.frames[:, -steps:], batch.valid[:, -steps:]
    if prediction.target is not None:
        target = prediction.target[:, -steps:]
        valid = all_valid(valid, target.shape[-2:])
    return experiment.loss(prediction.frames[:, -steps:], target, valid)


def training_passes(batch: Batch, reverse_time: bool) -> list[Batch]:
    """The batches that one iteration trains on: `batch`, and with `reverse_time` the same windows reversed in time. Actions are
    reversed with the frames, as in the released code of PredRNN: each then stands with the frame that it led from, a step after
    the one that it leads to. Raises `ConfigError` for reversed inputs."""
    if not reverse_time:
        return [batch]
    if batch.inputs is not None:
        raise ConfigError("sequences with inputs cannot be reversed", where="training.reverse_time")
    actions = None if batch.actions is None else batch.actions.flip(1)
    return [batch, Batch(batch.frames.flip(1), batch.valid.flip(1), actions)]


def move(batch: Batch, device: torch.device) -> Batch:
    """The batch on `device`."""
    return Batch(*(None if part is None else part.to(device) for part in batch))  # type: ignore[arg-type]
