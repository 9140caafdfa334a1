"""How windows are presented to a model: in which coordinates, at what zoom, and with which planes beside the frames.

Frames are read where they are; in Lagrangian coordinates, or zoomed, they are sampled along trajectories from the part of the
archive that these cross.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from framecast.data.motion.advection import Motion, interpolate, pixel_positions
from framecast.data.motion.coordinates import EULERIAN, Coordinates, Lagrangian, carry_window, window_path
from framecast.data.motion.kept import KeptMotions
from framecast.data.motion.optical_flow import RECENT
from framecast.data.region import Region
from framecast.data.scale import Scale
from framecast.data.windows.sources import ScaledSource, WindowSource
from framecast.errors import ConfigError


@dataclass(frozen=True)
class Presentation:
    """The `coordinates` of a model, and whether its input has planes of `conditions`: where pixels are known, the minutes of a
    step, and the kilometres of a pixel. `motions` are those of the windows."""

    coordinates: Coordinates = EULERIAN
    conditions: bool = False
    motions: KeptMotions = field(default_factory=KeptMotions)

    def check(self, source: WindowSource) -> None:
        """Raise `ConfigError` if the windows of a source have no scale of time and space, and the conditions need one."""
        if self.conditions and not isinstance(source, ScaledSource):
            raise ConfigError(
                "the frames have no scale of time and space, which the head needs",
                where="head",
                remedy="train on an archive of rain, or with head.name=values",
            )

    def read(
        self, source: WindowSource, index: int, region: Region | None = None, zoom: float = 1.0
    ) -> list[np.ndarray]:
        """The frames `(T, C, h, w)` of a window, and its inputs `(T, E, h, w)` where there are any, for the pixels of `region` at
        the time of the newest frame of the context. With a `zoom` of 2, the pixels are half as far apart."""
        lagrangian = isinstance(self.coordinates, Lagrangian)
        if not lagrangian and zoom == 1.0:
            frames = source.read(index, region)
            inputs = source.inputs(index, region) if source.shape.inputs else None
        else:
            positions = _positions(source.size_of(index), region, zoom)
            motion = self._motion(source, index) if lagrangian else Motion(torch.zeros(2, 1, 1))
            frames, inputs = _sample(source, index, positions, motion)
        if self.conditions and isinstance(source, ScaledSource):
            context, scale = source.shape.context, source.scale(index)
            known = np.isfinite(frames[:context]).all(axis=1, keepdims=True)
            scale = scale._replace(kilometres=scale.kilometres / zoom)
            planes = condition_planes(known, source.shape.horizon, scale)
            inputs = planes if inputs is None else np.concatenate([inputs, planes], axis=1)
        return [frames] if inputs is None else [frames, inputs]

    def _motion(self, source: WindowSource, index: int) -> Motion:
        known = self.motions.recall((source, index))
        if known is None:
            known = self.motions.of((source, index), newest_frames(source, index, RECENT), source.quantity)
        return known


def newest_frames(source: WindowSource, index: int, count: int) -> np.ndarray:
    """The newest `count` frames of the context of a window, `(count, C, H, W)`."""
    if isinstance(source, ScaledSource):
        return source.newest(index, count)
    context = source.shape.context
    return source.read(index)[max(context - count, 0) : context]


def _positions(size: tuple[int, int], region: Region | None, zoom: float) -> Tensor:
    """The positions `(2, h, w)` of the pixels of a region, around its centre where they are zoomed."""
    top, left, height, width = region or Region(0, 0, *size)
    centre = torch.tensor([top + (height - 1) / 2, left + (width - 1) / 2]).reshape(2, 1, 1)
    corner = torch.tensor([float(top), float(left)]).reshape(2, 1, 1)
    return centre + (pixel_positions(height, width) + corner - centre) / zoom


def _sample(
    source: WindowSource, index: int, positions: Tensor, motion: Motion
) -> tuple[np.ndarray, np.ndarray | None]:
    """The frames and inputs of a window as seen by the parcels that are at `positions` in the newest frame of the context. Inputs
    after the context repeat the last, as they do elsewhere."""
    context, horizon = source.shape.context, source.shape.horizon
    path = window_path(motion, positions, context, horizon)
    part = _enclosing(path, source.size_of(index))
    corner = torch.tensor([part.top, part.left]).reshape(2, 1, 1)
    path = [where - corner for where in path]
    interpolated = 0 if motion.still else context - 1
    frames = carry_window(_tensor(source.read(index, part)), path, interpolated, source.quantity.dry).numpy()
    if not source.shape.inputs:
        return frames, None
    fields = _tensor(source.inputs(index, part))[:context]
    seen = [interpolate(field, where) for field, where in zip(fields, path, strict=False)]
    return frames, torch.stack([*seen, *[seen[-1]] * horizon]).numpy()


def _enclosing(path: list[Tensor], size: tuple[int, int]) -> Region:
    """The part of a frame in which positions lie, with a pixel around it."""
    limits = []
    for axis, length in enumerate(size):
        low = min(float(where[axis].min()) for where in path)
        high = max(float(where[axis].max()) for where in path)
        first = min(max(math.floor(low) - 1, 0), length - 1)
        limits.append((first, min(max(math.ceil(high) + 2, first + 1), length) - first))
    (top, height), (left, width) = limits
    return Region(top, left, height, width)


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float32))  # what is kept in memory cannot be written to


def condition_planes(known: np.ndarray, horizon: int, scale: Scale) -> np.ndarray:
    """The planes `(T + horizon, 3, H, W)` of a context whose pixels are `known (T, 1, H, W)`; after the context the last are
    repeated."""
    planes = np.empty((len(known), 3, *known.shape[2:]), dtype=np.float32)
    planes[:, :1] = known
    planes[:, 1], planes[:, 2] = scale.minutes, scale.kilometres
    return np.concatenate([planes, np.repeat(planes[-1:], horizon, axis=0)])
