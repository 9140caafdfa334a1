"""Limits of memory: the size that a file declares is checked before anything is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path

from framecast.errors import DataError

MEMORY_LIMIT = 512 * 2**20
"""Bytes that a compressed array, a frame, or a stored chunk may expand to. Uncompressed .npy files, NetCDF and Zarr are
read piece by piece and have no limit as a whole."""


def check_size(path: Path, height: int, width: int, channels: int = 1, itemsize: int = 4) -> None:
    """Raise `DataError` for a frame that is empty or would expand to more than `MEMORY_LIMIT`, as stored or as float32."""
    if min(height, width) < 1:
        raise DataError(f"a frame of {height} x {width} pixels", where=path)
    size = height * width * channels * max(itemsize, 4)
    if size > MEMORY_LIMIT:
        raise DataError(
            f"refused before decoding: the file declares {height} x {width} pixels, {size / 2**20:,.0f} MiB; "
            f"the limit is {MEMORY_LIMIT / 2**20:.0f} MiB a frame",
            where=path,
            remedy="crop or tile it",
        )


def check_chunk(path: Path | str, name: str, chunk: Sequence[int], itemsize: int) -> None:
    """Raise `DataError` for an array that is stored in chunks which would expand to more than `MEMORY_LIMIT`."""
    size = prod(map(int, chunk)) * itemsize
    if size > MEMORY_LIMIT:
        raise DataError(
            f"{name} is stored in pieces of {size / 2**20:,.0f} MiB; the limit is {MEMORY_LIMIT / 2**20:.0f} MiB",
            where=path,
            remedy="store it in smaller chunks",
        )
