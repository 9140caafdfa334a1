"""Fractions skill score: is there as much rain in the neighbourhood, if not at the pixel?

Nigel Roberts, Humphrey Lean, "Scale-Selective Verification of Rainfall Accumulations from High-Resolution Forecasts of
Convective Events", Monthly Weather Review 2008, equations 5 to 7. With Pf and Po the fractions of events among the observed
pixels of a square window around each observed pixel,

    FSS = 1 - sum (Pf - Po)^2 / sum (Pf^2 + Po^2)

Both sums are kept for each case, so fields without any event count nothing, and a score of many cases is pooled, not an
average of scores. A random forecast with the observed frequency f has FSS f, one that is skilful at all at least
1/2 + f / 2. Beyond the edge of the frame there is nothing: windows are cut off there, not filled with zeros.

An event is a value at or above a threshold, or one of the largest values of its own field (a percentile threshold, section 4
of the paper), which leaves the bias out and judges only where rain is placed. A field of which fewer pixels are wet than
that has all its wet pixels as events.

Large windows are moved by more than one pixel (an eighth of their side), which changes the sums in no digit that matters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

SCALES = (1, 3, 9, 17, 33, 65)
"""Sides of windows in pixels, odd."""
SHARES = (0.9, 0.99)
"""Percentiles that thresholds are taken at, as shares of the pixels below them."""

Event = Callable[[Tensor, Tensor], Tensor]
"""`(field (H, W), where it is valid (H, W)) -> where an event is (H, W)` bool."""


def exceeds(threshold: float) -> Event:
    """Events are values at or above a threshold, in the units of the field."""
    return lambda field, there: (field >= threshold) & there


def among_the_largest(share: float, wet: float) -> Event:
    """Events are the wet values, `wet` or more, at or above the quantile `share` of the field."""

    def event(field: Tensor, there: Tensor) -> Tensor:
        values = field[there]
        rank = min(int(share * len(values)), len(values) - 1)
        return (field >= max(float(values.kthvalue(rank + 1).values), wet)) & there

    return event


def fractions_sums(
    predictions: Sequence[Tensor], truth: Tensor, valid: Tensor, events: Sequence[Event], scales: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Both sums, error and reference, of several forecasts of one truth: `(F, B, S, K, L)` float64 for F forecasts, K kinds of
    `events` and L scales.

    `predictions` and `truth (B, S, C, H, W)` in physical units, of which the first channel is looked at;
    `valid (B, S, 1, H, W)`.
    """
    shape = (len(predictions), *truth.shape[:2], len(events), len(scales))
    error, reference = torch.zeros(2, *shape, dtype=torch.float64)
    windows: list[Windows] = []
    last: Tensor | None = None
    for b in range(shape[1]):
        for s in range(shape[2]):
            there = valid[b, s, 0]
            if not there.any():
                continue
            if last is None or not torch.equal(there, last):  # what is observed hardly ever changes
                windows, last = [Windows(there, side) for side in scales], there
            for k, event in enumerate(events):
                true = integral(event(truth[b, s, 0], there))
                said = [integral(event(prediction[b, s, 0], there)) for prediction in predictions]
                for n, window in enumerate(windows):
                    po = window.fraction(true)
                    square = po.square().sum(dtype=torch.float64)
                    for f, field in enumerate(said):
                        pf = window.fraction(field)
                        error[f, b, s, k, n] = (pf - po).square_().sum(dtype=torch.float64)
                        reference[f, b, s, k, n] = pf.square_().sum(dtype=torch.float64) + square
    return error, reference


def fss(error: Tensor, reference: Tensor) -> Tensor:
    """The score from sums of any shape; undefined, NaN, without any event, forecast or observed."""
    return torch.where(reference > 0, 1 - error / reference.clamp(min=1e-300), torch.nan)


class Windows:
    """Windows of one side around the observed pixels of a frame, cut off at its edge."""

    def __init__(self, there: Tensor, side: int) -> None:
        self.half, self.step = side // 2, max(1, side // 8)
        self.rows, self.columns = (-(-length // self.step) for length in there.shape)
        count = self._sums(integral(there)).float()
        self.centre = there[:: self.step, :: self.step]
        """Which of the places that windows are moved to are observed themselves."""
        self.share = torch.where(self.centre, 1 / count.clamp(min=1), torch.zeros(()))
        """One over the number of observed pixels; 0 for a window whose centre is not observed."""

    def _sums(self, integral: Tensor) -> Tensor:
        """The number of true pixels in each window, from corners that are moved views of one padded field."""
        half, step = self.half, self.step
        padded = nn.functional.pad(integral[None], (half, half, half, half), mode="replicate")[0]
        near, far = slice(0, None, step), slice(2 * half + 1, None, step)
        size = slice(self.rows), slice(self.columns)
        inner, left, above, both = (
            padded[rows, columns][size] for rows, columns in ((far, far), (far, near), (near, far), (near, near))
        )
        return inner - left - above + both

    def fraction(self, integral: Tensor) -> Tensor:
        """Of events among the observed pixels of each window, 0 where its centre is not observed."""
        return self._sums(integral) * self.share


def integral(field: Tensor) -> Tensor:
    """The number of true pixels above and to the left of each corner `(H + 1, W + 1)`; exact up to 16 million pixels."""
    height, width = field.shape
    whole = torch.zeros(height + 1, width + 1)
    whole[1:, 1:] = field.float().cumsum(0).cumsum(1)
    return whole
