"""Interpolates a missing frame between its two neighbours, along their motion.

The motion from the frame before to the one after is estimated, and both are advected halfway along it, one forward and one
backward. Where both have data the result is their mean, where one has data its value, and where none has, what was observed at
the pixel itself before and after; else it is NaN: no data, dry and wet stay what they are.
"""

from __future__ import annotations

import numpy as np
import torch

from framecast.data.motion.advection import motion_of, pixel_positions, sample_values, trajectories
from framecast.data.motion.optical_flow import context_motion
from framecast.data.quantities import Quantity


def interpolate_frame(before: np.ndarray, after: np.ndarray, quantity: Quantity) -> np.ndarray:
    """The frame `(C, H, W)` in the middle between `before` and `after (C, H, W)`, in physical units, NaN for no data."""
    motion = motion_of(context_motion(np.stack([before, after]), quantity)).scaled(0.5)
    pixels = pixel_positions(*before.shape[-2:])

    def advected(frame: np.ndarray, direction: int) -> np.ndarray:
        values = torch.from_numpy(np.ascontiguousarray(frame, dtype=np.float32))
        (origin,) = trajectories(motion.scaled(direction), pixels, 1)
        return sample_values(values, origin, quantity.dry).numpy()

    moved = _mean(advected(before, -1), advected(after, 1), quantity)
    # In a corner of the area that both paths leave, what was observed there before and after.
    return np.where(np.isnan(moved), _mean(before, after, quantity), moved)


def _mean(one: np.ndarray, other: np.ndarray, quantity: Quantity) -> np.ndarray:
    """The mean of two fields, of the powers where the quantity is in decibels; the value of one where the other is NaN."""
    if quantity.logarithmic:
        mean = 10 * np.log10((10 ** (one / 10) + 10 ** (other / 10)) / 2)
        mean = np.where((one <= quantity.dry) & (other <= quantity.dry), quantity.dry, mean)
    else:
        mean = (one + other) / 2
    mean = np.where(np.isnan(one), other, np.where(np.isnan(other), one, mean))
    return np.asarray(mean, dtype=np.float32)
