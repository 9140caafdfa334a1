"""What frames hold, counted in one pass: the share of pixels with data, impossible pixels by reason, and a digest of each frame.

Frames are read in pieces of about `PIECE_BYTES`, by as many threads as there are processors: some frames at a time, or, where
the file stores many large frames together, some rows of all of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, pairwise, product

import numpy as np
import xarray as xr

from framecast.data.chunking import chunk_lengths
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
    leading, shape = frames.dims[:-3], frames.shape[:-3]
    known, digest = np.zeros(shape, np.int64), np.zeros(shape, np.uint64)
    impossible = {name: np.zeros(shape, np.int64) for name in _REASONS}
    orientation, reader = orientation_of(frames), ArrayReader(frames)

    def count(block: Mapping[str, slice]) -> None:
        place = _place(block)
        begun = [_Digest(frames.shape[-3:]) for _ in range(digest[place].size)] if digests else []
        for part in _parts(frames, block, south_first=orientation.south_first):
            values = reader.decode(**block, **part).astype(np.float32, copy=False)
            with_data = ~np.isnan(values)
            known[place] += np.count_nonzero(with_data, axis=_PIXELS)
            if not with_data.all():
                bits = np.ascontiguousarray(values).view(np.uint32)
                for name, reason in _REASONS.items():
                    impossible[name][place] += np.count_nonzero(bits == reason, axis=_PIXELS)
            upright = orientation.upright(values)  # a frame is the same whichever way its rows run
            for one, pixels in zip(begun, upright.reshape(-1, *values.shape[-3:]), strict=False):
                one.add(pixels)
        if begun:
            digest[place] = np.reshape([one.value for one in begun], digest[place].shape)

    blocks, done = _blocks(frames), 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for block, _ in zip(blocks, pool.map(count, blocks), strict=True):
            done += digest[_place(block)].size
            if len(blocks) > 1:
                advance("reading frames", done, digest.size)
    counts = {**impossible, "digest": digest} if digests else impossible
    covered = frames.isel(dict.fromkeys(frames.dims[-3:], 0), drop=True)
    return covered.copy(data=known / np.prod(frames.shape[-3:])).assign_coords(
        {name: (leading, values) for name, values in counts.items()}
    )


def _blocks(frames: xr.DataArray) -> list[dict[str, slice]]:
    """Some frames each, in sequence and time: whole chunks of the file, of about `PIECE_BYTES` where they are smaller."""
    sizes = {str(dim): size for dim, size in frames.sizes.items()}
    chunks = frames.chunksizes or {dim: _equal(length, sizes[dim]) for dim, length in chunk_lengths(sizes).items()}
    spans = {str(dim): _spans(chunks[dim], 1) for dim in frames.dims[:-3]}
    spans["time"] = _spans(chunks["time"], PIECE_BYTES // (4 * int(np.prod(frames.shape[-3:]))))
    return [dict(zip(spans, each, strict=True)) for each in product(*spans.values())]


def _place(block: Mapping[str, slice]) -> tuple[slice, ...]:
    """The frames of a block in an array `([sequence,] time)`."""
    return tuple(block.values())


def _parts(frames: xr.DataArray, block: Mapping[str, slice], *, south_first: bool) -> Iterator[dict[str, slice]]:
    """Parts of the frames of a block, from the first to the last of their pixels in memory, north at the top: whole frames, or
    rows of a channel where whole frames are larger than `PIECE_BYTES` and the file itself is cut up in rows."""
    rows = frames.chunksizes.get("y", ())
    row_bytes = 4 * frames.sizes["x"] * int(np.prod([span.stop - span.start for span in block.values()]))
    if len(rows) < 2 or row_bytes * frames.sizes["channel"] * frames.sizes["y"] <= PIECE_BYTES:
        yield {}
        return
    bands = _spans(rows, PIECE_BYTES // row_bytes)
    for channel in range(frames.sizes["channel"]):
        for band in reversed(bands) if south_first else bands:
            yield {"channel": slice(channel, channel + 1), "y": band}


def _spans(chunks: Sequence[int], room: int) -> list[slice]:
    """Slices of whole chunks along a dimension, together no longer than `room` unless one alone is."""
    ends = [0]
    for before, after in pairwise(accumulate(chunks, initial=0)):
        if after - ends[-1] > room and before > ends[-1]:
            ends.append(before)
    return [slice(*each) for each in pairwise([*ends, sum(chunks)])]


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
