"""The inner products of two maps, channel by channel over their pixels, from which cosines are computed.

    <a, b>        <a, a>        <b, b>

Operation by operation each is a map of products and a sum. On CPUs, in float32, all three are one loop in C (products.c), and
their gradients another; anywhere else, and with `use_algorithm("direct")`, operation by operation.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from framecast.ops.choice import current_algorithm
from framecast.ops.native.library import ADDRESS, COUNT, SIZE, available, load_function, threads
from framecast.ops.native.memory import empty_like


def products(a: Tensor, b: Tensor) -> Tensor:
    """`a, b (B, C, h, w)` -> `<a, b>`, `<a, a>` and `<b, b>`, `(3, B, C)`."""
    if (
        current_algorithm() != "direct"
        and available()
        and {(x.device.type, x.dtype) for x in (a, b)} == {("cpu", torch.float32)}
    ):
        result: Tensor = _Products.apply(a, b)  # type: ignore[no-untyped-call]
        return result
    return torch.stack([(one * other).sum((2, 3)) for one, other in ((a, b), (a, a), (b, b))])


_products = load_function("framecast_products", *[ADDRESS] * 2, *[SIZE] * 3, ADDRESS, COUNT)
_products_back = load_function("framecast_products_back", *[ADDRESS] * 2, *[SIZE] * 3, *[ADDRESS] * 3, COUNT)


class _Products(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        one, other = (each.contiguous(memory_format=torch.channels_last) for each in (a, b))
        ctx.save_for_backward(one, other)
        sums = one.new_empty(3, *one.shape[:2])
        _products(one.data_ptr(), other.data_ptr(), *_sizes(one), sums.data_ptr(), threads())
        return sums

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        one, other = ctx.saved_tensors
        da, db = empty_like(one), empty_like(other)
        changes = grad.contiguous()
        _products_back(
            one.data_ptr(),
            other.data_ptr(),
            *_sizes(one),
            changes.data_ptr(),
            da.data_ptr(),
            db.data_ptr(),
            threads(),
        )
        return da, db


def _sizes(x: Tensor) -> tuple[int, int, int]:
    """Batch, pixels and channels."""
    batch, channels, height, width = x.shape
    return batch, height * width, channels
