"""Selects the algorithm of operations that have several, for the current thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

Algorithm = Literal["auto", "direct", "winograd"]
""""auto" follows the rule of each operation; "direct" uses PyTorch operation by operation; "winograd" computes convolutions by
Winograd's filtering wherever possible, and the rest by the rules."""


class _ThreadState(threading.local):
    algorithm: Algorithm = "auto"


_state = _ThreadState()


@contextmanager
def use_algorithm(algorithm: Algorithm) -> Iterator[None]:
    """Use `algorithm` in this thread within the context."""
    before, _state.algorithm = _state.algorithm, algorithm
    try:
        yield
    finally:
        _state.algorithm = before


def current_algorithm() -> Algorithm:
    """The algorithm of this thread; "direct" while `torch.compile` traces, since it must see every operation."""
    return "direct" if torch.compiler.is_compiling() else _state.algorithm
