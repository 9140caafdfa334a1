"""Probes of slots: their weights, their features, and forecasts with a slot of another sequence. The model is unchanged
afterwards."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from framecast.diagnosis.probes import by_step, record_probe
from framecast.models.parts.capabilities import probed
from framecast.ops import free_running

_BATCH = 8


def slot_importance(model: nn.Module, context: Tensor, horizon: int) -> Tensor:
    """The weight of each slot, and last of the shortcut, in the fusion: mean over steps, layers and channels `(B, N)`."""
    means = []
    for part in torch.split(context, _BATCH):
        with torch.no_grad(), record_probe(model, "slot_weights") as records:
            model(part, free_running(len(part), part.shape[1], horizon))
        if not records:
            raise ValueError("the model has no slot weights")
        means.append(torch.stack(records).mean(0))
    return torch.cat(means)


def slot_features(model: nn.Module, context: Tensor, horizon: int) -> Tensor:
    """The features of each slot of the top layer `(B, N, D)`, mean over space and the predicted steps."""
    means = []
    for part in torch.split(context, _BATCH):
        records = _slots(model, part, horizon)
        steps = by_step(records, part.shape[1] + horizon - 1)[part.shape[1] - 1 :]
        means.append(torch.stack([_pooled(step[-1]) for step in steps]).mean(0))
    return torch.cat(means)


def slot_swaps(model: nn.Module, context: Tensor, other: Tensor, horizon: int) -> Tensor:
    """Forecasts of `context (B, T, C, H, W)` in which one slot, in all layers and at all steps, is that of the sequences `other`
    of the same shape: `(N, B, horizon, C, H, W)`, one for each slot (ModeRNN 2022, figure 14)."""
    donated = _slots(model, other, horizon)
    teacher = free_running(len(context), context.shape[1], horizon)

    def forecast(slot: int) -> Tensor:
        calls = iter(donated)

        def swapped(_: nn.Module, __: Any, output: list[Tensor]) -> list[Tensor]:
            foreign = next(calls)
            return [foreign[n] if n == slot else own for n, own in enumerate(output)]

        with ExitStack() as hooks, torch.no_grad():
            for binding in probed(model, "slots"):
                hooks.callback(binding.register_forward_hook(swapped).remove)
            predicted: Tensor = model(context, teacher).frames[:, -horizon:]
            return predicted

    return torch.stack([forecast(slot) for slot in range(len(donated[0]))])


def _slots(model: nn.Module, context: Tensor, horizon: int) -> list[list[Tensor]]:
    """The slots of each call, in order of calls."""
    with torch.no_grad(), record_probe(model, "slots") as records:
        model(context, free_running(len(context), context.shape[1], horizon))
    if not records:
        raise ValueError("the model binds no slots")
    return records


def _pooled(slots: list[Tensor]) -> Tensor:
    """Slots `(B, D, h, w)` each as `(B, N, D)`."""
    return torch.stack([slot.flatten(2).mean(2) for slot in slots], dim=1)
