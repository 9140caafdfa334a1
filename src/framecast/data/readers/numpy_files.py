"""Reader of NumPy arrays: .npy (read piece by piece) and .npz. Nothing is unpickled.

Axes, by the number of dimensions, since the file does not say:

* 2: `(y, x)`; 3: `(time, y, x)`, or `(y, x, channel)` where the last axis has at most four entries
* 4: `(time, channel, y, x)` where the second axis has at most four entries, `(time, y, x, channel)` where the last has,
  else `(sequence, time, y, x)`; the published Moving MNIST test set, (20, 10000, 64, 64), is `(time, sequence, y, x)`
* 5: `(sequence, time, channel, y, x)`, or `(sequence, time, y, x, channel)` where the last has at most four entries

How four or five axes were read is recorded in `repairs`. Bytes are intensities from 0 to 255; other numbers need units
unless they lie in [0, 1]. An .npz with `clips` and `input_raw_data`, as Moving MNIST is published, is a set of clips. An
array `actions` of an .npz holds the actions of each frame, `([sequence,] time, A)`.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import IO

import numpy as np
import xarray as xr

from framecast.data.frames import with_actions
from framecast.data.lazy import lazy_variable
from framecast.data.readers.benchmark_sets import set_of_arrays
from framecast.data.readers.limits import MEMORY_LIMIT
from framecast.data.readers.options import ReadOptions
from framecast.data.units import UNSTATED
from framecast.errors import DataError, UnreadableFile, resource_errors
from framecast.reading.paths import check_file

RECOGNISES = ["NumPy arrays (.npy, .npz) and folders of them"]

_MOVING_MNIST = (20, 10_000, 64, 64)
_FEW = 4
_ACTIONS = "actions"
_CLIPS = ("clips", "input_raw_data")
_DAMAGE = (
    *(ValueError, TypeError, OverflowError, OSError, EOFError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
    *(SyntaxError, TokenError),  # of the header of an array, which NumPy reads as a literal of Python
)


def recognises(path: Path) -> bool:
    """True for the signature of .npy, and for the suffix .npz (any zip file has its signature)."""
    if not path.is_file():
        return False
    return path.suffix.lower() in (".npy", ".npz") or _is_npy(path)


def _is_npy(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6) == b"\x93NUMPY"


def read(path: Path, options: ReadOptions) -> xr.DataArray:
    """The array (or `options.variable` of several). Raises `DataError` and `UnreadableFile`."""
    actions, is_npz = None, path.suffix.lower() == ".npz"
    if is_npz:
        name, values, actions = _npz(path, options)
    else:
        name, values = "frames", _npy(path)
    if values.dtype.kind not in "fiub":
        raise DataError(f"array {name!r} holds {values.dtype}, not numbers", where=path)
    if values.size == 0:
        raise DataError(f"array {name!r} of shape {values.shape} is empty", where=path)
    dims = _dims(values.shape, path)
    stored = values if is_npz else _map_lazily(path, dims, values.shape)
    array = xr.DataArray(stored, dims=dims, name=name)
    units, repairs = _units(values) if options.units is None else (options.units, [])
    if len(dims) > 3 or "channel" in dims:
        repairs = [*repairs, f"the axes of the array were read as ({', '.join(dims)})"]
    array.attrs = {"units": units, "repairs": repairs}
    return array if actions is None else with_actions(array, actions, path)


def array_of(path: Path) -> np.ndarray:
    """The numbers in a .npy file. Raises `DataError`."""
    if not _is_npy(check_file(path)):
        raise DataError("is no .npy file", where=path, remedy="write it by numpy.save(PATH, array)")
    values = _npy(path)
    if values.dtype.kind not in "fiub":
        raise DataError(f"an array of {values.dtype}, not numbers", where=path)
    return np.asarray(values)


def arrays_of(path: Path, names: Sequence[str], limit: int = MEMORY_LIMIT) -> list[np.ndarray]:
    """Some arrays of an .npz, each of at most `limit` bytes. Raises `DataError` and `ResourceError`."""
    headers = _headers(path)
    for name in names:
        if name not in headers or headers[name][1].kind not in "fiub":
            raise DataError(f"no array {name!r} of numbers", where=path, remedy=f"arrays: {', '.join(headers)}")
        _check_expanded(name, *headers[name], path, limit)
    try:
        with resource_errors(path), np.load(path, allow_pickle=False) as file:
            return [file[name] for name in names]
    except _DAMAGE as error:
        raise _refusal(path, str(error)) from error


def _npy(path: Path) -> np.ndarray:
    if not _is_npy(path):
        raise UnreadableFile("the file does not begin as one of NumPy does", where=path, remedy="write the file again")
    try:
        values: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except _DAMAGE as error:
        raise _refusal(path, str(error)) from error
    return values


def _map_lazily(path: Path, dims: tuple[str, ...], shape: tuple[int, ...]) -> xr.Variable:
    """The array in a .npy file, memory-mapped anew for each read: a mapping that is kept would keep the file open."""
    return lazy_variable(dims, shape, lambda selection: np.array(_npy(path)[selection], dtype=np.float32))


def _npz(path: Path, options: ReadOptions) -> tuple[str, np.ndarray, np.ndarray | None]:
    """The array of frames in an .npz, its name, and the array `actions` where there is one; declared sizes are checked
    before anything is expanded."""
    headers = _headers(path)
    if set(_CLIPS) <= set(headers):
        return "frames", _clips(path), None
    name = _select_name(headers, path, options)
    members = [name, _ACTIONS] if _ACTIONS in headers else [name]
    for item in members:
        _check_expanded(item, *headers[item], path)
    try:
        with np.load(path, allow_pickle=False) as file:
            return name, file[name], file[_ACTIONS] if _ACTIONS in headers else None
    except _DAMAGE as error:
        raise _refusal(path, str(error)) from error


def _headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and dtype that the arrays of an .npz declare; other members, such as a README.txt, are none."""
    try:
        with zipfile.ZipFile(path) as archive:
            headers = {}
            for member in (name for name in archive.namelist() if name.endswith(".npy")):
                with archive.open(member) as file:
                    headers[member.removesuffix(".npy")] = _header(file, path, member)
            return headers
    except _DAMAGE as error:
        raise _refusal(path, str(error)) from error


def _check_expanded(name: str, shape: tuple[int, ...], dtype: np.dtype, path: Path, limit: int = MEMORY_LIMIT) -> None:
    size = prod(shape) * dtype.itemsize
    if size > limit:
        raise DataError(
            f"array {name!r} of shape {shape} would expand to {size / 2**20:.0f} MiB; "
            f"the limit for compressed arrays is {limit / 2**20:.0f} MiB",
            where=path,
            remedy="save it as .npy (numpy.save), which is read piece by piece",
        )


def _clips(path: Path) -> np.ndarray:
    """The frames of clips `(sequence, time, channel, y, x)`: `clips (2, N, 2)` has the first frame and the number of frames of
    the context and of the future of each in `input_raw_data`."""
    spans, frames = arrays_of(path, _CLIPS, limit=4 * 2**30)
    if spans.ndim != 3 or spans.shape[0] != 2 or spans.shape[2] != 2 or frames.ndim != 4 or not spans.size:
        raise DataError(f"clips of shape {spans.shape} into frames of {frames.shape}", where=path)
    numbers = [
        np.concatenate([np.arange(start, start + length) for start, length in clip])
        for clip in spans.astype(np.int64).transpose(1, 0, 2)
    ]
    if len({len(item) for item in numbers}) > 1 or not all(
        item.size and item.min() >= 0 and item.max() < len(frames) for item in numbers
    ):
        raise DataError("clips of different lengths, or of frames that are not there", where=path)
    return np.asarray(frames[np.stack(numbers)])


def _select_name(headers: dict[str, tuple[tuple[int, ...], np.dtype]], path: Path, options: ReadOptions) -> str:
    """The name of the array of frames: the stated one, the only one, or the only one of three or more dimensions."""
    names = [name for name in headers if name != _ACTIONS]
    if options.variable is not None:
        names = [name for name in names if name == options.variable]
    elif len(names) > 1:
        names = [name for name in names if len(headers[name][0]) >= 3 and headers[name][1].kind in "fiub"]
    if options.variable is None and (benchmark := set_of_arrays(headers)):
        raise DataError(
            f"a file of the benchmark set {benchmark.title}, which is read as a whole",
            where=path,
            remedy=benchmark.remedy,
        )
    if len(names) != 1:
        raise DataError(
            f"expected one array of frames, found {', '.join(names or headers) or 'none'}",
            where=path,
            remedy="name one",
            parameter="variable",
            example="NAME",
        )
    if headers[names[0]][1].hasobject:
        raise _refusal(path, f"array {names[0]!r} holds Python objects")
    return names[0]


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
    return UnreadableFile(f"the file is incomplete or unreadable ({why})", where=path, remedy="write the file again")


def _dims(shape: tuple[int, ...], path: Path) -> tuple[str, ...]:
    """Which axis is which, by the rules above."""
    if not 2 <= len(shape) <= 5:
        raise DataError(f"an array of shape {shape} is not frames", where=path, remedy="expected 2 to 5 dimensions")
    last_is_channel = shape[-1] <= _FEW
    if len(shape) == 2:
        return ("y", "x")
    if len(shape) == 3:
        return ("y", "x", "channel") if last_is_channel else ("time", "y", "x")
    if len(shape) == 4:
        if shape == _MOVING_MNIST:
            return ("time", "sequence", "y", "x")
        if shape[1] <= _FEW:
            return ("time", "channel", "y", "x")
        return ("time", "y", "x", "channel") if last_is_channel else ("sequence", "time", "y", "x")
    return ("sequence", "time", *(("y", "x", "channel") if last_is_channel else ("channel", "y", "x")))


def _units(values: np.ndarray) -> tuple[str, list[str]]:
    """The units of numbers that have none stated, and what to report; a description that no quantity has for numbers
    that could be anything, so that they are refused where units are checked."""
    if values.dtype == np.uint8:
        return "0-255", []
    parts = [part for part in np.atleast_3d(values) if not np.isnan(part).all()]
    low = min((float(np.nanmin(part)) for part in parts), default=0.0)
    high = max((float(np.nanmax(part)) for part in parts), default=0.0)
    if low >= 0 and high <= 1:
        return "1", ["no units are stated; the values lie in [0, 1] and were read as intensities"]
    return f"{UNSTATED}, values from {low:g} to {high:g}", []
