"""Files and folders that are replaced in one step."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from framecast.writing.leftovers import OLD, clean_earlier, clean_leftovers, temporary_folder
from framecast.writing.system import EXCHANGE, NO_REPLACE, make_folder, put_bytes, rename_by, sync, sync_all, write_all
from framecast.writing.targets import check_sources, resolve, write_errors


@contextmanager
def replacing(path: str | Path, sources: Iterable[str | Path] = (), *, overwrite: bool = True) -> Iterator[Path]:
    """Yield a path to which a file or a folder is to be written; on leaving the context it replaces `path` in one step.

    The parent is created if it does not exist. After an error, of the body or of the disk, `path` is what it was and the
    temporary is gone. Raises `ConfigError` if `path` is one of `sources`, inside one or around one, or is neither a file nor a
    folder, and `RunError` if it cannot be written, or exists and `overwrite` is false.
    """
    target = resolve(path)
    check_sources(path, sources)
    with write_errors(path):
        make_folder(target.parent)
        clean_leftovers(target.parent)
        clean_earlier(target)
        with temporary_folder(target.parent) as folder:
            yield folder / target.name
            sync_all(folder / target.name)
            _place(folder / target.name, target, folder / OLD, overwrite)


def adopt(new: Path, path: Path) -> None:
    """Replace `path` in one step by a file or folder that is complete, on the same file system. After an error both are what they
    were. Raises `RunError`."""
    target = resolve(path)
    with write_errors(path):
        make_folder(target.parent)
        sync_all(new)
        with temporary_folder(target.parent) as folder:
            _place(new, target, folder / OLD, overwrite=True)
    if new.is_dir():  # the earlier one, where the two were exchanged
        shutil.rmtree(new, ignore_errors=True)
    else:
        new.unlink(missing_ok=True)


def discard(path: str | Path) -> None:
    """Remove a file or a folder in one step: what reads it sees all of it, or nothing. Raises `RunError`."""
    target = resolve(path)
    with write_errors(path), temporary_folder(target.parent) as folder:
        os.rename(target, folder / target.name)


def write_bytes(
    path: str | Path, data: bytes | memoryview, sources: Iterable[str | Path] = (), *, overwrite: bool = True
) -> None:
    """Write a file in one step; raises what `replacing` raises."""
    with replacing(path, sources, overwrite=overwrite) as temporary:
        put_bytes(temporary, data)


def write_text(path: str | Path, text: str, sources: Iterable[str | Path] = (), *, overwrite: bool = True) -> None:
    """Write a file of UTF-8 text in one step; raises what `replacing` raises."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"), sources, overwrite=overwrite)


@contextmanager
def appending(path: str | Path, *, anew: bool = False) -> Iterator[Callable[[bytes | memoryview], None]]:
    """Yield a function that appends bytes to a file, all of them or none; the file is created if it does not exist, and emptied
    first if it begins `anew`. Raises `RunError`."""
    with write_errors(path):
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | (os.O_TRUNC if anew else 0)
        descriptor = os.open(resolve(path), flags, 0o666)

    def append(data: bytes | memoryview) -> None:
        with write_errors(path):
            size = os.fstat(descriptor).st_size
            try:
                write_all(descriptor, data)
            except OSError:
                os.ftruncate(descriptor, size)
                raise

    try:
        yield append
    finally:
        os.close(descriptor)


def append_text(path: str | Path, text: str) -> None:
    """Append UTF-8 text to a file as `appending` does."""
    with appending(path) as append:
        append(text.encode())


def _place(new: Path, target: Path, aside: Path, overwrite: bool) -> None:
    """Rename `new` onto `target` and sync the parent; if that fails, undo it. Where folders cannot be exchanged in one step, the
    earlier one is moved into the folder `aside`. Raises `OSError`."""
    undo: Callable[[], object]
    if not os.path.lexists(target):
        if overwrite or not rename_by(new, target, NO_REPLACE):
            os.rename(new, target)
        undo = partial(os.rename, target, new)
    elif not overwrite:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    elif target.is_dir() != new.is_dir():
        number = errno.EISDIR if target.is_dir() else errno.ENOTDIR
        raise OSError(number, os.strerror(number), str(target))
    elif rename_by(new, target, EXCHANGE):
        undo = partial(rename_by, new, target, EXCHANGE)
    elif target.is_dir():
        os.mkdir(aside)
        old = aside / target.name
        _move_in(new, target, old)
        undo = partial(_move_in, old, target, new)
    else:  # a file system that cannot exchange: the earlier file is gone with the rename
        os.replace(new, target)
        undo = tuple
    try:
        sync(target.parent)
    except OSError:
        with suppress(OSError):
            undo()
        raise


def _move_in(new: Path, target: Path, old: Path) -> None:
    """Move the folder `target` to `old` and `new` to `target`, where the file system cannot exchange them in one step."""
    os.rename(target, old)
    try:
        os.rename(new, target)
    except OSError:
        os.rename(old, target)
        raise
