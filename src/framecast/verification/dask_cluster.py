"""Sharing work out among the processes of a Dask cluster (`pip install "framecast[cluster]"`)."""

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
    """`[work(piece) for piece in pieces]`, each piece by some worker of `cluster`: the address of a scheduler, or "local:N" for
    N processes on this machine. `finished` is told of every result as it comes.

    What a worker that dies was working on, or had in its memory, is done again by another; each piece counts once. Raises
    `ConfigError` where `distributed` is not installed or the address is none, `RunError` where the cluster cannot be reached,
    and what `work` raises, after `RETRIES` tries.
    """
    require("distributed", extra="cluster", purpose="sharing work out")
    import distributed

    library: Any = distributed
    place: Any = None
    if cluster.startswith("local:"):
        if not cluster[6:].isdecimal() or int(cluster[6:]) < 1:
            raise ArgumentError(f"{cluster!r} is no number of processes", parameter="cluster", example="local:4")
        place = library.LocalCluster(
            n_workers=int(cluster[6:]), threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=None
        )
    try:
        with _connected(library, place if place is not None else cluster) as client:
            futures = [client.submit(_alone, work, piece, pure=False, retries=RETRIES) for piece in pieces]
            results: dict[Any, T] = {}
            for future, result in library.as_completed(futures, with_results=True):
                results[future.key] = result
                finished(result)
            return [results[future.key] for future in futures]
    except (library.scheduler.KilledWorker, library.comm.CommClosedError) as error:
        raise RunError(f"the cluster {cluster} is lost, or its workers die ({error})", parameter="cluster") from error
    finally:
        if place is not None:
            place.close()


def _connected(library: Any, cluster: Any) -> Any:
    try:
        return library.Client(cluster, timeout=TIMEOUT)
    except (OSError, TimeoutError) as error:
        raise RunError(f"the cluster {cluster} cannot be reached ({error})", parameter="cluster") from error
    except ValueError as error:
        raise ArgumentError(f"{cluster!r} is no address of a cluster ({error})", parameter="cluster") from error


def _alone(work: Callable[[P], T], piece: P) -> T:
    """Work that reads lazy arrays itself, instead of asking the cluster that waits for it."""
    with dask.config.set(scheduler="synchronous"):
        return work(piece)
