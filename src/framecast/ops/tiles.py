"""The tiles of Winograd's filtering (winograd.py): sizes, points at which polynomials are evaluated, and the matrices that do.

Of the two sizes for 3 x 3 kernels the one with fewer multiplications for the map is taken: tiles of 8 x 8 save more, but reach
over the edge of small maps, and their transformed weights are nearly twice as large. Small points, in pairs p, -p and p, 1/p,
keep the error small; those of 10 x 10 were found by trying.
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
"""By the size of a tile; infinity is one more."""
_TILES = {3: (6, 8), 5: (8,), 7: (10,)}
"""Their sizes, by that of the kernel."""


@lru_cache
def tile_of(kernel: int, height: int, width: int) -> int:
    """The size of the tiles of which a map of this size needs the fewest multiplications."""

    def multiplications(tile: int) -> int:
        step = tile + 1 - kernel
        return -(-height // step) * -(-width // step) * tile**2

    return min(_TILES[kernel], key=multiplications)


def _powers(tile: int, count: int) -> np.ndarray:
    """Polynomials of `count` coefficients at the points, `(tile, count)`; at infinity it is the last coefficient."""
    finite = np.vander(np.array(POINTS[tile]), count, increasing=True)
    return np.vstack([finite, np.eye(count)[-1:]])


@cache
def matrices(kernel: int, tile: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """B^T `(n, n)`, G `(n, kernel)`, A^T `(n + 1 - kernel, n)` with n = `tile`. The rows of B^T are brought to the size of 1."""
    back = np.linalg.inv(_powers(tile, tile)).T
    scale = 2.0 ** np.round(np.log2(np.abs(back).max(axis=1, keepdims=True)))
    found = back / scale, scale * _powers(tile, kernel), _powers(tile, tile + 1 - kernel).T
    return tuple(torch.from_numpy(np.ascontiguousarray(each)).to(dtype) for each in found)  # type: ignore[return-value]
