"""Files that grow by whole lines: their end, and what a crash has torn there."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from framecast.reading.paths import check_file
from framecast.writing import replacing
from framecast.writing.system import creating

_BLOCK = 2**20
_log = logging.getLogger(__name__)


def last_lines(path: Path, size: int) -> list[bytes]:
    """The whole lines in the last `size` bytes of a file; none if there is no such file."""
    if not path.exists():
        return []
    with check_file(path).open("rb") as file:
        total = os.fstat(file.fileno()).st_size
        file.seek(max(total - size, 0))
        return file.read(size).splitlines()[total > size :]


def cut_torn_line(path: Path) -> None:
    """Cut off a last line without its end, if there is one. Raises `RunError`."""
    if not path.exists():
        return
    with check_file(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(size - _BLOCK, 0))
        tail = file.read()
        torn = len(tail) - tail.rfind(b"\n") - 1
        if not torn:
            return
        _log.warning("%s: a torn line at its end is cut off", path)
        file.seek(0)
        with replacing(path) as temporary, creating(temporary) as write:
            for place in range(0, size - torn, _BLOCK):
                write(file.read(min(_BLOCK, size - torn - place)))
