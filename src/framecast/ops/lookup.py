"""Values of a map at given places."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def look_up(values: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """`values (B, D, h, w)` at `rows, columns (B, r, c)` in pixels, bilinear, 0 outside: `(B, D, r, c)`."""
    height, width = values.shape[-2:]
    grid = torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], dim=-1)
    return functional.grid_sample(values, grid, align_corners=False)


def places(like: Tensor) -> tuple[Tensor, Tensor]:
    """Rows `(h, 1)` and columns `(w)` of the pixels of `like (..., h, w)`, in its dtype."""
    height, width = like.shape[-2:]
    rows = torch.arange(height, device=like.device, dtype=like.dtype)[:, None]
    return rows, torch.arange(width, device=like.device, dtype=like.dtype)
