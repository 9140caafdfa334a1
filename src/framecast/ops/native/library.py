"""Loads the inner loops in C (the files in this folder), plain libraries that setup.py compiles if there is a C compiler with
OpenMP. They know nothing of Python, so one build serves every version of it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

ADDRESS, SIZE, COUNT, REAL = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_float
"""Types of arguments: the address of a tensor, a number of elements, a number of threads or terms, and a real number."""


FORMS = {"AVX512": "_loops_avx512", "AVX2": "_loops_avx2"}
"""Libraries by the CPU capability that PyTorch reports, the fastest first; `_loops` for any other."""
FOLDER = Path(__file__).parent
NEWEST = "framecast_sample"
"""The function that was added last: a library without it was built from earlier sources."""


class Status(NamedTuple):
    """The compiled library that this process uses."""

    form: str
    """Its processors: AVX512, AVX2, or PyTorch's name for those without either."""
    path: Path | None
    """The loaded file; None if PyTorch computes everything."""
    reason: str = ""
    """Why no file was loaded."""

    def __str__(self) -> str:
        return f"none ({self.reason})" if self.path is None else self.form


@cache
def _load() -> tuple[ctypes.CDLL | None, Status]:
    """Load the library, after PyTorch, whose threads it then uses. A library that cannot be loaded counts as missing."""
    form = torch.backends.cpu.get_cpu_capability()
    path = FOLDER / f"{FORMS.get(form, '_loops')}.so"
    if not path.is_file():
        return None, Status(
            form, None, f"no {path.name}: no C compiler with OpenMP at installation, or a wheel without"
        )
    try:
        library = ctypes.CDLL(str(path))
        getattr(library, NEWEST)
    except OSError as error:
        return None, Status(form, None, f"{path} cannot be loaded: {error}")
    except AttributeError:
        reason = f"{path} is older than its sources; build it again: pip install -e ."
        return None, Status(form, None, reason)
    return library, Status(form, path)


def _library() -> ctypes.CDLL | None:
    return _load()[0]


def status() -> Status:
    """The compiled library that this process uses, or why there is none."""
    return _load()[1]


def available() -> bool:
    """Whether the loops can be used. If not, PyTorch computes everything."""
    return _library() is not None


def load_function(name: str, *arguments: Any, returns: Any = None) -> Callable[..., Any]:
    """The function `name` of the library; without one, a function that raises `RuntimeError` when called."""
    library = _library()
    if library is None:

        def missing(*_: object) -> None:
            raise RuntimeError(f"{name} is in no loaded library: {status().reason}")

        return missing
    function = getattr(library, name)
    function.argtypes, function.restype = arguments, returns
    return function  # type: ignore[no-any-return]


def c_array(kind: Any, values: Sequence[Any]) -> Any:
    """Values as an array of a C type."""
    return _array(kind, len(values))(*values)


@cache
def _array(kind: Any, count: int) -> Any:
    """The type of such an array, cached: creating one takes longer than the call, and ctypes drops unused types."""
    return kind * count


def addresses(tensors: Iterable[Tensor | None]) -> Any:
    """Addresses of tensors, null for None."""
    return c_array(ADDRESS, [None if tensor is None else tensor.data_ptr() for tensor in tensors])


def threads() -> int:
    """Number of threads that PyTorch uses."""
    return torch.get_num_threads()
