"""Memory of the C library, from which PyTorch allocates tensors on the CPU.

PyTorch requests blocks aligned to 64 bytes. The GNU C library before version 2.38 does not reuse a freed block for such a
request of the same size, so that memory grows by a fifth and more where maps are allocated and freed. Here large maps are
requested without alignment, with room to start at a multiple of 64.
"""

from __future__ import annotations

import ctypes
from functools import cache
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

LARGE = 2**17
"""Floats above which it matters; an allocation by NumPy takes two microseconds longer."""
ALIGNED = 64
"""Bytes."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
"""Constants of `malloc.h`: the free memory above which the heap shrinks, the size of blocks that are outside of the heap, and the
number of those."""


def empty(*shape: int) -> Tensor:
    """Uninitialised float32 memory of `shape` on the CPU, whatever PyTorch's defaults."""
    size = prod(shape)
    if size < LARGE:
        return torch.empty(shape, dtype=torch.float32, device="cpu")
    block = np.empty(size + ALIGNED // 4, dtype=np.float32)
    begin = -block.ctypes.data % ALIGNED // 4
    return torch.from_numpy(block[begin : begin + size]).view(shape)


def empty_like(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Uninitialised contiguous memory for a tensor like `x`, on any device; `dtype` replaces that of `x`."""
    dtype = dtype or x.dtype
    if x.is_cpu and dtype == torch.float32 and x.numel() >= LARGE:
        return empty(x.numel()).as_strided(x.shape, x.stride())
    return torch.empty_like(x, dtype=dtype)


@cache
def _library(name: str) -> Any:
    """A function of the GNU C library; with another C library, one that does nothing."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # macOS; Windows, which has no library of the program itself
        return lambda *_: None


def keep_free(*, every_size: bool = False) -> None:
    """Keep freed memory in the process for later requests. A training step that returns pages to the system and gets new ones
    can lose a fifth of its time. With `every_size` also blocks of more than 32 MiB: for a process that does one thing and ends,
    or that returns what is free from time to time; another could lose some to fragments."""
    _library("mallopt")(
        _MMAP_THRESHOLD, 32 * 2**20
    )  # the most it can be: blocks from there on are handed back all the same
    if every_size:
        _library("mallopt")(_MMAP_MAX, 0)
    _library("mallopt")(_TRIM_THRESHOLD, 2**31 - 1)


def return_free() -> None:
    """Return free pages to the system. The GNU C library keeps those between pages in use."""
    _library("malloc_trim")(0)
