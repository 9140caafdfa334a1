"""The loops of gates.py for GPUs, in Triton. Arithmetic is in float32 for inputs and outputs of any dtype."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024


@triton.jit
def _tanh(x: Any) -> Any:
    return 2 * tl.sigmoid(2 * x) - 1


@triton.jit
def _read(array: Any, at: Any, size: Any) -> Any:
    return tl.load(array + at, mask=at < size, other=0.0).to(tl.float32)


@triton.jit
def _cell_update(i, f, g, c, bias, cell, added, size, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    more = tl.sigmoid(_read(i, at, size)) * _tanh(_read(g, at, size))
    memory = tl.sigmoid(_read(f, at, size) + bias) * _read(c, at, size)
    tl.store(added + at, more.to(added.dtype.element_ty), mask=at < size)
    tl.store(cell + at, (memory + more).to(cell.dtype.element_ty), mask=at < size)


@triton.jit
def _cell_update_back(i, f, g, c, bias, dcell, dadded, di, df, dg, dc, size, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    i_open, f_open = tl.sigmoid(_read(i, at, size)), tl.sigmoid(_read(f, at, size) + bias)
    value, after = _tanh(_read(g, at, size)), tl.zeros((BLOCK,), tl.float32)
    if dcell is not None:
        after += _read(dcell, at, size)
    more = after
    if dadded is not None:
        more += _read(dadded, at, size)
    tl.store(di + at, (more * value * i_open * (1 - i_open)).to(di.dtype.element_ty), mask=at < size)
    tl.store(df + at, (after * _read(c, at, size) * f_open * (1 - f_open)).to(df.dtype.element_ty), mask=at < size)
    tl.store(dg + at, (more * i_open * (1 - value * value)).to(dg.dtype.element_ty), mask=at < size)
    tl.store(dc + at, (after * f_open).to(dc.dtype.element_ty), mask=at < size)


@triton.jit
def _open(o, more, at, size):
    total = _read(o, at, size)
    if more is not None:
        total += _read(more, at, size)
    return tl.sigmoid(total)


@triton.jit
def _hidden_output(o, more, x, hidden, gate, size, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    o_open = _open(o, more, at, size)
    tl.store(gate + at, o_open.to(gate.dtype.element_ty), mask=at < size)
    tl.store(hidden + at, (o_open * _tanh(_read(x, at, size))).to(hidden.dtype.element_ty), mask=at < size)


@triton.jit
def _hidden_output_back(o, more, x, dhidden, dgate, do, dx, size, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    o_open, shown = _open(o, more, at, size), _tanh(_read(x, at, size))
    after, opened = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    if dhidden is not None:
        after += _read(dhidden, at, size)
    if dgate is not None:
        opened += _read(dgate, at, size)
    tl.store(do + at, ((after * shown + opened) * o_open * (1 - o_open)).to(do.dtype.element_ty), mask=at < size)
    tl.store(dx + at, (after * o_open * (1 - shown * shown)).to(dx.dtype.element_ty), mask=at < size)


def _launch(kernel: Any, *arguments: Any) -> None:
    """Run a kernel over the blocks of the first argument, on its GPU."""
    size = arguments[0].numel()
    with torch.cuda.device_of(arguments[0]):  # type: ignore[no-untyped-call]
        kernel[(triton.cdiv(size, BLOCK),)](*arguments, size, BLOCK=BLOCK)


def cell_update(*tensors: Any) -> None:
    """Inputs i, f, g, c and the bias; outputs C' and its increment."""
    _launch(_cell_update, *tensors)


def cell_update_back(*tensors: Any) -> None:
    """Inputs i, f, g, c, the bias, and the gradients of C' and of the increment, or None; outputs the gradients of i, f, g and
    c."""
    _launch(_cell_update_back, *tensors)


def hidden_output(*tensors: Tensor | None) -> None:
    """Inputs o, an addend of o or None, and x; outputs H' and sigma(o)."""
    _launch(_hidden_output, *tensors)


def hidden_output_back(*tensors: Tensor | None) -> None:
    """Inputs o, its addend or None, x, and the gradients of H' and of sigma(o), or None; outputs the gradients of o and x."""
    _launch(_hidden_output_back, *tensors)
