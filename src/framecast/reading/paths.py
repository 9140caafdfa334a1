"""The gate of paths: what lies at one, and the content of a small file. Nothing here blocks, however odd the path is.

Only regular files are read, never pipes, devices or sockets, and text below a size limit. A name may hold any bytes: those that
are not UTF-8 are kept as surrogates, as everywhere in Python.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

from framecast.errors import ArgumentError, DataError

Content = TypeVar("Content")
TEXT_LIMIT = 16 * 2**20
"""Bytes of a text file, a recipe or a card, that are read at most."""
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}


def as_utf8(name: str) -> str:
    """The name of a file as UTF-8 can hold it: other bytes as escapes."""
    return os.fsencode(name).decode(errors="backslashreplace")


def status(path: str | Path, parameter: str | None = None) -> os.stat_result | None:
    """The status of what lies at `path`, through symbolic links; None if nothing does. Raises `ArgumentError` for a text that can
    be no path, such as a name of 5,000 letters, and where permission is missing."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ArgumentError(
            f"no path that can be used ({reason})", where=path, parameter=parameter, remedy="use another path"
        ) from error


def is_file(path: str | Path) -> bool:
    """Whether a regular file lies at `path`. Raises `ArgumentError` as `status` does."""
    found_status = status(path)
    return found_status is not None and stat.S_ISREG(found_status.st_mode)


def is_folder(path: str | Path) -> bool:
    """Whether a folder lies at `path`. Raises `ArgumentError` as `status` does."""
    folder_status = status(path)
    return folder_status is not None and stat.S_ISDIR(folder_status.st_mode)


def check_file(path: str | Path) -> Path:
    """`path` of a file that is to be opened. Raises `DataError` unless it is a regular file: a pipe would block for ever."""
    _check_mode(status(path), path)
    return Path(path)


def _check_mode(found_status: os.stat_result | None, path: str | Path) -> None:
    if found_status is None:
        raise DataError("no such file", where=path)
    if not stat.S_ISREG(found_status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found_status.st_mode), "no file")
        raise DataError(f"is {kind}, expected a regular file", where=path, remedy="copy its content into a file")


def read_bytes(path: str | Path, limit: int = TEXT_LIMIT) -> bytes:
    """The content of a small file. Raises `DataError` if it cannot be read, is no regular file or has more than `limit` bytes."""
    content = _read(path, lambda file, size: file.read() if size <= limit else None)
    if content is None:
        raise DataError(f"has more than {limit:,} bytes, too many for such a file", where=path)
    return content


def _read(path: str | Path, read: Callable[[BinaryIO, int], Content]) -> Content:
    """What `read(file, size)` gives of a regular file. Raises `DataError`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            file_status = os.fstat(descriptor)
            _check_mode(file_status, path)
            return read(file, file_status.st_size)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"cannot be read ({reason})", where=path) from error


def read_head(path: str | Path, size: int = 4096) -> bytes:
    """The first bytes of a file. Raises `DataError` if it cannot be read or is no regular file."""
    return _read(path, lambda file, _: file.read(size))


def read_text(path: str | Path, limit: int = TEXT_LIMIT) -> str:
    """The content of a small text file in UTF-8. Raises `DataError` as `read_bytes` does, and for other encodings."""
    try:
        return read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"is not text in UTF-8 (byte {error.start})",
            where=path,
            remedy="save it as UTF-8: iconv -f latin1 -t utf-8 IN > OUT",
        ) from error


def links_out_of(folder: Path) -> Iterator[Path]:
    """The entries below `folder` that are symbolic links, or neither files nor folders. Nothing is opened."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink() or not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)):
                yield Path(entry.path)
            elif entry.is_dir(follow_symlinks=False):
                yield from links_out_of(Path(entry.path))
