"""What GDAL does not tell of GRIB edition 1: over what time a message is an average or an accumulation.

Source: WMO Manual on Codes, FM 92 GRIB edition 1, section 1, tables 4 and 5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

_MINUTES = {0: 1, 1: 60, 2: 1440, 10: 180, 11: 360, 12: 720, 13: 15, 14: 30}
"""Minutes of a unit of time, by its code in table 4."""
_AVERAGE, _ACCUMULATION = 3, 4
"""The time range indicators of an average and of an accumulation from P1 to P2."""
_SEARCH = 4096


def intervals(path: Path) -> list[float | None]:
    """The minutes over which each message of a file of edition 1 is an average or an accumulation, in its order; None for that of
    a moment, and nothing for a file of another edition."""
    return [_minutes(section) for section in _product_sections(path)]


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
    return float(span) if indicator in (_AVERAGE, _ACCUMULATION) and span > 0 else None
