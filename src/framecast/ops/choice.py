"""Which form of an operation is used, where there are several."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

Algorithm = Literal["auto", "direct", "winograd"]
"""By the rules of each operation; PyTorch operation by operation; convolutions by Winograd's filtering wherever it can be
done, the rest by the rules."""


class _Here(threading.local):
    algorithm: Algorithm = "auto"


_here = _Here()


@contextmanager
def use(algorithm: Algorithm) -> Iterator[None]:
    """Compute by `algorithm` in this thread."""
    before, _here.algorithm = _here.algorithm, algorithm
    try:
        yield
    finally:
        _here.algorithm = before


def chosen() -> Algorithm:
    """What holds in this thread: "direct" also where PyTorch has to see every operation."""
    return "direct" if torch.compiler.is_compiling() else _here.algorithm
