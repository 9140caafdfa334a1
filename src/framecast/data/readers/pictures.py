"""Pictures: a PNG is one frame, grey or colour, of 8 or 16 bits. Where there is an alpha channel, pixels that are fully
transparent are no data."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import delayed
from PIL import Image

from framecast.data.readers.options import MEMORY_LIMIT, Options, Unreadable
from framecast.errors import DataError

RECOGNISES = ["PNG pictures and folders of them"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class _Mode(NamedTuple):
    """How pictures of one of Pillow's modes are read: as which mode, into how many channels."""

    plain: str
    channels: int
    units: str = "0-255"

    @property
    def alpha(self) -> bool:
        return self.plain.endswith("A")


_MODES = {
    "1": _Mode("L", 1),
    "L": _Mode("L", 1),
    "LA": _Mode("LA", 1),
    "P": _Mode("RGB", 3),
    "RGB": _Mode("RGB", 3),
    "RGBA": _Mode("RGBA", 3),
    "I;16": _Mode("I;16", 1, "0-65535"),
}


def recognises(path: Path) -> bool:
    """By signature, and by name so that an empty or damaged .png is still called a picture."""
    if not path.is_file():
        return False
    if path.suffix.lower() == ".png":
        return True
    with path.open("rb") as file:
        return file.read(8) == _SIGNATURE


def read(path: Path, options: Options) -> xr.DataArray:
    """One frame; pixels are decoded when they are used. Raises `DataError` and `Unreadable`."""
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            (width, height), name = picture.size, picture.mode
            _check_size(path, width, height)
            picture.verify()  # the sums of the file's chunks tell a truncated file without decoding pixels
    except Image.DecompressionBombError as error:
        raise DataError(f"refused before decoding: {error}", where=path, remedy="crop or tile the picture") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise Unreadable(f"the picture is incomplete or unreadable ({error})", where=path) from error
    if name not in _MODES:
        raise DataError(f"a picture of mode {name!r}", where=path, remedy=f"expected one of {', '.join(_MODES)}")
    mode = _MODES[name]
    shape = (mode.channels, height, width)
    values = da.from_delayed(delayed(_decode)(path, mode), shape=shape, dtype=np.float32)
    frame = xr.DataArray(
        values, dims=("channel", "y", "x"), name="frames", attrs={"units": options.units or mode.units}
    )
    frame.attrs["repairs"] = ["fully transparent pixels were read as no data"] if mode.alpha else []
    return frame


def _check_size(path: Path, width: int, height: int) -> None:
    """Raise `DataError` for a picture that would expand to more than the limit, four channels of float32."""
    if width * height * 16 > MEMORY_LIMIT:
        raise DataError(
            f"the picture declares {width} x {height} pixels; the limit is {MEMORY_LIMIT / 2**20:.0f} MiB a frame",
            where=path,
            remedy="crop or tile the picture",
        )


def _decode(path: Path, mode: _Mode) -> np.ndarray:
    """Pixel values `(channel, y, x)` as stored, NaN where they are fully transparent."""
    with Image.open(path, formats=["PNG"]) as picture:
        pixels = np.atleast_3d(np.asarray(picture.convert(mode.plain) if picture.mode != mode.plain else picture))
    values = pixels[..., : mode.channels].astype(np.float32)
    if mode.alpha:
        values[pixels[..., -1] == 0] = np.nan
    return np.ascontiguousarray(values.transpose(2, 0, 1))
