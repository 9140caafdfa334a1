"""Structural similarity.

Zhou Wang, Alan Bovik, Hamid Sheikh, Eero Simoncelli, "Image Quality Assessment: From Error Visibility to Structural
Similarity", IEEE Transactions on Image Processing 2004, equation 13, in windows that lie wholly inside the frame.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

K1, K2 = 0.01, 0.03


def gaussian_window(side: int = 11, sigma: float = 1.5) -> Tensor:
    """The window of the paper `(side, side)`, with sum 1."""
    place = torch.arange(side) - (side - 1) / 2
    line = torch.exp(-(place**2) / (2 * sigma**2))
    window = line[:, None] * line[None, :]
    return window / window.sum()


def uniform_window(side: int = 7) -> Tensor:
    """The default window of scikit-image `(side, side)`, with sum 1."""
    return torch.full((side, side), 1 / side**2)


def ssim_map(prediction: Tensor, truth: Tensor, window: Tensor, data_range: float, *, sample: bool) -> Tensor:
    """The similarity at each window: `prediction, truth (N, C, H, W)` -> `(N, C, H - s + 1, W - s + 1)`.

    `sample` uses the covariance of a sample, n / (n - 1), as scikit-image does by default. Computed in float64.
    """
    x, y = prediction.double(), truth.double()
    weights = window.to(x)[None, None]

    def mean(field: Tensor) -> Tensor:
        return functional.conv2d(field.flatten(0, 1)[:, None], weights).reshape(
            *field.shape[:2], *_inner(field, window)
        )

    count = window.numel()
    norm = count / (count - 1) if sample else 1.0
    mx, my = mean(x), mean(y)
    xx, yy, xy = (norm * (mean(a * b) - ma * mb) for a, b, ma, mb in ((x, x, mx, mx), (y, y, my, my), (x, y, mx, my)))
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    return ((2 * mx * my + c1) * (2 * xy + c2)) / ((mx**2 + my**2 + c1) * (xx + yy + c2))


def observed_windows(valid: Tensor, window: Tensor) -> Tensor:
    """`valid (N, 1, H, W)` bool -> which windows hold no missing pixel `(N, 1, H - s + 1, W - s + 1)`."""
    missing = functional.max_pool2d((~valid).double(), window.shape[0], stride=1)
    return missing < 0.5


def _inner(field: Tensor, window: Tensor) -> tuple[int, int]:
    return field.shape[-2] - window.shape[0] + 1, field.shape[-1] - window.shape[1] + 1
