"""Convolutions with one weight at many steps, whose weight gradient is one product.

    y_t = W * x_t        dW = sum over t of the correlation of dy_t with x_t

A recurrent model reads the same weights at each step, and autograd computes and adds one small gradient a step, which uses
little of a GPU. Here x_t and dy_t of all steps are kept until the last, then concatenated along the batch for one product. In
half precision dW is then rounded once, not at each addition.

The x_t are held by autograd anyway; the dy_t replace activations that the backward pass has freed. On CPUs there is no gain,
since the gradient of one step keeps all cores busy.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_input, conv2d_weight

from framecast.ops.backward import needs_gradient
from framecast.ops.choice import current_algorithm

DEVICES: tuple[str, ...] = ("cuda",)
"""Types of devices on which weight gradients are deferred."""

Pairs = list[tuple[Tensor, Tensor]]
"""Pairs of x_t and dy_t."""


def defers(x: Tensor, weight: Tensor) -> bool:
    """Whether the weight gradient of this convolution is deferred."""
    return (
        x.device.type in DEVICES
        and torch.is_grad_enabled()
        and weight.requires_grad
        and current_algorithm() != "direct"
    )


class Deferred:
    """A weight `(D, C, k, k)` for the convolutions of one rollout, in the dtype of autocast."""

    def __init__(self, weight: Tensor) -> None:
        self.pairs: Pairs = []
        self.values: Tensor = _Collect.apply(_to_autocast(weight), self.pairs)  # type: ignore[no-untyped-call]


def convolve(x: Tensor, weight: Deferred) -> Tensor:
    """`x (B, C, h, w)` -> `(B, D, h, w)`, stride 1, zero padding."""
    result: Tensor = _Convolve.apply(_to_autocast(x), weight.values, weight.pairs)  # type: ignore[no-untyped-call]
    return result


def _to_autocast(x: Tensor) -> Tensor:
    kind = x.device.type
    return x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x


class _Collect(torch.autograd.Function):
    """The weight; its gradient is computed from the pairs of all steps."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, pairs: Pairs) -> Tensor:
        ctx.pairs, ctx.shape = pairs, weight.shape
        ctx.set_materialize_grads(False)
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, None]:
        if grads[0] is not None:
            raise RuntimeError("the weight of all steps is not for use outside of this module")
        if not ctx.pairs:
            return None, None
        xs, changes = (torch.cat(each) for each in zip(*ctx.pairs, strict=True))
        ctx.pairs.clear()
        return conv2d_weight(xs, ctx.shape, changes, padding=ctx.shape[-1] // 2), None  # type: ignore[no-untyped-call]


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, pairs: Pairs) -> Tensor:
        ctx.pairs = pairs
        ctx.save_for_backward(x, weight)
        return functional.conv2d(x, weight, padding=weight.shape[-1] // 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        if needs_gradient(ctx.next_functions[1][0]):
            ctx.pairs.append((x, grad))
        if not ctx.needs_input_grad[0]:
            return None, None, None
        return conv2d_input(x.shape, weight, grad, padding=weight.shape[-1] // 2), None, None  # type: ignore[no-untyped-call]
