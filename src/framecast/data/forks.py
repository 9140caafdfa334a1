"""Makes frames readable after a fork of the process, by which `multiprocessing` and the workers of PyTorch begin on Linux.

A fork copies the memory of a process and none of its threads. What waits for a thread of the parent waits for ever: the pools
of Dask, PyTorch and zarrs. After a fork Dask makes new pools, PyTorch uses one thread, and Zarr stores are read without zarrs.
"""

from __future__ import annotations

import os
import sys
from typing import Any

_PARENT = os.getpid()


def is_forked() -> bool:
    """Whether this process was forked after framecast was imported."""
    return os.getpid() != _PARENT


def _drop_pools() -> None:
    dask: Any = sys.modules.get("dask.threaded")
    if dask:
        dask.default_pool = None
        dask.pools.clear()
    torch: Any = sys.modules.get("torch")
    if torch:
        torch.set_num_threads(1)


os.register_at_fork(after_in_child=_drop_pools)
