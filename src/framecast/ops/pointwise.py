"""1 x 1 convolutions: a linear layer on the channels of each pixel, of several maps as if they were one.

    y = W_1 x_1 + W_2 x_2 + ... + b

On CPUs the channels of a pixel lie together, so that each term is one product of matrices. In float32 all of them are one loop
in C (pointwise.c), which on small maps is done before a general product has begun; the gradients, and everything else, are
products by PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from framecast.ops.native.library import ADDRESS, COUNT, SIZE, addresses, available, compiled, packed, threads
from framecast.ops.native.memory import empty

_mix = compiled("framecast_mix", *[ADDRESS] * 2, SIZE, *[ADDRESS] * 2, *[SIZE] * 2, ADDRESS, COUNT)


def linear(maps: Sequence[Tensor], weight: Tensor, bias: Tensor | None) -> Tensor:
    """`maps (B, C_n, h, w)`, channels-last, with `weight (D, sum of C_n, 1, 1)`: `(B, D, h, w)`."""
    weights = _parts(weight, maps)
    result = functional.linear(maps[0].movedim(1, -1), weights[0], bias)
    for x, part in zip(maps[1:], weights[1:], strict=True):
        result = result + functional.linear(x.movedim(1, -1), part)
    return result.movedim(-1, 1)


def mixes(maps: Sequence[Tensor], weight: Tensor, bias: Tensor | None) -> bool:
    """Whether `mix` can be used for maps on the CPU. Maps of one pixel are a product as they are."""
    if maps[0].shape[2:] == (1, 1) or torch.is_autocast_enabled("cpu") or not available():
        return False
    if any(each is not None and each.dtype != torch.float32 for each in (weight, bias, *maps)):
        return False
    return all(x.is_contiguous(memory_format=torch.channels_last) for x in maps)


def turned(weight: Tensor) -> Tensor:
    """`weight (D, C, 1, 1)` as the loop reads it, `(C, D)`."""
    return weight.detach().flatten(1).t().contiguous()


def mix(maps: Sequence[Tensor], weight: Tensor, bias: Tensor | None, matrix: Tensor) -> Tensor:
    """What `linear` gives, of a weight and the same `turned`, in one loop."""
    if torch.is_grad_enabled():
        result: Tensor = _Mix.apply(matrix, weight, bias, *maps)  # type: ignore[no-untyped-call]
        return result
    return _mixed(maps, matrix, bias)


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor, weight: Tensor, bias: Tensor | None, *maps: Tensor) -> Tensor:
        ctx.save_for_backward(weight, *maps)
        return _mixed(maps, matrix, bias)

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, ...]:
        weight, *maps = ctx.saved_tensors
        _, learned, biased, *wanted = ctx.needs_input_grad
        after = given.contiguous(memory_format=torch.channels_last).movedim(1, -1).flatten(0, -2)
        dmaps = [
            _product(after, part, x) if want else None
            for x, part, want in zip(maps, _parts(weight, maps), wanted, strict=True)
        ]
        dbias = after.sum(0) if biased else None
        if not learned:
            return None, None, dbias, *dmaps
        dparts = [after.t() @ x.movedim(1, -1).flatten(0, -2) for x in maps]
        return None, torch.cat(dparts, dim=1).view_as(weight), dbias, *dmaps


def _parts(weight: Tensor, maps: Sequence[Tensor]) -> list[Tensor]:
    """The part `(D, C_n)` of a weight that each map has."""
    ends = [*accumulate(x.shape[1] for x in maps)]
    flat = weight.flatten(1)
    return [flat[:, end - x.shape[1] : end] for end, x in zip(ends, maps, strict=True)]


def _product(after: Tensor, part: Tensor, x: Tensor) -> Tensor:
    """`after (pixels, D)` times `part (D, C)`, a map like `x (B, C, h, w)`."""
    batch, channels, height, width = x.shape
    result = empty(len(after), channels)
    torch.mm(after, part, out=result)
    return result.view(batch, height, width, channels).permute(0, 3, 1, 2)


def _mixed(maps: Sequence[Tensor], matrix: Tensor, bias: Tensor | None) -> Tensor:
    """Raises ValueError for maps that are not those of the weight."""
    batch, _, height, width = maps[0].shape
    inputs, outputs = matrix.shape
    channels = [x.shape[1] for x in maps]
    if sum(channels) != inputs:
        raise ValueError(f"maps of {channels} channels, and a weight for {inputs}")
    added = None if bias is None else bias.contiguous()
    result = empty(batch, height, width, outputs)
    _mix(
        addresses(maps),
        packed(SIZE, channels),
        len(maps),
        matrix.data_ptr(),
        None if added is None else added.data_ptr(),
        batch * height * width,
        outputs,
        result.data_ptr(),
        threads(),
    )
    return result.permute(0, 3, 1, 2)
