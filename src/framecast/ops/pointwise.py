"""1 x 1 convolutions: a linear layer on the channels of each pixel, of one map or of several as if they were concatenated.

    y = W_1 x_1 + W_2 x_2 + ... + b

On CPUs the channels of a pixel are adjacent, so that each term is one matrix product. In float32 all terms are one loop in C
(pointwise.c), which on small maps is faster than the start of a general product; PyTorch computes the gradients and everything
else.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from framecast.ops.native.library import ADDRESS, COUNT, SIZE, addresses, available, c_array, load_function, threads
from framecast.ops.native.memory import empty

_mix = load_function("framecast_mix", *[ADDRESS] * 2, SIZE, *[ADDRESS] * 2, *[SIZE] * 2, ADDRESS, COUNT)


def linear(maps: Sequence[Tensor], weight: Tensor, bias: Tensor | None) -> Tensor:
    """Apply `weight (D, sum of C_n, 1, 1)` to `maps (B, C_n, h, w)`, channels-last: `(B, D, h, w)`."""
    weights = _parts(weight, maps)
    result = functional.linear(maps[0].movedim(1, -1), weights[0], bias)
    for x, part in zip(maps[1:], weights[1:], strict=True):
        result = result + functional.linear(x.movedim(1, -1), part)
    return result.movedim(-1, 1)


def can_mix(maps: Sequence[Tensor], weight: Tensor, bias: Tensor | None) -> bool:
    """Whether `mix` can be used for maps on the CPU. Maps of one pixel are left to a matrix product."""
    if maps[0].shape[2:] == (1, 1) or torch.is_autocast_enabled("cpu") or not available():
        return False
    if any(each is not None and each.dtype != torch.float32 for each in (weight, bias, *maps)):
        return False
    return all(x.is_contiguous(memory_format=torch.channels_last) for x in maps)


def transpose_weight(weight: Tensor) -> Tensor:
    """`weight (D, C, 1, 1)` in the layout of the loop, `(C, D)`."""
    return weight.detach().flatten(1).t().contiguous()


def mix(maps: Sequence[Tensor], weight: Tensor, bias: Tensor | None, matrix: Tensor) -> Tensor:
    """The same result as `linear`, in one loop, from a weight and its `transpose_weight`."""
    if torch.is_grad_enabled():
        result: Tensor = _Mix.apply(matrix, weight, bias, *maps)  # type: ignore[no-untyped-call]
        return result
    return _compute_mix(maps, matrix, bias)


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor, weight: Tensor, bias: Tensor | None, *maps: Tensor) -> Tensor:
        ctx.save_for_backward(weight, *maps)
        return _compute_mix(maps, matrix, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, *maps = ctx.saved_tensors
        _, needs_weight, needs_bias, *needs_maps = ctx.needs_input_grad
        after = grad.contiguous(memory_format=torch.channels_last).movedim(1, -1).flatten(0, -2)
        dmaps = [
            _product(after, part, x) if needed else None
            for x, part, needed in zip(maps, _parts(weight, maps), needs_maps, strict=True)
        ]
        dbias = after.sum(0) if needs_bias else None
        if not needs_weight:
            return None, None, dbias, *dmaps
        dparts = [after.t() @ x.movedim(1, -1).flatten(0, -2) for x in maps]
        return None, torch.cat(dparts, dim=1).view_as(weight), dbias, *dmaps


def _parts(weight: Tensor, maps: Sequence[Tensor]) -> list[Tensor]:
    """The columns `(D, C_n)` of a weight for each map."""
    ends = [*accumulate(x.shape[1] for x in maps)]
    flat = weight.flatten(1)
    return [flat[:, end - x.shape[1] : end] for end, x in zip(ends, maps, strict=True)]


def _product(after: Tensor, part: Tensor, x: Tensor) -> Tensor:
    """`after (pixels, D)` times `part (D, C)`, as a map like `x (B, C, h, w)`."""
    batch, channels, height, width = x.shape
    result = empty(len(after), channels)
    torch.mm(after, part, out=result)
    return result.view(batch, height, width, channels).permute(0, 3, 1, 2)


def _compute_mix(maps: Sequence[Tensor], matrix: Tensor, bias: Tensor | None) -> Tensor:
    """Call the loop. Raises `ValueError` if the maps and the weight have different numbers of channels."""
    batch, _, height, width = maps[0].shape
    inputs, outputs = matrix.shape
    channels = [x.shape[1] for x in maps]
    if sum(channels) != inputs:
        raise ValueError(f"maps of {channels} channels, and a weight for {inputs}")
    added = None if bias is None else bias.contiguous()
    result = empty(batch, height, width, outputs)
    _mix(
        addresses(maps),
        c_array(SIZE, channels),
        len(maps),
        matrix.data_ptr(),
        None if added is None else added.data_ptr(),
        batch * height * width,
        outputs,
        result.data_ptr(),
        threads(),
    )
    return result.permute(0, 3, 1, 2)
