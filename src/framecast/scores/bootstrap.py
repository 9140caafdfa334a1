"""How sure a score is: a bootstrap over independent blocks of cases.

Windows that overlap in time are not independent, so what is drawn again with replacement are blocks of cases, at least a
window long, not cases (Künsch, "The Jackknife and the Bootstrap for General Stationary Observations", 1989; recommended for
forecast verification by Gilleland et al. 2018). With fewer than two blocks there is no interval.

Scores are formulas of sums, so what is drawn are sums of blocks: `table (K, N, ...)` holds K sums of each of N cases.
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


def informative(formula: Callable[[np.ndarray], np.ndarray], table: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Which blocks of cases have a value by themselves `(B, ...)`: of sums `table (K, N, ...)`. Of an event a dry block says
    nothing, however many there are."""
    return np.asarray(np.isfinite(formula(by_block(table, blocks))))


def drawn(blocks: np.ndarray, repeats: int = REPEATS, seed: int = 0) -> np.ndarray:
    """How often each block is counted in each repeat `(R, B)`; no repeat with fewer than two blocks."""
    count = len(np.unique(blocks))
    repeats = repeats if count > 1 else 0
    chance = np.random.default_rng(seed)
    return chance.multinomial(count, np.full(count, 1 / count), size=repeats).astype(np.float64)


def resampled(table: np.ndarray, blocks: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The sums of each repeat: `table (K, N, ...)` and `counts (R, B)`, from `drawn`, -> `(K, R, ...)`. NaN in all repeats where
    the sum of a block is not finite: leaving that block out, as some repeats do, would say how sure another score is."""
    sums = by_block(table, blocks)
    finite = np.isfinite(sums)
    result = np.moveaxis(np.tensordot(counts, np.where(finite, sums, 0), axes=(1, 1)), 0, 1)
    return np.where(finite.all(axis=1)[:, None], result, np.nan)


def limits(values: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Between which a share `level` of `values (R, ...)` lies, of those that are finite; NaN where none is."""
    known = np.where(np.isfinite(values), values, np.nan)
    result = np.full((2, *values.shape[1:]), np.nan)
    defined = np.isfinite(known).any(axis=0)
    if np.any(defined):
        result[:, defined] = np.nanquantile(known[:, defined], [(1 - level) / 2, (1 + level) / 2], axis=0)
    return result[0], result[1]
