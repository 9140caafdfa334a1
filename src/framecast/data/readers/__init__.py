"""Readers: one file a format.

A reader is a module with `RECOGNISES` (what it recognises, for messages), `recognises(path) -> bool`, by content where a
format has a signature, and `read(path, options) -> xarray.DataArray`: lazy, with raw values, dims out of
`(sequence, time, channel, y, x)`, coordinates where the file has them, and `units` in its attributes. Adding a format is
one file and one line in `READERS`.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from framecast.data.readers import netcdf, numpy_files, pictures, zarr_store
from framecast.errors import DataError

READERS: tuple[ModuleType, ...] = (zarr_store, netcdf, numpy_files, pictures)


def reader_of(path: Path) -> ModuleType:
    """The reader that recognises `path`. Raises `DataError` that lists what is understood."""
    for reader in READERS:
        if reader.recognises(path):
            return reader
    raise DataError(
        "not a format that is understood" if path.stat().st_size or path.is_dir() else "the file is empty",
        where=path,
        remedy=f"understood are {'; '.join(what for reader in READERS for what in reader.RECOGNISES)}",
    )
