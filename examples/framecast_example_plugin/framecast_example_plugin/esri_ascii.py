"""ESRI ASCII grids (.asc) of rain: six lines of header, then rows from north to south; one frame a file.

The header has ncols, nrows, xllcorner, yllcorner, cellsize and NODATA_value. The format has no place for a time: it is that in
the name of the file, `..._202001010005.asc`. Values are mm/h unless stated otherwise.
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
    """By the first word of the file."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(5).lower() == b"ncols"


def read(path: Path, _options: object) -> xr.DataArray:
    """One frame, decoded when it is used. Raises `DataError` without a time in the name, `UnreadableFile` for a broken header."""
    header = _header(path)
    stamp = re.search(r"(\d{12})$", path.stem)
    if stamp is None:
        raise DataError("no time in the name of the file", where=path, remedy="expected NAME_YYYYMMDDHHMM.asc")
    rows, columns = int(header["nrows"]), int(header["ncols"])

    def decode() -> np.ndarray:
        values = np.loadtxt(path, skiprows=len(_KEYS), dtype=np.float32, ndmin=2)
        values[values == np.float32(header["nodata_value"])] = np.nan
        return values

    time = datetime.datetime.strptime(stamp[1], "%Y%m%d%H%M")
    return single_frame(path, decode, name="rain_rate", units="mm h-1", shape=(rows, columns), time=time)


def _header(path: Path) -> dict[str, float]:
    """The six numbers by their names in small letters. Raises `UnreadableFile`."""
    try:
        with path.open() as file:
            lines = [file.readline().lower().split() for _ in _KEYS]
        header = {key: float(value) for key, value in lines}
        if set(header) != set(_KEYS):
            raise ValueError(f"expected {', '.join(_KEYS)}")
    except ValueError as error:
        raise UnreadableFile(f"the header is incomplete ({error})", where=path) from error
    return header
