"""Fractions skill score (FSS): compares the share of event pixels in neighbourhoods of forecast and truth, on tensors.

Nigel Roberts, Humphrey Lean, "Scale-Selective Verification of Rainfall Accumulations from High-Resolution Forecasts of
Convective Events", Monthly Weather Review 2008, equations 5 to 7. With Pf and Po the fractions of events among the observed
pixels of a square window around each observed pixel,

    FSS = 1 - sum (Pf - Po)^2 / sum (Pf^2 + Po^2)

Both sums are computed for each case, so fields without any event have no weight, and the score of many cases is pooled, not an
average of scores. A random forecast with the observed frequency f has FSS f, a useful one at least 1/2 + f / 2. Windows are
cut off at the edge of the frame, not filled with zeros.

An event is a value at or above a threshold, or one of the largest values of its own field (a percentile threshold, section 4
of the paper). A percentile threshold removes the bias and measures only the location of rain. In a field with fewer wet pixels
than that all wet pixels are events.

Large windows move by more than one pixel (an eighth of their side); the effect on the sums is negligible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from framecast.ops import windows as loops
from framecast.scores.metric import Metric

SCALES = (1, 3, 9, 17, 33, 65)
"""Sides of windows in pixels, odd."""
SHARES = (0.9, 0.99)
"""Percentile thresholds, as shares of the pixels below them."""

_ROUNDING = 1e-6
"""Scores below this are set to 0: fractions are float32, and rounding may move a score of 0 a little up or down."""

Limit = Callable[[Tensor, Tensor], float]
"""`(field (H, W), valid (H, W)) -> threshold`: pixels of the field at or above it are events."""


def threshold_limit(threshold: float) -> Limit:
    """A fixed threshold, in the units of the field."""
    return lambda field, valid: threshold


def percentile_limit(share: float, wet: float) -> Limit:
    """The quantile `share` of each field, or `wet` where the quantile is below it: only wet pixels are events."""

    def limit(field: Tensor, valid: Tensor) -> float:
        count, largest = int(valid.sum()), field[valid & (field >= wet)]
        rank = min(int(share * count), count - 1) - (count - len(largest))  # among the wet pixels
        return float(largest.kthvalue(rank + 1).values) if rank >= 0 else wet

    return limit


def fractions_sums(
    predictions: Sequence[Tensor], truth: Tensor, valid: Tensor, events: Sequence[Limit], scales: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Both sums, error and reference, of several forecasts of one truth: `(F, B, S, K, L)` float64 for F forecasts, K kinds of
    `events` and L scales.

    `predictions` and `truth (B, S, C, H, W)` are in physical units; only their first channel is used. `valid (B, S, 1, H, W)`.
    """
    observed, *forecasts, mask = (values[:, :, 0].flatten(0, 1) for values in (truth, *predictions, valid))
    limits = torch.tensor(
        [
            [[limit(field[n], mask[n]) for field in (observed, *forecasts)] for limit in events]
            for n in range(len(observed))
        ]
    )
    form = loops.fractions if loops.has_loops(observed, *forecasts) else _one_by_one
    error, reference = form(observed, forecasts, mask, limits, scales)
    shape = (len(forecasts), *truth.shape[:2], len(events), len(scales))
    return error.view(shape), reference.view(shape)


def _one_by_one(
    truth: Tensor, forecasts: Sequence[Tensor], valid: Tensor, limits: Tensor, scales: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """The same as `ops.windows.fractions`, without compiled loops."""
    error, reference = torch.zeros(2, len(forecasts), *limits.shape[:2], len(scales), dtype=torch.float64)
    windows: list[Windows] = []
    for n, mask in enumerate(valid):
        if n == 0 or not torch.equal(mask, valid[n - 1]):  # the mask hardly ever changes
            windows = [Windows(mask, side) for side in scales]
        for k, (limit, *others) in enumerate(limits[n].tolist()):
            observed = integral((truth[n] >= limit) & mask)
            fields = [integral((field[n] >= other) & mask) for field, other in zip(forecasts, others, strict=True)]
            for number, window in enumerate(windows):
                po = window.fraction(observed)
                square = po.square().sum(dtype=torch.float64)
                for f, field in enumerate(fields):
                    pf = window.fraction(field)
                    error[f, n, k, number] = (pf - po).square_().sum(dtype=torch.float64)
                    reference[f, n, k, number] = pf.square_().sum(dtype=torch.float64) + square
    return error, reference


def fss(error: Tensor, reference: Tensor) -> Tensor:
    """The score from sums of any shape, from 0 to 1. NaN where no event was forecast and none observed; 0 where only one of
    both has events."""
    score = 1 - error / reference.clamp(min=1e-300)
    return torch.where(reference > 0, score.masked_fill(score < _ROUNDING, 0.0), torch.nan)


def window_step(side: int) -> int:
    """How many pixels apart windows of `side` pixels are."""
    return max(1, side // 8)


class Windows:
    """Windows of one side around the observed pixels of a frame, cut off at its edge."""

    def __init__(self, valid: Tensor, side: int) -> None:
        self.half, self.step = side // 2, window_step(side)
        self.rows, self.columns = (-(-length // self.step) for length in valid.shape)
        count = self._sums(integral(valid)).float()
        self.centre = valid[:: self.step, :: self.step]
        """Which window centres are observed."""
        self.share = torch.where(self.centre, 1 / count.clamp(min=1), torch.zeros(()))
        """One over the number of observed pixels; 0 for a window whose centre is not observed."""

    def _sums(self, integral: Tensor) -> Tensor:
        """The number of true pixels in each window: differences of the integral at the four corners, which are views of one
        padded field."""
        half, step = self.half, self.step
        padded = nn.functional.pad(integral[None], (half, half, half, half), mode="replicate")[0]
        near, far = slice(0, None, step), slice(2 * half + 1, None, step)
        size = slice(self.rows), slice(self.columns)
        inner, left, above, both = (
            padded[rows, columns][size] for rows, columns in ((far, far), (far, near), (near, far), (near, near))
        )
        return inner - left - above + both

    def at(self, field: Tensor) -> Tensor:
        """The values of a `field (H, W)` at the observed window centres."""
        return field[:: self.step, :: self.step][self.centre]

    def fraction(self, integral: Tensor) -> Tensor:
        """The fraction of events among the observed pixels of each window, 0 where its centre is not observed."""
        return self._sums(integral) * self.share


def integral(field: Tensor) -> Tensor:
    """The number of true pixels above and to the left of each corner `(H + 1, W + 1)`; exact up to 16 million pixels."""
    height, width = field.shape
    cumulative = torch.zeros(height + 1, width + 1)
    cumulative[1:, 1:] = field.float().cumsum(0).cumsum(1)
    return cumulative


def _formula(sums: np.ndarray) -> np.ndarray:
    return fss(*torch.from_numpy(sums)).numpy()


_THRESHOLDS = Metric(
    name="fss",
    title="FSS",
    group="neighbourhood",
    sums=("fss_error", "fss_reference"),
    formula=_formula,
    better="higher",
    perfect=1,
    range=(0, 1),
    definition="1 - sum (Pf - Po)^2 / sum (Pf^2 + Po^2) of the fractions Pf and Po of events among the observed pixels of "
    "square neighbourhoods, sums pooled over cases; of the largest values: events are the wet pixels at or above that "
    "percentile of their own field",
    dims=("threshold", "scale"),
    compared=True,
    curve=True,
)
_LARGEST = replace(
    _THRESHOLDS,
    name="fss_percentile",
    sums=("fss_percentile_error", "fss_percentile_reference"),
    dims=("percentile", "scale"),
    compared=False,
    curve=False,
)
METRICS = (_THRESHOLDS, _LARGEST)
