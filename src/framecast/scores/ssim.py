"""Structural similarity (SSIM and MS-SSIM) of frames with missing pixels, on tensors.

Zhou Wang, Alan Bovik, Hamid Sheikh, Eero Simoncelli, "Image Quality Assessment: From Error Visibility to Structural
Similarity", IEEE Transactions on Image Processing 2004, equation 13, in windows that lie wholly inside the frame. Windows are
separable: `line (side,)` holds their weights along each axis, which sum to 1. Missing pixels are NaN; windows that contain one
are left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from framecast.ops import windows as loops

K1, K2 = 0.01, 0.03


def gaussian_line(side: int = 11, sigma: float = 1.5) -> Tensor:
    """The window of the paper."""
    place = torch.arange(side) - (side - 1) / 2
    line = torch.exp(-(place**2) / (2 * sigma**2))
    return line / line.sum()


def uniform_line(side: int = 7) -> Tensor:
    """The default window of scikit-image."""
    return torch.full((side,), 1 / side, dtype=torch.float64)


def ssim_map(prediction: Tensor, truth: Tensor, line: Tensor, data_range: float, *, sample: bool) -> Tensor:
    """The similarity in each window of a frame: `prediction, truth (H, W)` -> `(H - side + 1, W - side + 1)`.

    With `sample` variances are those of a sample, n / (n - 1), as in scikit-image by default.
    """
    mx, my, xx, yy, xy = _moments(prediction, truth, line, sample=sample)
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    return ((2 * mx * my + c1) * (2 * xy + c2)) / ((mx**2 + my**2 + c1) * (xx + yy + c2))


def _moments(
    prediction: Tensor, truth: Tensor, line: Tensor, *, sample: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Means, variances and covariance in each window."""
    x, y = prediction.to(line.dtype), truth.to(line.dtype)
    count = len(line) ** 2
    norm = count / (count - 1) if sample else 1.0
    mx, my = _mean(x, line), _mean(y, line)
    xx, yy, xy = (
        norm * (_mean(a * b, line) - ma * mb) for a, b, ma, mb in ((x, x, mx, mx), (y, y, my, my), (x, y, mx, my))
    )
    return mx, my, xx, yy, xy


def mean_similarity(prediction: Tensor, truth: Tensor, line: Tensor, data_range: float) -> tuple[Tensor, Tensor]:
    """The means over the windows of each frame of the similarity and of its contrast-structure factor: `prediction, truth
    (N, H, W)` -> `(N,)` each, NaN where every window has a missing pixel."""
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    x, y = prediction.to(line.dtype), truth.to(line.dtype)
    if loops.has_loops(x, y):
        *sums, count = loops.similarity(x, y, line, c1, c2, 1.0).unbind(1)
        similarity, contrast = (total / count for total in sums)
        return similarity, contrast
    means = []
    for one, other in zip(x, y, strict=True):
        mx, my, xx, yy, xy = _moments(one, other, line, sample=False)
        part = (2 * xy + c2) / (xx + yy + c2)
        means.append([values.nanmean() for values in ((2 * mx * my + c1) / (mx**2 + my**2 + c1) * part, part)])
    similarity, contrast = (torch.stack(each).double() for each in zip(*means, strict=True))
    return similarity, contrast


MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
POOLED = 2 ** (len(MS_WEIGHTS) - 1)
"""Pixels of the original frame along a side of a pixel of the coarsest scale."""
SMALLEST = 11 * POOLED
"""The smallest frames of MS-SSIM, in pixels a side."""


def ms_ssim(
    prediction: Tensor, truth: Tensor, data_range: float = 1.0, *, first: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """Multi-scale similarity of each frame, over five scales (Zhou Wang, Eero Simoncelli, Alan Bovik, "Multi-Scale Structural
    Similarity for Image Quality Assessment", 2003, equation 7): `prediction, truth (N, H, W)` -> `(N,)`.

    Each scale is the mean of 2 x 2 pixels of the previous one. The mean at a scale is over the windows without a missing pixel;
    negative means count as 0. NaN for frames smaller than 176 pixels, and where a scale has no such window. `first` is the
    `mean_similarity` of the frames in the window of the paper, if it is known.
    """
    line = gaussian_line()
    total = torch.ones(len(truth), dtype=torch.float64)
    if min(truth.shape[1:]) < SMALLEST:
        return total * torch.nan
    x, y = prediction.to(line.dtype), truth.to(line.dtype)
    for scale, weight in enumerate(MS_WEIGHTS[:-1]):
        _, contrast = first if first and not scale else mean_similarity(x, y, line, data_range)
        total = total * contrast.clamp(min=0) ** weight
        x, y = (nn.functional.avg_pool2d(each[:, None], 2)[:, 0] for each in (x, y))
    similarity, _ = mean_similarity(x, y, line, data_range)
    return total * similarity.clamp(min=0) ** MS_WEIGHTS[-1]


def _mean(field: Tensor, line: Tensor) -> Tensor:
    """The weighted mean in each window, by sums of shifted fields, one frame at a time: these stay in the cache, ten times as
    fast as a convolution here."""
    side, (height, width) = len(line), field.shape
    weights: list[float] = line.tolist()
    rows = field[: height - side + 1] * weights[0]
    for k in range(1, side):
        rows.add_(field[k : height - side + 1 + k], alpha=weights[k])
    both: Tensor = rows[:, : width - side + 1] * weights[0]
    for k in range(1, side):
        both.add_(rows[:, k : width - side + 1 + k], alpha=weights[k])
    return both
