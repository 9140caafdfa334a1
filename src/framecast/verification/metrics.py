"""Measures: scores as formulas of the sums that a verification keeps.

One object says how a score is called, of which sums it is made and by which formula, and which way is better; tables,
curves, intervals and comparisons work on any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from framecast.scores import EVENT_SCORES, Contingency, Convention
from framecast.scores.bootstrap import by_block
from framecast.scores.fractions import fss
from framecast.scores.probability import NEIGHBOURHOOD

LOWER_IS_BETTER = frozenset({"mse", "rmse", "mae", "gdl", "far"})
NEITHER_IS_BETTER = frozenset({"bias", "laplacian"})
"""Of the first the best is 1; the second says nothing of the truth."""


@dataclass(frozen=True, eq=False)
class Measure:
    """A score. `formula` turns sums `(K, ...)`, in the order of `sums`, into values `(...)`, NaN where undefined."""

    name: str
    sums: tuple[str, ...]
    formula: Callable[[np.ndarray], np.ndarray]
    lower_is_better: bool | None
    """None where the best lies in between, as 1 does for the frequency bias, or where there is none."""
    best: float | None = None
    """The value of a perfect forecast, where that lies in between."""
    mean: bool = False
    """Whether it is a mean over cases, so that a single case has a value."""
    place: Mapping[str, int] = field(default_factory=dict)
    """Which threshold, scale or share it is for, by dimension."""


def informative(measure: Measure, table: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Which blocks of cases have a value by themselves `(B, ...)`: of sums `table (K, N, ...)`. Of an event a dry block says
    nothing, however many there are."""
    return np.asarray(np.isfinite(measure.formula(by_block(table, blocks))))


def ratio(sums: np.ndarray) -> np.ndarray:
    """`(2, ...)`: the first over the second, NaN where that is 0."""
    total, weight = sums
    return np.asarray(np.divide(total, weight, out=np.full(np.shape(total), np.nan), where=np.asarray(weight) > 0))


def frame_measure(convention: Convention, score: str) -> Measure:
    """A frame score of a convention: "mse", "ssim", ..."""
    base = convention.base(score)
    return Measure(
        _title(score),
        (base, f"{base}_weight"),
        lambda sums: convention.value(score, *sums),
        _better(score),
        mean=score == base and score not in convention.logarithmic,
    )


def event_measure(score: str, number: int, rate: float) -> Measure:
    """An event score, "csi", ..., at the threshold of that number, `rate` in mm/h."""

    def formula(sums: np.ndarray) -> np.ndarray:
        return EVENT_SCORES[score](Contingency(*torch.from_numpy(sums))).numpy()

    title = "Frequency bias" if score == "bias" else _title(score)
    best = 1.0 if score == "bias" else None
    return Measure(
        f"{title} at {rate:g} mm/h", Contingency._fields, formula, _better(score), best, place={"threshold": number}
    )


def fss_measure(number: int, rate: float, place: int, side: int) -> Measure:
    """The fractions skill score at a threshold, in neighbourhoods of `side` pixels."""
    return _fss_measure(f"FSS at {rate:g} mm/h, {side} pixels", "fss", threshold=number, scale=place)


def percentile_measure(number: int, share: float, place: int, side: int) -> Measure:
    """The fractions skill score of the pixels above a percentile of each field."""
    name = f"FSS of the largest {1 - share:.0%}, {side} pixels"
    return _fss_measure(name, "fss_percentile", percentile=number, scale=place)


def _fss_measure(name: str, sums: str, **place: int) -> Measure:
    def formula(values: np.ndarray) -> np.ndarray:
        return fss(*torch.from_numpy(values)).numpy()

    return Measure(name, (f"{sums}_error", f"{sums}_reference"), formula, lower_is_better=False, place=place)


def mean_measure(name: str, sums: tuple[str, str], *, lower_is_better: bool | None = True, **place: int) -> Measure:
    """A mean over cases of what one sum holds, by the weights in another."""
    return Measure(name, sums, ratio, lower_is_better, mean=True, place=place)


def brier_measure(number: int, rate: float) -> Measure:
    """The Brier score of the probability of an event at the threshold of that number."""
    return mean_measure(f"Brier score at {rate:g} mm/h", ("brier", "brier_weight"), threshold=number)


CRPS = mean_measure("CRPS", ("crps", "pixels"))
LPIPS = mean_measure("LPIPS", ("lpips", "lpips_weight"))
SAL = (
    mean_measure("S", ("sal_s", "sal_weight"), lower_is_better=None),
    mean_measure("A", ("sal_a", "sal_weight"), lower_is_better=None),
    mean_measure("|S|", ("sal_s_size", "sal_weight")),
    mean_measure("|A|", ("sal_a_size", "sal_weight")),
    mean_measure("L", ("sal_l", "sal_weight")),
)
"""Structure and amplitude with their signs, and without, so that too much does not make up for too little; location."""


def _better(score: str) -> bool | None:
    return None if score in NEITHER_IS_BETTER else score in LOWER_IS_BETTER


def _title(score: str) -> str:
    return score.upper().replace("_", "-")


CRPS_DEFINITION = "fair continuous ranked probability score, in the units of the data; of a single forecast the MAE"
THRESHOLD_DEFINITIONS = {
    "brier score": "mean squared difference of the probability of an event from 1 where it came and 0 where not; the "
    "probability is the share of members, of a single forecast the share of event pixels within "
    f"{NEIGHBOURHOOD} x {NEIGHBOURHOOD} pixels",
    "fss": "1 - sum (Pf - Po)^2 / sum (Pf^2 + Po^2) of the fractions Pf and Po of events among the observed pixels of square "
    "neighbourhoods, sums pooled over cases; of the largest values: events are the wet pixels at or above that percentile of "
    "their own field",
}
SAL_DEFINITION = (
    "structure (above 0: areas too large or too flat) and amplitude (above 0: too much rain), both from -2 to 2, and location "
    "from 0 to 2 (Wernli et al. 2008), of objects from 1/15 of the 95th percentile of the wet pixels; means of the frames in "
    "which the truth and all forecasts have rain"
)
FVD_DEFINITION = (
    "squared Fréchet distance of the 400 outputs of I3D for the forecast frames from those for the true frames, drawn at "
    "224 x 224, a clip a case"
)
