"""How sure an average is: a bootstrap over independent blocks of cases.

Windows that overlap in time are not independent, so what is drawn again with replacement are blocks of cases, at least a
window long, not cases (Künsch, "The Jackknife and the Bootstrap for General Stationary Observations", 1989; recommended for
forecast verification by Gilleland et al. 2018). With fewer than two blocks there is no interval.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

REPEATS = 1000


def interval(
    score: Callable[[np.ndarray], float],
    blocks: np.ndarray,
    *,
    level: float = 0.95,
    repeats: int = REPEATS,
    seed: int = 0,
) -> tuple[float, float] | None:
    """The percentile interval of `score(weights)`, a function of how often each case is counted.

    `blocks (N,)` holds the number of the block of each case; `weights (N,)` is 1 for each case of a block for each time
    the block was drawn. None where there are fewer than two blocks or the score is never defined.
    """
    numbers, members = np.unique(blocks, return_inverse=True)
    if len(numbers) < 2:
        return None
    chance = np.random.default_rng(seed)
    values = []
    for _ in range(repeats):
        drawn = np.bincount(chance.integers(len(numbers), size=len(numbers)), minlength=len(numbers))
        values.append(score(drawn[members].astype(np.float64)))
    defined = [value for value in values if np.isfinite(value)]
    if not defined:
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
