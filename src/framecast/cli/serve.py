"""The command `framecast serve`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from framecast.cli.options import command


@command
def serve(
    out: Annotated[Path, typer.Argument(help="The folder that a service writes.")],
    host: Annotated[
        str, typer.Option(help="The address to serve at; beyond the loopback address a token is needed.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to serve at.")] = 8765,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="A file with the token that clients send, as Bearer or as the password of a login; "
            "or else the variable FRAMECAST_TOKEN."
        ),
    ] = None,
    stale_after: Annotated[
        float | None,
        typer.Option(metavar="MINUTES", help="Minutes after which a forecast is stale; else as its status says."),
    ] = None,
    rate: Annotated[float, typer.Option(help="Requests a second of one client.")] = 300.0,
    concurrency: Annotated[int, typer.Option(help="Requests in progress, of all clients.")] = 64,
    memory: Annotated[int, typer.Option(help="Memory of the caches in MB.")] = 256,
    uploads: Annotated[
        bool, typer.Option("--requests", help="Also make forecasts on request, of frames that clients send.")
    ] = False,
) -> None:
    """Serve the forecasts of a service over HTTP: a page with a map, tiles, files, status and metrics."""
    from framecast.service.http.server import serve as serve_settings
    from framecast.service.http.settings import ServeSettings, read_token

    settings = ServeSettings(
        out,
        host=host,
        port=port,
        token=read_token(token_file),
        stale_after=None if stale_after is None else 60 * stale_after,
        rate=rate,
        concurrency=concurrency,
        memory=memory,
        uploads=uploads,
    )
    serve_settings(settings, bound=partial(print, flush=True))
