"""Runs the server."""

from __future__ import annotations

import logging

from framecast.checks import require
from framecast.service.http.settings import ServeSettings

_log = logging.getLogger("framecast.serve")


def serve(settings: ServeSettings) -> None:
    """Serve a folder until a signal ends it (SIGINT, SIGTERM).

    Raises `ConfigError` if fastapi, uvicorn, prometheus-client or matplotlib is not installed.
    """
    require("fastapi", "uvicorn", "prometheus_client", "matplotlib", extra="serve", purpose="serving", where="serve")
    import uvicorn

    from framecast.service.http.app import build_app

    config = uvicorn.Config(
        build_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        lifespan="off",
        timeout_keep_alive=15,
        timeout_graceful_shutdown=5,
        limit_concurrency=4 * settings.concurrency,
        h11_max_incomplete_event_size=16 * 1024,
    )
    _log.info("serving %s at http://%s:%d", settings.out, settings.host, settings.port)
    uvicorn.Server(config).run()
