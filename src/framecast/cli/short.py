"""What spares a process that does one thing and ends a third of its time."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

_SPINS = "GOMP_SPINCOUNT"
"""How often a thread of OpenMP looks for work before it sleeps; read when PyTorch is imported."""
_POLICY = "OMP_WAIT_POLICY"


@contextmanager
def short_process() -> Iterator[None]:
    """Within this context nothing looks for garbage: imports leave none, and the rest is gone with the process. PyTorch, if it is
    not yet imported, has threads that wait asleep: where others use the machine, those of a small forecast take more processor
    time waiting than computing."""
    if _POLICY not in os.environ:
        os.environ.setdefault(_SPINS, "1000")
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
