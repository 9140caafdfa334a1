"""What the gates of an LSTM do to its memory, the same in every model that has them:

    C' = sigma(f + b) . C + sigma(i) . tanh(g)        `remember`
    H' = sigma(o) . tanh(C')                          `expose`

Sepp Hochreiter, Jürgen Schmidhuber, "Long Short-Term Memory", 1997; f: Felix Gers et al., "Learning to Forget", 2000.

Operation by operation this reads and writes whole maps a dozen times and keeps most of them for the gradient. Here each line is
one loop and its gradient another, which computes the gates again from what they were made of.

| on | computed |
| --- | --- |
| CPU, float32 | by loops in C (gates.c), where they were compiled |
| CUDA, float32, bfloat16, float16 or a mixture | by kernels in Triton (kernels.py), where it is installed |
| anything else, and with `use("direct")` | operation by operation |
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache, reduce
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from framecast.ops.choice import chosen
from framecast.ops.loops import ADDRESS, COUNT, SIZE, available, compiled, threads


def remember(i: Tensor, f: Tensor, g: Tensor, c: Tensor, bias: float = 0.0) -> tuple[Tensor, Tensor]:
    """C' and what is added to it, sigma(i) . tanh(g), of the gates before their functions and of C, all of one shape."""
    if fused(i, f, g, c):
        if not torch.is_grad_enabled():
            return _remembered(_alike(i, f, g, c), bias)
        made: tuple[Tensor, Tensor] = _Remember.apply(i, f, g, c, bias)  # type: ignore[no-untyped-call]
        return made
    added = torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(f + bias) * c + added, added


def expose(o: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """H' = sigma(o) . tanh(x), and sigma(o); o and x have one shape."""
    if fused(o, x):
        if not torch.is_grad_enabled():
            return _exposed(_alike(o, x))
        made: tuple[Tensor, Tensor] = _Expose.apply(o, x)  # type: ignore[no-untyped-call]
        return made
    gate = torch.sigmoid(o)
    return gate * torch.tanh(x), gate


def fused(*tensors: Tensor) -> bool:
    """Whether there is one loop for it."""
    device, dtypes = tensors[0].device.type, {each.dtype for each in tensors}
    if chosen() == "direct" or any(each.device.type != device for each in tensors):
        return False
    if device == "cuda":
        return dtypes <= {torch.float32, torch.bfloat16, torch.float16} and find_spec("triton") is not None
    return device == "cpu" and dtypes == {torch.float32} and available()


class _Remember(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, i: Tensor, f: Tensor, g: Tensor, c: Tensor, bias: float) -> tuple[Tensor, Tensor]:
        given = _alike(i, f, g, c)
        ctx.bias = bias
        ctx.save_for_backward(*given)
        ctx.set_materialize_grads(False)
        return _remembered(given, bias)

    @staticmethod
    def backward(ctx: Any, dcell: Tensor | None, dadded: Tensor | None) -> tuple[Tensor | None, ...]:
        given = ctx.saved_tensors
        made = [*map(_empty, given)]
        _form(given[0]).remember_back(*given, ctx.bias, *_alike(dcell, dadded, like=given[0]), *made)
        return (*made, None)


class _Expose(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, o: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        given = _alike(o, x)
        ctx.save_for_backward(*given)
        ctx.set_materialize_grads(False)
        return _exposed(given)

    @staticmethod
    def backward(ctx: Any, dhidden: Tensor | None, dgate: Tensor | None) -> tuple[Tensor, ...]:
        given = ctx.saved_tensors
        made = tuple(map(_empty, given))
        _form(given[0]).expose_back(*given, *_alike(dhidden, dgate, like=given[0]), *made)
        return made


def _remembered(given: Sequence[Tensor], bias: float) -> tuple[Tensor, Tensor]:
    cell, added = _empty(*given), _empty(given[0], given[2])
    _form(cell).remember(*given, bias, cell, added)
    return cell, added


def _exposed(given: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    hidden, gate = _empty(*given), _empty(given[0])
    _form(gate).expose(*given, hidden, gate)
    return hidden, gate


def _alike(*tensors: Tensor | None, like: Tensor | None = None) -> list[Any]:
    """All without gaps, in the order of the axes of `like`, or of the first: channels-last or not."""
    first = tensors[0] if like is None else like
    assert first is not None
    last = first.dim() == 4 and first.stride(1) == 1
    layout = torch.channels_last if last else torch.contiguous_format
    return [None if each is None else each.contiguous(memory_format=layout) for each in tensors]


def _empty(*tensors: Tensor) -> Tensor:
    """Memory for what is made of them, in the precision that PyTorch would give it."""
    return torch.empty_like(tensors[0], dtype=reduce(torch.promote_types, (each.dtype for each in tensors)))


def _form(like: Tensor) -> Any:
    return _kernels() if like.device.type == "cuda" else _Loops


@cache
def _kernels() -> Any:
    """Triton takes a while to load."""
    from framecast.ops import kernels

    return kernels


class _Gates(ctypes.Structure):
    """`Gates` of gates.c."""

    _fields_ = (*((name, ctypes.c_void_p) for name in "ifgc"), ("bias", ctypes.c_float))


_remember = compiled("framecast_remember", _Gates, *[ADDRESS] * 2, SIZE, COUNT)
_remember_back = compiled("framecast_remember_back", _Gates, *[ADDRESS] * 6, SIZE, COUNT)
_expose = compiled("framecast_expose", *[ADDRESS] * 4, SIZE, COUNT)
_expose_back = compiled("framecast_expose_back", *[ADDRESS] * 6, SIZE, COUNT)


class _Loops:
    """The loops in C, handed tensors of one layout: first what is read, then what is written."""

    @staticmethod
    def remember(*tensors: Any) -> None:
        gates, size, rest = _split(tensors)
        _remember(gates, *rest, size, threads())

    @staticmethod
    def remember_back(*tensors: Any) -> None:
        gates, size, rest = _split(tensors)
        _remember_back(gates, *rest, size, threads())

    @staticmethod
    def expose(*tensors: Tensor) -> None:
        _expose(*map(_address, tensors), tensors[0].numel(), threads())

    @staticmethod
    def expose_back(*tensors: Tensor | None) -> None:
        assert tensors[0] is not None
        _expose_back(*map(_address, tensors), tensors[0].numel(), threads())


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _split(tensors: tuple[Any, ...]) -> tuple[_Gates, int, list[int | None]]:
    """i, f, g, c and the bias, how many floats each has, and the addresses of the others."""
    i, f, g, c, bias, *others = tensors
    return _Gates(*map(_address, (i, f, g, c)), bias), i.numel(), [*map(_address, others)]
