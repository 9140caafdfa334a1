"""Bilinear samples of a map at fractional pixel coordinates, with which MotionRNN and TrajGRU move a hidden state along a
flow."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def bilinear_sample(values: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Sample `values (B, D, h, w)` at `rows, columns (B, r, c)` in pixels, bilinear, 0 outside: `(B, D, r, c)`. Computed in the
    dtype of the coordinates, since half precision is too coarse for them."""
    height, width = values.shape[-2:]
    grid = torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], dim=-1)
    return functional.grid_sample(values.to(grid.dtype), grid, align_corners=False).to(values.dtype)


def pixel_coordinates(like: Tensor) -> tuple[Tensor, Tensor]:
    """Rows `(h, 1)` and columns `(w)` of the pixels of `like (..., h, w)`, in its dtype but at least in float32."""
    rows, columns = (
        torch.arange(length, device=like.device, dtype=torch.promote_types(like.dtype, torch.float32))
        for length in like.shape[-2:]
    )
    return rows[:, None], columns
