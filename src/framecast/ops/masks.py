"""Masks: the teacher mask of a forecast, and the valid cells of a smaller map."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def free_running(batch: int, context: int, horizon: int) -> Tensor:
    """The teacher mask of a forecast, `(batch, context + horizon - 1)` bool: observed frames in the context, predictions after
    it."""
    return (torch.arange(context + horizon - 1) < context).repeat(batch, 1)


def all_valid(valid: Tensor, size: tuple[int, ...]) -> Tensor:
    """Reduce `valid (B, T, 1, H, W)` to `(B, T, 1, *size)`: a cell is valid if all of its pixels are."""
    missing = functional.adaptive_max_pool2d((~valid).float().flatten(0, 1), list(size))
    return (missing == 0).reshape(*valid.shape[:3], *size)
