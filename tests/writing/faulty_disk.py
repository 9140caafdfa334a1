"""A disk that fails once: the n-th call that writes, syncs or renames a file below a folder fails, or writes a part only."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framecast.writing import files

FAULTS = ("ENOSPC", "EIO", "torn", "short")


class FaultyDisk:
    """Counts the calls of the writing layer, and lets call number `at` fail: with ENOSPC or EIO, `torn` (a part is written, then
    ENOSPC), or `short` (the system writes fewer bytes than asked for, which is no error)."""

    def __init__(self, at: int = -1, fault: str = "ENOSPC") -> None:
        self.at, self.fault = at, fault
        self.calls: list[str] = []

    @property
    def has_failed(self) -> bool:
        return 0 <= self.at < len(self.calls)

    def install(self, patch: pytest.MonkeyPatch) -> "FaultyDisk":
        patch.setattr(os, "write", self._write(os.write))
        for name in ("fsync", "rename", "replace", "mkdir"):
            patch.setattr(os, name, self._call(name, getattr(os, name)))
        patch.setattr(files, "rename_by", self._call("rename_by", files.rename_by))
        return self

    def _fails(self, name: str) -> bool:
        self.calls.append(name)
        return len(self.calls) - 1 == self.at

    def _error(self) -> OSError:
        number = errno.EIO if self.fault == "EIO" else errno.ENOSPC
        return OSError(number, os.strerror(number))

    def _call(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self._fails(name) and self.fault != "short":
                raise self._error()
            return function(*args, **kwargs)

        return call

    def _write(self, function: Callable[..., int]) -> Callable[..., int]:
        def write(descriptor: int, data: Any) -> int:
            if not os.readlink(f"/proc/self/fd/{descriptor}").startswith("/") or not self._fails("write"):
                return function(descriptor, data)
            if self.fault == "short":
                return function(descriptor, memoryview(data).cast("B")[: max(len(data) // 3, 1)])
            if self.fault == "torn":
                function(descriptor, memoryview(data).cast("B")[: len(data) // 2])
            raise self._error()

        return write


def content_of(folder: Path) -> dict[str, bytes]:
    """All files in a folder, hidden ones too, by their names."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
