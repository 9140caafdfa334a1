"""What frames hold, counted in one pass: the share of pixels with data, impossible pixels by reason, and a digest of each frame.

Frames are read in pieces of about `PIECE_BYTES`, by as many threads as there are processors: some frames at a time, or, where
the file stores many large frames together, some rows of all of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import xarray as xr

from framecast.data.chunking import chunk_lengths, spans
from framecast.data.frames import BELOW, INFINITE, OUTSIDE
from framecast.data.lazy import ArrayReader
from framecast.data.orientation import orientation_of
from framecast.data.quantities import Quantity
from framecast.errors import counted
from framecast.progress import advance

PIECE_BYTES = 16 * 2**20
"""Bytes of frames, as float32, that a thread reads at a time."""
_REASONS = {"infinite": INFINITE, "below": BELOW, "outside": OUTSIDE}
"""The bits of impossible pixels, by the name of their count."""
_PIXELS = (-3, -2, -1)
"""The axes of a frame: channel, y, x."""


def coverage(frames: xr.DataArray, *, digests: bool = False) -> xr.DataArray:
    """Share of pixels with data, `([sequence,] time)`, with the coordinates of the frames; in the coordinates `infinite`,
    `below` and `outside` how many impossible pixels were read as no data, and with `digests` in `digest` that of each frame
    (`frame_digests`). Reads all frames once, in pieces."""
    leading, shape, frame_shape = frames.dims[:-3], frames.shape[:-3], frames.shape[-3:]
    known, digest = np.zeros(shape, np.int64), np.zeros(shape, np.uint64)
    impossible = {name: np.zeros(shape, np.int64) for name in _REASONS}
    orientation, reader = orientation_of(frames), ArrayReader(frames)

    def count(block: Mapping[str, slice]) -> None:
        place = tuple(block.values())
        begun = [_Digest(frame_shape) for _ in range(digest[place].size)] if digests else []
        for part in _parts(frames, block, south_first=orientation.south_first):
            values = reader.decode(**block, **part).astype(np.float32, copy=False)
            with_data = ~np.isnan(values)
            known[place] += np.count_nonzero(with_data, axis=_PIXELS)
            if not with_data.all():
                bits = np.ascontiguousarray(values).view(np.uint32)
                for name, reason in _REASONS.items():
                    impossible[name][place] += np.count_nonzero(bits == reason, axis=_PIXELS)
            if digests:
                upright = orientation.upright(values)  # a frame is the same whichever way its rows run
                for one, pixels in zip(begun, upright.reshape(-1, *values.shape[-3:]), strict=True):
                    one.add(pixels)
        if digests:
            digest[place] = np.reshape([one.value for one in begun], digest[place].shape)

    blocks, done = _blocks(frames), 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for block, _ in zip(blocks, pool.map(count, blocks), strict=True):
            done += known[tuple(block.values())].size
            if len(blocks) > 1:
                advance("reading frames", done, known.size)
    counts = {**impossible, "digest": digest} if digests else impossible
    coordinates = {name: each for name, each in frames.coords.items() if set(each.dims) <= set(leading)}
    covered = xr.DataArray(known / np.prod(frame_shape), coordinates, leading, frames.name, frames.attrs)
    return covered.assign_coords({name: (leading, values) for name, values in counts.items()})


def _blocks(frames: xr.DataArray) -> list[dict[str, slice]]:
    """Some frames each, by their slices in the order of the dims: a chunk of the file, or in time several up to `PIECE_BYTES`."""
    sizes = {str(dim): size for dim, size in frames.sizes.items()}
    chunks = frames.chunksizes or {dim: _equal(length, sizes[dim]) for dim, length in chunk_lengths(sizes).items()}
    room = {"sequence": 1, "time": PIECE_BYTES // (4 * int(np.prod(frames.shape[-3:])))}
    leading = [str(dim) for dim in frames.dims[:-3]]
    places = product(*(spans(chunks[dim], room[dim]) for dim in leading))
    return [dict(zip(leading, place, strict=True)) for place in places]


def _parts(frames: xr.DataArray, block: Mapping[str, slice], *, south_first: bool) -> Iterator[dict[str, slice]]:
    """Parts of the frames of a block, from the first to the last of their pixels in memory, north at the top: whole frames, or
    rows of a channel where whole frames are larger than `PIECE_BYTES` and the file itself is cut up in rows."""
    rows = frames.chunksizes.get("y", ())
    row_bytes = 4 * frames.sizes["x"] * int(np.prod([span.stop - span.start for span in block.values()]))
    if len(rows) < 2 or row_bytes * frames.sizes["channel"] * frames.sizes["y"] <= PIECE_BYTES:
        yield {}
        return
    bands = spans(rows, PIECE_BYTES // row_bytes)
    for channel in range(frames.sizes["channel"]):
        for band in reversed(bands) if south_first else bands:
            yield {"channel": slice(channel, channel + 1), "y": band}


def _equal(length: int, size: int) -> tuple[int, ...]:
    """Chunks of a `length`, the last one shorter."""
    return tuple(min(length, size - start) for start in range(0, size, length))


def frame_digests(values: np.ndarray) -> np.ndarray:
    """A digest of the content of each frame `(..., C, H, W)`: 64 bits of BLAKE2b over its size and its float32 values. It is even
    if all pixels with data have one value (`tells_nothing`)."""
    frames = values.reshape(-1, *values.shape[-3:])
    digests = np.empty(len(frames), dtype=np.uint64)
    for number, frame in enumerate(frames):
        digest = _Digest(frame.shape)
        digest.add(frame)
        digests[number] = digest.value
    return digests.reshape(values.shape[:-3])


class _Digest:
    """The digest of a frame of a `shape`, whose pixels are added in their order in memory."""

    def __init__(self, shape: Sequence[int]) -> None:
        self._hash = hashlib.blake2b(np.array(shape, dtype="<i8").tobytes(), digest_size=8)
        self._lowest, self._highest = np.float32(np.nan), np.float32(np.nan)

    def add(self, pixels: np.ndarray) -> None:
        """Add the next pixels of the frame."""
        canonical = np.ascontiguousarray(pixels, dtype="<f4") + np.float32(0)  # no -0
        canonical[np.isnan(canonical)] = np.nan  # one NaN
        self._hash.update(canonical.data)
        self._lowest = np.fmin.reduce(canonical, axis=None, initial=self._lowest)
        self._highest = np.fmax.reduce(canonical, axis=None, initial=self._highest)

    @property
    def value(self) -> np.uint64:
        """The digest of what was added."""
        digest = int.from_bytes(self._hash.digest(), "little")
        varied = self._highest > self._lowest
        return np.uint64(digest | 1 if varied else digest & ~1)


def tells_nothing(digests: np.ndarray) -> np.ndarray:
    """Where a digest is that of a frame whose pixels have one value, dry for example, which any archive may have."""
    return np.asarray(digests % np.uint64(2) == 0)


def describe_impossible(covered: xr.DataArray, quantity: Quantity) -> tuple[str, ...]:
    """The counts of impossible pixels in words, from the `coverage` of an archive."""
    messages = []
    for name, condition in (
        ("infinite", "infinite, which cannot be:"),
        ("below", f"below {quantity.lowest:g} {quantity.label}, which cannot be:"),
        ("outside", "outside of the valid range that the file declares:"),
    ):
        count = int(covered[name].sum())
        if count:
            number = int((covered[name] > 0).sum())
            messages.append(
                f"{counted(count, 'pixel')} in {counted(number, 'frame')} {'is' if count == 1 else 'are'} {condition} no data"
            )
    return tuple(messages)
