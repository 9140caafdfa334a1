"""Inner loops in C (the files beside this one), compiled when framecast is installed, where there is a compiler that can."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

ADDRESS, SIZE, COUNT, REAL = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_float
"""The types of their arguments: a tensor's memory, a number of elements, how many threads or terms, and a real number."""


FORMS = {"AVX512": "_loops_avx512", "AVX2": "_loops_avx2"}
"""By what PyTorch says of the processor; `_loops` for any other."""


@cache
def _library() -> ctypes.CDLL | None:
    """It is loaded after PyTorch, whose threads it then uses. One that cannot be loaded here is as good as none."""
    form = FORMS.get(torch.backends.cpu.get_cpu_capability(), "_loops")
    found = find_spec(f"framecast.ops.native.{form}")
    if found is None or found.origin is None:
        return None
    try:
        return ctypes.CDLL(found.origin)
    except OSError:
        return None


def available() -> bool:
    """Whether they were compiled. If not, everything is computed by PyTorch."""
    return _library() is not None


def compiled(name: str, *arguments: Any, returns: Any = None) -> Callable[..., Any]:
    """The function `name`; it raises RuntimeError when called if there is none."""
    library = _library()
    if library is None:

        def missing(*_: object) -> None:
            raise RuntimeError(f"{name} was not compiled when framecast was installed: no C compiler with OpenMP")

        return missing
    function = getattr(library, name)
    function.argtypes, function.restype = arguments, returns
    return function  # type: ignore[no-any-return]


def packed(kind: Any, values: Sequence[Any]) -> Any:
    """Values as the loops take several: an array of a type of C."""
    return _array(kind, len(values))(*values)


@cache
def _array(kind: Any, count: int) -> Any:
    """The type of such an array: making one takes longer than what is done with it, and ctypes forgets those not in use."""
    return kind * count


def addresses(tensors: Iterable[Tensor | None]) -> Any:
    """Where tensors lie, null for None."""
    return packed(ADDRESS, [None if tensor is None else tensor.data_ptr() for tensor in tensors])


def threads() -> int:
    """As many as PyTorch uses."""
    return torch.get_num_threads()
