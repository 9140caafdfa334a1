"""Convolutions with one weight at many steps, whose weight gradient is one product.

    y_t = W * x_t        dW = sum over t of the correlation of dy_t with x_t

A recurrent model reads the same weights at each step, so that autograd makes as many small gradients of them and adds them up.
A GPU is far from busy with one. Here x_t and dy_t of all steps are kept until the last of them is known, then joined along the
batch for one product. In half precision dW is then rounded once, not at each addition.

Kept are the x_t, which autograd holds anyway, and the dy_t, in place of activations that the backward pass is done with. On CPUs
it gains nothing, since the gradient of one step keeps all cores busy.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_input, conv2d_weight

from framecast.ops.backward import is_asked_for
from framecast.ops.choice import chosen

DEVICES = ("cuda",)
"""Where it is done."""

Pairs = list[tuple[Tensor, Tensor]]
"""x_t and dy_t."""


def defers(x: Tensor, weight: Tensor) -> bool:
    """Whether the rule, or who overrides it, says so."""
    return x.device.type in DEVICES and torch.is_grad_enabled() and weight.requires_grad and chosen() != "direct"


class Deferred:
    """A weight `(D, C, k, k)` as the convolutions of one rollout read it, in the type that autocast asks for."""

    def __init__(self, weight: Tensor) -> None:
        self.pairs: Pairs = []
        self.values: Tensor = _Collect.apply(_as_asked(weight), self.pairs)  # type: ignore[no-untyped-call]


def convolve(x: Tensor, weight: Deferred) -> Tensor:
    """`x (B, C, h, w)` -> `(B, D, h, w)`, stride 1, zeros around."""
    made: Tensor = _Convolve.apply(_as_asked(x), weight.values, weight.pairs)  # type: ignore[no-untyped-call]
    return made


def _as_asked(x: Tensor) -> Tensor:
    kind = x.device.type
    return x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x


class _Collect(torch.autograd.Function):
    """The weight; its gradient is made of the pairs once all are there."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, pairs: Pairs) -> Tensor:
        ctx.pairs, ctx.shape = pairs, weight.shape
        ctx.set_materialize_grads(False)
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Tensor | None, None]:
        if given[0] is not None:
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
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        if is_asked_for(ctx.next_functions[1][0]):
            ctx.pairs.append((x, given))
        if not ctx.needs_input_grad[0]:
            return None, None, None
        return conv2d_input(x.shape, weight, given, padding=weight.shape[-1] // 2), None, None  # type: ignore[no-untyped-call]
