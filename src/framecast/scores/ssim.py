"""Structural similarity.

Zhou Wang, Alan Bovik, Hamid Sheikh, Eero Simoncelli, "Image Quality Assessment: From Error Visibility to Structural
Similarity", IEEE Transactions on Image Processing 2004, equation 13, in windows that lie wholly inside the frame. A window
is given by its line `(side,)`: its weights are the products of the line's, which sum to 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

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
    """The similarity at each window of a frame: `prediction, truth (H, W)` -> `(H - side + 1, W - side + 1)`.

    `sample` uses the covariance of a sample, n / (n - 1), as scikit-image does by default.
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


MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ms_ssim(prediction: Tensor, truth: Tensor, valid: Tensor, data_range: float = 1.0) -> Tensor | None:
    """Similarity over five scales of a frame (Zhou Wang, Eero Simoncelli, Alan Bovik, "Multi-Scale Structural Similarity for
    Image Quality Assessment", 2003, equation 7): `prediction, truth (H, W)`, `valid (H, W)` bool -> a scalar.

    Each scale is the mean of 2 x 2 pixels of the one before. The mean at a scale is over the windows without a missing pixel,
    and negative means count as 0. None for frames smaller than 176 pixels, and without such a window at some scale.
    """
    line = gaussian_line()
    if min(prediction.shape) < len(line) * 2 ** (len(MS_WEIGHTS) - 1):
        return None
    x, y, there = prediction.to(line.dtype), truth.to(line.dtype), valid
    total = torch.ones((), dtype=line.dtype)
    for number, weight in enumerate(MS_WEIGHTS):
        counted = observed_windows(there, len(line))
        if not counted.any():
            return None
        last = number == len(MS_WEIGHTS) - 1
        values = (ssim_map if last else contrast_map)(x, y, line, data_range, sample=False)
        total = total * values[counted].mean().clamp(min=0) ** weight
        height, width = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
        x, y = (nn.functional.avg_pool2d(part[None, None, :height, :width], 2)[0, 0] for part in (x, y))
        cells = there[:height, :width].reshape(height // 2, 2, width // 2, 2)
        there = cells.all(3).all(1)
    return total


def contrast_map(prediction: Tensor, truth: Tensor, line: Tensor, data_range: float, *, sample: bool) -> Tensor:
    """The part of the similarity that does not look at brightness, as `ssim_map`."""
    _, _, xx, yy, xy = _moments(prediction, truth, line, sample=sample)
    c2 = (K2 * data_range) ** 2
    return (2 * xy + c2) / (xx + yy + c2)


def observed_windows(valid: Tensor, side: int) -> Tensor:
    """`valid (H, W)` bool -> which windows hold no missing pixel `(H - side + 1, W - side + 1)`."""
    if valid.all():
        return valid[side - 1 :, side - 1 :]
    return _mean((~valid).float(), torch.ones(side)) < 0.5


def _mean(field: Tensor, line: Tensor) -> Tensor:
    """The weighted mean in each window. Sums of shifted fields, one frame at a time, stay in the cache: ten times the
    speed of a convolution here."""
    side, (height, width) = len(line), field.shape
    weights: list[float] = line.tolist()
    rows = field[: height - side + 1] * weights[0]
    for k in range(1, side):
        rows.add_(field[k : height - side + 1 + k], alpha=weights[k])
    both: Tensor = rows[:, : width - side + 1] * weights[0]
    for k in range(1, side):
        both.add_(rows[:, k : width - side + 1 + k], alpha=weights[k])
    return both
