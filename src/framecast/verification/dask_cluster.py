"""Parallel work on a Dask cluster: one function, which knows nothing of forecasts (`pip install "framecast[cluster]"`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import dask

from framecast.checks import require
from framecast.errors import ArgumentError, RunError

T = TypeVar("T")
P = TypeVar("P")
RETRIES = 3
TIMEOUT = 20
"""Seconds to wait for a scheduler."""


def map_on_cluster(
    work: Callable[[P], T], pieces: Sequence[P], cluster: str, finished: Callable[[T], None] = lambda result: None
) -> list[T]:
    """`[work(piece) for piece in pieces]` on the workers of `cluster`: the address of a scheduler, or "local:N" for N processes
    on this machine. `finished` is called with every result as it arrives.

    The pieces of a worker that dies, finished or not, are repeated by another; each counts once. Raises `ConfigError` if
    `distributed` is not installed or the address is invalid, `RunError` if the cluster cannot be reached, and the error of
    `work` after `RETRIES` tries.
    """
    require("distributed", extra="cluster", purpose="work on a cluster")
    import distributed

    library: Any = distributed
    # a scheduler elsewhere, or processes here
    local_cluster: Any = None
    if cluster.startswith("local:"):
        if not cluster[6:].isdecimal() or int(cluster[6:]) < 1:
            raise ArgumentError(f"{cluster!r} is no number of processes", parameter="cluster", example="local:4")
        local_cluster = library.LocalCluster(
            n_workers=int(cluster[6:]), threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=None
        )
    try:
        # submit the pieces, collect results in order of arrival
        with _connect(library, local_cluster if local_cluster is not None else cluster) as client:
            futures = [client.submit(_run_synchronously, work, piece, pure=False, retries=RETRIES) for piece in pieces]
            results: dict[Any, T] = {}
            for future, result in library.as_completed(futures, with_results=True):
                results[future.key] = result
                finished(result)
            return [results[future.key] for future in futures]
    except (library.scheduler.KilledWorker, library.comm.CommClosedError) as error:
        raise RunError(f"the cluster {cluster} is lost, or its workers die ({error})", parameter="cluster") from error
    finally:
        if local_cluster is not None:
            local_cluster.close()


def _connect(library: Any, cluster: Any) -> Any:
    try:
        return library.Client(cluster, timeout=TIMEOUT)
    except (OSError, TimeoutError) as error:
        raise RunError(f"the cluster {cluster} cannot be reached ({error})", parameter="cluster") from error
    except ValueError as error:
        raise ArgumentError(f"{cluster!r} is no address of a cluster ({error})", parameter="cluster") from error


def _run_synchronously(work: Callable[[P], T], piece: P) -> T:
    """Run `work` with a synchronous scheduler: lazy arrays inside it must not wait for the cluster that waits for them."""
    with dask.config.set(scheduler="synchronous"):
        return work(piece)
