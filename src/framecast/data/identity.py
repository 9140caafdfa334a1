"""The identity of files: size, SHA-256, and a stamp that tells without reading that nothing has touched them.

A folder (a Zarr store, images) is identified by the names and the content of all files in it. The stamp is a hash of size, inode
and times of modification and change; while it is the same the content is, and else the SHA-256 decides.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from framecast.errors import DataError
from framecast.reading.paths import check_file

_THREADS = 4
_IGNORED = (".lock",)


class FileIdentity(NamedTuple):
    """A file or folder: its path as it was opened, its absolute path, size in bytes, stamp and SHA-256. The last three are
    empty for a remote address."""

    path: str
    absolute: str
    size: int = 0
    stamp: str = ""
    sha256: str = ""

    @property
    def remote(self) -> bool:
        """Whether it is an address, whose content is not read for its identity."""
        return not self.sha256

    def is_at(self, path: str) -> bool:
        """Whether the content at `path` is this one."""
        entry = Path(path)
        if self.remote:
            return path == self.path
        try:
            return _stamp(entry) == self.stamp or (_size(entry) == self.size and _sha256(entry) == self.sha256)
        except OSError:
            return False


def identify_files(paths: Iterable[str]) -> tuple[FileIdentity, ...]:
    """The identity of each path, in order; all bytes are read. Raises `DataError` for one that cannot be read."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return tuple(pool.map(_identify, dict.fromkeys(paths)))


def stamp_files(paths: Iterable[str]) -> str:
    """A hash of the names and stamps of files, which changes if any of them is touched; none is read. An address or a missing
    file counts by its name."""
    total = hashlib.blake2b(digest_size=16)
    for path in paths:
        entry = Path(path)
        local = "://" not in path and entry.exists()
        total.update(os.fsencode(f"{path}\0{_stamp(entry) if local else ''}\0"))
    return total.hexdigest()


def _identify(path: str) -> FileIdentity:
    if "://" in path:
        return FileIdentity(path, path)
    entry = Path(path)
    try:
        stamp = _stamp(entry)  # first: a change while it is read leaves a stamp that no longer fits
        return FileIdentity(path, str(entry.absolute()), _size(entry), stamp, _sha256(entry))
    except OSError as error:
        raise DataError(f"cannot be read ({error})", where=path, remedy="make it readable, or leave it out") from error


def _files(entry: Path) -> Iterator[tuple[str, Path]]:
    """The files of a folder with their names in it, sorted; or the file itself."""
    if not entry.is_dir():
        yield "", entry
        return
    for folder, folders, names in os.walk(entry, followlinks=True):
        folders.sort()
        for name in sorted(set(names) - set(_IGNORED)):
            yield os.path.relpath(os.path.join(folder, name), entry), Path(folder, name)


def _size(entry: Path) -> int:
    return sum(file.stat().st_size for _, file in _files(entry))


def _stamp(entry: Path) -> str:
    total = hashlib.blake2b(digest_size=8)
    for name, file in _files(entry):
        state = file.stat()
        numbers = (state.st_size, state.st_ino, state.st_mtime_ns, state.st_ctime_ns)
        total.update(os.fsencode(f"{name}\0{numbers}\0"))
    return total.hexdigest()


def _sha256(entry: Path) -> str:
    if not entry.is_dir():
        return _sha256_of_file(entry)
    total = hashlib.sha256()
    for name, file in _files(entry):
        total.update(os.fsencode(f"{name}\0{_sha256_of_file(file)}\0"))
    return total.hexdigest()


def _sha256_of_file(file: Path) -> str:
    with check_file(file).open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
