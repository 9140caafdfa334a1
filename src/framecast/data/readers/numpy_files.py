"""NumPy arrays: .npy (read piece by piece) and .npz. Nothing is unpickled.

Axes by number of dimensions: `(y, x)`, `(time, y, x)`, and for four `(time, channel, y, x)` where the second axis has at
most four entries, `(time, y, x, channel)` where the last has 1, 3 or 4 and the second more, else
`(sequence, time, y, x)`; five are `(sequence, time, channel, y, x)`. Bytes are intensities from 0 to 255; floats need
units unless they lie in [0, 1].
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO

import dask.array as da
import numpy as np
import xarray as xr

from framecast.data.readers.options import MEMORY_LIMIT, Options, Unreadable
from framecast.errors import DataError

RECOGNISES = ["NumPy arrays (.npy, .npz)"]


def recognises(path: Path) -> bool:
    """By signature of .npy, by suffix for .npz (any zip file has its signature)."""
    if not path.is_file():
        return False
    if path.suffix.lower() in (".npy", ".npz"):
        return True
    with path.open("rb") as file:
        return file.read(6) == b"\x93NUMPY"


def read(path: Path, options: Options) -> xr.DataArray:
    """The array (or `options.variable` of several). Raises `DataError` and `Unreadable`."""
    name, values = _npz(path, options) if path.suffix.lower() == ".npz" else ("frames", _npy(path))
    if values.dtype.kind not in "fiub":
        raise DataError(f"array {name!r} holds {values.dtype}, not numbers", where=path)
    dims = _dims(values.shape, path)
    frame = [1 if dim in ("time", "sequence") else size for dim, size in zip(dims, values.shape, strict=True)]
    array = xr.DataArray(da.from_array(values, chunks=frame), dims=dims, name=name)
    array.attrs["units"] = options.units or _units(values)
    return array


def _npy(path: Path) -> np.ndarray:
    try:
        values: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise _refusal(path, str(error)) from error
    return values


def _npz(path: Path, options: Options) -> tuple[str, np.ndarray]:
    """The array of frames in an .npz; declared sizes are checked before anything is expanded."""
    try:
        with zipfile.ZipFile(path) as archive:
            headers = {}
            for member in archive.namelist():
                with archive.open(member) as file:
                    headers[member.removesuffix(".npy")] = _header(file, path, member)
    except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
        raise _refusal(path, str(error)) from error
    large = [name for name, (shape, dtype) in headers.items() if len(shape) >= 3 and dtype.kind in "fiub"]
    found = large if len(headers) > 1 else [name for name, (_, dtype) in headers.items() if not dtype.hasobject]
    if options.variable is not None:
        found = [name for name in headers if name == options.variable]
    if len(found) != 1:
        pickled = [name for name, (_, dtype) in headers.items() if dtype.hasobject]
        if pickled and not found:
            raise _refusal(path, f"array {pickled[0]!r} holds Python objects")
        raise DataError(
            f"expected one array of frames, found {found or list(headers)}",
            where=path,
            remedy="name one: --variable NAME",
        )
    shape, dtype = headers[found[0]]
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if size > MEMORY_LIMIT:
        raise DataError(
            f"array {found[0]!r} of shape {shape} would expand to {size / 2**20:.0f} MiB; "
            f"the limit for compressed arrays is {MEMORY_LIMIT / 2**20:.0f} MiB",
            where=path,
            remedy="save it as .npy (numpy.save), which is read piece by piece",
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            return found[0], file[found[0]]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise _refusal(path, str(error)) from error


def _header(file: IO[bytes], path: Path, member: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype that a member declares."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"member {member!r} has the unknown version {version}", where=path)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    return shape, dtype


def _refusal(path: Path, why: str) -> DataError:
    if "object" in why.lower() or "pickle" in why.lower():
        return DataError(
            "needs unpickling, which could run foreign code: refused", where=path, remedy="save plain numeric arrays"
        )
    return Unreadable(f"the file is incomplete or unreadable ({why})", where=path, remedy="write the file again")


def _dims(shape: tuple[int, ...], path: Path) -> tuple[str, ...]:
    if len(shape) == 4:
        if shape[1] <= 4:
            return ("time", "channel", "y", "x")
        return ("time", "y", "x", "channel") if shape[3] in (1, 3, 4) else ("sequence", "time", "y", "x")
    known = {2: ("y", "x"), 3: ("time", "y", "x"), 5: ("sequence", "time", "channel", "y", "x")}
    if len(shape) not in known:
        raise DataError(f"an array of shape {shape} is not frames", where=path, remedy="expected 2 to 5 dimensions")
    return known[len(shape)]


def _units(values: np.ndarray) -> str | None:
    """ "0-255" for bytes, "1" for floats within [0, 1], a description that no quantity has for anything else."""
    if values.dtype == np.uint8:
        return "0-255"
    parts = [part for part in np.atleast_3d(values) if not np.isnan(part).all()]
    low = min((float(np.nanmin(part)) for part in parts), default=0.0)
    high = max((float(np.nanmax(part)) for part in parts), default=0.0)
    return "1" if low >= 0 and high <= 1 else f"unknown (values from {low:g} to {high:g})"
