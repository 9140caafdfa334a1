"""A weighted sum of maps, the first of which are rectified, with which ModeRNN fuses its slots (equations 4 and 6).

    F = sum over n of w_n max(0, T_n + b_n)  +  sum over the others of w_m (T_m + b_m)

Operation by operation every map is read and written four times, and as often for the gradient. On CPUs, in float32, the sum is
one loop in C (slots.c), and its gradient another; anywhere else, and with `use_algorithm("direct")`, operation by operation.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from framecast.ops.choice import current_algorithm
from framecast.ops.native.library import ADDRESS, COUNT, addresses, available, load_function, threads
from framecast.ops.native.memory import empty_like


def fuse(maps: Sequence[Tensor], biases: Sequence[Tensor | None], weights: Tensor, rectified: int) -> Tensor:
    """The sum of N `maps (B, C, h, w)`, each plus its bias `(C,)`, with `weights (N, B, C)`; the first `rectified` maps are
    rectified."""
    if current_algorithm() != "direct" and available() and {(each.device.type, each.dtype) for each in maps} == {_CAN}:
        nothing = weights.new_zeros(weights.shape[-1])
        stacked = torch.stack([nothing if bias is None else bias for bias in biases])
        result: Tensor = _Fuse.apply(rectified, weights, stacked, *maps)  # type: ignore[no-untyped-call]
        return result
    total = torch.zeros_like(maps[0])
    for n, (slot, bias, weight) in enumerate(zip(maps, biases, weights, strict=True)):
        with_bias = slot if bias is None else slot + bias[:, None, None]
        total = total + weight[..., None, None] * (torch.relu(with_bias) if n < rectified else with_bias)
    return total


_CAN = ("cpu", torch.float32)


class _Sizes(ctypes.Structure):
    """`Sizes` of slots.c."""

    _fields_ = tuple((name, ctypes.c_int64) for name in ("slots", "rectified", "batch", "pixels", "channels"))


_fuse = load_function("framecast_fuse", ADDRESS, ADDRESS, ADDRESS, _Sizes, ADDRESS, COUNT)
_fuse_back = load_function("framecast_fuse_back", *[ADDRESS] * 3, _Sizes, *[ADDRESS] * 4, COUNT)


class _Fuse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rectified: int, weights: Tensor, biases: Tensor, *maps: Tensor) -> Tensor:
        batch, channels, height, width = maps[0].shape
        inputs = [weights.contiguous(), biases.contiguous(), *map(_last, maps)]
        ctx.sizes = _Sizes(len(maps), rectified, batch, height * width, channels)
        ctx.save_for_backward(*inputs)
        weights, biases, *last = inputs
        fused = empty_like(last[0])
        _fuse(addresses(last), biases.data_ptr(), weights.data_ptr(), ctx.sizes, fused.data_ptr(), threads())
        return fused

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        weights, biases, *maps = ctx.saved_tensors
        after = _last(grad)
        changes = [
            empty_like(each) if needed else None for each, needed in zip(maps, ctx.needs_input_grad[3:], strict=True)
        ]
        dbiases, dweights = torch.empty_like(weights), torch.empty_like(weights)
        _fuse_back(
            addresses(maps),
            biases.data_ptr(),
            weights.data_ptr(),
            ctx.sizes,
            after.data_ptr(),
            addresses(changes),
            dbiases.data_ptr(),
            dweights.data_ptr(),
            threads(),
        )
        return None, dweights, dbiases.sum(1), *changes


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
