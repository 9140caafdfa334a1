"""1 x 1 convolutions: a linear layer on the channels of each pixel, of several maps as if they were one.

    y = W_1 x_1 + W_2 x_2 + ...

On CPUs the channels of a pixel lie together, so that each term is one product of matrices, by PyTorch where gradients are wanted.
Where they are not, all terms are one loop in C (pointwise.c), which on the small maps of a forecast is done before a general
product has begun.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from framecast.ops.loops import ADDRESS, COUNT, SIZE, addresses, available, compiled, threads

_mix = compiled("framecast_mix", *[ADDRESS] * 2, SIZE, ADDRESS, *[SIZE] * 2, ADDRESS, COUNT)


def linear(maps: Sequence[Tensor], weight: Tensor, bias: Tensor | None) -> Tensor:
    """`maps (B, C_n, h, w)`, channels-last, with `weight (D, sum of C_n, 1, 1)`: `(B, D, h, w)`."""
    weight = weight.flatten(1)
    first, *others = (each.movedim(1, -1) for each in maps)
    begin = first.shape[-1]
    result = functional.linear(first, weight[:, :begin], bias)
    for x in others:
        end = begin + x.shape[-1]
        result.view(-1, result.shape[-1]).addmm_(x.flatten(0, -2), weight[:, begin:end].t())
        begin = end
    return result.movedim(-1, 1)


def mixes(maps: Sequence[Tensor], bias: Tensor | None) -> bool:
    """Whether `mix` can be used for maps on the CPU."""
    if bias is not None or torch.is_grad_enabled() or torch.is_autocast_enabled("cpu") or not available():
        return False
    return all(x.dtype == torch.float32 and x.is_contiguous(memory_format=torch.channels_last) for x in maps)


def turned(weight: Tensor) -> Tensor:
    """`weight (D, C, 1, 1)` as `mix` reads it, `(C, D)`."""
    return weight.detach().flatten(1).t().contiguous()


def mix(maps: Sequence[Tensor], matrix: Tensor) -> Tensor:
    """What `linear` gives, of a weight `turned`, in one loop."""
    batch, _, height, width = maps[0].shape
    inputs, outputs = matrix.shape
    channels = [x.shape[1] for x in maps]
    if sum(channels) != inputs:
        raise ValueError(f"maps of {channels} channels, and a weight for {inputs}")
    result = maps[0].new_empty(batch, height, width, outputs)
    _mix(
        addresses(maps),
        (ctypes.c_int64 * len(maps))(*channels),
        len(maps),
        matrix.data_ptr(),
        batch * height * width,
        outputs,
        result.data_ptr(),
        threads(),
    )
    return result.permute(0, 3, 1, 2)
