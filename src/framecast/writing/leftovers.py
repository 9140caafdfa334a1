"""The hidden folders that hold what is being written, and what dead processes left of them."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from framecast.writing.locks import hold, is_running, release

TEMPORARY = ".writing-"
"""How the names of temporaries begin."""
OLD = ".replaced"
"""The folder, in a temporary folder, of what is being replaced."""
_UNCHANGED = 24 * 3600
"""Seconds after which a leftover of an earlier version is removed."""


def clean_leftovers(folder: Path) -> None:
    """Remove the temporaries in `folder` whose process is dead; where it died between the two renames of a folder that is
    replaced, complete them. Temporaries of other hosts, and of file systems without locks, stay."""
    prefix = f"{TEMPORARY}{_host()}-"
    with suppress(OSError):
        for entry in [each.path for each in os.scandir(folder) if each.name.startswith(prefix)]:
            with suppress(OSError):
                descriptor = os.open(entry, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _complete_swap(Path(entry))
                    shutil.rmtree(entry, ignore_errors=True)
                finally:
                    os.close(descriptor)


def clean_earlier(target: Path) -> None:
    """Remove what earlier versions of framecast left beside `target` when they were killed: `.NAME.PID` and `.PID.NAME` of a
    process that is dead here, unchanged for a day, since the name does not tell the host."""
    name = re.escape(target.name)
    pattern = re.compile(rf"\.{name}\.([1-9]\d{{0,9}})|\.([1-9]\d{{0,9}})\.{name}")
    with suppress(OSError):
        for entry in [each for each in os.scandir(target.parent) if each.name.startswith(".")]:
            match = pattern.fullmatch(entry.name)
            if match is None or is_running(int(match[1] or match[2])):
                continue
            with suppress(OSError):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime < _UNCHANGED:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    os.unlink(entry.path)


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A locked folder for what is written, removed in the end."""
    folder, descriptor = _make_temporary(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        release(descriptor)


def _make_temporary(parent: Path) -> tuple[Path, int]:
    while True:
        folder = parent / f"{TEMPORARY}{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
        os.mkdir(folder)
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # `clean_leftovers` of another process was faster: take a new one
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(folder)):
                hold(descriptor)
                return folder, descriptor
        except (BlockingIOError, FileNotFoundError):  # as above
            pass
        except OSError:  # a file system without locks
            return folder, descriptor
        os.close(descriptor)


def _complete_swap(temporary: Path) -> None:
    """Put the new folder in place, or the old one where the new one is elsewhere, if the process died after it had moved the old
    one away."""
    for old in (temporary / OLD).glob("*"):
        target, new = temporary.with_name(old.name), temporary / old.name
        if not os.path.lexists(target):
            os.rename(new if new.exists() else old, target)


def _host() -> str:
    return re.sub(r"[^\w.]", "_", socket.gethostname())[:64]
