"""What a model does while it forecasts: its hidden states, gradients and motions, caught on the way."""

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
def watching(model: nn.Module, wanted: Callable[[Any, Any, Any], Any]) -> Iterator[list[Any]]:
    """What `wanted(module, inputs, output)` returns for every module that is called, in order, where it is not None."""
    seen: list[Any] = []

    def hook(module: nn.Module, given: Any, output: Any) -> None:
        value = wanted(module, given, output)
        if value is not None:
            seen.append(value)

    hooks = [module.register_forward_hook(hook) for module in model.modules()]
    try:
        yield seen
    finally:
        for each in hooks:
            each.remove()


def steps_of(model: nn.Module, frames: Tensor, teacher: Tensor) -> tuple[Tensor, list[list[Step]]]:
    """The predictions `(B, S, C, H, W)`, and what each layer returned at each step `[t][layer]`; no layers for models without
    recurrent cells."""
    with watching(model, lambda module, given, output: output if isinstance(output, Step) else None) as seen:
        predicted = model(frames, teacher).frames
    count = len(seen) // teacher.shape[1] if seen else 0
    return predicted, [seen[t * count : (t + 1) * count] for t in range(teacher.shape[1])] if count else []


def features(model: nn.Module, context: Tensor, horizon: int, future: Tensor | None = None) -> Tensor:
    """One feature vector for each sequence `(B, D)`: the hidden state of the top layer, averaged over space and over the
    predicted steps (ModeRNN, section 4.1). With `future (B, horizon, C, H, W)` the model is fed the true frames, so that the
    features are those of the truth. A model without recurrent cells is represented by what its last convolution is given."""
    length = context.shape[1]
    frames = context if future is None else torch.cat([context, future], dim=1)
    teacher = free_running(len(context), length, horizon)
    if future is not None:
        teacher = torch.ones_like(teacher)

    def last_input(module: nn.Module, given: Any, _: Any) -> Any:
        return given[0] if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d) else None

    with torch.no_grad():
        _, steps = steps_of(model, frames, teacher)
        if steps:
            hidden = torch.stack([step[-1].hidden.flatten(2).mean(2) for step in steps[length - 1 :]])
            return hidden.mean(0)
        with watching(model, last_input) as seen:
            model(frames, teacher)
    final: Tensor = seen[-1]
    if final.ndim == 4 and len(final) != len(context):  # frames were put into the batch
        final = final.reshape(len(context), -1, *final.shape[1:]).mean(1)
    return final.flatten(2).mean(2)


def gradient_norms(model: nn.Module, frames: Tensor, context: int) -> Tensor:
    """How strongly the error at each lead time pulls at the top hidden state of each earlier step `(S, T - 1)`: the norm of the
    gradient, NaN for later steps (PredRNN-V2, 2022, figure 8)."""
    length = frames.shape[1]
    with torch.enable_grad():
        predicted, steps = steps_of(model, frames[:, :context], free_running(len(frames), context, length - context))
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
        given = context.clone().requires_grad_(True)
        forecast = model(given, free_running(len(given), given.shape[1], horizon)).frames[:, -horizon:]
        if not forecast.requires_grad:
            raise ValueError("no gradient leads from its forecasts to the frames that it is given")
        forecast[:, lead, :, place[0], place[1]].sum().backward()
    if given.grad is None:  # the latents of a modular design are computed without gradients
        raise ValueError("no gradient leads from its forecasts to the frames that it is given")
    return given.grad.abs().sum(2)


def response(model: nn.Module, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """The next-frame error at each step `(T - 1,)` of a model that is fed `before (B, T1, C, H, W)` and then, suddenly, `after
    (B, T2, C, H, W)`, from the change on, and of one that is fed `after` alone (PredRNN-V2, 2022, figure 9)."""

    def errors(frames: Tensor, start: int) -> Tensor:
        teacher = torch.ones(len(frames), frames.shape[1] - 1, dtype=torch.bool)
        with torch.no_grad():
            predicted = model(frames, teacher).frames
        error: Tensor = (predicted - frames[:, 1:]).square().mean((0, 2, 3, 4))
        return error[start:]

    return errors(torch.cat([before, after], dim=1), before.shape[1]), errors(after, 0)


def arrows(motion: Motion, factor: int) -> Tensor:
    """The trending momentum as movement `(B, 2, h, w)`, rows then columns, in pixels of the frame a step: where the taps look,
    the rain came from, so it moves the other way. `factor` is how many pixels of the frame make a place of the map."""
    rows, columns = motion.trend[:, :TAPS].mean(1), motion.trend[:, TAPS:].mean(1)
    return -factor * torch.stack([rows, columns], dim=1)


def observing(model: nn.Module, probe: str) -> AbstractContextManager[list[Any]]:
    """What the submodules with the probe point `probe` (`models.parts.capabilities.Probed`) show, call by call, in order."""
    probes = set(probed(model, probe))
    return watching(model, lambda module, given, output: module.observe(given, output) if module in probes else None)


def motions(model: nn.Module, context: Tensor, horizon: int) -> list[list[Motion]]:
    """The motion of each MotionGRU at each step `[t][layer]`."""
    teacher = free_running(len(context), context.shape[1], horizon)
    with torch.no_grad(), observing(model, "motion") as seen:
        model(context, teacher)
    count = len(seen) // teacher.shape[1]
    if not count:
        raise ValueError("the model has no MotionGRU")
    return [seen[t * count : (t + 1) * count] for t in range(teacher.shape[1])]


def attention_maps(model: Any, frames: Tensor) -> list[list[list[Tensor]]]:
    """The attention of each Detail Context Block at each frame of `frames (B, T, C, H, W)`, fed one by one:
    `[t][layer][half-step]`, each `(B, D, h, w)`."""
    if not (count := len(probed(model, "attention"))):
        raise ValueError("the model has no Detail Context Block")
    with torch.no_grad(), observing(model, "attention") as seen:
        state = model.start(frames[:, 0])
        for t in range(frames.shape[1]):
            _, state = model.step(frames[:, t], state)
    return [seen[t * count : (t + 1) * count] for t in range(frames.shape[1])]


def slot_importance(model: nn.Module, context: Tensor, horizon: int) -> Tensor:
    """How much each slot, and last the shortcut, counts in the fusion, mean over steps, layers and channels `(B, N)`."""
    with torch.no_grad(), observing(model, "slot_weights") as seen:
        model(context, free_running(len(context), context.shape[1], horizon))
    if not seen:
        raise ValueError("the model has no slots that are weighed")
    return torch.stack(seen).mean(0)


def slot_swap(model: nn.Module, context: Tensor, horizon: int) -> Tensor:
    """How much the forecast changes, as root mean squared difference, where what is bound to slot i is handed to slot j and the
    other way round `(N, N)` (ModeRNN, figure 14); 0 on the diagonal."""
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

    with observing(model, "slots") as seen:
        plain = forecast(0, 0)
    count = len(seen[0])
    changes = torch.zeros(count, count)
    for i in range(count):
        for j in range(i + 1, count):
            changes[i, j] = changes[j, i] = (forecast(i, j) - plain).square().mean().sqrt()
    return changes


def increments(model: nn.Module, frames: Tensor) -> list[list[tuple[Tensor, Tensor]]]:
    """The increments of both memories of each layer at each step `[t][layer]`, fed the true frames. Raises ValueError for models
    without two memories."""
    teacher = torch.ones(len(frames), frames.shape[1] - 1, dtype=torch.bool)
    with torch.no_grad():
        _, steps = steps_of(model, frames, teacher)
    found = [[step.increments for step in row if step.increments is not None] for row in steps]
    if not found or not found[0]:
        raise ValueError("the cells of the model have no two memories")
    return found


def cosines(found: list[list[tuple[Tensor, Tensor]]]) -> Tensor:
    """The mean absolute cosine between both increments, channel by channel, `(T - 1, layers)`: what memory decoupling makes
    small."""
    rows = [
        [float(torch.cosine_similarity(c.flatten(2), m.flatten(2), dim=2, eps=1e-12).abs().mean()) for c, m in row]
        for row in found
    ]
    return torch.tensor(rows)
