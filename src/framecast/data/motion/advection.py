"""Fields along a motion: trajectories of pixels, and the interpolation of fields at positions.

Trajectories are semi-Lagrangian: a step is the displacement halfway along the path (midpoint rule), in the motion field of the
newest frame, which is assumed steady (Germann and Zawadzki, "Scale-Dependence of the Predictability of Precipitation from
Continental Radar Images", 2002). Positions are `(2, H, W)`, row and column in pixels of the full frame.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from framecast.ops.frames import sample
from framecast.ops.windows import has_loops

MIDPOINT_ROUNDS = 2
"""Iterations of the midpoint rule."""
STRIDE = 8
"""Motion is smooth over more than so many pixels: it is kept, and origins are traced, at every so many."""


class Motion(NamedTuple):
    """The displacement per step `(2, h, w)`, rows then columns, in pixels, at every `stride`-th pixel of a frame."""

    displacement: Tensor
    stride: int = 1

    @property
    def still(self) -> bool:
        """Whether nothing moves, so that nothing need be interpolated."""
        return not bool(self.displacement.any())

    def at(self, positions: Tensor) -> Tensor:
        """The displacement at `positions (2, H, W)`."""
        return interpolate(self.displacement, positions / self.stride)

    def scaled(self, factor: float) -> Motion:
        """The motion of `factor` steps; negative for steps back in time."""
        return Motion(self.displacement * factor, self.stride)


def motion_of(displacement: np.ndarray, stride: int = 1) -> Motion:
    """The `Motion` of a NumPy array `(2, h, w)`."""
    return Motion(torch.from_numpy(np.ascontiguousarray(displacement, dtype=np.float32)), stride)


def pixel_positions(height: int, width: int) -> Tensor:
    """The positions of all pixels, `(2, H, W)`."""
    return torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")).float()


def interpolate(field: Tensor, positions: Tensor, mode: str = "bilinear") -> Tensor:
    """Interpolate `field (K, H, W)` at `positions (2, h, w)`, with the border extended: `(K, h, w)`. `mode` is bilinear or
    nearest."""
    if mode == "bilinear" and has_loops(field, positions):
        return sample(field, *positions)
    height, width = field.shape[-2:]
    scale = torch.tensor([2 / max(height - 1, 1), 2 / max(width - 1, 1)]).reshape(2, 1, 1)
    grid = (positions * scale - 1).flip(0).permute(1, 2, 0)[None]
    sampled: Tensor = functional.grid_sample(field[None], grid, mode=mode, padding_mode="border", align_corners=True)[0]
    return sampled


def trajectories(motion: Motion, start: Tensor, steps: int) -> list[Tensor]:
    """The positions after 1 to `steps` steps of what is at `start (2, H, W)` now. For the origins of what arrives there, pass
    `motion.scaled(-1)`."""
    positions, path = start, []
    for _ in range(steps):
        displacement = motion.at(positions)
        for _ in range(MIDPOINT_ROUNDS):
            displacement = motion.at(positions + displacement / 2)
        positions = positions + displacement
        path.append(positions)
    return path


def inside(positions: Tensor, height: int, width: int) -> Tensor:
    """Where `positions (2, H, W)` lie on a frame: `(H, W)` bool."""
    rows, columns = positions[0], positions[1]
    return (rows >= -0.5) & (columns >= -0.5) & (rows <= height - 0.5) & (columns <= width - 0.5)


def sample_values(
    frame: Tensor, positions: Tensor, dry: float, *, mode: str = "bilinear", missing: Tensor | None = None
) -> Tensor:
    """The values of `frame (C, H, W)`, NaN for no data, at `positions (2, h, w)`: `(C, h, w)`. NaN where the nearest pixel has
    no data, and outside of the frame. Next to missing pixels these count as `dry`. Where they are the same in all channels,
    `missing (1, H, W)` bool says which."""
    missing = frame.isnan() if missing is None else missing
    values = interpolate(frame.masked_fill(missing, dry), positions, mode)
    no_data = interpolate(missing.float(), positions, "nearest") > 0.5
    return values.masked_fill_(no_data | ~inside(positions, *frame.shape[-2:]), torch.nan)


def advect(frame: np.ndarray, flow: np.ndarray, horizon: int, dry: float, *, extend_border: bool = False) -> np.ndarray:
    """Advect `frame (C, H, W)` by `flow (2, H, W)` (rows, columns, in pixels per step) for 1..horizon steps: `(L, C, H, W)`.

    Each pixel of a forecast is traced back to its origin in the frame; values are interpolated bilinearly. The result is NaN
    where the nearest pixel of the origin is missing, or outside the frame unless `extend_border`.
    """
    values = torch.from_numpy(np.ascontiguousarray(frame, dtype=np.float32))
    height, width = frame.shape[-2:]
    origins = trajectories(motion_of(flow).scaled(-1), pixel_positions(height, width), horizon)
    if extend_border:
        limits = torch.tensor([height - 1, width - 1]).reshape(2, 1, 1)
        origins = [origin.clamp(min=torch.zeros(2, 1, 1), max=limits) for origin in origins]
    return torch.stack([sample_values(values, origin, dry) for origin in origins]).numpy()
