"""Reader of GIF images of MeteoSwiss, product AQC: rain in 5 minutes, stored as colour indices.

Index i is 0 mm for i < 2 and from 251 to 254, no data for 255, else ((10^((i - 71.5) / 20)) / 316)^(1 / 1.5) mm. The time is
that of the product in the comment (`PRDT=AQC`, year of two digits, day of the year, hour and minute); the grid is the
Swiss one of 1 km, which the file does not state.
"""

from __future__ import annotations

import datetime
import re
from functools import cache
from pathlib import Path

import numpy as np
import xarray as xr
from PIL import Image

from framecast.data.readers.grids import Grid, projection
from framecast.data.readers.limits import check_size
from framecast.data.readers.options import ReadOptions
from framecast.data.readers.single import first_line, single_frame
from framecast.errors import DataError, UnreadableFile

RECOGNISES = ["MeteoSwiss AQC images (.gif)"]

_SIZE = (640, 710)
_SWISS = (
    "+proj=somerc +lat_0=46.95240555555556 +lon_0=7.439583333333333 +k_0=1 +x_0=600000 +y_0=200000 +ellps=bessel "
    "+towgs84=674.374,15.056,405.346,0,0,0,0 +units=m"
)
_PRODUCT = re.compile(rb"PRDT=AQC(\d{2})(\d{3})(\d{2})(\d{2})")
_MINUTES = re.compile(rb"DeltaT=(\d+)")


def recognises(path: Path) -> bool:
    """True for the signature of GIF with the comment of the product."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(4096)
    return start[:4] == b"GIF8" and _PRODUCT.search(start) is not None


def read(path: Path, _options: ReadOptions) -> xr.DataArray:
    """One frame. Raises `DataError` and `UnreadableFile`."""
    content = path.read_bytes()
    product, interval = _PRODUCT.search(content), _MINUTES.search(content)
    if product is None or not content.endswith(b";"):
        raise UnreadableFile("the file is incomplete or unreadable (it does not end as a GIF does)", where=path)
    try:
        with Image.open(path, formats=["GIF"]) as image:
            width, height = image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableFile(f"the file is incomplete or unreadable ({first_line(error)})", where=path) from error
    check_size(path, height, width)
    if (height, width) != _SIZE:
        raise DataError(f"{height} x {width} pixels, where the Swiss grid has {_SIZE[0]} x {_SIZE[1]}", where=path)
    try:
        year, day, hour, minute = (part.decode() for part in product.groups())
        time = datetime.datetime.strptime(f"{year} {day} {hour}{minute}", "%y %j %H%M")
    except ValueError as error:
        raise UnreadableFile(f"the time {product[0].decode()} is none", where=path) from error
    grid = Grid.from_corner(projection(_SWISS, path), 255_000, 480_000, 1000, -1000, height, width)
    return single_frame(
        path,
        lambda: _amounts().take(_indices(path)),
        name="precipitation",
        shape=(height, width),
        time=time,
        minutes=max(float(interval[1]), 1.0) if interval else 5.0,
        grid=grid,
    )


@cache
def _amounts() -> np.ndarray:
    """The amount in mm of each index, as float32."""
    index = np.arange(256.0)
    amounts = (10 ** ((index - 71.5) / 20) / 316) ** (1 / 1.5)
    amounts[(index < 2) | (index >= 251)] = 0
    amounts[255] = np.nan
    return amounts.astype(np.float32)


def _indices(path: Path) -> np.ndarray:
    """The index of the colour of each pixel, not the colour."""
    with Image.open(path, formats=["GIF"]) as image:
        return np.asarray(image if image.mode in ("P", "L") else image.convert("P"))
