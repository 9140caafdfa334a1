"""Reads ESRI ASCII grids (.asc) of rain: an example of a reader in a package of its own.

A file holds one frame: six header lines, then rows from north to south.
The header has ncols, nrows, xllcorner, yllcorner, cellsize and NODATA_value. The format has no field
for the time, which is read from the file name, `..._202001010005.asc`. Values are in mm/h unless options state other units.
"""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import numpy as np
import xarray as xr

from framecast.data.readers.single import single_frame
from framecast.errors import DataError, UnreadableFile

RECOGNISES = ["ESRI ASCII grids (.asc)"]
_KEYS = ("ncols", "nrows", "xllcorner", "yllcorner", "cellsize", "nodata_value")


def recognises(path: Path) -> bool:
    """Whether the first word of the file is that of a header."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(5).lower() == b"ncols"


def read(path: Path, _options: object) -> xr.DataArray:
    """Open one frame, which is decoded at its first use. Raises `DataError` if the file name has no time, and `UnreadableFile`
    if the header is damaged."""
    header = _header(path)
    stamp = re.search(r"(\d{12})$", path.stem)
    if stamp is None:
        raise DataError("no time in the file name", where=path, remedy="rename the file to NAME_YYYYMMDDHHMM.asc")
    rows, columns = int(header["nrows"]), int(header["ncols"])

    def decode() -> np.ndarray:
        values = np.loadtxt(path, skiprows=len(_KEYS), dtype=np.float32, ndmin=2)
        values[values == np.float32(header["nodata_value"])] = np.nan
        return values

    time = datetime.datetime.strptime(stamp[1], "%Y%m%d%H%M")
    return single_frame(path, decode, name="rain_rate", units="mm h-1", shape=(rows, columns), time=time)


def _header(path: Path) -> dict[str, float]:
    """The six numbers of the header, by lower-case name. Raises `UnreadableFile` if one is missing."""
    try:
        with path.open() as file:
            lines = [file.readline().lower().split() for _ in _KEYS]
        header = {key: float(value) for key, value in lines}
        if set(header) != set(_KEYS):
            raise ValueError(f"expected {', '.join(_KEYS)}")
    except ValueError as error:
        raise UnreadableFile(f"the header is incomplete ({error})", where=path) from error
    return header
