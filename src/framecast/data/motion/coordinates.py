"""The coordinates in which a model works: those of the ground, or those that move with the rain.

In Lagrangian coordinates a pixel is a parcel that moves. The frames of a context are carried to the time of the newest one, a
model predicts how each parcel changes, and its forecast is carried on along the motion. In training the truth is sampled along
the same trajectories (Ritvanen et al., "Advection-Free Convolutional Neural Network for Convective Rainfall Nowcasting", 2023).
What comes from outside the observed area has no basis: it is NaN, as no data is.

The motion is that of the newest frames of the context: nothing of the future enters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from framecast.data.motion.advection import STRIDE, Motion, interpolate, pixel_positions, sample_values, trajectories
from framecast.types import config


@config
class Eulerian:
    """The coordinates of the ground."""

    name: Literal["eulerian"] = "eulerian"


@config
class Lagrangian:
    """Coordinates that move with the motion of the context. They are those of the ground at the time of the newest frame."""

    name: Literal["lagrangian"] = "lagrangian"


Coordinates = Eulerian | Lagrangian
EULERIAN = Eulerian()


def window_path(motion: Motion, positions: Tensor, context: int, horizon: int) -> list[Tensor]:
    """Where the parcels are in each frame of a window that are at `positions (2, h, w)` in the newest frame of its context."""
    before = trajectories(motion.scaled(-1), positions, context - 1)
    return [*reversed(before), positions, *trajectories(motion, positions, horizon)]


def carry_window(frames: Tensor, path: Sequence[Tensor], interpolated: int, dry: float) -> Tensor:
    """The frames of a window `(T, C, H, W)` along the `path` of its parcels: `(T, C, h, w)`, NaN for no data. The first
    `interpolated` frames are interpolated bilinearly, as a forecast does with the older frames of its context (`carry_context`).
    The newest frame and the truth of training have the value of the nearest pixel, which was observed: interpolated between the
    pixels of a zoomed window, the newest frame would have lost peaks that the truth has, and a model would learn to add them."""
    return torch.stack(
        [
            sample_values(frame, positions, dry, mode="bilinear" if time < interpolated else "nearest")
            for time, (frame, positions) in enumerate(zip(frames, path, strict=True))
        ]
    )


def carry_context(frames: Tensor, origins: Sequence[Tensor], dry: float) -> Tensor:
    """The frames of a context `(T, C, H, W)` at the place of the newest one. `origins` are the positions of its pixels one step
    before, two steps before, and so on."""
    places = _places_before(origins, len(frames))
    older = [sample_values(frame, where, dry) for frame, where in zip(frames[:-1], places, strict=True)]
    return torch.stack([*older, frames[-1]])


def _places_before(origins: Sequence[Tensor], count: int) -> Sequence[Tensor]:
    """Where the pixels of the newest of `count` frames were in the frames before it, the oldest first."""
    return origins[: count - 1][::-1]


def carry_cases(
    frames: np.ndarray, inputs: np.ndarray | None, origins: Sequence[Sequence[Tensor]], dry: float
) -> tuple[np.ndarray, np.ndarray | None]:
    """Contexts `(B, T, C, H, W)`, and their inputs `(B, T, E, H, W)` if there are any, carried to the place of the newest frame;
    `origins` as in `carry_context`, for each case."""
    carried = [
        carry_context(torch.from_numpy(np.array(case, dtype=np.float32)), path, dry).numpy()
        for case, path in zip(frames, origins, strict=True)
    ]
    if inputs is None:
        return np.stack(carried), None
    extra = []
    for case, path in zip(inputs, origins, strict=True):
        fields = torch.from_numpy(np.array(case, dtype=np.float32))
        places = _places_before(path, len(fields))
        older = [interpolate(field, where) for field, where in zip(fields[:-1], places, strict=True)]
        extra.append(torch.stack([*older, fields[-1]]).numpy())
    return np.stack(carried), np.stack(extra)


def carry_forecast(values: Tensor, origins: Sequence[Tensor], dry: float) -> Tensor:
    """A forecast `(L, K, H, W)` of parcels, by their place at the newest frame, at the places where they are at each lead time:
    `(L, K, H, W)`, NaN where `values` have no basis, which holds for all K, or where the parcel comes from outside of the frame.
    Next to pixels without basis these count as `dry`."""
    carried = torch.empty_like(values)
    for lead, (field, origin) in enumerate(zip(values, origins, strict=True)):
        carried[lead] = sample_values(field, origin, dry, missing=field[:1].isnan())
    return carried


def origins_of(motion: Motion, height: int, width: int, steps: int) -> list[Tensor]:
    """Where each pixel was one to `steps` steps before, `(2, H, W)` each. Trajectories are followed from every `STRIDE`-th pixel,
    and their displacements interpolated between."""
    rows, columns = (-(-(side - 1) // STRIDE) for side in (height, width))
    pixels, start = pixel_positions(height, width), STRIDE * pixel_positions(rows + 1, columns + 1)
    size = (rows * STRIDE + 1, columns * STRIDE + 1)
    origins = []
    for place in trajectories(motion.scaled(-1), start, steps):
        displacement = functional.interpolate((place - start)[None], size, mode="bilinear", align_corners=True)[0]
        origins.append(displacement[:, :height, :width] + pixels)
    return origins
