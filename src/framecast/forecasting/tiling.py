"""Forecasts of large frames in overlapping square tiles, which needs the memory of one tile only.

The outer third of an overlap is discarded, since there the model lacks the pixels beyond the tile; in the middle third the
forecasts of neighbouring tiles are blended. The result equals the forecast without tiles if the receptive field of the model is
at most a third of the overlap. Over several steps the receptive field grows, so a narrow overlap is an approximation.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from framecast.errors import ArgumentError

_MIN_WEIGHT = 1e-6
"""The weight of discarded pixels, above 0 so that a pixel at the border of all its tiles still has a value."""


def check_overlap(tile: int, overlap: int, multiple: int | None) -> None:
    """Raise `ArgumentError` if tiles with that overlap do not advance; `multiple` as in `forecast_tiles`."""
    if overlap < 0 or tile - overlap < (multiple or 1):
        remedy = "choose a smaller overlap" if overlap > 0 else "choose an overlap of 0 or more, and larger tiles"
        raise ArgumentError(f"{overlap} pixels in tiles of {tile} x {tile}", parameter="overlap", remedy=remedy)


def forecast_tiles(
    forecast: Callable[[np.ndarray], np.ndarray], contexts: np.ndarray, tile: int, overlap: int, multiple: int | None
) -> np.ndarray:
    """Apply `forecast`, which maps `(B, T, C, h, w)` to `(B, S, C, h, w)`, to square tiles of `contexts (B, T, C, H, W)` with
    sides of `tile` pixels, and blend the results `(B, S, C, H, W)`.

    Tiles start at multiples of `multiple`, as the model's patches do, and the last may be smaller. If `multiple` is None, all
    tiles have the same size and start anywhere.
    """
    size = contexts.shape[-2:]
    result: np.ndarray | None = None
    total = np.zeros(size, dtype=np.float32)
    for top, left in product(*(_starts(length, tile, overlap, multiple) for length in size)):
        window = (..., slice(top, top + tile), slice(left, left + tile))
        part = forecast(np.ascontiguousarray(contexts[window]))
        rows = _weights(top, part.shape[-2], size[0], tile, overlap)
        weight = np.outer(rows, _weights(left, part.shape[-1], size[1], tile, overlap))
        if result is None:
            result = np.zeros((*part.shape[:-2], *size), dtype=np.float32)
        result[window] += weight * part
        total[window[1:]] += weight
    assert result is not None
    return np.asarray(result / total, dtype=np.float32)


def _starts(length: int, tile: int, overlap: int, multiple: int | None) -> list[int]:
    """The starts of the tiles that cover an axis of `length` pixels."""
    if multiple is None:
        return [*range(0, length - tile, tile - overlap), max(length - tile, 0)]
    return list(range(0, max(length - overlap, 1), (tile - overlap) // multiple * multiple))


def _weights(start: int, size: int, length: int, tile: int, overlap: int) -> np.ndarray:
    """The weights of the `size` pixels of a tile along one axis: 1, with ramps at its borders inside the frame."""
    third = max(overlap / 3, 1e-3)
    pixel = np.arange(size, dtype=np.float32) + np.float32(0.5)
    rising = (pixel - third) / third if start > 0 else np.ones_like(pixel)
    falling = (tile - pixel - third) / third if start + size < length else np.ones_like(pixel)
    return np.asarray(np.clip(np.minimum(rising, falling), _MIN_WEIGHT, 1))
