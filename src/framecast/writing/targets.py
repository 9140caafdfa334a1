"""Where a result is written: the path behind links, never one of its own sources; errors of the disk with their remedies."""

from __future__ import annotations

import errno
import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from framecast.errors import ArgumentError, ConfigError, FramecastError, RunError

_REMEDIES = {
    errno.ENOSPC: "make room on the disk, then do the same again",
    errno.EDQUOT: "make room within your quota, then do the same again",
    errno.EFBIG: "raise the limit of the size of files (ulimit -f), then do the same again",
    errno.EIO: "check the disk (dmesg), then do the same again, or write to another disk",
    errno.EROFS: "write to another folder: this file system is read-only",
    errno.EACCES: "make the folder writable, or write to another one",
    errno.EPERM: "make the folder writable, or write to another one",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EEXIST: "choose another name, or allow overwriting",
}


def resolve(path: str | Path) -> Path:
    """The absolute path to write for `path`, with symbolic links followed. Raises `ConfigError` for a device, a pipe or a socket,
    and for a name that no file can have."""
    try:
        target = Path(os.path.realpath(path))
        mode = os.stat(target).st_mode
    except ValueError as error:
        raise ArgumentError(f"not a name of a file ({error})", parameter="out") from error
    except OSError:
        return target
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ConfigError("is neither a file nor a folder", where=path, remedy="name a file that may be written")
    return target


def check_sources(path: str | Path, sources: Iterable[str | Path]) -> None:
    """Raise `ConfigError` if writing `path` would change one of `sources`: the same file or folder, whatever its name, one that
    `path` holds, or a folder that holds `path`. Sources may be patterns; addresses of servers are passed over."""
    target = resolve(path)
    own, parents = _identity(target), {_identity(parent) for parent in target.parents}
    for source in sources:
        if "://" in str(source):
            continue
        for match in [source] if os.path.lexists(source) else glob.glob(str(source), recursive=True):
            identity = _identity(match)
            if identity is None:
                continue
            if identity == own:
                what = "is what the result is made from, and would be overwritten"
            elif identity in parents:
                what = f"lies in {match}, from which the result is made"
            elif own is not None and target.is_dir() and Path(os.path.realpath(match)).is_relative_to(target):
                what = f"holds {match}, from which the result is made, and would be overwritten"
            else:
                continue
            raise ConfigError(what, where=path, remedy="write the result to another path")


@contextmanager
def write_errors(path: str | Path) -> Iterator[None]:
    """Within this context, raise errors of the disk as `RunError` that names `path`, the reason and a remedy."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = _errno(error)
        if isinstance(error, RuntimeError) and number is None:
            raise
        if number == errno.EEXIST:
            raise RunError("exists already", where=path, remedy=_REMEDIES[number]) from error
        reason = os.strerror(number) if number else str(error)
        remedy = _REMEDIES.get(number or 0, "check the path and the disk")
        raise RunError(f"cannot be written ({reason})", where=path, remedy=remedy) from error


@contextmanager
def naming(path: str | Path, hidden: Path) -> Iterator[None]:
    """Within this context errors of `hidden`, in which `path` is prepared, or of what lies in it name `path`."""
    try:
        yield
    except FramecastError as error:
        if hidden.name not in f"{error.where} {error.what}":
            raise
        if hidden.name in (error.where or ""):
            error.where = str(path)
        error.what = re.sub(rf"[^\s'\"]*{re.escape(hidden.name)}[^\s'\"]*", lambda _: str(path), error.what)
        error.args = (error.what,)
        raise


def _identity(path: str | Path) -> tuple[int, int] | None:
    """What is the same for all names of a file or folder; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _errno(error: BaseException) -> int | None:
    """The number of the system's error, from the text of a library's error where that alone has it."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    match = re.search(r"(?:os error |errno ?=? ?)(\d+)", str(error), re.IGNORECASE)
    return int(match[1]) if match else None
