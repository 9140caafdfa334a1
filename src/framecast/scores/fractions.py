"""Fractions skill score: is there as much rain in the neighbourhood, if not at the pixel?

Nigel Roberts, Humphrey Lean, "Scale-Selective Verification of Rainfall Accumulations from High-Resolution Forecasts of
Convective Events", Monthly Weather Review 2008, equations 5 to 7. With Pf and Po the fractions of events among the observed
pixels of a square window around each observed pixel,

    FSS = 1 - sum (Pf - Po)^2 / sum (Pf^2 + Po^2)

Both sums are kept for each case, so fields without any event count nothing, and a score of many cases is pooled, not an
average of scores. A random forecast with the observed frequency f has FSS f, one that is skilful at all at least
1/2 + f / 2. Beyond the edge of the frame there is nothing: windows are cut off there, not filled with zeros.

Large windows are moved by more than one pixel (an eighth of their side), which changes the sums in no digit that matters.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

SCALES = (1, 3, 9, 17, 33, 65)
"""Sides of windows in pixels, odd."""


def fractions_sums(
    predictions: Sequence[Tensor], truth: Tensor, valid: Tensor, thresholds: Sequence[float], scales: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Both sums, error and reference, of several forecasts of one truth: `(F, B, S, K, L)` float64 for F forecasts, K
    thresholds and L scales.

    `predictions` and `truth (B, S, C, H, W)` in the units of the thresholds, of which the first channel is looked at;
    `valid (B, S, 1, H, W)`.
    """
    shape = (len(predictions), *truth.shape[:2], len(thresholds), len(scales))
    error, reference = torch.zeros(2, *shape, dtype=torch.float64)
    for b in range(shape[1]):
        for s in range(shape[2]):
            there = valid[b, s, 0]
            if not there.any():
                continue
            windows = [_Windows(there, side) for side in scales]
            for k, threshold in enumerate(thresholds):
                true = _integral((truth[b, s, 0] >= threshold) & there)
                said = [_integral((prediction[b, s, 0] >= threshold) & there) for prediction in predictions]
                for n, window in enumerate(windows):
                    po = window.fraction(true)
                    for f, field in enumerate(said):
                        pf = window.fraction(field)
                        error[f, b, s, k, n] = (pf - po).square().sum(dtype=torch.float64)
                        reference[f, b, s, k, n] = (pf.square() + po.square()).sum(dtype=torch.float64)
    return error, reference


def fss(error: Tensor, reference: Tensor) -> Tensor:
    """The score from sums of any shape; undefined, NaN, without any event, forecast or observed."""
    return torch.where(reference > 0, 1 - error / reference.clamp(min=1e-300), torch.nan)


class _Windows:
    """Windows of one side around the observed pixels of a frame."""

    def __init__(self, there: Tensor, side: int) -> None:
        height, width = there.shape
        step, half = max(1, side // 8), side // 2
        rows, columns = torch.arange(0, height, step), torch.arange(0, width, step)
        top, bottom = (rows - half).clamp(min=0)[:, None], (rows + half + 1).clamp(max=height)[:, None]
        left, right = (columns - half).clamp(min=0), (columns + half + 1).clamp(max=width)
        self.corners = [(y * (width + 1) + x).flatten() for y in (bottom, top) for x in (right, left)]
        centre = there[::step, ::step].flatten()
        self.corners = [corner[centre] for corner in self.corners]
        self.count = self._sum(_integral(there)).float()

    def _sum(self, integral: Tensor) -> Tensor:
        inner, left, above, both = (integral[corner] for corner in self.corners)
        return inner - left - above + both

    def fraction(self, integral: Tensor) -> Tensor:
        """Of events among the observed pixels of each window."""
        return self._sum(integral) / self.count


def _integral(field: Tensor) -> Tensor:
    """The number of true pixels above and to the left of each corner, flat `((H + 1) * (W + 1),)`."""
    height, width = field.shape
    whole = torch.zeros(height + 1, width + 1, dtype=torch.int32)
    whole[1:, 1:] = field.int().cumsum(0, dtype=torch.int32).cumsum(1, dtype=torch.int32)
    return whole.flatten()
