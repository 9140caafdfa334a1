"""Tests of significance: of a mean difference of scores of cases that are alike when they are near in time, and the correction
of p for the number of claims. Here and not among the scores, which need no scipy (decision 0018)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import norm
from scipy.stats import t as student


def student_p(difference: float, spread: float, blocks: int) -> float:
    """The two-sided p of a difference whose draws by block have the standard deviation `spread`, by Student's t of `blocks` - 1
    degrees of freedom. Draws of few blocks vary too little, for which `spread` is raised."""
    corrected = spread * np.sqrt(blocks / (blocks - 1))
    return float(2 * student.sf(abs(difference) / corrected, blocks - 1))


def hering_genton(differences: np.ndarray) -> tuple[float, float]:
    """The statistic and p of a mean difference of zero, of differences `(N,)` in the order of time; NaN are left out.

    The covariance of differences k cases apart is modelled as s^2 exp(-3 k / r), fitted to lags up to half of the longest
    (Hering and Genton, 2011, section 2.2). NaN and 1 for fewer than three differences, or where all are 0.
    """
    d = differences[np.isfinite(differences)]
    n = len(d)
    if n < 3 or not d.any() or np.ptp(d) == 0:
        return float("nan"), 1.0
    centred, most = d - d.mean(), max((n - 1) // 2, 1)
    lags = np.arange(most)
    covariance = np.array([centred[k:] @ centred[: n - k] / n for k in lags])
    scale = covariance[0]

    def misfit(parameters: np.ndarray) -> np.ndarray:
        return np.asarray(parameters[0] ** 2 * np.exp(-3 * lags / parameters[1]) - covariance / scale)

    sigma, reach = least_squares(misfit, [1.0, 1.0], bounds=(0, np.inf)).x
    model = scale * sigma**2 * np.exp(-3 * np.arange(n) / reach)
    statistic = d.mean() / np.sqrt((model[0] + 2 * model[1:].sum()) / n)
    return float(statistic), float(2 * norm.sf(abs(statistic)))


def holm(p: Sequence[float]) -> list[float]:
    """Each p raised for how many there are (Sture Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979); NaN
    stay and do not count."""
    known = sorted((value, number) for number, value in enumerate(p) if value == value)
    highest, corrected = 0.0, list(p)
    for rank, (value, number) in enumerate(known):
        highest = max(highest, min(1.0, value * (len(known) - rank)))
        corrected[number] = highest
    return corrected
