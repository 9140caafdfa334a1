"""A server that runs in a thread of the tests, at a free port."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from framecast.service.http.app import build_app
from framecast.service.http.settings import ServeSettings


@contextmanager
def running(settings: ServeSettings) -> Iterator[int]:
    """Run a server; yields its port."""
    config = uvicorn.Config(build_app(settings), port=0, lifespan="on", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(500):
        if server.started:
            break
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
