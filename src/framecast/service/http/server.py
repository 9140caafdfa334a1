"""Runs the server."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from framecast.checks import require
from framecast.service.http.settings import ServeSettings, read_token

_log = logging.getLogger("framecast.serve")
_SWITCH = 0.0005
"""Seconds after which a thread that draws a tile lets others run, above all the one that answers."""


def serve(settings: ServeSettings) -> None:
    """Serve a folder until a signal ends it (SIGINT, SIGTERM).

    Raises `ConfigError` if fastapi, uvicorn, prometheus-client or matplotlib is not installed.
    """
    require("fastapi", "uvicorn", "prometheus_client", "matplotlib", extra="serve", purpose="serving", where="serve")
    import uvicorn

    from framecast.service.http.allocation import return_maps
    from framecast.service.http.app import build_app
    from framecast.service.http.site import Site
    from framecast.service.http.warming import BEFORE, Warmer

    return_maps()
    site = Site(settings)
    warmer = Warmer(site)
    warmer.read(BEFORE)
    config = uvicorn.Config(
        build_app(settings, site),
        host=settings.host,
        port=settings.port,
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
    _log.info("serving %s at http://%s:%d", settings.out, settings.host, settings.port)
    with warmer.running():
        uvicorn.Server(config).run()


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
    token = read_token(None if token_file is None else Path(token_file))
    serve(ServeSettings(Path(out), host=host, port=port, token=token, uploads=uploads))
