"""Confidence intervals of scores: a bootstrap over independent blocks of cases, on arrays.

Windows that overlap in time are not independent. The bootstrap therefore draws blocks of cases, at least a window long, with
replacement (Künsch, "The Jackknife and the Bootstrap for General Stationary Observations", 1989; recommended for forecast
verification by Gilleland et al. 2018). With fewer than two blocks there is no interval.

Scores are formulas of sums, so the bootstrap resamples sums of blocks: `table (K, N, ...)` holds K sums of each of N cases.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

REPEATS = 1000


def by_block(table: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """The sums of each block `(K, B, ...)` of the sums of cases `(K, N, ...)`; `blocks (N,)` is the block of each case."""
    order = np.argsort(blocks, kind="stable")
    starts = np.unique(blocks[order], return_index=True)[1]
    return np.asarray(np.add.reduceat(table[:, order], starts, axis=1))


def blocks_with_value(formula: Callable[[np.ndarray], np.ndarray], table: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Which blocks of cases have a defined score `(B, ...)`, from sums `table (K, N, ...)`. A dry block has none for an event
    score: dry blocks, however many, are no evidence about events."""
    return np.asarray(np.isfinite(formula(by_block(table, blocks))))


def draw_blocks(blocks: np.ndarray, repeats: int = REPEATS, seed: int = 0) -> np.ndarray:
    """Draw blocks with replacement: how often each block occurs in each repeat `(R, B)`; R is 0 with fewer than two blocks."""
    count = len(np.unique(blocks))
    repeats = repeats if count > 1 else 0
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), size=repeats).astype(np.float64)


def resample(table: np.ndarray, blocks: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The sums of each repeat: `table (K, N, ...)` and `counts (R, B)` from `draw_blocks` -> `(K, R, ...)`.

    All repeats are NaN where the sum of a block is not finite. Repeats that happen to leave that block out would give the
    interval of another score.
    """
    sums = by_block(table, blocks)
    finite = np.isfinite(sums)
    result = np.moveaxis(np.tensordot(counts, np.where(finite, sums, 0), axes=(1, 1)), 0, 1)
    return np.where(finite.all(axis=1)[:, None], result, np.nan)


def limits(values: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """The limits of the central share `level` of the finite `values (R, ...)`; NaN where no value is finite."""
    known = np.where(np.isfinite(values), values, np.nan)
    result = np.full((2, *values.shape[1:]), np.nan)
    defined = np.isfinite(known).any(axis=0)
    if np.any(defined):
        result[:, defined] = np.nanquantile(known[:, defined], [(1 - level) / 2, (1 + level) / 2], axis=0)
    return result[0], result[1]
