"""Batches for training and evaluation: windows are read, cropped, rotated, scaled and stacked, in a resumable order.

Batch k of a training stream depends on the seed and on k alone: the order of an epoch comes from `(seed, epoch)`, the crop and
the rotation of a window from `(seed, epoch, position)`. So a resumed stream starts at k, and the number of background threads
does not change it. With several processes, each takes its part of one global batch: two processes with batches of 4 see what
one process with batches of 8 sees.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import count, islice
from typing import TypeVar

import numpy as np
import torch

from framecast.checks import check_memory
from framecast.data.quantities import ZR
from framecast.data.region import Region
from framecast.data.scaling import Scaling
from framecast.data.windows.augmentation import NO_AUGMENTATION, Augmentation, scale_rain
from framecast.data.windows.presentation import Presentation, newest_frames
from framecast.data.windows.sampling import Order
from framecast.data.windows.sources import WindowSource
from framecast.errors import ConfigError
from framecast.types import Batch

T = TypeVar("T")
CROP_TRIES = 8
WET, HEAVY = 0.5, 6.0
"""Rates in mm/h by which crops with rain are chosen."""
_RAIN_MAPS = 1024
_BLOCK = 16
"""Side in pixels of the blocks of which the rain is known for that choice."""


@dataclass(frozen=True)
class Batches:
    """An endless, seeded stream of training batches.

    `crop` is the side or `(height, width)` of random crops, aligned across time; where the archive usually has data in less
    than half of a crop, up to eight are drawn and the fullest is used. `flips` mirrors windows at random in both axes,
    `rotations` rotates square ones by multiples of 90 degrees. `augmentation` changes windows further. `workers` threads read
    ahead. Windows are drawn with `probabilities (n,)`; without them each comes once an epoch. `presentation` says in which
    coordinates windows are, and with which conditions.
    """

    source: WindowSource
    scaling: Scaling
    batch_size: int
    seed: int = 0
    crop: tuple[int, int] | None = None
    flips: bool = False
    rotations: bool = False
    workers: int = 0
    rank: int = 0
    world_size: int = 1
    probabilities: np.ndarray | None = None
    augmentation: Augmentation = NO_AUGMENTATION
    presentation: Presentation = field(default_factory=Presentation)

    @cached_property
    def _rain_map(self) -> Callable[[int], np.ndarray]:
        """`_compute_rain_map`, remembered for the windows that were used last."""
        return lru_cache(maxsize=_RAIN_MAPS)(self._compute_rain_map)

    @cached_property
    def order(self) -> Order:
        """The order of the windows."""
        return Order(len(self.source), self.probabilities)

    def __post_init__(self) -> None:
        height, width = self.crop or self.source.shape[1:3]
        if self.rotations and height != width:
            raise ConfigError(f"frames of {height} x {width} cannot be rotated by 90 degrees", where="data.rotations")
        sizes = {self.source.size_of(index) for index in range(len(self.source))}
        if self.crop is None and len(sizes) > 1:
            raise ConfigError(f"frames of several sizes {sorted(sizes)}", where="data.crop", remedy="set a crop")
        for low, wide in sizes:
            if low < height or wide < width:
                raise ConfigError(f"a crop of {height} x {width} does not fit in {low} x {wide}", where="data.crop")
        shape = self.source.shape
        pixels = (shape.context + shape.horizon) * shape.channels * height * width
        check_memory(4 * self.batch_size * pixels, "training.batch_size", f"a batch of {self.batch_size:,} windows")

    def stream(self, start: int = 0) -> Iterator[Batch]:
        """Batches `start`, `start + 1`, ... without end."""
        return _prefetch(self.batch, count(start), self.workers)

    def batch(self, number: int) -> Batch:
        """Batch `number` of the stream."""
        windows = self.windows(number)
        indices = [index for index, _, _ in windows]
        return scaled_batch((self._window(*window) for window in windows), indices, self.source, self.scaling)

    def windows(self, number: int) -> list[tuple[int, int, int]]:
        """The windows of batch `number`: for each its index, its epoch, and its position in the order of that epoch."""
        overall = number * self.batch_size * self.world_size + self.rank * self.batch_size
        positions = [divmod(overall + k, len(self.source)) for k in range(self.batch_size)]
        return [(int(self.order.epoch(self.seed, epoch)[position]), epoch, position) for epoch, position in positions]

    def _window(self, index: int, epoch: int, position: int) -> list[np.ndarray]:
        """The frames of a window, and its inputs if it has any, with the same crop, flip and rotation."""
        rng = np.random.default_rng([self.seed, epoch, position])
        region = None if self.crop is None else self._region(index, self.crop, rng)
        zoom, factor = self.augmentation.draw(rng)
        parts = self.presentation.read(self.source, index, region, zoom)
        parts[0] = scale_rain(parts[0], factor, self.source.quantity)
        if self.flips:
            axes = tuple(axis for axis in (-2, -1) if rng.random() < 0.5)
            parts = [np.flip(part, axes) for part in parts]
        if self.rotations:
            turns = int(rng.integers(4))
            parts = [np.rot90(part, turns, axes=(-2, -1)) for part in parts]
        return [np.ascontiguousarray(part) for part in parts]

    def _region(self, index: int, size: tuple[int, int], rng: np.random.Generator) -> Region:
        """A random crop; of several by `augmentation.crops` the one with most rain."""
        if self.augmentation.crops == 1:
            return self._full_region(index, size, rng)
        drawn = [self._full_region(index, size, rng) for _ in range(self.augmentation.crops)]
        amounts = [self._rain(index, region) for region in drawn]
        return drawn[int(np.argmax(amounts))]

    def _rain(self, index: int, region: Region) -> float:
        """How much rain the newest frame of the context has in a region, about: the share of wet pixels, and thrice that of heavy
        rain."""
        top, left, bottom, right = (
            edge // _BLOCK for edge in (region.top, region.left, region.top + region.height, region.left + region.width)
        )
        return float(self._rain_map(index)[top : max(bottom, top + 1), left : max(right, left + 1)].mean())

    def _compute_rain_map(self, index: int) -> np.ndarray:
        """The amount of `_rain` in the blocks of the newest frame of the context of a window."""
        frame = newest_frames(self.source, index, 1)[0, 0]
        rate = self.source.quantity.rain_rate(frame, ZR())
        weight = (rate >= WET) + 3.0 * (rate >= HEAVY)  # both false where there is no data
        rows, columns = (np.arange(0, length, _BLOCK) for length in weight.shape)
        return np.add.reduceat(np.add.reduceat(weight, rows, 0), columns, 1).astype(np.float32)

    def _full_region(self, index: int, size: tuple[int, int], rng: np.random.Generator) -> Region:
        height, width = self.source.size_of(index)
        mask = self.source.valid_mask(index)
        best, best_share = Region(0, 0, *size), -1.0
        for _ in range(CROP_TRIES):
            top = int(rng.integers(height - size[0] + 1))
            left = int(rng.integers(width - size[1] + 1))
            share = 1.0 if mask is None else float(mask[top : top + size[0], left : left + size[1]].mean())
            if share > best_share:
                best, best_share = Region(top, left, *size), share
            if share >= 0.5:
                break
        return best


def evaluation_batches(
    source: WindowSource,
    scaling: Scaling,
    batch_size: int,
    crop: tuple[int, int] | None = None,
    chosen: Sequence[int] | None = None,
    presentation: Presentation | None = None,
) -> Iterator[tuple[list[int], Batch]]:
    """All windows (or those `chosen`) once, in order, with their numbers: whole frames, or the middle `crop` of them, as
    `presentation` says.

    Windows of one batch have one size: a batch ends early where the size changes, and the last may be short.
    """
    groups: list[list[int]] = []
    for index in range(len(source)) if chosen is None else chosen:
        if groups and len(groups[-1]) < batch_size and source.size_of(groups[-1][0]) == source.size_of(index):
            groups[-1].append(index)
        else:
            groups.append([index])

    presentation = presentation or Presentation()
    for indices in groups:
        region = None if crop is None else _centre(source.size_of(indices[0]), crop)
        windows = (presentation.read(source, index, region) for index in indices)
        yield indices, scaled_batch(windows, indices, source, scaling)


def _centre(size: tuple[int, int], crop: tuple[int, int]) -> Region:
    return Region((size[0] - crop[0]) // 2, (size[1] - crop[1]) // 2, *crop)


def scaled_batch(
    windows: Iterable[list[np.ndarray]], indices: Sequence[int], source: WindowSource, scaling: Scaling
) -> Batch:
    """The windows with the numbers `indices`, scaled, as a batch with their actions. `windows` yields for each the frames
    `(T, C, H, W)` in physical units, and the inputs `(T, E, H, W)` if there are any; a pixel is valid where all its channels
    have data. Windows are scaled one by one, since one fits in the cache of the processor."""
    stacks: list[np.ndarray] = []
    for number, (frames, *inputs) in enumerate(windows):
        parts = [scaling.forward(frames, source.quantity), np.isfinite(frames).all(axis=1, keepdims=True), *inputs]
        stacks = stacks or [np.empty((len(indices), *part.shape), part.dtype) for part in parts]
        for values, part in zip(stacks, parts, strict=True):
            values[number] = part
    stacked, valid, *extra = map(torch.from_numpy, stacks)
    actions = window_actions(source, indices)
    return Batch(
        stacked, valid, None if actions is None else torch.from_numpy(actions), inputs=extra[0] if extra else None
    )


def window_actions(source: WindowSource, indices: Sequence[int]) -> np.ndarray | None:
    """The actions of windows `(B, T, A)`; None where the source has none."""
    return np.stack([source.actions(index) for index in indices]) if source.shape.actions else None


U = TypeVar("U")


def _prefetch(work: Callable[[U], T], items: Iterator[U], workers: int) -> Iterator[T]:
    """`map(work, items)` in order, with `workers` threads that work up to twice as many items ahead."""
    if workers == 0:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="framecast-loader") as pool:
        pending: deque[Future[T]] = deque(pool.submit(work, item) for item in islice(items, 2 * workers))
        try:
            while pending:
                result = pending.popleft().result()
                pending.extend(pool.submit(work, item) for item in islice(items, 1))
                yield result
        finally:
            for future in pending:
                future.cancel()
