"""BAIR robot pushing: Frederik Ebert, Chelsea Finn, Alex X. Lee, Sergey Levine: "Self-Supervised Visual Planning with Temporal
Skip Connections", CoRL 2017.

Files: `softmotion30_44k/{train,test}/*.tfrecords`, each a row of TensorFlow examples, one a trajectory of 30 frames of
64 x 64, read here without TensorFlow. Every window is used. An action has four numbers.

A record is: length (8 bytes, little-endian), its checksum (4), the example, its checksum (4). An example is a protocol buffer
that maps `7/image_aux1/encoded` to raw RGB and `7/action` to four floats.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import numpy as np

from framecast.data.sets.clips import Clip, ClipData, Part, check_actions, list_files, resize
from framecast.errors import DataError
from framecast.reading.paths import check_file
from framecast.types import config

SIDE, NUMBERS = 64, 4
_LARGEST_RECORD = 64 * 2**20
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@config
class BAIR(ClipData):
    """BAIR robot pushing, the main camera. With `actions` every frame has its action."""

    name: Literal["bair"] = "bair"
    context: int = 2
    actions: bool = False

    @property
    def number_of_actions(self) -> int:
        """Four, or 0 without `actions`."""
        return NUMBERS if self.actions else 0

    def clips(self, part: Part) -> Iterator[Clip]:
        """One clip for each record."""
        length = self.context + self.horizon
        counts: dict[int, int] = {}  # by size: a frame more would make a record longer
        for file in list_files(Path(self.path) / "softmotion30_44k" / part, "*.tfrecord*"):
            for number, (start, size) in enumerate(_records(file)):
                if size not in counts:
                    counts[size] = sum(key.endswith("/action") for key in _example(file, start, size))
                    if not counts[size]:
                        raise DataError(
                            f"record {number} has no actions, so it is none of BAIR",
                            where=file,
                            remedy="fetch it again",
                        )
                windows = [range(first, first + length) for first in range(counts[size] - length + 1)]
                record = (file, start, size)
                frames, actions = partial(_frames, *record, self.size), partial(_actions, *record)
                yield Clip(f"{file.name}, record {number}", windows, frames, actions)


def _records(file: Path) -> Iterator[tuple[int, int]]:
    """Where each record begins and how long it is. Raises `DataError` for a file that ends too early."""
    end = check_file(file).stat().st_size
    with check_file(file).open("rb") as stream:
        offset = 0
        while offset < end:
            stream.seek(offset)
            header = stream.read(12)
            size = struct.unpack("<Q", header[:8])[0] if len(header) == 12 else _LARGEST_RECORD + 1
            if size > _LARGEST_RECORD or offset + size + 16 > end:
                raise DataError("not a whole file of TensorFlow records", where=file, remedy="fetch it again")
            yield offset + 12, size
            offset += size + 16


@lru_cache(maxsize=8)
def _example(file: Path, start: int, size: int) -> dict[str, bytes]:
    """The features of a record: for each name what its list holds - raw bytes, or packed floats."""
    with check_file(file).open("rb") as stream:
        stream.seek(start)
        record = stream.read(size)
    try:
        features = [content for _, content in _fields(record)]
        entries = [entry for feature in features for _, entry in _fields(feature)]
        pairs = [dict(_fields(entry)) for entry in entries]
        return {pair[1].decode(): _first(_first(pair[2])) for pair in pairs}
    except (IndexError, KeyError, UnicodeDecodeError, struct.error) as error:
        raise DataError(f"a record is no TensorFlow example ({error})", where=file, remedy="fetch it again") from error


def _first(message: bytes) -> bytes:
    """The content of the first field of a message; a feature without values has none."""
    return next((content for _, content in _fields(message)), b"")


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Numbers and contents of the fields of a protocol buffer."""
    offset = 0
    while offset < len(message):
        tag, offset = _varint(message, offset)
        kind = tag & 7
        if kind == _BYTES:
            size, offset = _varint(message, offset)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        elif kind == _VARINT:
            size = _varint(message, offset)[1] - offset
        else:
            raise IndexError(f"wire type {kind}")
        if offset + size > len(message):
            raise IndexError("a field is longer than its message")
        yield tag >> 3, message[offset : offset + size]
        offset += size


def _varint(message: bytes, offset: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = shift = 0
    while True:
        byte = message[offset]
        value |= (byte & 127) << shift
        offset, shift = offset + 1, shift + 7
        if byte < 128:
            return value, offset


def _frames(file: Path, start: int, size: int, side: int, numbers: Sequence[int]) -> np.ndarray:
    example = _example(file, start, size)
    return np.stack([resize(_decode_image(example, number, file), side) for number in numbers])


def _decode_image(example: dict[str, bytes], number: int, file: Path) -> np.ndarray:
    pixels = np.frombuffer(example.get(f"{number}/image_aux1/encoded", b""), dtype=np.uint8)
    if pixels.size != SIDE * SIDE * 3:
        raise DataError(
            f"frame {number} has {pixels.size} bytes, expected {SIDE} x {SIDE} x 3",
            where=file,
            remedy="fetch it again",
        )
    return pixels.reshape(SIDE, SIDE, 3)


def _actions(file: Path, start: int, size: int, numbers: Sequence[int]) -> np.ndarray:
    example = _example(file, start, size)
    actions = [example.get(f"{number}/action", b"") for number in numbers]
    for number, action in zip(numbers, actions, strict=True):
        if len(action) != 4 * NUMBERS:
            raise DataError(
                f"the action of frame {number} has {len(action)} bytes, expected {NUMBERS} x 4",
                where=file,
                remedy="fetch it again",
            )
    values = np.stack([np.frombuffer(action, dtype="<f4") for action in actions])
    return check_actions(values.astype(np.float32), numbers, file)
