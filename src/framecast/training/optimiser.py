"""The optimiser (AdamW), its learning rate as a function of the iteration, and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from framecast.config.experiment import Optimiser

ONE_CYCLE_START = 1 / 25
ONE_CYCLE_RISE = 0.3


def build(settings: Optimiser, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW over `parameters`."""
    return torch.optim.AdamW(
        parameters, lr=settings.learning_rate, betas=settings.betas, weight_decay=settings.weight_decay
    )


def learning_rate(settings: Optimiser, iteration: int, iterations: int, step: int | None = None) -> float:
    """The learning rate of `iteration` (from 0) of `iterations`; `step` is the number of the optimiser step (from 0), `iteration`
    unless iterations make several.

    cosine falls from the peak to the minimum. one_cycle rises from 1/25 of the peak over the first 30 % (or `warmup`) of the
    iterations and falls to 0, both along a cosine. constant stays at the peak. `warmup` iterations rise linearly before constant
    and cosine. warm_restarts falls from the peak to the minimum in cycles of optimiser steps (Loshchilov and Hutter 2017).
    """
    peak, warmup = settings.learning_rate, settings.warmup
    if settings.schedule == "warm_restarts":
        place, length = _cycle(settings, iteration if step is None else step)
        return _cosine(peak, settings.minimum, place / length)
    if settings.schedule == "one_cycle":
        warmup = warmup or round(ONE_CYCLE_RISE * iterations)
        if iteration < warmup:
            rise = (1 - math.cos(math.pi * iteration / warmup)) / 2
            return peak * (ONE_CYCLE_START + (1 - ONE_CYCLE_START) * rise)
    elif iteration < warmup:
        return peak * (iteration + 1) / warmup
    if settings.schedule == "constant":
        return peak
    if settings.schedule == "cosine":
        iteration = max(iteration // settings.hold * settings.hold, warmup)
    progress = (iteration - warmup) / max(iterations - warmup, 1)
    return _cosine(peak, settings.minimum if settings.schedule == "cosine" else 0.0, progress)


def _cosine(peak: float, minimum: float, progress: float) -> float:
    """Half a cosine from the peak (progress 0) to the minimum (1)."""
    return minimum + (peak - minimum) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2


def _cycle(settings: Optimiser, step: int) -> tuple[int, int]:
    """The number of a step in its cycle, and the length of that."""
    length = settings.cycle
    while step >= length:
        if settings.cycle_factor == 1:
            return step % length, length
        step, length = step - length, length * settings.cycle_factor
    return step, length


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameter groups to `rate`."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def load_state(network: nn.Module, optimiser: Any, average: dict[str, Tensor] | None, state: dict[str, Any]) -> None:
    """Load the weights and the state of the optimiser of a checkpoint. Raises `RuntimeError`, `ValueError` or another error of
    PyTorch if they, or the averages of the weights, are not those of this network and optimiser."""
    network.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    for weight, values in optimiser.state.items():
        for name, value in values.items():
            if isinstance(value, Tensor) and value.ndim and value.shape != weight.shape:
                raise ValueError(
                    f"{name} of the optimiser has the shape {tuple(value.shape)}, not {tuple(weight.shape)}"
                )
    shapes, expected = (
        None if weights is None else {name: weight.shape for name, weight in weights.items()}
        for weights in (state["average"], average)
    )
    if shapes != expected:
        raise ValueError("the averages of the weights are of another network")


@torch.no_grad()
def update_average(average: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    """Move the average of the weights towards the weights; integers (counters) are copied."""
    for name, weight in model.state_dict().items():
        if weight.is_floating_point():
            average[name].lerp_(weight, 1 - decay)
        else:
            average[name].copy_(weight)
