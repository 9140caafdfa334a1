"""The teacher mask of a forecast."""

from __future__ import annotations

import torch
from torch import Tensor


def free_running(batch: int, context: int, horizon: int) -> Tensor:
    """`(batch, context + horizon - 1)` bool: the truth for the context, the model's own predictions after it."""
    return (torch.arange(context + horizon - 1) < context).repeat(batch, 1)
