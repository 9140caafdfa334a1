"""Inner loops in C (the files beside this one), compiled when framecast is installed, where there is a compiler that can."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

ADDRESS, SIZE, COUNT, REAL = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_float
"""The types of their arguments: a tensor's memory, a number of elements, how many threads or terms, and a real number."""


FORMS = {"AVX512": "_loops_avx512", "AVX2": "_loops_avx2"}
"""By what PyTorch says of the processor; `_loops` for any other."""


class Status(NamedTuple):
    """Which of the compiled forms runs in this process."""

    form: str
    """For which processors: AVX512, AVX2, or what PyTorch calls those without either."""
    path: Path | None
    """The file that was loaded; None where everything is computed by PyTorch."""
    reason: str = ""
    """Why no file was loaded."""

    def __str__(self) -> str:
        return f"none ({self.reason})" if self.path is None else self.form


@cache
def _load() -> tuple[ctypes.CDLL | None, Status]:
    """The library is loaded after PyTorch, whose threads it then uses. One that cannot be loaded here is as good as none."""
    form = torch.backends.cpu.get_cpu_capability()
    name = FORMS.get(form, "_loops")
    spec = find_spec(f"framecast.ops.native.{name}")
    if spec is None or spec.origin is None:
        return None, Status(form, None, "no C compiler with OpenMP when framecast was installed")
    try:
        return ctypes.CDLL(spec.origin), Status(form, Path(spec.origin))
    except OSError as error:
        return None, Status(form, None, f"{spec.origin} cannot be loaded: {error}")


def _library() -> ctypes.CDLL | None:
    return _load()[0]


def status() -> Status:
    """Which of the compiled forms runs in this process, or why none does."""
    return _load()[1]


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
