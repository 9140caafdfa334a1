"""The loop over time of all recurrent models, with teacher forcing. No other module implements either."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from framecast.models.parts.protocols import Core
from framecast.ops.convolution import Transforms, next_step, share_transforms
from framecast.ops.native.memory import return_free
from framecast.types import Prediction

Feedback = Callable[[Tensor, int], Tensor]
"""`feedback(prediction (B, C, H, W), t)`: what is fed back in place of the prediction of step t, that of frame t + 1."""


class Segment(NamedTuple):
    """A run of steps: their `outputs (B, C, h, w)`, what the `last` of them feeds back, the `state` after it, and the loss terms
    of each."""

    outputs: list[Tensor]
    last: Tensor
    state: Any
    losses: list[dict[str, Tensor]]


def rollout(
    core: Core,
    frames: Tensor,
    teacher: Tensor,
    actions: Tensor | None = None,
    *,
    state: Any = None,
    segment: int | None = None,
    fixed_channels: Tensor | None = None,
    feedback: Feedback | None = None,
) -> Prediction:
    """Run `core` over time and return its predictions of the frames at t = 1..T-1.

    `frames (B, S, C, h, w)`, in the space of the core. `teacher (B, T-1)` bool selects for each sequence and step the observed
    frame (true) or the core's last prediction. A frame is read only where the mask is true, so a forecast is the same function
    with the context alone (S < T): it cannot read the future. Gradients flow through the predictions that are fed back.
    `actions (B, T-1 or more, A)`. `state` is the initial state, by default `core.start`. Channels where `fixed_channels (C,)`
    is true are inputs that are not forecast: their last values are fed back. `feedback(prediction, t)` is fed back in place of
    the prediction of step t, that of frame t + 1.

    Loss terms of the steps are averaged over time (docs/specification.md, section 1.4). With `segment`, the activations of each
    segment of that many steps are computed again in the backward pass instead of being kept, except those of the last segment,
    where that pass starts: memory falls to the states between the segments and one segment, for nearly one more forward pass in
    time.

    Raises `ValueError` if the first step is not fed an observed frame, or if the mask selects frames that do not exist.
    """
    # the input of each step
    feed = feeds(teacher, frames.shape[1])
    teacher = teacher.to(frames.device)

    # a run of steps, and the same as a segment that is computed again in the backward pass
    transforms: Transforms = {}

    @share_transforms(transforms)
    def advance(start: int, stop: int, last: Tensor, state: Any) -> Segment:
        outputs, losses = [], []
        for t in range(start, stop):
            if feed[t] == "truth":
                x = frames[:, t]
            elif feed[t] == "prediction":
                x = last
            else:
                x = torch.where(teacher[:, t, None, None, None], frames[:, t], last)
            last, state, terms = core.step(x, state, None if actions is None else actions[:, t])
            if fixed_channels is not None:
                last = torch.where(fixed_channels[:, None, None], x, last)
            outputs.append(last)
            losses.append(terms)
            if feedback is not None:
                last = feedback(last, t)
            next_step()
        return Segment(outputs, last, state, losses)

    computed: set[int] = set()

    def run_segment(start: int, *more: Any) -> Segment:
        is_recomputation = start in computed
        computed.add(start)
        with restore_buffers(core) if is_recomputation else nullcontext():
            return advance(start, *more)

    # all steps at once, or segment by segment
    steps, last = len(feed), frames[:, 0]
    state = core.start(last) if state is None else state
    if segment is None or not torch.is_grad_enabled():
        outputs, _, _, losses = advance(0, steps, last, state)
    else:
        outputs, losses, start = [], [], 0
        while start < steps:
            stop = start + ((steps - start) % segment or segment)  # the first is the shorter one
            if stop < steps:
                piece = checkpoint(run_segment, start, stop, last, state, use_reentrant=False)
            else:
                piece = advance(start, stop, last, state)
            outputs, losses = outputs + piece.outputs, losses + piece.losses
            last, state, start = piece.last, piece.state, stop
        if frames.device.type == "cpu":
            return_free()  # activations that were not kept
    mean = {name: torch.stack([terms[name] for terms in losses]).mean() for name in losses[0]}
    return Prediction(torch.stack(outputs, dim=1), mean)


@contextmanager
def restore_buffers(core: Core) -> Iterator[None]:
    """Restore the buffers of `core`, the running statistics of its norms, at the end of the context."""
    buffers = core.buffers() if isinstance(core, nn.Module) else ()
    before = [(buffer, buffer.clone()) for buffer in buffers]
    try:
        yield
    finally:
        for buffer, values in before:
            buffer.data.copy_(values)  # autograd need not know: in training, statistics are not read


def feeds(teacher: Tensor, available: int) -> list[str]:
    """The input of each step: "truth" for all sequences, "prediction" for all, or a "mixture".

    The values of a mask on a GPU are not read, since that would wait for all of its queued work, nor those of a model that is
    exported, whose graph is made for any values: every step but the first that has an observed frame is then a "mixture", which
    gives the same result in more operations.

    Raises `ValueError` as `rollout` does.
    """
    if not _is_on_cpu(teacher) or torch.compiler.is_exporting():
        return ["truth", *("mixture" if t < available else "prediction" for t in range(1, teacher.shape[1]))]
    every, some = teacher.all(dim=0).tolist(), teacher.any(dim=0).tolist()
    if not every[0]:
        raise ValueError("the first step must be fed a true frame: column 0 of the teacher mask must be all true")
    if any(some[available:]):
        raise ValueError(f"the teacher mask asks for true frames beyond the {available} that are given")
    return ["truth" if a else "mixture" if s else "prediction" for a, s in zip(every, some, strict=True)]


def _is_on_cpu(teacher: Tensor) -> bool:
    return teacher.device.type == "cpu"
