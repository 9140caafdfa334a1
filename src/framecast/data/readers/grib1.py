"""What GDAL does not tell of GRIB edition 1: over what time a message accumulates, and whether its rows run from east to west.

Source: WMO Manual on Codes, FM 92 GRIB edition 1, sections 1 and 2, tables 4, 5 and 8.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

_MINUTES = {0: 1, 1: 60, 2: 1440, 10: 180, 11: 360, 12: 720, 13: 15, 14: 30}
"""Minutes of a unit of time, by its code in table 4."""
_ACCUMULATION = 4
"""The time range indicator of an accumulation from P1 to P2."""
_WESTWARD = 0x80
"""The bit of the scanning mode (octet 28 of section 2) for rows from east to west."""
_SEARCH = 4096


def accumulations(path: Path) -> list[float | None]:
    """The minutes over which each message of a file of edition 1 accumulates, in its order; None for one that does not, and
    nothing for a file of another edition."""
    return [_minutes(section) for section in _product_sections(path)]


def runs_westward(path: Path) -> bool:
    """Whether the first message of a file of edition 1 stores its rows from east to west: GDAL turns them, and then takes the
    eastern corner for the western."""
    with path.open("rb") as file:
        start = file.read(12)
        if not start.startswith(b"GRIB") or start[7] != 1:
            return False
        file.seek(8 + int.from_bytes(start[8:11], "big"))
        grid = file.read(28)
    return len(grid) == 28 and bool(grid[27] & _WESTWARD)


def _product_sections(path: Path) -> Iterator[bytes]:
    """The first 28 octets of section 1 of each message."""
    with path.open("rb") as file:
        while start := file.read(36):
            if not start.startswith(b"GRIB"):
                file.seek(1 - len(start), 1)
                rest = file.read(_SEARCH)
                if (place := rest.find(b"GRIB")) < 0:
                    return
                file.seek(place - len(rest), 1)
                continue
            if len(start) < 36 or start[7] != 1:
                return
            length = int.from_bytes(start[4:7], "big")
            if length < 36:
                return
            yield start[8:]
            file.seek(length - len(start), 1)


def _minutes(section: bytes) -> float | None:
    unit, first, last, indicator = struct.unpack("4B", section[17:21])
    span = (last - first) * _MINUTES.get(unit, 0)
    return float(span) if indicator == _ACCUMULATION and span > 0 else None
