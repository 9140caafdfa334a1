"""Forecasts of large frames, tile by tile, in the memory of a tile.

Tiles overlap. Of what they share, a tile's outer third is not used, since the model could not see what is beyond; in the
middle third, forecasts are mixed. Where a model looks no further than a third of the overlap, the forecast is the one that
would be made without tiles; over several steps a model looks far, so a narrow overlap is an approximation.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from framecast.errors import ArgumentError

_LEAST = 1e-6
"""The weight of what is not used, so that a pixel which all tiles have at their border still has a value."""


def check_overlap(tile: int, overlap: int, multiple: int | None) -> None:
    """Raise `ArgumentError` for an overlap that leaves tiles no way forward; `multiple` as in `tiled`."""
    if overlap < 0 or tile - overlap < (multiple or 1):
        remedy = "choose a smaller overlap" if overlap > 0 else "choose 0 or more, and larger tiles"
        raise ArgumentError(f"{overlap} pixels in tiles of {tile} x {tile}", parameter="overlap", remedy=remedy)


def tiled(
    forecast: Callable[[np.ndarray], np.ndarray], contexts: np.ndarray, tile: int, overlap: int, multiple: int | None
) -> np.ndarray:
    """`forecast` maps `(B, T, C, h, w)` to `(B, S, C, h, w)`; applied to square tiles of `contexts (B, T, C, H, W)` with sides
    of `tile` pixels. They begin at multiples of `multiple`, as the model's patches do, and the last may be smaller; with None
    they all have one size, wherever they begin."""
    size = contexts.shape[-2:]
    result: np.ndarray | None = None
    total = np.zeros(size, dtype=np.float32)
    for top, left in product(*(_starts(length, tile, overlap, multiple) for length in size)):
        place = (..., slice(top, top + tile), slice(left, left + tile))
        part = forecast(np.ascontiguousarray(contexts[place]))
        down = _weights(top, part.shape[-2], size[0], tile, overlap)
        weight = np.outer(down, _weights(left, part.shape[-1], size[1], tile, overlap))
        if result is None:
            result = np.zeros((*part.shape[:-2], *size), dtype=np.float32)
        result[place] += weight * part
        total[place[1:]] += weight
    assert result is not None
    return np.asarray(result / total, dtype=np.float32)


def _starts(length: int, tile: int, overlap: int, multiple: int | None) -> list[int]:
    """Where tiles begin that cover `length`."""
    if multiple is None:
        return [*range(0, length - tile, tile - overlap), max(length - tile, 0)]
    return list(range(0, max(length - overlap, 1), (tile - overlap) // multiple * multiple))


def _weights(start: int, size: int, length: int, tile: int, overlap: int) -> np.ndarray:
    """Weights of the `size` pixels of a tile along one axis: 1, but at the borders inside the frame."""
    third = max(overlap / 3, 1e-3)
    pixel = np.arange(size, dtype=np.float32) + np.float32(0.5)
    rising = (pixel - third) / third if start > 0 else np.ones_like(pixel)
    falling = (tile - pixel - third) / third if start + size < length else np.ones_like(pixel)
    return np.asarray(np.clip(np.minimum(rising, falling), _LEAST, 1))
