"""Reader of the binary composites of Deutscher Wetterdienst: RADOLAN and RADVOR (RX, WX, WN, RY, RW, YW, RV, SF and others).

The header is text that ends with ETX: product, day, hour, minute and month of the time stamp, then tokens (BY bytes of the
file, PR precision, INT interval in minutes or with U1 in days, GP rows and columns, VS version, VV minutes of a forecast).
Pixels follow in rows from the south; here the first row is the northern one.

* One byte: 250 and 255 are no data, 249 is clutter, read as no data. Two bytes, least first: 12 bits of value and four flags:
  0x1000 secondary (a value all the same), 0x2000 no data, 0x4000 negative, 0x8000 clutter, read as no data; the codes 2490
  (clutter) and 2500 are no data too.
* Reflectivities: dBZ = code * precision / 2 - 32.5 (precision 1 for one byte); code 0 is no echo. Others are amounts of rain,
  code * precision in mm over the interval, read as rates.

Source: DWD, "RADOLAN/RADVOR: Hoch aufgelöste Niederschlagsanalyse und -vorhersage auf der Basis quantitativer Radar- und
Ombrometerdaten, Beschreibung des Kompositformats", and "Radarkomposits - Projektionen und Gitter" (1.01, 2022).
"""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from framecast.data.quantities import REFLECTIVITY
from framecast.data.readers.grids import Grid, project, projection
from framecast.data.readers.limits import check_size
from framecast.data.readers.options import ReadOptions
from framecast.data.readers.single import single_frame
from framecast.errors import DataError, UnreadableFile

RECOGNISES = ["RADOLAN and RADVOR composites (DWD)"]

_START = re.compile(rb"[A-Z][A-Z0-9](\d{2})(\d{2})(\d{2})(\d{5})(\d{2})(\d{2})BY")
_HEADER = 4096
_ETX = b"\x03"
_TOKENS = ("BY", "VS", "SW", "PR", "INT", "U", "GP", "VV", "MF", "QN", "VR", "MS", "ST")
_REFLECTIVITIES = {"RX", "EX", "WX", "FX", "WN"}
_AMOUNTS = {
    *("RY", "RZ", "RW", "RH", "RB", "RK", "RL", "RU", "RS", "RQ", "RV", "YW", "SQ", "SH", "SF", "SY"),
    *("W1", "W2", "W3", "W4", "D2", "D3", "S2", "S3", "EB", "EH", "EW", "EY", "EZ"),
}
_CLUTTER, _MISSING = 249, (250, 255)
_VALUE, _NO_DATA, _NEGATIVE, _CLUTTER_FLAG = 0x0FFF, 0x2000, 0x4000, 0x8000
_WIDE_CODES = (2490, 2500)
_NEW = 5
"""The version of the format (VS) from which the Earth is WGS 84; before it is a sphere."""
_STEREOGRAPHIC = "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +x_0=0 +y_0=0 +units=m "
_EARTH = {False: "+a=6370040 +b=6370040", True: "+a=6378137 +b=6356752.314245179"}
_REFERENCE = (9.0, 51.0)
"""The point, in degrees east and north, from which the corners of the grids are counted."""
_GRIDS = {
    (900, 900): (450, 450, 1000),
    (1100, 900): (370, 550, 1000),
    (1200, 1100): (470, 600, 1000),
    (1500, 1400): (600, 800, 1000),
    (4800, 4400): (470, 600, 250),
    (460, 460): (460, 460, 2000),
    (450, 450): (450, 450, 2000),
}
"""By rows and columns: the kilometres from the reference point to the western and to the southern edge, and metres a pixel."""


class _Header(NamedTuple):
    product: str
    time: datetime.datetime
    height: int
    width: int
    pixel_bytes: int
    precision: float
    minutes: int
    lead: int
    version: int
    length: int


def recognises(path: Path) -> bool:
    """True for a header of RADOLAN: product, time stamp, and the token BY."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _START.match(file.read(32)) is not None


def read(path: Path, _options: ReadOptions) -> xr.DataArray:
    """One frame. Raises `DataError` and `UnreadableFile`."""
    header = _header(path)
    reflectivity = header.product in _REFLECTIVITIES
    if not reflectivity and header.product not in _AMOUNTS:
        understood = ", ".join(sorted(_REFLECTIVITIES | _AMOUNTS))
        raise DataError(
            f"the RADOLAN product {header.product} is neither rain nor reflectivity on a grid",
            where=path,
            remedy=f"understood are {understood}",
        )
    if header.lead:
        raise DataError(
            f"a forecast for {header.lead} minutes after {header.time:%Y-%m-%d %H:%M} UTC, not an observation",
            where=path,
            remedy="give the files without lead time (VV 0, names with _000)",
        )
    if not reflectivity and header.minutes <= 0:
        raise DataError(f"an accumulation over {header.minutes} minutes", where=path)
    return single_frame(
        path,
        lambda: _decode(path, header, reflectivity),
        name=header.product,
        units="dBZ",
        shape=(header.height, header.width),
        time=header.time,
        minutes=None if reflectivity else header.minutes,
        grid=_grid(header, path),
    )


def _header(path: Path) -> _Header:
    """The header of a file. Raises `UnreadableFile` where it is damaged, or the pixels are fewer than declared."""
    with path.open("rb") as file:
        start, size = file.read(_HEADER), path.stat().st_size
    length = start.find(_ETX) + 1
    begin = _START.match(start)
    if begin is None or not length:
        raise UnreadableFile("the header is incomplete (it has no end)", where=path, remedy="fetch the file again")
    day, hour, minute, _, month, year = (int(part) for part in begin.groups())
    tokens = _tokens(start[:length].decode("latin-1"))
    try:
        time = datetime.datetime(2000 + year, month, day, hour, minute)
        declared = int(tokens["BY"])
        height, width = (int(number) for number in tokens["GP"].split("x"))
        precision = float(f"1{tokens['PR'].strip()}")
        minutes = int(tokens["INT"]) * (1440 if tokens.get("U", "0").strip() == "1" else 1)
        lead, version = int(tokens.get("VV", "0")), int(tokens.get("VS", "3"))
    except (KeyError, ValueError) as error:
        raise UnreadableFile(
            f"the header is damaged ({'no ' if isinstance(error, KeyError) else ''}{error})",
            where=path,
            remedy="expected BY, PR, INT and GP as RADOLAN has them",
        ) from error
    check_size(path, height, width)
    payload = declared - length
    if size < declared:
        raise UnreadableFile(
            f"the file is incomplete: it declares {declared} bytes and has {size}", where=path, remedy="fetch it again"
        )
    if payload not in (height * width, 2 * height * width):
        raise DataError(
            f"{payload} bytes for {height} x {width} pixels: a picture product or another coding",
            where=path,
            remedy="understood are products of one or two bytes a pixel",
        )
    return _Header(
        start[:2].decode(), time, height, width, payload // (height * width), precision, minutes, lead, version, length
    )


def _tokens(header: str) -> dict[str, str]:
    """The text after each token, up to the next. The list of stations, in brackets, is left out."""
    text = re.sub(r"<.*", "", header[17:])
    places = {token: place for token in _TOKENS if (place := text.find(token)) >= 0}
    ends = [*places.values(), len(text)]
    return {
        token: text[place + len(token) : min(end for end in ends if end > place)].strip(" \x03")
        for token, place in places.items()
    }


def _decode(path: Path, header: _Header, reflectivity: bool) -> np.ndarray:
    """Values in dBZ or mm `(H, W)`, the northern row first, NaN for no data."""
    count = header.height * header.width
    with path.open("rb") as file:
        file.seek(header.length)
        content = file.read(count * header.pixel_bytes)
    if header.pixel_bytes == 1:
        codes = np.frombuffer(content, "u1")
        values = codes.astype(np.float32)
        missing = np.isin(codes, (_CLUTTER, *_MISSING))
    else:
        stored = np.frombuffer(content, "<u2")
        codes = stored & _VALUE
        values = np.where(stored & _NEGATIVE, -1, 1) * codes.astype(np.float32)
        missing = (stored & (_NO_DATA | _CLUTTER_FLAG) != 0) | np.isin(codes, _WIDE_CODES)
    scale = 1.0 if header.pixel_bytes == 1 else header.precision
    if reflectivity:
        values = np.where(codes == 0, REFLECTIVITY.dry, values * scale / 2 - 32.5)
    else:
        values = values * header.precision
    values[missing] = np.nan
    return np.asarray(values.reshape(header.height, header.width)[::-1], dtype=np.float32)


def _grid(header: _Header, path: Path) -> Grid:
    """The national grid of this size. Raises `DataError` for another size."""
    size = (header.height, header.width)
    if size not in _GRIDS:
        known = ", ".join(f"{height} x {width}" for height, width in _GRIDS)
        raise DataError(
            f"{size[0]} x {size[1]} pixels are none of the grids of RADOLAN", where=path, remedy=f"known are {known}"
        )
    west, south, pixel = _GRIDS[size]
    crs = projection(_STEREOGRAPHIC + _EARTH[header.version >= _NEW], path)
    x, y = project(crs, *_REFERENCE, path)
    top = y - 1000 * south + header.height * pixel
    return Grid.from_corner(crs, x - 1000 * west, top, pixel, -pixel, header.height, header.width)
