"""The gates of an LSTM, shared by all models that have them:

    C' = sigma(f + b) . C + sigma(i) . tanh(g)        `cell_update`
    H' = sigma(o) . tanh(C')                          `hidden_output`

Sepp Hochreiter, Jürgen Schmidhuber, "Long Short-Term Memory", 1997; f: Felix Gers et al., "Learning to Forget", 2000.

Operation by operation, this reads and writes complete maps a dozen times and saves most of them for the gradient. Here each
line is one loop and its gradient another, which computes the gates again from their inputs.

| on | computed |
| --- | --- |
| CPU, float32 | by loops in C (gates.c), if they were compiled |
| CUDA, float32, bfloat16, float16 or a mixture | by kernels in Triton (gpu/kernels.py), if it is installed |
| anything else, and with `use_algorithm("direct")` | operation by operation |
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from framecast.ops.choice import current_algorithm
from framecast.ops.native.library import ADDRESS, COUNT, REAL, SIZE, available, load_function, threads
from framecast.ops.native.memory import empty_like

_IN_TRITON = (torch.float32, torch.bfloat16, torch.float16)


def cell_update(i: Tensor, f: Tensor, g: Tensor, c: Tensor, bias: float = 0.0) -> tuple[Tensor, Tensor]:
    """C' and its increment sigma(i) . tanh(g), from the gates before their activations and C, all of one shape."""
    if is_fused(i, f, g, c):
        if not torch.is_grad_enabled():
            return _compute_cell(_same_layout(i, f, g, c), bias)
        result: tuple[Tensor, Tensor] = _CellUpdate.apply(i, f, g, c, bias)  # type: ignore[no-untyped-call]
        return result
    added = torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(f + bias) * c + added, added


def hidden_output(o: Tensor, x: Tensor, *, more: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """H' = sigma(o) . tanh(x) and sigma(o), where `more` is added to o; all have one shape."""
    inputs = (o, x) if more is None else (o, more, x)
    if is_fused(*inputs):
        if not torch.is_grad_enabled():
            return _compute_output(_same_layout(o, more, x))
        result: tuple[Tensor, Tensor] = _HiddenOutput.apply(o, more, x)  # type: ignore[no-untyped-call]
        return result
    gate = torch.sigmoid(o if more is None else o + more)
    return gate * torch.tanh(x), gate


def is_fused(*tensors: Tensor) -> bool:
    """Whether one loop or kernel computes it."""
    if current_algorithm() == "direct":
        return False
    if all(each.is_cpu and each.dtype == torch.float32 for each in tensors):
        return available()
    if all(each.is_cuda and each.dtype in _IN_TRITON for each in tensors):
        return find_spec("triton") is not None
    return False


class _CellUpdate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, i: Tensor, f: Tensor, g: Tensor, c: Tensor, bias: float) -> tuple[Tensor, Tensor]:
        inputs = _same_layout(i, f, g, c)
        ctx.bias = bias
        ctx.save_for_backward(*inputs)
        ctx.set_materialize_grads(False)
        return _compute_cell(inputs, bias)

    @staticmethod
    def backward(ctx: Any, dcell: Tensor | None, dadded: Tensor | None) -> tuple[Tensor | None, ...]:
        inputs = ctx.saved_tensors
        result = [*map(_empty, inputs)]
        _form(inputs[0]).cell_update_back(*inputs, ctx.bias, *_same_layout(dcell, dadded, like=inputs[0]), *result)
        return (*result, None)


class _HiddenOutput(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, o: Tensor, more: Tensor | None, x: Tensor) -> tuple[Tensor, Tensor]:
        inputs = _same_layout(o, more, x)
        ctx.save_for_backward(*inputs)
        ctx.set_materialize_grads(False)
        return _compute_output(inputs)

    @staticmethod
    def backward(ctx: Any, dhidden: Tensor | None, dgate: Tensor | None) -> tuple[Tensor | None, ...]:
        o, more, x = ctx.saved_tensors
        do, dx = _empty(o), _empty(x)
        _form(o).hidden_output_back(o, more, x, *_same_layout(dhidden, dgate, like=o), do, dx)
        return do, None if more is None else do.to(more.dtype), dx


def _compute_cell(inputs: Sequence[Tensor], bias: float) -> tuple[Tensor, Tensor]:
    cell, added = _empty(*inputs), _empty(inputs[0], inputs[2])
    _form(cell).cell_update(*inputs, bias, cell, added)
    return cell, added


def _compute_output(inputs: Sequence[Any]) -> tuple[Tensor, Tensor]:
    o, more, x = inputs
    gate = _empty(o) if more is None else _empty(o, more)
    hidden = _empty(gate, x)
    _form(gate).hidden_output(*inputs, hidden, gate)
    return hidden, gate


def _same_layout(*tensors: Tensor | None, like: Tensor | None = None) -> list[Any]:
    """All tensors contiguous, in the axis order of `like` or of the first: channels-last or channels-first."""
    first = tensors[0] if like is None else like
    assert first is not None
    last = first.dim() == 4 and first.stride(1) == 1
    layout = torch.channels_last if last else torch.contiguous_format
    return [None if each is None else each.contiguous(memory_format=layout) for each in tensors]


def _empty(first: Tensor, *others: Tensor) -> Tensor:
    """Memory for the result of an operation on these tensors, in the dtype that PyTorch would give it."""
    dtype = first.dtype
    for each in others:
        if each.dtype != dtype:
            dtype = torch.promote_types(dtype, each.dtype)
    return empty_like(first, dtype)


def _form(like: Tensor) -> Any:
    return _kernels() if like.device.type == "cuda" else _Loops


@cache
def _kernels() -> Any:
    """The Triton kernels, imported on first use since Triton loads slowly."""
    from framecast.ops.gpu import kernels

    return kernels


_cell_update = load_function("framecast_cell_update", *[ADDRESS] * 4, REAL, *[ADDRESS] * 2, SIZE, COUNT)
_cell_update_back = load_function("framecast_cell_update_back", *[ADDRESS] * 4, REAL, *[ADDRESS] * 6, SIZE, COUNT)
_hidden_output = load_function("framecast_hidden_output", *[ADDRESS] * 5, SIZE, COUNT)
_hidden_output_back = load_function("framecast_hidden_output_back", *[ADDRESS] * 7, SIZE, COUNT)


class _Loops:
    """The loops in C, called with tensors of one layout: inputs first, then outputs."""

    @staticmethod
    def cell_update(*arguments: Any) -> None:
        _cell_update(*map(_address, arguments), arguments[0].numel(), threads())

    @staticmethod
    def cell_update_back(*arguments: Any) -> None:
        _cell_update_back(*map(_address, arguments), arguments[0].numel(), threads())

    @staticmethod
    def hidden_output(*arguments: Any) -> None:
        _hidden_output(*map(_address, arguments), arguments[0].numel(), threads())

    @staticmethod
    def hidden_output_back(*arguments: Any) -> None:
        _hidden_output_back(*map(_address, arguments), arguments[0].numel(), threads())


def _address(value: Any) -> Any:
    """The address of a tensor; None and numbers are returned unchanged."""
    return value.data_ptr() if isinstance(value, Tensor) else value
