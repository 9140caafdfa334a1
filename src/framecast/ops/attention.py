"""Attention between the pixels of maps, in one or more heads.

    A = softmax(Q K^T / s) V

Ashish Vaswani et al., "Attention Is All You Need", 2017; in models of maps: ModeRNN (equation 3), SA-ConvLSTM. On CPUs, in
float32, loops in C (attention.c) compute one head at a time in cache and save only Q, K and V for the gradient. The heads are
distributed over the threads. PyTorch computes everything else: fewer heads than threads, or so many pixels that the scores of a
few queries exceed the cache.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from framecast.ops.choice import current_algorithm
from framecast.ops.native.library import ADDRESS, COUNT, addresses, available, load_function, threads
from framecast.ops.native.memory import empty, empty_like

MANY = 4096
"""Number of keys beyond which PyTorch is faster."""
BLOCK = 24
"""Queries of a block, as in attention.c."""


def attend(q: Tensor, k: Tensor, v: Tensor, *, heads: int, scale: float) -> list[Tensor]:
    """Attention of every head: `q (B, n D, h, w)`, `k (B, n D, h', w')` and `v (B, n E, h', w')` -> n maps `(B, E, h, w)`.
    `scale` is 1 / s."""
    if _uses_loops(q, k, v, heads):
        return list(_Attend.apply(q, k, v, heads, scale))  # type: ignore[no-untyped-call]
    height, width = q.shape[-2:]
    q, k, v = (rearrange(each, "b (n d) h w -> b n (h w) d", n=heads) for each in (q, k, v))
    results = functional.scaled_dot_product_attention(q, k, v, scale=scale)
    return list(rearrange(results, "b n (h w) d -> n b d h w", h=height, w=width).unbind())


def _uses_loops(q: Tensor, k: Tensor, v: Tensor, heads: int) -> bool:
    """Whether the loops in C compute it."""
    if current_algorithm() == "direct" or torch.is_autocast_enabled("cpu") or not available():
        return False
    if k.shape[2] * k.shape[3] > MANY or len(q) * heads < threads():
        return False
    return {(each.device.type, each.dtype) for each in (q, k, v)} == {("cpu", torch.float32)}


class _Sizes(ctypes.Structure):
    """`Sizes` of attention.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("batch", "heads", "queries", "keys", "channels", "values")),
        ("scale", ctypes.c_float),
    )


_attend = load_function("framecast_attend", *[ADDRESS] * 3, _Sizes, *[ADDRESS] * 2, COUNT)
_attend_back = load_function("framecast_attend_back", *[ADDRESS] * 3, _Sizes, *[ADDRESS] * 5, COUNT)


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, heads: int, scale: float) -> tuple[Tensor, ...]:
        inputs = [_last(each) for each in (q, k, v)]
        (batch, channels, height, width), values = q.shape, v.shape[1]
        pixels = height * width, k.shape[2] * k.shape[3]
        ctx.sizes = sizes = _Sizes(batch, heads, *pixels, channels // heads, values // heads, scale)
        ctx.save_for_backward(*inputs)
        results = tuple(empty(batch, height, width, sizes.values).permute(0, 3, 1, 2) for _ in range(heads))
        workspace = _workspace(sizes, sizes.channels + BLOCK)
        _attend(*_at(inputs), sizes, addresses(results), workspace.data_ptr(), threads())
        return results

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        sizes, saved = ctx.sizes, ctx.saved_tensors
        after, changes = [_last(each) for each in grads], [empty_like(each) for each in saved]
        workspace = _workspace(sizes, sizes.channels + sizes.values + 2 * BLOCK)
        _attend_back(*_at(saved), sizes, addresses(after), *_at(changes), workspace.data_ptr(), threads())
        return (*changes, None, None)


def _workspace(sizes: _Sizes, rows: int) -> Tensor:
    """`rows` rows of keys for each thread, padded to 16 floats, the largest register."""
    return empty(threads(), rows, -(-sizes.keys // 16) * 16)


def _at(tensors: Sequence[Tensor]) -> list[int]:
    return [each.data_ptr() for each in tensors]


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
