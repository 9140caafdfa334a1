"""The tiles of Winograd's filtering (winograd.py): their sizes, evaluation points and transform matrices.

Of the two sizes for 3 x 3 kernels, the one with fewer multiplications for the map is used: tiles of 8 x 8 save more, but extend
over the edge of small maps, and their transformed weights are nearly twice as large. Small points, in pairs p, -p and p, 1/p,
keep the error small; those of 10 x 10 were determined by experiment.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
import torch
from torch import Tensor

POINTS = {
    6: (0.0, 2 / 3, -2 / 3, 1.5, -1.5),
    8: (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5),
    10: (0.0, 0.4, -0.4, 0.8, -0.8, 1.25, -1.25, 2.5, -2.5),
}
"""Evaluation points by the size of a tile; infinity is one more."""
_TILES = {3: (6, 8), 5: (8,), 7: (10,)}
"""Sizes of tiles by the size of the kernel."""


@lru_cache
def tile_of(kernel: int, height: int, width: int) -> int:
    """The size of tiles that needs the fewest multiplications for a map of this size."""

    def multiplications(tile: int) -> int:
        step = tile + 1 - kernel
        return -(-height // step) * -(-width // step) * tile**2

    return min(_TILES[kernel], key=multiplications)


def _powers(tile: int, count: int) -> np.ndarray:
    """Values of the monomials of `count` coefficients at the points, `(tile, count)`; infinity selects the last coefficient."""
    finite = np.vander(np.array(POINTS[tile]), count, increasing=True)
    return np.vstack([finite, np.eye(count)[-1:]])


@cache
def matrices(kernel: int, tile: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """B^T `(n, n)`, G `(n, kernel)`, A^T `(n + 1 - kernel, n)` with n = `tile`. The rows of B^T are scaled to about 1 by powers
    of 2."""
    back = np.linalg.inv(_powers(tile, tile)).T
    scale = 2.0 ** np.round(np.log2(np.abs(back).max(axis=1, keepdims=True)))
    results = back / scale, scale * _powers(tile, kernel), _powers(tile, tile + 1 - kernel).T
    return tuple(torch.from_numpy(np.ascontiguousarray(each)).to(dtype) for each in results)  # type: ignore[return-value]
