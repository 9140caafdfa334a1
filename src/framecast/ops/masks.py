"""Masks: which frames a forecast is fed, and where smaller maps are valid."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def free_running(batch: int, context: int, horizon: int) -> Tensor:
    """`(batch, context + horizon - 1)` bool: the truth for the context, the model's own predictions after it."""
    return (torch.arange(context + horizon - 1) < context).repeat(batch, 1)


def all_valid(valid: Tensor, size: tuple[int, ...]) -> Tensor:
    """Where all pixels of `valid (B, T, 1, H, W)` that make a place of a smaller map are valid: `(B, T, 1, *size)`."""
    missing = functional.adaptive_max_pool2d((~valid).float().flatten(0, 1), list(size))
    return (missing == 0).reshape(*valid.shape[:3], *size)
