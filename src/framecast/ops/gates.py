"""What the gates of an LSTM do to its memory, the same in every model that has them:

    C' = sigma(f + b) . C + sigma(i) . tanh(g)        `cell_update`
    H' = sigma(o) . tanh(C')                          `hidden_output`

Sepp Hochreiter, Jürgen Schmidhuber, "Long Short-Term Memory", 1997; f: Felix Gers et al., "Learning to Forget", 2000.

Operation by operation this reads and writes whole maps a dozen times and keeps most of them for the gradient. Here each line is
one loop and its gradient another, which computes the gates again from what they were made of.

| on | computed |
| --- | --- |
| CPU, float32 | by loops in C (gates.c), where they were compiled |
| CUDA, float32, bfloat16, float16 or a mixture | by kernels in Triton (gpu/kernels.py), where it is installed |
| anything else, and with `use("direct")` | operation by operation |
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from framecast.ops.choice import chosen
from framecast.ops.native.library import ADDRESS, COUNT, REAL, SIZE, available, compiled, threads
from framecast.ops.native.memory import empty_like

_IN_TRITON = (torch.float32, torch.bfloat16, torch.float16)


def cell_update(i: Tensor, f: Tensor, g: Tensor, c: Tensor, bias: float = 0.0) -> tuple[Tensor, Tensor]:
    """C' and what is added to it, sigma(i) . tanh(g), of the gates before their functions and of C, all of one shape."""
    if fused(i, f, g, c):
        if not torch.is_grad_enabled():
            return _updated_cell(_alike(i, f, g, c), bias)
        made: tuple[Tensor, Tensor] = _CellUpdate.apply(i, f, g, c, bias)  # type: ignore[no-untyped-call]
        return made
    added = torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(f + bias) * c + added, added


def hidden_output(o: Tensor, x: Tensor, *, more: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """H' = sigma(o) . tanh(x), and sigma(o), where `more` is added to o; all have one shape."""
    given = (o, x) if more is None else (o, more, x)
    if fused(*given):
        if not torch.is_grad_enabled():
            return _output_of(_alike(o, more, x))
        made: tuple[Tensor, Tensor] = _HiddenOutput.apply(o, more, x)  # type: ignore[no-untyped-call]
        return made
    gate = torch.sigmoid(o if more is None else o + more)
    return gate * torch.tanh(x), gate


def fused(*tensors: Tensor) -> bool:
    """Whether there is one loop for it."""
    if chosen() == "direct":
        return False
    if all(each.is_cpu and each.dtype == torch.float32 for each in tensors):
        return available()
    if all(each.is_cuda and each.dtype in _IN_TRITON for each in tensors):
        return find_spec("triton") is not None
    return False


class _CellUpdate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, i: Tensor, f: Tensor, g: Tensor, c: Tensor, bias: float) -> tuple[Tensor, Tensor]:
        given = _alike(i, f, g, c)
        ctx.bias = bias
        ctx.save_for_backward(*given)
        ctx.set_materialize_grads(False)
        return _updated_cell(given, bias)

    @staticmethod
    def backward(ctx: Any, dcell: Tensor | None, dadded: Tensor | None) -> tuple[Tensor | None, ...]:
        given = ctx.saved_tensors
        made = [*map(_empty, given)]
        _form(given[0]).cell_update_back(*given, ctx.bias, *_alike(dcell, dadded, like=given[0]), *made)
        return (*made, None)


class _HiddenOutput(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, o: Tensor, more: Tensor | None, x: Tensor) -> tuple[Tensor, Tensor]:
        given = _alike(o, more, x)
        ctx.save_for_backward(*given)
        ctx.set_materialize_grads(False)
        return _output_of(given)

    @staticmethod
    def backward(ctx: Any, dhidden: Tensor | None, dgate: Tensor | None) -> tuple[Tensor | None, ...]:
        o, more, x = ctx.saved_tensors
        do, dx = _empty(o), _empty(x)
        _form(o).hidden_output_back(o, more, x, *_alike(dhidden, dgate, like=o), do, dx)
        return do, None if more is None else do.to(more.dtype), dx


def _updated_cell(given: Sequence[Tensor], bias: float) -> tuple[Tensor, Tensor]:
    cell, added = _empty(*given), _empty(given[0], given[2])
    _form(cell).cell_update(*given, bias, cell, added)
    return cell, added


def _output_of(given: Sequence[Any]) -> tuple[Tensor, Tensor]:
    o, more, x = given
    gate = _empty(o) if more is None else _empty(o, more)
    hidden = _empty(gate, x)
    _form(gate).hidden_output(*given, hidden, gate)
    return hidden, gate


def _alike(*tensors: Tensor | None, like: Tensor | None = None) -> list[Any]:
    """All without gaps, in the order of the axes of `like`, or of the first: channels-last or not."""
    first = tensors[0] if like is None else like
    assert first is not None
    last = first.dim() == 4 and first.stride(1) == 1
    layout = torch.channels_last if last else torch.contiguous_format
    return [None if each is None else each.contiguous(memory_format=layout) for each in tensors]


def _empty(first: Tensor, *others: Tensor) -> Tensor:
    """Memory for what is made of them, in the precision that PyTorch would give it."""
    dtype = first.dtype
    for each in others:
        if each.dtype != dtype:
            dtype = torch.promote_types(dtype, each.dtype)
    return empty_like(first, dtype)


def _form(like: Tensor) -> Any:
    return _kernels() if like.device.type == "cuda" else _Loops


@cache
def _kernels() -> Any:
    """Triton takes a while to load."""
    from framecast.ops.gpu import kernels

    return kernels


_cell_update = compiled("framecast_cell_update", *[ADDRESS] * 4, REAL, *[ADDRESS] * 2, SIZE, COUNT)
_cell_update_back = compiled("framecast_cell_update_back", *[ADDRESS] * 4, REAL, *[ADDRESS] * 6, SIZE, COUNT)
_hidden_output = compiled("framecast_hidden_output", *[ADDRESS] * 5, SIZE, COUNT)
_hidden_output_back = compiled("framecast_hidden_output_back", *[ADDRESS] * 7, SIZE, COUNT)


class _Loops:
    """The loops in C, handed tensors of one layout: first what is read, then what is written."""

    @staticmethod
    def cell_update(*given: Any) -> None:
        _cell_update(*map(_address, given), given[0].numel(), threads())

    @staticmethod
    def cell_update_back(*given: Any) -> None:
        _cell_update_back(*map(_address, given), given[0].numel(), threads())

    @staticmethod
    def hidden_output(*given: Any) -> None:
        _hidden_output(*map(_address, given), given[0].numel(), threads())

    @staticmethod
    def hidden_output_back(*given: Any) -> None:
        _hidden_output_back(*map(_address, given), given[0].numel(), threads())


def _address(given: Any) -> Any:
    """Of a tensor; None and numbers are handed on."""
    return given.data_ptr() if isinstance(given, Tensor) else given
