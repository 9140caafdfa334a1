"""How the process of a command treats threads and garbage."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

_SPINS = "GOMP_SPINCOUNT"
"""How often a thread of OpenMP looks for work before it sleeps; read when PyTorch is imported."""
_POLICY = "OMP_WAIT_POLICY"


def wait_asleep() -> None:
    """Let the threads of PyTorch, if it is not yet imported, sleep soon while they wait, unless the environment says how they
    wait. By default they spin: beside another busy process they would take the cores from the threads that they wait for."""
    if _POLICY not in os.environ:
        os.environ.setdefault(_SPINS, "5000")


@contextmanager
def short_process() -> Iterator[None]:
    """Within this context nothing looks for garbage: imports leave none, and the rest is gone with the process."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
