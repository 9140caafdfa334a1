"""Reader of NIMROD files of the UK Met Office: fields on the National Grid or on latitudes and longitudes.

A file is a list of fields, each two Fortran records, big endian, with their lengths before and after: a header of 512 bytes (31
int16, 28 float32, 45 float32, 56 characters (units 8, source 24, title 24), 51 int16), and the values row by row. Read are the
fields of one title, as frames in time. Units such as "mm/h*32" mean that the values are stored times 32; amounts (mm) are read as
rates over the period that the header states. The missing value of the header is no data, and so is, of rain, any below 0.
Positions are centres of pixels; rows from the south are turned.

Source: Met Office, "NIMROD file format specification" (1.7, 2003), and its description at the Centre for Environmental Data
Analysis.
"""

from __future__ import annotations

import datetime
import struct
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import xarray as xr

from framecast.data.readers.grids import Grid, projection
from framecast.data.readers.limits import check_size
from framecast.data.readers.options import ReadOptions
from framecast.data.readers.single import first_line, single_frame
from framecast.errors import DataError, UnreadableFile

RECOGNISES = ["NIMROD (UK Met Office)"]

_HEADER = struct.Struct(">i31h28f45f56s51hi")
_HEADER_BYTES, _ABSENT = 512, -32767
_MOST_FIELDS = 10_000
_TYPES = {(0, 4): ">f4", (0, 8): ">f8", (1, 2): ">i2", (1, 4): ">i4", (1, 1): "i1", (2, 1): "u1"}
_NATIONAL_GRID = (
    "+proj=tmerc +lat_0=49 +lon_0=-2 +k=0.9996012717 +x_0=400000 +y_0=-100000 +ellps=airy "
    "+towgs84=446.448,-125.157,542.06,0.15,0.247,0.842,-20.489 +units=m"
)
_GEOGRAPHIC = "+proj=longlat +ellps=airy +towgs84=446.448,-125.157,542.06,0.15,0.247,0.842,-20.489"
_PROJECTIONS = {0: _NATIONAL_GRID, 1: _GEOGRAPHIC}
_RAIN = ("mm", "kg")


class _Field(NamedTuple):
    """The header of a field, and where in the file its values begin."""

    integers: tuple[int, ...]
    real: tuple[float, ...]
    units: str
    title: str
    dtype: np.dtype
    start: int

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.integers[15], self.integers[16]

    @property
    def origin(self) -> int:
        """The corner of the first pixel: 0 top left, 1 bottom left, 2 top right, 3 bottom right."""
        return self.integers[23]


def recognises(path: Path) -> bool:
    """True for the length of the header, before and after it, and a plausible year."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(_HEADER.size)
    if len(start) < 6:
        return False
    length, year = struct.unpack(">ih", start[:6])
    return bool(length == _HEADER_BYTES and 1970 <= year <= 2100)


def read(path: Path, options: ReadOptions) -> xr.DataArray:
    """The fields of one title (or that which `options.variable` names). Raises `DataError` and `UnreadableFile`."""
    with path.open("rb") as file:
        fields = _select(_fields(file, path), path, options)
    if len({(field.size, field.integers[14], field.real[2:6]) for field in fields}) > 1:
        raise DataError("fields on several grids", where=path, remedy="give one file for each grid")
    frames = [_frame(path, field) for field in fields]
    if len(frames) == 1:
        return frames[0]
    return xr.concat([frame.chunk() for frame in frames], "time", combine_attrs="override")


def _fields(file: IO[bytes], path: Path) -> list[_Field]:
    """The headers of all fields. Raises `UnreadableFile` where the file ends within one."""
    fields: list[_Field] = []
    while content := file.read(_HEADER.size):
        if len(content) < _HEADER.size or len(fields) >= _MOST_FIELDS:
            raise _damage(path, "a header is incomplete" if len(content) < _HEADER.size else "too many fields")
        first, *numbers, last = _HEADER.unpack(content)
        integers, real, text = tuple(numbers[:31]), tuple(numbers[31:59]), numbers[104]
        if first != _HEADER_BYTES or last != _HEADER_BYTES:
            raise _damage(path, "a header does not have 512 bytes")
        height, width = integers[15], integers[16]
        check_size(path, height, width, itemsize=8)
        if integers[11:13] not in _TYPES:
            raise DataError(
                f"values of type {integers[11]} with {integers[12]} bytes", where=path, remedy="expected numbers"
            )
        dtype = np.dtype(_TYPES[integers[11:13]])
        units, title = (part.decode("latin-1").strip(" \x00") for part in (text[:8], text[32:56]))
        size = height * width * dtype.itemsize
        if struct.pack(">i", size) != file.read(4):
            raise _damage(path, f"the values of {title!r} are not {height} x {width} numbers")
        fields.append(_Field(integers, real, units, title, dtype, file.tell()))
        file.seek(size, 1)
        if struct.pack(">i", size) != file.read(4):
            raise _damage(path, f"the values of {title!r} are incomplete")
    return fields


def _damage(path: Path, what: str) -> UnreadableFile:
    return UnreadableFile(f"the file is incomplete or damaged: {what}", where=path, remedy="fetch the file again")


def _select(fields: list[_Field], path: Path, options: ReadOptions) -> list[_Field]:
    titles = list(dict.fromkeys(field.title for field in fields))
    if options.variable is None and len(titles) == 1:
        return fields
    if options.variable not in titles:
        what = f"several fields: {', '.join(titles)}" if options.variable is None else f"no field {options.variable!r}"
        raise DataError(
            what,
            where=path,
            remedy="name one" if options.variable is None else f"fields: {', '.join(titles)}; name one",
            parameter="variable",
            example=titles[0],
        )
    return [field for field in fields if field.title == options.variable]


def _frame(path: Path, field: _Field) -> xr.DataArray:
    time = _time(field.integers[:6], path)
    if field.integers[6] > 0:
        initial = _time((*field.integers[6:11], 0), path)
        if time > initial + datetime.timedelta(minutes=max(field.integers[25], 0)):
            raise DataError(
                f"{field.title!r} is a forecast of {initial:%Y-%m-%d %H:%M} for {time:%Y-%m-%d %H:%M} UTC, not an observation",
                where=path,
                remedy="give the files of observations",
            )
    units, _, factor = field.units.replace("hr", "h").partition("*")
    try:
        stored_times = float(factor or 1)
    except ValueError:
        raise DataError(f"the units {field.units!r} are not understood", where=path) from None
    amount, minutes = units.strip() == "mm", field.integers[25]
    if amount and minutes <= 0:
        raise DataError(
            f"{field.title!r} is an amount in mm, and the file does not say over what time",
            where=path,
            remedy="use files that state the period of accumulation",
        )
    return single_frame(
        path,
        lambda: _decode(path, field, stored_times, units.startswith(_RAIN)),
        name=field.title or "field",
        units=units.strip(),
        shape=field.size,
        time=time,
        minutes=minutes if amount else None,
        grid=_grid(field, path),
    )


def _time(numbers: tuple[int, ...], path: Path) -> datetime.datetime:
    year, month, day, hour, minute, second = (0 if number == _ABSENT else number for number in numbers)
    try:
        return datetime.datetime(year, month, day, hour, minute, second)
    except ValueError as error:
        raise UnreadableFile(f"a time that is none ({first_line(error)})", where=path) from error


def _decode(path: Path, field: _Field, stored_times: float, rain: bool) -> np.ndarray:
    """Values `(H, W)` from the north, NaN for no data."""
    height, width = field.size
    with path.open("rb") as file:
        file.seek(field.start)
        stored = np.frombuffer(file.read(height * width * field.dtype.itemsize), field.dtype).astype(np.float64)
    missing = stored == (field.integers[24] if field.dtype.kind in "iu" else np.float64(field.real[6]))
    if rain:
        missing |= stored < 0
    values = np.where(missing, np.nan, stored / stored_times).reshape(height, width)
    values = values[::-1] if field.origin in (1, 3) else values
    return np.asarray(values[:, ::-1] if field.origin in (2, 3) else values)


def _grid(field: _Field, path: Path) -> Grid:
    """Raises `DataError` for a projection that is not known."""
    if field.integers[14] not in _PROJECTIONS:
        raise DataError(
            f"a grid of kind {field.integers[14]} (space view, polar stereographic, rotated or of a radar)",
            where=path,
            remedy="read are the National Grid and latitudes and longitudes; regrid it first (wradlib, iris)",
        )
    if field.origin not in (0, 1, 2, 3):
        raise DataError(f"the origin {field.origin} of the grid is not known", where=path, remedy="expected 0 to 3")
    (height, width), (y, dy, x, dx) = field.size, field.real[2:6]
    if not all(np.isfinite((y, dy, x, dx))) or not dx or not dy:
        raise UnreadableFile(f"a grid from {y:g}, {x:g} with pixels of {dy:g} x {dx:g}", where=path)
    dx, dy = abs(dx), abs(dy)
    top = y + (height - 1) * dy if field.origin in (1, 3) else y
    left = x - (width - 1) * dx if field.origin in (2, 3) else x
    crs = projection(_PROJECTIONS[field.integers[14]], path)
    return Grid.from_corner(crs, left - dx / 2, top + dy / 2, dx, -dy, height, width)
