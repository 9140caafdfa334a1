"""The formats that can be read.

A reader is a module with the three names of `options.Reader`: `RECOGNISES`, `recognises(path)` and `read(path, options)`.
Adding a format is one file and one entry in `READERS`. The first that recognises a path reads it, so a format that
lives inside another (ODIM inside HDF5) stands before it.
"""

from __future__ import annotations

from pathlib import Path

from framecast.data.readers import fmi_pgm, knmi, meteoswiss_gif, netcdf, numpy_files, odim, raster, video, zarr_store
from framecast.data.readers import images as pictures
from framecast.data.readers.options import Reader
from framecast.errors import DataError, blameless

READERS: tuple[Reader, ...] = (
    zarr_store,
    odim,
    knmi,
    netcdf,
    meteoswiss_gif,
    fmi_pgm,
    raster,
    video,
    numpy_files,
    pictures,
)


def understood() -> str:
    """The formats that can be read, for messages."""
    return "; ".join(what for reader in READERS for what in reader.RECOGNISES)


def recognised(path: Path) -> Reader | None:
    """The reader that recognises `path`; None where there is none. Raises `Exhausted`."""
    with blameless(path):
        return next((reader for reader in READERS if reader.recognises(path)), None)


def reader_of(path: Path) -> Reader:
    """The reader that recognises `path`. Raises `DataError` that lists what is understood."""
    if reader := recognised(path):
        return reader
    raise DataError(
        "not a format that is understood" if path.is_dir() or path.stat().st_size else "the file is empty",
        where=path,
        remedy=f"understood are {understood()}",
    )
