"""Significance tests of mean score differences that are correlated in time, and the correction of p for multiple tests.

Functions on arrays and floats. Not in `framecast.scores`, which must not need scipy (decision 0018).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import norm
from scipy.stats import t as student


def student_p(difference: float, spread: float, blocks: int) -> float:
    """The two-sided p of a difference with the bootstrap standard deviation `spread`, by Student's t with `blocks` - 1 degrees of
    freedom. `spread` is scaled by sqrt(n / (n - 1)), because bootstrap draws of few blocks vary too little."""
    corrected = spread * np.sqrt(blocks / (blocks - 1))
    return float(2 * student.sf(abs(difference) / corrected, blocks - 1))


def hering_genton(differences: np.ndarray) -> tuple[float, float]:
    """The statistic and p of the hypothesis that the mean of `differences (N,)`, in order of time, is 0; NaN are left out.

    The covariance of differences k cases apart is modelled as s^2 exp(-3 k / r), fitted to lags up to half of the longest
    (Hering and Genton, 2011, section 2.2). Returns NaN and 1 for fewer than three differences, or if all are equal.
    """
    d = differences[np.isfinite(differences)]
    n = len(d)
    if n < 3 or not d.any() or np.ptp(d) == 0:
        return float("nan"), 1.0
    centred, lag_count = d - d.mean(), max((n - 1) // 2, 1)
    lags = np.arange(lag_count)
    covariance = np.array([centred[k:] @ centred[: n - k] / n for k in lags])
    scale = covariance[0]

    def misfit(parameters: np.ndarray) -> np.ndarray:
        return np.asarray(parameters[0] ** 2 * np.exp(-3 * lags / parameters[1]) - covariance / scale)

    sigma, reach = least_squares(misfit, [1.0, 1.0], bounds=(0, np.inf)).x
    model = scale * sigma**2 * np.exp(-3 * np.arange(n) / reach)
    statistic = d.mean() / np.sqrt((model[0] + 2 * model[1:].sum()) / n)
    return float(statistic), float(2 * norm.sf(abs(statistic)))


def holm(p: Sequence[float]) -> list[float]:
    """p values corrected for their number (Sture Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979); NaN stay
    NaN and are not counted."""
    known = sorted((value, number) for number, value in enumerate(p) if value == value)
    highest, corrected = 0.0, list(p)
    for rank, (value, number) in enumerate(known):
        highest = max(highest, min(1.0, value * (len(known) - rank)))
        corrected[number] = highest
    return corrected
