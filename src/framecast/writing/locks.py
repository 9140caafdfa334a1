"""One writer at a time: the lock of a folder that is written, which ends with its process."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from framecast.errors import FramecastError, RunError
from framecast.reading.plain_data import parse_json
from framecast.writing.system import make_folder, write_all
from framecast.writing.targets import resolve, write_errors

LOCK = ".lock"
"""The name of the lock in a folder that is claimed."""
_held: set[int] = set()


def _drop_locks() -> None:
    """Close the locks in a child process: they belong to its parent alone."""
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_drop_locks)


@contextmanager
def claim(folder: str | Path, *, sibling: bool = False) -> Iterator[None]:
    """Hold the exclusive lock of `folder`, which is created if it does not exist.

    The lock is the file `.lock` in it, or with `sibling` the file `.<name>.lock` next to it, for a path that is replaced as a
    whole. It ends with the process, so that of a dead one is taken over. Raises `RunError`, which names the process, if another
    one holds it, and if the lock cannot be written.
    """
    target = resolve(folder)
    lock = target.with_name(f".{target.name}{LOCK}") if sibling else target / LOCK
    with write_errors(folder):
        let_go = _take(lock, folder)
    try:
        yield
    finally:
        let_go()


def _take(lock: Path, claimed: str | Path) -> Callable[[], None]:
    """Take the lock, and return the function that gives it back. Raises `RunError` and `OSError`."""
    created, held = make_folder(lock.parent), list[int]()

    def let_go() -> None:
        for descriptor in held:
            with suppress(OSError):
                lock.unlink()
            release(descriptor)
        for folder in created:
            with suppress(OSError):  # it is empty if nothing was written
                folder.rmdir()

    try:
        held.append(_acquire(lock, claimed))
        hold(held[0])
        start = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        record = {"host": socket.gethostname(), "pid": os.getpid(), "start": start}
        os.ftruncate(held[0], 0)
        write_all(held[0], json.dumps(record).encode())
    except BaseException:
        let_go()
        raise
    return let_go


def hold(descriptor: int) -> None:
    """Keep a locked descriptor until `release`, in this process only."""
    _held.add(descriptor)


def release(descriptor: int) -> None:
    """Close a locked descriptor, which ends its lock."""
    _held.discard(descriptor)
    with suppress(OSError):
        os.close(descriptor)


def _acquire(lock: Path, claimed: str | Path) -> int:
    """The descriptor of the lock file, locked. Raises `RunError` and `OSError`."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            owner = _read_owner(descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = False
            except BlockingIOError:
                held = True
            except OSError:  # a file system without locks: only what is written in the file is known
                held = _is_alive(owner)
            if held:
                process = f"process {owner.get('pid', '?')} on {owner.get('host', '?')} since {owner.get('start', '?')}"
                raise RunError(
                    f"is being written by another process: {process}",
                    where=claimed,
                    remedy="wait until it has ended, or use another path",
                )
            if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                return descriptor
        except FileNotFoundError:  # its owner removed it meanwhile
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _read_owner(descriptor: int) -> dict[str, object]:
    """The record in a lock file; empty if there is none."""
    try:
        record = parse_json(os.pread(descriptor, 4096, 0).decode(), "lock")
    except (ValueError, FramecastError):
        return {}
    return record if isinstance(record, dict) else {}


def _is_alive(owner: dict[str, object]) -> bool:
    """Whether the process of a record may live: one of another host may."""
    if not owner or owner.get("host") != socket.gethostname():
        return bool(owner)
    number = str(owner.get("pid"))
    return number.isdecimal() and is_running(int(number))


def is_running(process: int) -> bool:
    """Whether a process of this number runs here, whosever it is."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
