"""Structural similarity.

Zhou Wang, Alan Bovik, Hamid Sheikh, Eero Simoncelli, "Image Quality Assessment: From Error Visibility to Structural
Similarity", IEEE Transactions on Image Processing 2004, equation 13, in windows that lie wholly inside the frame. A window
is given by its line `(side,)`: its weights are the products of the line's, which sum to 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

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
    x, y = prediction.to(line.dtype), truth.to(line.dtype)
    count = len(line) ** 2
    norm = count / (count - 1) if sample else 1.0
    mx, my = _mean(x, line), _mean(y, line)
    xx, yy, xy = (
        norm * (_mean(a * b, line) - ma * mb) for a, b, ma, mb in ((x, x, mx, mx), (y, y, my, my), (x, y, mx, my))
    )
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    return ((2 * mx * my + c1) * (2 * xy + c2)) / ((mx**2 + my**2 + c1) * (xx + yy + c2))


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
