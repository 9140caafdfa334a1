"""Ends a process of distributed training whose peers are gone, so that none waits for them.

Lightning's launcher watches the processes that it started. When one of them ends with an error, also before training begins,
all are ended here, with a message and exit code 2. When the first one ends, which started them, the others end as well, also
while they wait for it in a rendezvous or a barrier.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from typing import Any

_STARTED_BY = "FRAMECAST_RANK_ZERO"
_POLL = 1.0
GRACE = 10.0
"""Seconds in which a process may still end by itself after the first one has ended."""
_LAUNCHER = "lightning_fabric.strategies.launchers.subprocess_script"
_ENDED = 2


def watch_peers() -> None:
    """Watch the process that started this one, if it is one of several that Lightning starts; else prepare those that it will
    start to watch this one."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        os.environ[_STARTED_BY] = str(os.getpid())
    elif parent := os.environ.get(_STARTED_BY):
        threading.Thread(target=_watch, args=(int(parent),), daemon=True, name="watch-rank-zero").start()


def end_with(processes: list[Any]) -> None:
    """End this process and all of `processes`, which Lightning will start (the list is filled later), when one of them ends with
    an error."""
    logger = logging.getLogger(_LAUNCHER)
    logger.addHandler(_End(processes))
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL)
    time.sleep(GRACE)
    print("framecast: training: the process of rank zero has ended, so this one ends too", file=sys.stderr, flush=True)
    os._exit(_ENDED)


class _End(logging.Handler):
    """Ends all processes at Lightning's message that one has ended; Lightning itself would kill them without a word."""

    def __init__(self, processes: list[Any]) -> None:
        super().__init__(logging.INFO)
        self._processes = processes

    def emit(self, record: logging.LogRecord) -> None:
        ended = [(rank, each.returncode) for rank, each in enumerate(self._processes, 1) if each.returncode]
        if not ended:
            return
        print(f"framecast: training: {describe(*ended[0])}, so all of the run are ended", file=sys.stderr, flush=True)
        for process in self._processes:
            process.kill()
        os._exit(_ENDED)


def describe(rank: int, code: int) -> str:
    """How the process of a rank ended, in words."""
    if code > 0:
        return f"the process of rank {rank} ended with exit code {code} (its message stands above)"
    name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
    reason = " (out of memory, or killed by hand)" if name == "SIGKILL" else ""
    return f"the process of rank {rank} was ended by {name}{reason}"
