"""Probes: hidden states, gradients, motions and attention of a model, recorded by forward hooks during a forecast.

Functions on models and tensors; the model is unchanged afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from framecast.errors import ArgumentError
from framecast.models.motionrnn import TAPS, Motion
from framecast.models.parts.capabilities import latent_state, memory_state, probed
from framecast.ops import free_running
from framecast.types import Step

T = TypeVar("T")
_BATCH = 8
"""Sequences whose states are computed together."""


class Features(NamedTuple):
    """One vector for each sequence, `(N, D)`: the mean over space and over the predicted steps, in the top layer, of the
    `latent` features (the slot bus of ModeRNN, else H), of the `memory` (slot bus, cell state) and of the `output` H."""

    latent: Tensor
    memory: Tensor
    output: Tensor


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


def run_steps(
    model: nn.Module, frames: Tensor, teacher: Tensor, extract: Callable[[Step], T], actions: Tensor | None = None
) -> tuple[Tensor, list[list[T]]]:
    """The predictions `(B, S, C, H, W)` from frames and `actions (B, T, A)`, and `extract(step)` of each layer at each step
    `[t][layer]`; an empty list for models without recurrent cells. A cell inside of another is part of its layer."""
    with record_calls(
        model, lambda module, inputs, output: (module, extract(output)) if isinstance(output, Step) else None
    ) as records:
        predicted = model(frames, teacher, actions).frames
    cells = {module for module, _ in records}
    inner = {part for cell in cells for part in cell.modules() if part is not cell}
    return predicted, by_step([value for module, value in records if module not in inner], teacher.shape[1])


def by_step(records: list[T], steps: int) -> list[list[T]]:
    """Records of `steps` steps as `[t][layer]`; an empty list without any."""
    count = len(records) // steps
    return [records[t * count : (t + 1) * count] for t in range(steps)] if count else []


def layer_index(layer: int, layers: int) -> int:
    """The index of `layer`, counted from 1. Raises `ArgumentError` if there is none."""
    if not 1 <= layer <= layers:
        raise ArgumentError(f"{layer} given, expected 1 to {layers}", parameter="layer")
    return layer - 1


def features(
    model: nn.Module, context: Tensor, horizon: int, future: Tensor | None = None, actions: Tensor | None = None
) -> Features:
    """The features of each sequence (ModeRNN 2022, section IV-B), which may have `actions (B, T + horizon, A)`. With `future (B,
    horizon, C, H, W)` the true frames are the inputs, so that the features are those of the truth. For a model without recurrent
    cells all three are the inputs of its last convolution or, without any, of its last linear layer."""
    parts = [
        _features(model, context[part], horizon, *(None if each is None else each[part] for each in (future, actions)))
        for part in (slice(k, k + _BATCH) for k in range(0, len(context), _BATCH))
    ]
    return Features(*map(torch.cat, zip(*parts, strict=True)))


def _features(
    model: nn.Module, context: Tensor, horizon: int, future: Tensor | None, actions: Tensor | None
) -> Features:
    length = context.shape[1]
    frames = context if future is None else torch.cat([context, future], dim=1)
    teacher = free_running(len(context), length, horizon)
    if future is not None:
        teacher = torch.ones_like(teacher)

    def pooled(step: Step) -> list[Tensor]:
        return [values.flatten(2).mean(2) for values in (latent_state(step), memory_state(step), step.hidden)]

    def input_of(*kinds: type[nn.Module]) -> Callable[[Any, Any, Any], Any]:
        return lambda module, inputs, _: inputs[0] if isinstance(module, kinds) else None

    with torch.no_grad():
        _, steps = run_steps(model, frames, teacher, pooled, actions)
        if steps:
            top = [step[-1] for step in steps[length - 1 :]]
            return Features(*(torch.stack(each).mean(0) for each in zip(*top, strict=True)))
        convolved = input_of(nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)
        with record_calls(model, convolved) as records, record_calls(model, input_of(nn.Linear)) as linear:
            model(frames, teacher, actions)
    final: Tensor = (records or linear)[-1]
    if final.ndim == 4 and len(final) != len(context):  # the model moved frames into the batch axis
        final = final.reshape(len(context), -1, *final.shape[1:]).mean(1)
    final = final if final.ndim == 2 else final.flatten(2).mean(2)
    return Features(final, final, final)


def gradient_norms(
    model: nn.Module, frames: Tensor, context: int, layer: int = 1, actions: Tensor | None = None
) -> Tensor:
    """The norm of the gradient of the error at each lead time with respect to the hidden state of `layer` at each earlier step
    `(S, T - 1)`, mean over sequences; NaN for later steps (PredRNN-V2, 2022, figure 8, where it is layer 1). Raises
    `ArgumentError` if the model has no such layer."""
    length = frames.shape[1]
    with torch.enable_grad():
        teacher = free_running(len(frames), context, length - context)
        predicted, steps = run_steps(model, frames[:, :context], teacher, lambda step: step.hidden, actions)
        if not steps:
            raise ValueError("the model has no recurrent cells")
        if not predicted.requires_grad:  # a VQ-VAE decodes the nearest vectors of its codebook
            raise ValueError("no gradient leads from its forecasts to its hidden states")
        number = layer_index(layer, len(steps[0]))
        hidden = [step[number] for step in steps]
        rows = []
        for lead in range(context, length):
            error = (predicted[:, lead - 1] - frames[:, lead]).square().flatten(1).mean(1).sum()
            pulls = torch.autograd.grad(error, hidden[:lead], retain_graph=True, allow_unused=True)
            later = [float("nan")] * (len(hidden) - lead)
            rows.append([0.0 if pull is None else float(pull.flatten(1).norm(dim=1).mean()) for pull in pulls] + later)
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
    if not records:
        raise ValueError("the model has no MotionGRU")
    return by_step(records, teacher.shape[1])


def attention_maps(model: Any, frames: Tensor) -> list[list[list[Tensor]]]:
    """The attention of each Detail Context Block at each of the input `frames (B, T, C, H, W)`:
    `[t][layer][half-step]`, each `(B, D, h, w)`."""
    if not probed(model, "attention"):
        raise ValueError("the model has no Detail Context Block")
    with torch.no_grad(), record_probe(model, "attention") as records:
        state = model.start(frames[:, 0])
        for t in range(frames.shape[1]):
            _, state = model.step(frames[:, t], state)
    return by_step(records, frames.shape[1])


def increments(model: nn.Module, frames: Tensor, actions: Tensor | None = None) -> list[list[tuple[Tensor, Tensor]]]:
    """The increments of both memories of each layer at each step `[t][layer]`, with the true frames as inputs: in the space of
    the decoupling loss, behind W_decouple, if the model was trained with it (PredRNN-V2 2022, equation 5). Raises ValueError for
    models without two memories."""
    teacher = torch.ones(len(frames), frames.shape[1] - 1, dtype=torch.bool)
    with torch.no_grad():
        _, steps = run_steps(model, frames, teacher, lambda step: step.increments, actions)
        pairs = [[pair for pair in row if pair is not None] for row in steps]
        if not pairs or not pairs[0]:
            raise ValueError("the cells of the model have no two memories")
        spaces = probed(model, "increments")
        return [[spaces[0].observe(pair, None) for pair in row] for row in pairs] if spaces else pairs


def cosines(pairs: list[list[tuple[Tensor, Tensor]]]) -> Tensor:
    """The mean absolute cosine between both increments, channel by channel, `(T - 1, layers)`: memory decoupling reduces it."""
    rows = [
        [float(torch.cosine_similarity(c.flatten(2), m.flatten(2), dim=2, eps=1e-12).abs().mean()) for c, m in row]
        for row in pairs
    ]
    return torch.tensor(rows)
