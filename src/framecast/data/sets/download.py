"""Download the files of a set, on request: resumable, with checksums, and moved to their path when complete."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from framecast.errors import DataError
from framecast.reading.paths import check_file
from framecast.writing import adopt, appending, claim

_PIECE = 2**20
_PARTIAL, _UNSATISFIABLE = 206, 416


class Remote(NamedTuple):
    """A file of a set: its address, the name it gets, and its checksum, as `sha256:...` or `md5:...`, the way the source or a
    well-known library states it."""

    url: str
    name: str
    checksum: str


def fetch(remote: Remote, folder: Path, progress: Callable[[int, int], None] = lambda done, of: None) -> Path:
    """Fetch a file into `folder` and return its path; an existing file with the expected checksum is kept.

    An interrupted download resumes at the next call. `progress` is called with the bytes received and the total, 0 if it is
    unknown. Raises `DataError` if the address cannot be reached, with the manual steps, and if the checksum differs, and
    `RunError` if the file cannot be written.
    """
    target = folder / remote.name
    if target.exists():
        _check(target, remote)
        return target
    with claim(target, sibling=True):
        return _fetch(remote, target, progress)


def _fetch(remote: Remote, target: Path, progress: Callable[[int, int], None]) -> Path:
    partial = target.with_name(f".{target.name}.part")
    received = partial.stat().st_size if partial.exists() else 0
    try:
        with urlopen(
            Request(remote.url, headers={"Range": f"bytes={received}-"} if received else {}), timeout=60
        ) as answer:
            if answer.status != _PARTIAL:
                received = 0  # the server does not support ranges: start again
            total = received + int(answer.headers.get("Content-Length", 0) or -received)
            with appending(partial, anew=received == 0) as append:
                while piece := answer.read(_PIECE):
                    append(piece)
                    received += len(piece)
                    progress(received, total)
        if total and received < total:
            raise URLError(f"it broke off after {received:,} of {total:,} bytes")
    except HTTPError as error:
        if error.code != _UNSATISFIABLE:  # else the file is complete already
            raise _by_hand(remote, target, error) from error
    except (URLError, OSError) as error:
        raise _by_hand(remote, target, error) from error
    try:
        _check(partial, remote)
    except DataError:
        partial.unlink()
        raise
    adopt(partial, target)
    return target


def _by_hand(remote: Remote, target: Path, error: Exception) -> DataError:
    return DataError(
        f"{remote.url} cannot be fetched ({error})",
        where=target,
        remedy=f"fetch it elsewhere and put it at {target}, or run this again to go on",
    )


def _check(path: Path, remote: Remote) -> None:
    method, _, expected = remote.checksum.partition(":")
    with check_file(path).open("rb") as file:
        digest = hashlib.file_digest(file, method).hexdigest()
    if digest != expected:
        raise DataError(
            f"its {method} is {digest} and not {expected}: it is damaged, or another file",
            where=path,
            remedy="remove it",
        )
