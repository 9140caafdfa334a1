"""A disk that fails once: the n-th call that writes, syncs or renames a file below a folder fails, or writes a part only."""

import errno
import os
import re
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from framecast.writing import files

FAULTS = ("ENOSPC", "EIO", "torn", "short")


class FaultyDisk:
    """Counts the calls that change something below `root`, and lets call number `at` fail: with ENOSPC or EIO, `torn` (a part is
    written, then ENOSPC), `short` (the system writes fewer bytes than asked for, which is no error), or `killed` (the process
    ends at once, with a part written)."""

    def __init__(self, root: Path, at: int = -1, fault: str = "ENOSPC") -> None:
        self.root, self.at, self.fault = str(root), at, fault
        self.calls: list[str] = []

    @property
    def has_failed(self) -> bool:
        return 0 <= self.at < len(self.calls)

    def install(self, patch: pytest.MonkeyPatch) -> "FaultyDisk":
        patch.setattr(os, "write", self._write(os.write))
        patch.setattr(os, "fsync", self._call("fsync", os.fsync, self._path_of))
        for name in ("rename", "replace", "mkdir"):
            patch.setattr(os, name, self._call(name, getattr(os, name), os.fspath))
        patch.setattr(files, "rename_by", self._call("exchange", files.rename_by, os.fspath))
        return self

    def _fails(self, name: str, path: Any) -> bool:
        if not str(path).startswith(self.root):
            return False
        self.calls.append(name)
        return len(self.calls) - 1 == self.at

    def _path_of(self, descriptor: int) -> str:
        return os.readlink(f"/proc/self/fd/{descriptor}")

    def _fail(self) -> None:
        if self.fault == "killed":
            os._exit(9)
        number = errno.EIO if self.fault == "EIO" else errno.ENOSPC
        raise OSError(number, os.strerror(number))

    def _call(self, name: str, function: Callable[..., Any], path_of: Callable[[Any], Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self._fails(name, path_of(args[0])) and self.fault != "short":
                self._fail()
            return function(*args, **kwargs)

        return call

    def _write(self, function: Callable[..., int]) -> Callable[..., int]:
        def write(descriptor: int, data: Any) -> int:
            if not self._fails("write", self._path_of(descriptor)):
                return function(descriptor, data)
            if self.fault == "short":
                return function(descriptor, memoryview(data).cast("B")[: max(len(data) // 3, 1)])
            if self.fault in ("torn", "killed"):
                function(descriptor, memoryview(data).cast("B")[: len(data) // 2])
            self._fail()
            return 0

        return write


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Within this context no file of this process may grow beyond `size` bytes, whoever writes it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


WRITTEN_AT = re.compile(rb'"(?:history": "[^"]*"|framecast_age_seconds": [\d.e+]+),?\s*')


def content_of(folder: Path) -> dict[str, bytes]:
    """All files in a folder, hidden ones too, by their names, without what a file says of the time at which it was written."""
    files = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    return {str(path.relative_to(folder)): WRITTEN_AT.sub(b"", content) for path, content in files.items()}
