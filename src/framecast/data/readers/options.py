"""What the person who opens frames may state, and how a reader says that a file cannot be read."""

from __future__ import annotations

from dataclasses import dataclass

from framecast.errors import DataError


@dataclass(frozen=True)
class Options:
    """`units`, `time_step` (minutes) and `variable` where the files do not say; `dry` where it is not the usual value."""

    units: str | None = None
    time_step: float | None = None
    variable: str | None = None
    dry: float | None = None


class Unreadable(DataError):
    """A file that is incomplete or damaged. Among others it is skipped and reported; alone it is an error."""


MEMORY_LIMIT = 512 * 2**20
"""Bytes that a compressed array or picture may expand to when it is opened. Uncompressed .npy files, NetCDF and Zarr
are read piece by piece and have no limit."""
