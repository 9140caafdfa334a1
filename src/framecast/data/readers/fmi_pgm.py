"""Reader of PGM images of the Finnish Meteorological Institute, plain or compressed by gzip: reflectivity.

dBZ = (value - 64) / 2; the greatest value is no data. The comments of the header hold time, projection and corners.
"""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np
import xarray as xr

from framecast.data.readers.fmi_items import parse_time
from framecast.data.readers.grids import Grid, project, projection
from framecast.data.readers.limits import check_size
from framecast.data.readers.options import ReadOptions
from framecast.data.readers.single import single_frame
from framecast.errors import DataError, UnreadableFile

RECOGNISES = ["FMI images (.pgm, .pgm.gz)"]

_RADIUS = 6371288
"""Radius of the sphere of the projection in metres; the header does not state it."""
_HEADER = 64 * 1024
_DAMAGE = (OSError, EOFError, zlib.error)


class _Header(NamedTuple):
    comments: dict[str, str]
    width: int
    height: int
    greatest: int
    length: int


def recognises(path: Path) -> bool:
    """True for the signature of PGM, also inside gzip."""
    if not path.is_file():
        return False
    try:
        with _open(path) as file:
            return file.read(3) in (b"P5\n", b"P5 ")
    except _DAMAGE:
        return False


def read(path: Path, _options: ReadOptions) -> xr.DataArray:
    """One frame. Raises `DataError` and `UnreadableFile`."""
    header = _header(path)
    check_size(path, header.height, header.width)
    comments = header.comments
    try:
        time = parse_time(comments["obstime"])
        degrees = {name: float(comments[name]) for name in ("centrallongitude", "truelatitude")}
        corners = [float(number) for name in ("bottomleft", "topright") for number in comments[name].split()]
        if len(corners) != 4 or comments.get("type") != "stereographic":
            raise KeyError("a stereographic projection with its corners")
    except (KeyError, ValueError) as error:
        raise DataError(
            f"the comments of the header {'lack' if isinstance(error, KeyError) else 'are not understood:'} {error}",
            where=path,
            remedy="expected those of FMI; save other pictures as PNG",
        ) from error
    if "reflectivity" not in comments.get("param", "").lower():
        raise DataError(f"the image holds {comments.get('param')}", where=path, remedy="understood is reflectivity")
    return single_frame(
        path,
        lambda: _decode(path, header),
        name="reflectivity",
        units="dBZ",
        shape=(header.height, header.width),
        time=time,
        grid=_grid(degrees, corners, header, path),
    )


def _grid(degrees: dict[str, float], corners: list[float], header: _Header, path: Path) -> Grid:
    """Pixels between the corners; the lower left one lies at 0, 0."""
    latitude, longitude = degrees["truelatitude"], degrees["centrallongitude"]
    sphere = f"+proj=stere +lat_0=90 +lat_ts={latitude} +lon_0={longitude} +a={_RADIUS} +b={_RADIUS}"
    left, bottom = project(projection(sphere, path), corners[0], corners[1], path)
    crs = projection(f"{sphere} +x_0={-left:.2f} +y_0={-bottom:.2f}", path)
    left, bottom = project(crs, corners[0], corners[1], path)
    right, top = project(crs, corners[2], corners[3], path)
    dx, dy = (right - left) / header.width, (bottom - top) / header.height
    return Grid.from_corner(crs, left, top, dx, dy, header.height, header.width)


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path) if compressed else path.open("rb"))


def _header(path: Path) -> _Header:
    """Comments, size and greatest value. Raises `UnreadableFile`, also where there are fewer pixels than declared."""
    try:
        with _open(path) as file:
            start = file.read(_HEADER)
            comments, numbers, offset = _parse_header(start)
            if len(numbers) < 3 or numbers[2] > 255:
                raise UnreadableFile("the header is incomplete, or not one of 8 bits", where=path)
            width, height, greatest = numbers
            check_size(path, height, width)
            file.seek(offset + width * height - 1)
            if not file.read(1):
                raise UnreadableFile("the file is incomplete: it has fewer pixels than it declares", where=path)
    except _DAMAGE as error:
        raise UnreadableFile(f"the file is incomplete or unreadable ({error})", where=path) from error
    return _Header(comments, width, height, greatest, offset)


def _parse_header(start: bytes) -> tuple[dict[str, str], list[int], int]:
    """Comments by their first word, the numbers width, height and greatest value, and where the pixels begin."""
    comments: dict[str, str] = {}
    numbers: list[int] = []
    offset = 3
    while len(numbers) < 3 and offset < len(start):
        if start[offset : offset + 1] == b"#":
            line, _, _ = start[offset:].partition(b"\n")
            name, _, rest = line[1:].decode("latin-1").strip().partition(" ")
            comments.setdefault(name, rest.strip())
            offset += len(line) + 1
        elif match := re.match(rb"(\d{1,9})\s", start[offset : offset + 16]):
            numbers.append(int(match[1]))
            offset += match.end()
        elif start[offset : offset + 1].isspace():
            offset += 1
        else:
            break
    return comments, numbers, offset


def _decode(path: Path, header: _Header) -> np.ndarray:
    with _open(path) as file:
        file.seek(header.length)
        pixels = np.frombuffer(file.read(header.width * header.height), dtype=np.uint8)
    values = (pixels.astype(np.float32) - 64) / 2
    values[pixels == header.greatest] = np.nan
    return values
