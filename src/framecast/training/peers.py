"""Ends a process of distributed training whose peers are gone, so that none waits for them.

Lightning's launcher ends all processes when one that it started ends with an error; here the others end when the first one, which
started them, ends: also before training begins, while they wait for it in a rendezvous or a barrier.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time

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
        logger = logging.getLogger(_LAUNCHER)
        if not any(isinstance(each, _Report) for each in logger.handlers):
            logger.addHandler(_Report(logging.INFO))
            logger.setLevel(logging.INFO)
    elif parent := os.environ.get(_STARTED_BY):
        threading.Thread(target=_watch, args=(int(parent),), daemon=True, name="watch-rank-zero").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL)
    time.sleep(GRACE)
    print("framecast: training: the process of rank zero has ended, so this one ends too", file=sys.stderr, flush=True)
    os._exit(_ENDED)


class _Report(logging.Handler):
    """Prints that a process ended, which Lightning reports at a level that is not shown."""

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if "terminated with code" in message:
            reason = message.partition(" Forcefully")[0]
            print(f"framecast: training: {reason} All processes of the run are ended", file=sys.stderr, flush=True)
