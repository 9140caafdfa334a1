"""Reader of images: a PNG or JPEG file is one frame, grey or colour, of 8 or 16 bits.

Fully transparent pixels (alpha channel, or a transparent colour, tRNS) are no data. Images are turned as their EXIF says.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from PIL import Image, ImageFile

from framecast.data.lazy import lazy_variable
from framecast.data.readers.colours import check_units_of_colours
from framecast.data.readers.limits import check_size
from framecast.data.readers.options import ReadOptions
from framecast.data.readers.rotation import AS_STORED, Turn, turn_of_exif
from framecast.data.readers.single import resize
from framecast.errors import DataError, UnreadableFile

RECOGNISES = ["PNG and JPEG images and folders of them"]

_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_SUFFIXES = (".png", ".jpg", ".jpeg")
_FORMATS = ["PNG", "JPEG"]
_REMEDY = "fetch the file again"
_END_OF_JPEG = b"\xff\xd9"
_ORIENTATION = 274
"""The tag Orientation of EXIF."""


class _Mode(NamedTuple):
    """How images of a Pillow mode are decoded: the mode to convert to, the number of channels, and the units."""

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
_WITH_ALPHA = {"1": "LA", "L": "LA", "P": "RGBA", "RGB": "RGBA"}
"""The modes to which images with a transparent colour are converted; Pillow has none for 16 bits with alpha."""
_FEW_BITS = {"L;2": 85, "L;4": 17}
"""The factor by which Pillow scales grey of 2 and 4 bits to 8; it does not scale the transparent value."""
_GREY_WITH_ALPHA = "LA;16B"
"""Grey of 16 bits with alpha, which Pillow reads as colour of 8."""
_COLOUR_16 = "RGB;16B"
"""Colour of 16 bits, of which Pillow keeps 8: too few to identify the transparent one."""
_COLOURS_OF_16 = (_COLOUR_16, "RGBA;16B")


def recognises(path: Path) -> bool:
    """True for the signature of PNG or JPEG, and for the suffixes, so that a damaged .png is reported as an image."""
    if not path.is_file():
        return False
    if path.suffix.lower() in _SUFFIXES:
        return True
    with path.open("rb") as file:
        return file.read(8).startswith(_SIGNATURES)


def read(path: Path, options: ReadOptions) -> xr.DataArray:
    """One frame; pixels are decoded when they are used. Raises `DataError` and `UnreadableFile`."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            (width, height), name, form = image.size, image.mode, image.format
            count = getattr(image, "n_frames", 1) if form == "PNG" else 1
            transparent, stored = "transparency" in image.info, _raw_mode(image)
            turn, coloured = _turn(image), _has_coloured_table(image)
            check_size(path, height, width, channels=4)
            image.verify()  # the sums of the chunks of a PNG tell a truncated one without decoding pixels
    except Image.DecompressionBombError as error:
        raise DataError(f"refused before decoding: {error}", where=path, remedy="crop or tile the image") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableFile(f"the image is incomplete or unreadable ({error})", where=path, remedy=_REMEDY) from error
    if form == "JPEG" and not _has_end(path):
        raise UnreadableFile("the image is incomplete or unreadable (it has no end)", where=path, remedy=_REMEDY)
    if count > 1:
        raise DataError(
            f"an animated PNG of {count} frames, of which only the first would be read",
            where=path,
            remedy="save each frame as a file of its own, frame_000.png, frame_001.png, ..., or the film as video",
        )
    if transparent and stored == _COLOUR_16:
        raise DataError(
            "a transparent colour among colours of 16 bits, of which only 8 are read",
            where=path,
            remedy="save it with 8 bits, or with an alpha channel",
        )
    if stored == _GREY_WITH_ALPHA:
        raise DataError(
            "grey of 16 bits with an alpha channel, of which only 8 would be read",
            where=path,
            remedy="save it as grey of 16 bits without alpha, with no data as a transparent colour (tRNS)",
        )
    if name not in _MODES:
        raise DataError(f"an image of mode {name!r}", where=path, remedy=f"expected one of {', '.join(_MODES)}")
    mode = _MODES[_WITH_ALPHA.get(name, name) if transparent else name]
    if mode.channels == 3 and (coloured or not options.grey):
        check_units_of_colours(
            options.units, "the pixels are colours" if name != "P" else "the pixels have colours of a table", path
        )
    if options.grey and mode.channels == 3:
        mode = _MODES["LA"] if mode.alpha else _MODES["L"]
    shape = (mode.channels, *(options.size or turn.size(height, width)))
    lazy = lazy_variable(
        ("channel", "y", "x"), shape, lambda selection: _decode(path, mode, options.size, turn)[selection]
    )
    frame = xr.DataArray(lazy, name="frames", attrs={"units": options.units or mode.units})
    frame.attrs["repairs"] = [
        *(["fully transparent pixels were read as no data"] if mode.alpha or transparent else []),
        *(["colours of 16 bits were read as 8"] if stored in _COLOURS_OF_16 else []),
        *([] if turn == AS_STORED else ["images were turned as their EXIF says"]),
    ]
    return frame


def _turn(image: Image.Image) -> Turn:
    """How an image is to be turned; not at all where its EXIF cannot be read."""
    try:  # not getexif(), which decodes a PNG
        exif = Image.Exif()
        exif.load(image.info.get("exif", b""))
        return turn_of_exif(exif.get(_ORIENTATION))
    except Exception:  # of many kinds; EXIF is no part of the pixels
        return AS_STORED


def _has_coloured_table(image: Image.Image) -> bool:
    """Whether the pixels of an image are indices of a table with colours other than grey."""
    if image.palette is None:
        return False
    mode, colours = image.palette.getdata()  # of the header; not getpalette(), which decodes the pixels
    table = np.frombuffer(bytes(colours), np.uint8)[: len(colours) // len(mode) * len(mode)].reshape(-1, len(mode))[
        :, :3
    ]
    return bool((table != table[:, :1]).any())


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """Pillow's name for the stored pixel format of an image; empty if it has no pixels."""
    return str(image.tile[0][3]) if image.tile else ""


def _has_end(path: Path) -> bool:
    """Whether a JPEG ends with its end marker."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 4096, 0))
        return _END_OF_JPEG in file.read()


def _decode(path: Path, mode: _Mode, size: tuple[int, int] | None, turn: Turn) -> np.ndarray:
    """Pixel values `(channel, y, x)` as shown, NaN where they are fully transparent. With `size`, each new pixel is the mean
    over its area of the pixels with data. Raises `UnreadableFile`."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            if "transparency" in image.info and (factor := _FEW_BITS.get(_raw_mode(image))):
                image.info["transparency"] *= factor
            transparent = image.info.get("transparency")
            pixels = np.atleast_3d(np.asarray(image.convert(mode.plain) if image.mode != mode.plain else image))
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableFile(f"the image cannot be decoded ({error})", where=path, remedy=_REMEDY) from error
    values = pixels[..., : mode.channels].astype(np.float32)
    if mode.alpha:
        values[pixels[..., -1] == 0] = np.nan
    elif transparent is not None:
        values[pixels == transparent] = np.nan
    return np.stack([resize(turn.apply(values[..., channel]), size) for channel in range(mode.channels)])
