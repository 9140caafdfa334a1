"""The grids of GRIB messages, of which GDAL tells that of the first, and the shifts that it makes to some.

GDAL turns the rows of all scanning modes north first and west first. It takes the first pixel for one in the west, and that of a
projection for one in the south, in edition 1 if the mode is that alone: where it is not, the grid is as far away as it is large.

Source: WMO Manual on Codes, FM 92 GRIB, edition 1 (section 2, table 6) and edition 2 (section 3, tables 3.1 and 3.4).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

from framecast.data.readers.grids import Grid
from framecast.errors import DataError

_WESTWARD, _NORTHWARD = 0x80, 0x40
"""The bits of the scanning mode for rows from east to west, and for rows from the south."""
_DEGREES = {1: (0, 4, 10, 14), 2: (0, 1, 2, 3, 40, 41, 42, 43)}
"""By edition, the kinds of grids in degrees: regular, Gaussian, rotated."""
_SCAN = {10: 59, 20: 64, 30: 64, 31: 64, 140: 63}
"""Where the scanning mode stands in section 3 of edition 2 by the kind of projection."""
_CORNERS = {1: ((10, 17), (13, 20), 3), 2: ((46, 55), (50, 59), 4)}
"""By edition, where the latitudes of the first and last pixel stand, their longitudes, and their number of bytes."""
_COLUMNS = {1: (6, 2), 2: (30, 4)}
_NO_ROWS = {
    **dict.fromkeys((50, 51, 52, 53), "coefficients of spherical harmonics"),
    100: "a grid of triangles",
    101: "an unstructured grid",
    150: "a HEALPix grid",
}
"""The kinds of grids of edition 2 without rows and columns."""
_LARGEST, _SEARCH = 2**20, 2**12


class GribGrid(NamedTuple):
    """The grid of a field: edition, kind, and its section."""

    edition: int
    kind: int
    section: bytes

    @property
    def in_degrees(self) -> bool:
        """Whether its pixels lie on latitudes and longitudes, rotated ones among them."""
        return self.kind in _DEGREES[self.edition]

    @property
    def _scan_place(self) -> int:
        """Where the scanning mode stands in the section; beyond it where that is not known."""
        if self.edition == 1:
            return 27
        return 71 if self.in_degrees else _SCAN.get(self.kind, _LARGEST)

    @property
    def scan(self) -> int:
        """The scanning mode; that of rows from west to east and from the south where it is not known."""
        return self.section[self._scan_place] if self._scan_place < len(self.section) else _NORTHWARD

    @property
    def key(self) -> bytes:
        """The same for grids of one place, whichever way they are scanned."""
        if not self.in_degrees:
            return self.section
        section = bytearray(self.section)
        latitudes, longitudes, size = _CORNERS[self.edition]
        for (first, last), bit in ((latitudes, _NORTHWARD), (longitudes, _WESTWARD)):
            if self.scan & bit:
                one, other = section[first : first + size], section[last : last + size]
                section[first : first + size], section[last : last + size] = other, one
        section[self._scan_place : self._scan_place + 1] = b"\0"
        return bytes(section)

    def placed(self, grid: Grid) -> Grid:
        """The grid as GDAL has it, at its place."""
        if self.scan & _WESTWARD:
            grid = replace(grid, x=grid.x - (grid.x[-1] - grid.x[0]))
        from_south, taken_so = bool(self.scan & _NORTHWARD), self.edition == 2 or self.scan == _NORTHWARD
        if not self.in_degrees and from_south != taken_so:
            grid = replace(grid, y=grid.y + (grid.y[0] - grid.y[-1]) * (1 if from_south else -1))
        return grid


def grids_of(path: Path) -> list[GribGrid]:
    """The grid of each field of a file, in their order, as far as messages are whole. Raises `DataError` for the kinds that have
    no rows of equally many pixels."""
    grids = []
    with path.open("rb") as file:
        for edition, start, length in _messages(file):
            sections = _of_edition_1(file, start) if edition == 1 else _of_edition_2(file, start, length)
            grids += [GribGrid(edition, kind, section) for kind, section in sections]
    for grid in grids[:1]:
        place, size = _COLUMNS[grid.edition]
        what = _NO_ROWS.get(grid.kind) if grid.edition == 2 else None
        if grid.in_degrees and grid.section[place : place + size] == b"\xff" * size:
            what = "a reduced grid, whose rows have different numbers of pixels"
        if what is not None:
            raise DataError(
                f"its values are those of {what}",
                where=path,
                remedy="bring it to a regular grid first: cdo setgridtype,regular IN OUT (reduced), or cdo remapnn,GRID IN OUT",
            )
    return grids


def check_one_grid(grids: list[GribGrid], bands: list[int], count: int, path: Path) -> None:
    """Raise `DataError` if the fields `bands`, from 1, of `count` do not lie on the grid of the first."""
    chosen = [grids[band - 1] for band in bands] if len(grids) == count else grids
    if any(grid.key != grids[0].key for grid in chosen):
        raise DataError(
            f"its messages lie on {len({grid.key for grid in grids})} grids, of which one would be taken for all",
            where=path,
            remedy="write those of one grid to a file of their own: grib_copy -w md5GridSection=SUM IN OUT "
            "(grib_ls -p md5GridSection IN lists the sums)",
        )


def _messages(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Edition, first byte and length of each message."""
    start, size = 0, file.seek(0, 2)
    while start + 16 <= size:
        file.seek(start)
        head = file.read(_SEARCH)
        if (place := head.find(b"GRIB")) or len(head) < 16:
            if place < 0:
                start += max(len(head) - 3, 1)
                continue
            start += place
            continue
        edition = head[7]
        length = int.from_bytes(head[8:16] if edition == 2 else head[4:7])
        if edition not in (1, 2) or length < 16:
            start += 4
            continue
        yield edition, start, length
        start += length


def _of_edition_1(file: BinaryIO, start: int) -> Iterator[tuple[int, bytes]]:
    file.seek(start + 8)
    product = file.read(8)
    if len(product) == 8 and product[7] & 0x80:
        file.seek(start + 8 + int.from_bytes(product[:3]))
        section = file.read(3)
        section += file.read(max(min(int.from_bytes(section), _LARGEST) - 3, 0))
        if len(section) >= 28:
            yield section[5], section


def _of_edition_2(file: BinaryIO, start: int, length: int) -> Iterator[tuple[int, bytes]]:
    """The grid before each section of data."""
    place, section = 16, b""
    while place + 5 <= length:
        file.seek(start + place)
        head = file.read(5)
        size = int.from_bytes(head[:4])
        if len(head) < 5 or head == b"7777" or size < 5:
            return
        if head[4] == 3:
            section = head + file.read(min(size, _LARGEST) - 5)
        if head[4] == 7 and len(section) > 14:
            yield int.from_bytes(section[12:14]), section
        place += size
