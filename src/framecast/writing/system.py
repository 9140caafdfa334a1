"""The calls of the system that write: bytes, folders, syncs and renames. Everything here raises `OSError`."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

NO_REPLACE, EXCHANGE = 1, 2
"""Flags of `rename_by` (linux/fs.h)."""
_AT_FDCWD = -100


@contextmanager
def creating(path: Path) -> Iterator[Callable[[bytes | memoryview], None]]:
    """Create the file `path`, and its parent, inside a temporary folder that `replacing` yielded; the function that is yielded
    writes the next piece of it."""
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        yield partial(write_all, descriptor)
    finally:
        os.close(descriptor)


def put_bytes(path: Path, data: bytes | memoryview) -> None:
    """Create the file `path` as `creating` does, in one piece."""
    with creating(path) as write:
        write(data)


def make_folder(path: Path) -> list[Path]:
    """Create a folder and its parents, durably; returns those that did not exist, the innermost first. Raises `OSError`."""
    if path.is_dir():
        return []
    parents = make_folder(path.parent)
    with suppress(FileExistsError):
        os.mkdir(path)
    sync(path.parent)
    return [path, *parents]


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all bytes; one call of the system may write fewer than asked for."""
    rest = memoryview(data).cast("B")
    while rest:
        count = os.write(descriptor, rest)
        if count == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rest = rest[count:]


def sync_all(path: Path) -> None:
    """Sync a file, or a folder and all in it, to disk."""
    for folder, _, files in os.walk(path, topdown=False):
        for name in files:
            sync(Path(folder) / name)
        sync(Path(folder))
    if not path.is_dir():
        sync(path)


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot sync folders
            raise
    finally:
        os.close(descriptor)


def rename_by(source: Path, target: Path, flag: int) -> bool:
    """Rename with a flag of Linux; False where the system or the file system has none. Raises `OSError`."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return False
    if function(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), flag) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(target))
