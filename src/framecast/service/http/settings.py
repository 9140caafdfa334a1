"""The settings of `framecast serve`, checked before anything is opened."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from framecast.checks import Range, check_values
from framecast.errors import ArgumentError, ConfigError
from framecast.reading.paths import is_folder, read_text

TOKEN_VARIABLE = "FRAMECAST_TOKEN"
_SHORTEST = 16
_LOOPBACK = ("localhost", "ip6-localhost")


@dataclass(frozen=True)
class ServeSettings:
    """How a folder `out` is served.

    Without a `token` only the loopback address can be served. A forecast is stale `stale_after` seconds after its initial time,
    by default what its status says. `rate` are the requests a second of one client, and `burst` those that it may send at once,
    by default those of four seconds; `concurrency` the requests in progress of all clients. `memory` in MB is for caches. With
    `uploads` forecasts are made on request, each in a process that has `upload_memory` MB and `upload_seconds`, of files of at
    most `upload_size` MB.
    """

    out: Path
    host: str = "127.0.0.1"
    port: Annotated[int, Range(0, 65535)] = 8765
    token: str | None = field(default=None, repr=False)
    stale_after: Annotated[float, Range(1, 1e6)] | None = None
    rate: Annotated[float, Range(0.1, 1e6)] = 300.0
    burst: Annotated[int, Range(1, 10**7)] | None = None
    concurrency: Annotated[int, Range(1, 10**4)] = 64
    memory: Annotated[int, Range(16, 10**6)] = 256
    uploads: bool = False
    upload_size: Annotated[int, Range(1, 4096)] = 64
    upload_memory: Annotated[int, Range(512, 10**6)] = 8192
    upload_seconds: Annotated[float, Range(1, 3600)] = 120.0

    def __post_init__(self) -> None:
        check_values(self)
        if not is_folder(self.out):
            raise ArgumentError("no such folder", where=self.out, remedy="name the folder that a service writes")
        check_token(self.host, self.token)

    @property
    def most_at_once(self) -> int:
        """The requests that one client may send at once."""
        return self.burst or max(1, int(4 * self.rate))


def check_token(host: str, token: str | None) -> None:
    """Raise `ConfigError` for a token that is too short, and for none where other machines reach the `host`."""
    if token is not None and (len(token) < _SHORTEST or not token.isascii()):
        raise ConfigError(
            f"the token has fewer than {_SHORTEST} letters, or some that are not ASCII",
            remedy="make one, for example with: openssl rand -hex 32",
        )
    if token is None and not is_loopback(host):
        raise ConfigError(
            f"{host} can be reached from other machines, and no token is set",
            remedy=f"write a token to a file and name it, or set the variable {TOKEN_VARIABLE}",
            parameter="token_file",
            example="FILE",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host.lower() in _LOOPBACK:
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def read_token(file: Path | None) -> str | None:
    """The token in a file, or without one in the variable FRAMECAST_TOKEN of the environment; None if neither has one. Raises
    `DataError` if the file cannot be read, and `ConfigError` if it is empty."""
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    token = read_text(file, 4096).strip()
    if not token:
        raise ConfigError("is empty, expected a token", where=file, remedy="write one to it: openssl rand -hex 32")
    return token
