"""Chunk lengths of lazy frames, multiples of the stored chunks, of about `CHUNK_BYTES` bytes; and slices of whole chunks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate, pairwise
from math import prod

CHUNK_BYTES = 4 * 2**20
"""Bytes, as float32. A window of 20 frames then reads little more than itself, and a set of small clips does not become
a graph of a million tasks."""
READ_LENGTHS = "at_once"
"""The entry of an array's encoding that fixes the length to read at once."""


def chunk_lengths(sizes: Mapping[str, int], stored: Mapping[str, int] | None = None) -> dict[str, int]:
    """The length of a piece along each dimension of frames of these `sizes`, given the `stored` chunks of the file.

    Frames stay whole unless one alone is larger than `CHUNK_BYTES` and the file itself is cut up in space.
    """
    stored = stored or {}
    lengths = dict(sizes)
    space = [dim for dim in sizes if dim not in ("time", "sequence")]
    if 4 * prod(lengths[dim] for dim in space) > CHUNK_BYTES:
        lengths |= {dim: min(stored.get(dim, sizes[dim]), sizes[dim]) for dim in space}
    stored_lengths = {dim: min(stored.get(dim, 1), max(sizes[dim], 1)) for dim in ("time", "sequence") if dim in sizes}
    lengths |= stored_lengths
    for dim, length in stored_lengths.items():
        factor = max(CHUNK_BYTES // max(4 * prod(lengths.values()), 1), 1)
        lengths[dim] = min(factor * length, max(sizes[dim], 1))
    return lengths


def spans(chunks: Iterable[int], room: int = 1) -> list[slice]:
    """Slices of whole chunks along a dimension, as many together as are no longer than `room`, one at least."""
    lengths = tuple(chunks)
    ends = [0]
    for before, after in pairwise(accumulate(lengths, initial=0)):
        if after - ends[-1] > room and before > ends[-1]:
            ends.append(before)
    return [slice(*each) for each in pairwise([*ends, sum(lengths)])]
