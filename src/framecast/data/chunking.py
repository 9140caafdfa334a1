"""How much of a file is read at once: whole stored chunks, of about `CHUNK_BYTES` bytes."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

CHUNK_BYTES = 4 * 2**20
"""Bytes, as float32. A window of 20 frames then reads little more than itself, and a set of small clips is no graph of
a million tasks."""
READ_LENGTHS = "at_once"
"""The entry of an array's encoding that says how much of it is read at once, whatever the size."""


def chunk_lengths(sizes: Mapping[str, int], stored: Mapping[str, int] | None = None) -> dict[str, int]:
    """The length of a piece along each dimension of frames of these `sizes`, given the `stored` chunks of the file.

    Frames stay whole unless one alone is larger than `CHUNK_BYTES` and the file itself is cut up in space.
    """
    stored = stored or {}
    chosen = dict(sizes)
    space = [dim for dim in sizes if dim not in ("time", "sequence")]
    if 4 * prod(chosen[dim] for dim in space) > CHUNK_BYTES:
        chosen |= {dim: min(stored.get(dim, sizes[dim]), sizes[dim]) for dim in space}
    unit = {dim: min(stored.get(dim, 1), max(sizes[dim], 1)) for dim in ("time", "sequence") if dim in sizes}
    chosen |= unit
    for dim, length in unit.items():
        times = max(CHUNK_BYTES // max(4 * prod(chosen.values()), 1), 1)
        chosen[dim] = min(times * length, max(sizes[dim], 1))
    return chosen
