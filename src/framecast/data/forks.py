"""Makes frames readable after a fork of the process, by which `multiprocessing` and the workers of PyTorch begin on Linux.

A fork copies the memory of a process and none of its threads. What waits for a thread of the parent waits for ever: the pools
of Dask, PyTorch and zarrs. After a fork Dask makes new pools, PyTorch uses one thread, and Zarr stores are read without zarrs.
"""

from __future__ import annotations

import os
import sys

_PARENT = os.getpid()


def is_forked() -> bool:
    """Whether this process was forked after framecast was imported."""
    return os.getpid() != _PARENT


def _drop_pools() -> None:
    if dask := sys.modules.get("dask.threaded"):
        dask.default_pool = None  # type: ignore[attr-defined]
        dask.pools.clear()
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


os.register_at_fork(after_in_child=_drop_pools)
