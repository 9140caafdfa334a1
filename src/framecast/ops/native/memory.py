"""Memory of the C library, from which PyTorch takes that of tensors on the CPU.

PyTorch asks for blocks that begin at a multiple of 64 bytes. The GNU C library before version 2.38 does not find such a block
again when it has become free and one of the same size is wanted, so that memory grows by a fifth and more where maps come and
go. Large maps are asked for without that condition here, with room to begin at such a multiple.
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
"""Floats from which on it matters: asking NumPy takes two microseconds longer."""
ALIGNED = 64
"""Bytes."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""As `malloc.h` has them: from how much free memory at its end on the heap shrinks, and the blocks that lie outside of it."""


def empty(*shape: int) -> Tensor:
    """Float32 memory of `shape` on the CPU, uninitialised, whatever the defaults are at the moment."""
    size = prod(shape)
    if size < LARGE:
        return torch.empty(shape, dtype=torch.float32, device="cpu")
    block = np.empty(size + ALIGNED // 4, dtype=np.float32)
    begin = -block.ctypes.data % ALIGNED // 4
    return torch.from_numpy(block[begin : begin + size]).view(shape)


def empty_like(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Memory for a tensor without gaps like `x`, uninitialised, on any device; of another type where one is given."""
    dtype = dtype or x.dtype
    if x.is_cpu and dtype == torch.float32 and x.numel() >= LARGE:
        return empty(x.numel()).as_strided(x.shape, x.stride())
    return torch.empty_like(x, dtype=dtype)


@cache
def _library(name: str) -> Any:
    """A function of the GNU C library; one that does nothing where there is another library."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # macOS; Windows, which has no library of the program itself
        return lambda *_: None


def keep_free() -> None:
    """Keep what becomes free for what is asked for next, in the whole process: that a training step hands pages back to the
    system and is given others can take a fifth of its time."""
    _library("mallopt")(
        _MMAP_THRESHOLD, 32 * 2**20
    )  # the most it can be: blocks from there on are handed back all the same
    _library("mallopt")(_TRIM_THRESHOLD, 2**31 - 1)


def return_free() -> None:
    """Return free pages to the system. The GNU C library keeps those between pages in use."""
    _library("malloc_trim")(0)
