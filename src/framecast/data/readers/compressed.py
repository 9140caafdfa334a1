"""Reader of compressed files (.gz, .bz2, .xz) of every other format: expanded to a temporary file for each read.

An archive is read faster once it is expanded or converted. What would expand to more than `limits.MEMORY_LIMIT` is refused.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, NamedTuple

import numpy as np
import xarray as xr

from framecast.data.lazy import Selection, lazy_variable
from framecast.data.readers import limits
from framecast.data.readers.options import Reader, ReadOptions
from framecast.errors import DataError, FramecastError, ResourceError, UnreadableFile

_OPENERS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b\x08": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
SUFFIXES = (".gz", ".bz2", ".xz")
_DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)
_PIECE = 2**20


class Expanded(NamedTuple):
    """The expanded file (as far as it could be expanded), and why it is not whole."""

    path: Path
    failure: DataError | None


def opener_of(path: Path) -> Callable[[Path], IO[bytes]] | None:
    """What opens a compressed file; None for a file that is not compressed."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        start = file.read(6)
    return next((opener for signature, opener in _OPENERS.items() if start.startswith(signature)), None)


@contextmanager
def expand(path: Path) -> Iterator[Expanded]:
    """A compressed file as a temporary one, under its name without the suffix. Raises `ResourceError` without room for it."""
    opener = opener_of(path)
    assert opener is not None
    with TemporaryDirectory(prefix="framecast-") as folder:
        plain = Path(folder) / (path.stem if path.suffix.lower() in SUFFIXES else path.name)
        yield Expanded(plain, _copy(opener, path, plain))


def _copy(opener: Callable[[Path], IO[bytes]], path: Path, plain: Path) -> DataError | None:
    """Expand `path` to `plain`. Returns what went wrong."""
    size = 0
    with plain.open("wb") as target:
        try:
            with opener(path) as source:
                while piece := source.read(_PIECE):
                    size += len(piece)
                    if size > limits.MEMORY_LIMIT:
                        return DataError(
                            f"expands to more than the limit of {limits.MEMORY_LIMIT / 2**20:.0f} MiB",
                            where=path,
                            remedy="expand it first (gunzip, bunzip2, unxz), and give the file that results",
                        )
                    target.write(piece)
        except _DAMAGE as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise ResourceError(
                    "no room to expand it", where=path, remedy="make room, or set TMPDIR to a larger disk"
                ) from error
            return UnreadableFile(
                f"the compressed file is incomplete or damaged ({error})", where=path, remedy="fetch the file again"
            )
    return None


class Compressed:
    """The reader of compressed files of the formats of other `readers`."""

    RECOGNISES: list[str] = ["any of them compressed (.gz, .bz2, .xz)"]  # noqa: RUF012 - the interface of a reader
    __name__ = "compressed"

    def __init__(self, readers: Callable[[], Sequence[Reader]]) -> None:
        self._readers = readers
        self._reader_at = lru_cache(maxsize=4096)(self._find)

    def recognises(self, path: Path) -> bool:
        """True for a compressed file of a format that is read, and for one that cannot be expanded."""
        if opener_of(path) is None:
            return False
        reader, is_complete = self._identify(path)
        return reader is not None or not is_complete

    def read(self, path: Path, options: ReadOptions) -> xr.DataArray:
        """The frames inside, as the reader of their format returns them. Raises `DataError`, `UnreadableFile` and
        `ResourceError`."""
        with self._opened(path, options) as array:
            coordinates = {name: each.compute() for name, each in array.coords.items()}
            lazy = lazy_variable(array.dims, array.shape, lambda selection: self._part(path, options, selection))
            return xr.DataArray(lazy, coords=coordinates, name=array.name, attrs=array.attrs)

    def _part(self, path: Path, options: ReadOptions, selection: Selection) -> np.ndarray:
        with self._opened(path, options) as array:
            return np.asarray(array.variable[selection].values, dtype=np.float32)

    @contextmanager
    def _opened(self, path: Path, options: ReadOptions) -> Iterator[xr.DataArray]:
        """The frames in the expanded file, which can be read within this context."""
        reader, _ = self._identify(path)
        with expand(path) as (plain, failure):
            if failure is not None:
                raise failure
            if reader is None:
                raise UnreadableFile("what it holds is not understood", where=path)
            try:
                yield reader.read(plain, options)
            except FramecastError as error:
                error.what = error.what.replace(str(plain), str(path))
                error.where = error.where and error.where.replace(str(plain), str(path))
                error.remedy = error.remedy and error.remedy.replace(str(plain), str(path))
                raise

    def _identify(self, path: Path) -> tuple[Reader | None, bool]:
        """The reader of what is inside, if any, and whether the file can be expanded."""
        about = path.stat()
        return self._reader_at(path, about.st_size, about.st_mtime_ns)

    def _find(self, path: Path, _size: int, _changed: int) -> tuple[Reader | None, bool]:
        with expand(path) as (plain, failure):
            return next((reader for reader in self._readers() if reader.recognises(plain)), None), failure is None
