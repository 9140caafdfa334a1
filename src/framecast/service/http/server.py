"""Runs the server."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from framecast.checks import as_path, refuses_arrays, require
from framecast.errors import ConfigError
from framecast.service.http.settings import ServeSettings, read_token

_log = logging.getLogger("framecast.serve")
_SWITCH = 0.0005
"""Seconds after which a thread that draws a tile lets others run, above all the one that answers."""


def serve(settings: ServeSettings, *, bound: Callable[[str], object] = lambda url: None) -> None:
    """Serve a folder until a signal ends it (SIGINT, SIGTERM). `bound` is called with the address when it is there, with the
    number of its port also where any that is free was asked for.

    Raises `ConfigError` if fastapi, uvicorn, prometheus-client or matplotlib is not installed, and if the port is in use or not
    allowed.
    """
    require("fastapi", "uvicorn", "prometheus_client", "matplotlib", extra="serve", purpose="serving", where="serve")
    import uvicorn

    from framecast.service.http.allocation import return_maps
    from framecast.service.http.app import build_app
    from framecast.service.http.site import Site
    from framecast.service.http.warming import BEFORE, Warmer

    with _bound(settings.host, settings.port) as address:
        return_maps()
        site = Site(settings)
        warmer = Warmer(site)
        warmer.read(BEFORE)
        config = uvicorn.Config(
            build_app(settings, site),
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            lifespan="on",
            timeout_keep_alive=15,
            timeout_graceful_shutdown=5,
            limit_concurrency=4 * settings.concurrency,
            h11_max_incomplete_event_size=16 * 1024,
        )
        sys.setswitchinterval(_SWITCH)
        url = f"http://{f'[{settings.host}]' if ':' in settings.host else settings.host}:{address.getsockname()[1]}/"
        _log.info("serving %s at %s", settings.out, url)
        bound(url)
        server = uvicorn.Server(config)
        with warmer.running(), _ended_by_signals(server):
            server.run([address])


@contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket at an address, which does not listen yet. Raises `ConfigError`."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as address:
        address.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            address.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"{host}:{port} cannot be served ({error.strerror or error})",
                remedy="end what uses it, or choose another port; 0 is any that is free",
                parameter="port",
                example=0,
            ) from error
        yield address


@contextmanager
def _ended_by_signals(server: Any) -> Iterator[None]:
    """Let SIGINT and SIGTERM end a server of uvicorn, which sends itself the signal again once it has ended, and nothing else."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@refuses_arrays
def serve_folder(
    out: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    token_file: str | Path | None = None,
    uploads: bool = False,
) -> None:
    """Serve the folder `out` that a service writes; see `ServeSettings`. The token is read from `token_file`, or else from the
    variable FRAMECAST_TOKEN. Raises what `serve`, `read_token` and the settings raise."""
    token = read_token(None if token_file is None else as_path(token_file, "a file", "token_file"))
    serve(ServeSettings(as_path(out, "a folder", "out"), host=host, port=port, token=token, uploads=uploads))
