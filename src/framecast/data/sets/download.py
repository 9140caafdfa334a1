"""Fetching the files of a set, when asked to: resumed where it was interrupted, checked, put in place when whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from framecast.errors import DataError

_PIECE = 2**20
_PARTIAL, _UNSATISFIABLE = 206, 416


class Remote(NamedTuple):
    """A file of a set: its address, the name it gets, and its checksum, as `sha256:...` or `md5:...`, the way the source or a
    well-known library states it."""

    url: str
    name: str
    checksum: str


def fetch(remote: Remote, folder: Path, progress: Callable[[int, int], None] = lambda done, of: None) -> Path:
    """Fetch a file into `folder` and return its path; one that is there, and has the stated checksum, is kept.

    Interrupted, the next call goes on where it stopped. `progress` is told the bytes there and in all, 0 where that is not
    known. Raises `DataError`, which says what to do by hand, where the address cannot be reached, and where the checksum is
    another.
    """
    target = folder / remote.name
    if target.exists():
        _check(target, remote)
        return target
    folder.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.part")
    there = partial.stat().st_size if partial.exists() else 0
    try:
        with urlopen(Request(remote.url, headers={"Range": f"bytes={there}-"} if there else {}), timeout=60) as answer:
            if answer.status != _PARTIAL:
                there = 0  # a server that cannot go on begins anew
            total = there + int(answer.headers.get("Content-Length", 0) or -there)
            with partial.open("ab" if there else "wb") as file:
                while piece := answer.read(_PIECE):
                    file.write(piece)
                    there += len(piece)
                    progress(there, total)
        if total and there < total:
            raise URLError(f"it broke off after {there:,} of {total:,} bytes")
    except HTTPError as error:
        if error.code != _UNSATISFIABLE:  # else all of it is there already
            raise _by_hand(remote, target, error) from error
    except (URLError, OSError) as error:
        raise _by_hand(remote, target, error) from error
    try:
        _check(partial, remote)
    except DataError:
        partial.unlink()
        raise
    partial.replace(target)
    return target


def _by_hand(remote: Remote, target: Path, error: Exception) -> DataError:
    return DataError(
        f"{remote.url} cannot be fetched ({error})",
        where=target,
        remedy=f"fetch it elsewhere and put it at {target}, or run this again to go on",
    )


def _check(path: Path, remote: Remote) -> None:
    method, _, stated = remote.checksum.partition(":")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, method).hexdigest()
    if found != stated:
        raise DataError(
            f"its {method} is {found} and not {stated}: it is damaged, or another file", where=path, remedy="remove it"
        )
