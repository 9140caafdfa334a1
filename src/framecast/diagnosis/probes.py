"""Probes: hidden states, gradients, motions and attention of a model, recorded by forward hooks during a forecast.

Functions on models and tensors; the model is unchanged afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from framecast.models.motionrnn import TAPS, Motion
from framecast.models.parts.capabilities import probed
from framecast.ops import free_running
from framecast.types import Step


@contextmanager
def record_calls(model: nn.Module, extract: Callable[[Any, Any, Any], Any]) -> Iterator[list[Any]]:
    """Record `extract(module, inputs, output)` for every call of a module, in order, where it is not None."""
    records: list[Any] = []

    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        value = extract(module, inputs, output)
        if value is not None:
            records.append(value)

    hooks = [module.register_forward_hook(hook) for module in model.modules()]
    try:
        yield records
    finally:
        for each in hooks:
            each.remove()


def run_steps(model: nn.Module, frames: Tensor, teacher: Tensor) -> tuple[Tensor, list[list[Step]]]:
    """The predictions `(B, S, C, H, W)`, and the result of each layer at each step `[t][layer]`; an empty list for models without
    recurrent cells."""
    with record_calls(model, lambda module, inputs, output: output if isinstance(output, Step) else None) as records:
        predicted = model(frames, teacher).frames
    count = len(records) // teacher.shape[1] if records else 0
    return predicted, [records[t * count : (t + 1) * count] for t in range(teacher.shape[1])] if count else []


def features(model: nn.Module, context: Tensor, horizon: int, future: Tensor | None = None) -> Tensor:
    """One feature vector for each sequence `(B, D)`: the hidden state of the top layer, averaged over space and over the
    predicted steps (ModeRNN, section 4.1). With `future (B, horizon, C, H, W)` the true frames are the inputs, so that the
    features are those of the truth. For a model without recurrent cells they are the inputs of its last convolution."""
    length = context.shape[1]
    frames = context if future is None else torch.cat([context, future], dim=1)
    teacher = free_running(len(context), length, horizon)
    if future is not None:
        teacher = torch.ones_like(teacher)

    def last_input(module: nn.Module, inputs: Any, _: Any) -> Any:
        return inputs[0] if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d) else None

    with torch.no_grad():
        _, steps = run_steps(model, frames, teacher)
        if steps:
            hidden = torch.stack([step[-1].hidden.flatten(2).mean(2) for step in steps[length - 1 :]])
            return hidden.mean(0)
        with record_calls(model, last_input) as records:
            model(frames, teacher)
    final: Tensor = records[-1]
    if final.ndim == 4 and len(final) != len(context):  # the model moved frames into the batch axis
        final = final.reshape(len(context), -1, *final.shape[1:]).mean(1)
    return final.flatten(2).mean(2)


def gradient_norms(model: nn.Module, frames: Tensor, context: int) -> Tensor:
    """The norm of the gradient of the error at each lead time with respect to the top hidden state of each earlier step
    `(S, T - 1)`, NaN for later steps (PredRNN-V2, 2022, figure 8)."""
    length = frames.shape[1]
    with torch.enable_grad():
        predicted, steps = run_steps(model, frames[:, :context], free_running(len(frames), context, length - context))
        if not steps:
            raise ValueError("the model has no recurrent cells")
        if not predicted.requires_grad:  # a VQ-VAE decodes the nearest vectors of its codebook
            raise ValueError("no gradient leads from its forecasts to its hidden states")
        hidden = [step[-1].hidden for step in steps]
        rows = []
        for lead in range(context, length):
            error = (predicted[:, lead - 1] - frames[:, lead]).square().mean()
            pulls = torch.autograd.grad(error, hidden[:lead], retain_graph=True, allow_unused=True)
            later = [float("nan")] * (len(hidden) - lead)
            rows.append([0.0 if pull is None else float(pull.norm()) for pull in pulls] + later)
    return torch.tensor(rows)


def attribution(model: nn.Module, context: Tensor, horizon: int, place: tuple[int, int], lead: int) -> Tensor:
    """Which pixels of which past frames a forecast pixel depends on: the absolute gradient `(B, T, H, W)` of the pixel `place` of
    the frame `lead` (from 0), summed over channels."""
    with torch.enable_grad():
        inputs = context.clone().requires_grad_(True)
        forecast = model(inputs, free_running(len(inputs), inputs.shape[1], horizon)).frames[:, -horizon:]
        if not forecast.requires_grad:
            raise ValueError("no gradient leads from its forecasts to the frames that it is given")
        forecast[:, lead, :, place[0], place[1]].sum().backward()
    if inputs.grad is None:  # the latents of a modular design are computed without gradients
        raise ValueError("no gradient leads from its forecasts to the frames that it is given")
    return inputs.grad.abs().sum(2)


def response(model: nn.Module, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """The next-frame error at each step `(T2 - 1,)` after a sudden change: with the inputs `before (B, T1, C, H, W)` and then
    `after (B, T2, C, H, W)`, from the change on, and with the input `after` alone (PredRNN-V2, 2022, figure 9)."""

    def errors(frames: Tensor, start: int) -> Tensor:
        teacher = torch.ones(len(frames), frames.shape[1] - 1, dtype=torch.bool)
        with torch.no_grad():
            predicted = model(frames, teacher).frames
        error: Tensor = (predicted - frames[:, 1:]).square().mean((0, 2, 3, 4))
        return error[start:]

    return errors(torch.cat([before, after], dim=1), before.shape[1]), errors(after, 0)


def arrows(motion: Motion, factor: int) -> Tensor:
    """The trending momentum as motion `(B, 2, h, w)`, rows then columns, in frame pixels a step. The taps sample the position
    from which rain comes, so motion has the opposite sign. `factor` is the number of frame pixels for each pixel of the map."""
    rows, columns = motion.trend[:, :TAPS].mean(1), motion.trend[:, TAPS:].mean(1)
    return -factor * torch.stack([rows, columns], dim=1)


def record_probe(model: nn.Module, probe: str) -> AbstractContextManager[list[Any]]:
    """Record the observations of the submodules with the probe point `probe` (`models.parts.capabilities.Probed`), in order of
    calls."""
    probes = set(probed(model, probe))
    return record_calls(
        model, lambda module, inputs, output: module.observe(inputs, output) if module in probes else None
    )


def motions(model: nn.Module, context: Tensor, horizon: int) -> list[list[Motion]]:
    """The motion of each MotionGRU at each step `[t][layer]`."""
    teacher = free_running(len(context), context.shape[1], horizon)
    with torch.no_grad(), record_probe(model, "motion") as records:
        model(context, teacher)
    count = len(records) // teacher.shape[1]
    if not count:
        raise ValueError("the model has no MotionGRU")
    return [records[t * count : (t + 1) * count] for t in range(teacher.shape[1])]


def attention_maps(model: Any, frames: Tensor) -> list[list[list[Tensor]]]:
    """The attention of each Detail Context Block at each of the input `frames (B, T, C, H, W)`:
    `[t][layer][half-step]`, each `(B, D, h, w)`."""
    if not (count := len(probed(model, "attention"))):
        raise ValueError("the model has no Detail Context Block")
    with torch.no_grad(), record_probe(model, "attention") as records:
        state = model.start(frames[:, 0])
        for t in range(frames.shape[1]):
            _, state = model.step(frames[:, t], state)
    return [records[t * count : (t + 1) * count] for t in range(frames.shape[1])]


def slot_importance(model: nn.Module, context: Tensor, horizon: int) -> Tensor:
    """The weight of each slot, and last of the shortcut, in the fusion: mean over steps, layers and channels `(B, N)`."""
    with torch.no_grad(), record_probe(model, "slot_weights") as records:
        model(context, free_running(len(context), context.shape[1], horizon))
    if not records:
        raise ValueError("the model has no slot weights")
    return torch.stack(records).mean(0)


def slot_swap(model: nn.Module, context: Tensor, horizon: int) -> Tensor:
    """The root mean squared change of the forecast when the bindings of slots i and j are swapped `(N, N)` (ModeRNN, figure
    14); 0 on the diagonal."""
    bindings = probed(model, "slots")
    if not bindings:
        raise ValueError("the model binds no slots")
    teacher = free_running(len(context), context.shape[1], horizon)

    def forecast(i: int, j: int) -> Tensor:
        def swapped(_: nn.Module, __: Any, output: list[Tensor]) -> list[Tensor]:
            slots = list(output)
            slots[i], slots[j] = slots[j], slots[i]
            return slots

        hooks = [binding.register_forward_hook(swapped) for binding in bindings]
        try:
            with torch.no_grad():
                predicted: Tensor = model(context, teacher).frames[:, -horizon:]
                return predicted
        finally:
            for hook in hooks:
                hook.remove()

    with record_probe(model, "slots") as records:
        plain = forecast(0, 0)
    count = len(records[0])
    changes = torch.zeros(count, count)
    for i in range(count):
        for j in range(i + 1, count):
            changes[i, j] = changes[j, i] = (forecast(i, j) - plain).square().mean().sqrt()
    return changes


def increments(model: nn.Module, frames: Tensor) -> list[list[tuple[Tensor, Tensor]]]:
    """The increments of both memories of each layer at each step `[t][layer]`, with the true frames as inputs. Raises ValueError
    for models without two memories."""
    teacher = torch.ones(len(frames), frames.shape[1] - 1, dtype=torch.bool)
    with torch.no_grad():
        _, steps = run_steps(model, frames, teacher)
    pairs = [[step.increments for step in row if step.increments is not None] for row in steps]
    if not pairs or not pairs[0]:
        raise ValueError("the cells of the model have no two memories")
    return pairs


def cosines(pairs: list[list[tuple[Tensor, Tensor]]]) -> Tensor:
    """The mean absolute cosine between both increments, channel by channel, `(T - 1, layers)`: memory decoupling reduces it."""
    rows = [
        [float(torch.cosine_similarity(c.flatten(2), m.flatten(2), dim=2, eps=1e-12).abs().mean()) for c, m in row]
        for row in pairs
    ]
    return torch.tensor(rows)
