"""The registry of readers: the formats that framecast reads, and the choice of the reader of a file.

A reader is a module with the three names of `options.Reader`: `RECOGNISES`, `recognises(path)` and `read(path, options)`.
Adding one is one file and its name in `READERS` (docs/adding_a_reader.md). The first that recognises a path reads it, so
a format inside another (ODIM inside HDF5) comes first. Other packages add readers by entry points of the
group `framecast.readers`; those are loaded where no reader of framecast recognises a path.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import xarray as xr

from framecast.checks import plugins
from framecast.data.readers import (
    fmi_pgm,
    foreign,
    images,
    knmi,
    meteoswiss_gif,
    netcdf,
    nimrod,
    numpy_files,
    odim,
    radolan,
    raster,
    video,
    zarr_store,
)
from framecast.data.readers.compressed import Compressed
from framecast.data.readers.options import Reader, ReadOptions
from framecast.data.readers.positions import positioned
from framecast.errors import DataError, resource_errors

_PLAIN: tuple[Reader, ...] = (
    zarr_store,
    odim,
    knmi,
    netcdf,
    meteoswiss_gif,
    fmi_pgm,
    radolan,
    nimrod,
    raster,
    video,
    numpy_files,
    images,
)


@cache
def installed_readers() -> tuple[Reader, ...]:
    """The readers of other packages, in the order of their names. Raises `ConfigError` for one that cannot be imported or is no
    reader."""
    readers = []
    for plugin in plugins("reader").values():
        reader = plugin.load()
        if missing := [name for name in ("RECOGNISES", "recognises", "read") if getattr(reader, name, None) is None]:
            raise plugin.refusal(f"is no reader: it has no {', '.join(missing)}")
        readers.append(reader)
    return tuple(readers)


READERS: tuple[Reader, ...] = (*_PLAIN, Compressed(lambda: (*_PLAIN, *installed_readers())))
"""The readers, in the order in which they are asked; that of compressed files asks all others."""


def list_formats() -> str:
    """The formats that can be read, for messages."""
    return "; ".join(what for reader in (*READERS, *installed_readers()) for what in reader.RECOGNISES)


def find_reader(path: Path) -> Reader | None:
    """The reader that recognises `path`; None where there is none. Raises `ResourceError`, and `ConfigError` for an installed
    reader that cannot be loaded."""
    with resource_errors(path):
        for reader in READERS:
            if reader.recognises(path):
                return reader
        return next((reader for reader in installed_readers() if reader.recognises(path)), None)


def reader_of(path: Path) -> Reader:
    """The reader that recognises `path`. Raises `DataError` that lists what is understood."""
    if reader := find_reader(path):
        return reader
    if kind := foreign.describe(path):
        raise DataError(f"{kind.what}, which is not read", where=path, remedy=kind.remedy)
    raise DataError(
        "not a format that is understood" if path.is_dir() or path.stat().st_size else "the file is empty",
        where=path,
        remedy=f"understood are {list_formats()}",
    )


def read(reader: Reader, path: Any, options: ReadOptions) -> xr.DataArray:
    """What a reader returns of a path, or of an address if it reads those, with its pixels in their places (`positions`). Raises
    as the reader does, and `DataError`."""
    return positioned(reader.read(path, options), path)
