"""Memory of the C library, from which PyTorch takes that of tensors on the CPU."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any


@cache
def _trim() -> Any:
    """`malloc_trim` of the GNU C library; None of another one."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # macOS; Windows, which has no library of the program itself
        return None


def return_free() -> None:
    """Return free pages to the system. The GNU C library keeps those between pages in use, and before version 2.38 it does not
    use them again for a block of the same size that must be aligned, as those of all tensors must."""
    if (trim := _trim()) is not None:
        trim(0)
