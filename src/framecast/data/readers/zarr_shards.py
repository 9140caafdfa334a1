"""Fast reader of slices of a sharded Zarr array, without the zarr library, whose overhead equals the decompression.

A shard (the codec `sharding_indexed` of Zarr 3) is a file of chunks, each compressed by itself, that ends with an index: where
each chunk begins and how many bytes it has, as two 64-bit numbers, and the CRC-32C of all these. A chunk that is not stored
holds the fill value only. Supported is what `layout.create` writes: float32, zstd, fill value NaN; zarr reads all others.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import SEEK_END, FileIO
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, Self

import google_crc32c
import numpy as np
from numcodecs.zstd import decompress

from framecast.data.lazy import Selection
from framecast.errors import FramecastError
from framecast.reading.paths import check_file, is_file
from framecast.reading.plain_data import read_json

_NOT_STORED = 2**64 - 1
_LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
_DECODING_ATTRIBUTES = {"scale_factor", "add_offset", "_FillValue", "missing_value"}
"""CF attributes that change the stored values."""

Part = tuple[int, slice, slice]
"""The number of a chunk in its shard along one axis, what of the chunk is wanted, and where in the result that belongs."""


@dataclass(frozen=True)
class Shards:
    """An array of `shape` in the folder of a Zarr array, in shards of so many chunks each way."""

    folder: Path
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    chunks: tuple[int, ...]

    @classmethod
    def of(cls, folder: Path) -> Self | None:
        """The array whose metadata lie in `folder`; None where it is stored in another way."""
        match _metadata(folder / "zarr.json"):
            case {
                "data_type": "float32",
                "fill_value": "NaN",
                "shape": shape,
                "attributes": attributes,
                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shard}},
                "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
                "codecs": [
                    {
                        "name": "sharding_indexed",
                        "configuration": {
                            "chunk_shape": chunk,
                            "codecs": [first, {"name": "zstd"}],
                            "index_codecs": [second, {"name": "crc32c"}],
                            "index_location": "end",
                        },
                    }
                ],
            } if first == second == _LITTLE and _are_sizes(shape, shard, chunk) and not _decodes(attributes):
                chunks = tuple(axes_ranges // part for axes_ranges, part in zip(shard, chunk, strict=True))
                return cls(folder, tuple(shape), tuple(chunk), chunks)
        return None

    def read(self, selection: Selection) -> np.ndarray:
        """The values in `selection`. Raises `OSError` where a shard cannot be read, `ValueError` where its index is damaged and
        `RuntimeError` where a chunk is."""
        axes_ranges = zip(map(range, self.shape), selection, strict=True)
        wanted = [axis[k] if isinstance(k, slice) else axis[k:][:1] for axis, k in axes_ranges]
        spans = [(each.start, each[-1] + 1) if each else (0, 0) for each in wanted]
        axes = [_parts(*span, *sizes) for span, *sizes in zip(spans, self.chunk, self.chunks, strict=True)]
        values = np.full([stop - start for start, stop in spans], np.nan, np.float32)
        block = np.empty(self.chunk, np.float32)
        for shard in product(*axes):
            path = self.folder.joinpath("c", *map(str, shard))
            if not path.exists():  # all its chunks hold the fill value
                continue
            with check_file(path).open("rb", buffering=0) as file:
                index = self._index(file)
                for parts in product(*(axis[number] for axis, number in zip(axes, shard, strict=True))):
                    number, source, target = zip(*parts, strict=True)
                    begin, size = index[number].tolist()
                    if begin != _NOT_STORED:
                        file.seek(begin)
                        decompress(file.read(size), block)
                        values[target] = block[source]
        return values[tuple(slice(None, None, k.step) if isinstance(k, slice) else 0 for k in selection)]

    def _index(self, file: FileIO) -> np.ndarray:
        """Where each chunk begins and how many bytes it has `(*chunks, 2)`."""
        size = 16 * prod(self.chunks)
        file.seek(-size - 4, SEEK_END)
        index, checksum = file.read(size), file.read(4)
        if google_crc32c.value(index) != int.from_bytes(checksum, "little"):
            raise ValueError(f"the index of {file.name} is damaged")
        return np.frombuffer(index, "<u8").reshape(*self.chunks, 2)


def _metadata(file: Path) -> Any:
    """The metadata of an array; None where there are none that are strict JSON: zarr judges them."""
    try:
        return read_json(file) if is_file(file) else None
    except FramecastError:
        return None


def _are_sizes(*sizes: Any) -> bool:
    """Whether these are lists of whole numbers, of one length, and all but the first of numbers above 0."""
    if not all(isinstance(each, list) and all(type(number) is int for number in each) for each in sizes):
        return False
    least = [min(each, default=0) for each in sizes]
    return len({len(each) for each in sizes}) == 1 and least[0] >= 0 and min(least[1:]) > 0


def _decodes(attributes: Any) -> bool:
    return not isinstance(attributes, dict) or bool(attributes.keys() & _DECODING_ATTRIBUTES)


def _parts(start: int, stop: int, chunk: int, chunks: int) -> dict[int, list[Part]]:
    """What of the chunks along an axis lies between `start` and `stop`, by the number of the shard."""
    parts: dict[int, list[Part]] = {}
    for number in range(start // chunk, -(-stop // chunk)):
        shard, inside = divmod(number, chunks)
        begin, low, high = number * chunk, max(start, number * chunk), min(stop, (number + 1) * chunk)
        part = (inside, slice(low - begin, high - begin), slice(low - start, high - start))
        parts.setdefault(shard, []).append(part)
    return parts
