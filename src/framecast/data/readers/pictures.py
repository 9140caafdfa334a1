"""Pictures: a PNG is one frame, grey or colour; 8-bit and 16-bit values become intensities between 0 and 1."""

from __future__ import annotations

from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import delayed
from PIL import Image

from framecast.data.readers.options import MEMORY_LIMIT, Options, Unreadable
from framecast.errors import DataError

RECOGNISES = ["folders of PNG pictures"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {"1": 1, "L": 1, "I;16": 1, "I": 1, "P": 3, "RGB": 3, "LA": 1, "RGBA": 3}


def recognises(path: Path) -> bool:
    """By signature."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(8) == _SIGNATURE


def read(path: Path, options: Options) -> xr.DataArray:
    """One frame; pixels are decoded when they are used. Raises `DataError` and `Unreadable`."""
    try:
        with Image.open(path) as picture:
            (width, height), mode = picture.size, picture.mode
    except Image.DecompressionBombError as error:
        raise DataError(f"refused before decoding: {error}", where=path, remedy="crop or tile the picture") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise Unreadable(f"the picture is incomplete or unreadable ({error})", where=path) from error
    if mode not in _CHANNELS:
        raise DataError(f"a picture of mode {mode!r}", where=path, remedy=f"expected one of {', '.join(_CHANNELS)}")
    shape = (_CHANNELS[mode], height, width)
    if np.prod(shape, dtype=object) * 4 > MEMORY_LIMIT:
        raise DataError(
            f"the picture declares {width} x {height} pixels; the limit is {MEMORY_LIMIT / 2**20:.0f} MiB a frame",
            where=path,
            remedy="crop or tile the picture",
        )
    _verify(path)
    values = da.from_delayed(delayed(_decode)(path, shape), shape=shape, dtype=np.float32)
    return xr.DataArray(values, dims=("channel", "y", "x"), name="frames", attrs={"units": options.units or "1"})


def _verify(path: Path) -> None:
    """Check the sums of the file's chunks, which finds truncated files without decoding pixels."""
    try:
        with Image.open(path) as picture:
            picture.verify()
    except (OSError, SyntaxError, ValueError) as error:
        raise Unreadable(f"the picture is incomplete or unreadable ({error})", where=path) from error


def _decode(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Intensities `(channel, y, x)` in [0, 1]."""
    plain = {"P": "RGB", "RGBA": "RGB", "1": "L", "LA": "L"}
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert(plain[picture.mode]) if picture.mode in plain else picture)
    highest = 255.0 if pixels.dtype == np.uint8 else 65535.0
    values = (pixels.astype(np.float32) / np.float32(highest)).reshape(*shape[1:], shape[0])
    return np.ascontiguousarray(values.transpose(2, 0, 1))
