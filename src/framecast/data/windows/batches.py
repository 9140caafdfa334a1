"""Batches: windows read, cropped, turned, scaled and stacked, in an order that can be resumed anywhere.

Batch k of a training stream depends on the seed and on k alone: the order of an epoch comes from `(seed, epoch)`, the
crop and the turns of a window from `(seed, epoch, position)`. So resuming is starting the stream at k, and the number of
background threads changes nothing. With several processes the batch of all of them together is laid out first and each
takes its part: two processes with batches of 4 see what one process with batches of 8 sees.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import count, islice
from typing import TypeVar

import numpy as np
import torch

from framecast.data.region import Region
from framecast.data.scaling import Scaling
from framecast.data.windows.sampling import Order
from framecast.data.windows.sources import WindowSource
from framecast.errors import ConfigError
from framecast.types import Batch

T = TypeVar("T")
CROP_TRIES = 8


@dataclass(frozen=True)
class Batches:
    """An endless, seeded stream of training batches.

    `crop` is the side or `(height, width)` of random crops, aligned across time; where the archive usually has data in less
    than half of a crop, up to eight are drawn and the fullest is used. `flips` mirrors windows at random in both axes,
    `rotations` turns square ones by quarters. `workers` threads read ahead. Windows are drawn with `probabilities (n,)`; without
    them each comes once an epoch.
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

    @cached_property
    def order(self) -> Order:
        """In which order windows come."""
        return Order(len(self.source), self.probabilities)

    def __post_init__(self) -> None:
        height, width = self.crop or self.source.shape[1:3]
        if self.rotations and height != width:
            raise ConfigError(f"frames of {height} x {width} cannot be turned by quarters", where="data.rotations")
        sizes = {self.source.size_of(index) for index in range(len(self.source))}
        if self.crop is None and len(sizes) > 1:
            raise ConfigError(f"frames of several sizes {sorted(sizes)}", where="data.crop", remedy="set a crop")
        for low, wide in sizes:
            if low < height or wide < width:
                raise ConfigError(f"a crop of {height} x {width} does not fit in {low} x {wide}", where="data.crop")

    def stream(self, start: int = 0) -> Iterator[Batch]:
        """Batches `start`, `start + 1`, ... without end."""
        return _prefetch(self.batch, count(start), self.workers)

    def batch(self, number: int) -> Batch:
        """Batch `number` of the stream."""
        drawn = self.windows(number)
        indices = [index for index, _, _ in drawn]
        return scaled_batch((self._window(*window) for window in drawn), indices, self.source, self.scaling)

    def windows(self, number: int) -> list[tuple[int, int, int]]:
        """The windows of batch `number`: for each its index, the epoch, and its position in the order of that."""
        overall = number * self.batch_size * self.world_size + self.rank * self.batch_size
        places = [divmod(overall + k, len(self.source)) for k in range(self.batch_size)]
        return [(int(self.order.epoch(self.seed, epoch)[place]), epoch, place) for epoch, place in places]

    def _window(self, index: int, epoch: int, position: int) -> list[np.ndarray]:
        """The frames of a window, and its inputs where there are any, cropped and turned alike."""
        chance = np.random.default_rng([self.seed, epoch, position])
        parts = read_window(self.source, index, None if self.crop is None else self._region(index, self.crop, chance))
        if self.flips:
            axes = tuple(axis for axis in (-2, -1) if chance.random() < 0.5)
            parts = [np.flip(part, axes) for part in parts]
        if self.rotations:
            turns = int(chance.integers(4))
            parts = [np.rot90(part, turns, axes=(-2, -1)) for part in parts]
        return [np.ascontiguousarray(part) for part in parts]

    def _region(self, index: int, size: tuple[int, int], chance: np.random.Generator) -> Region:
        height, width = self.source.size_of(index)
        seen = self.source.valid_mask(index)
        best, most = Region(0, 0, *size), -1.0
        for _ in range(CROP_TRIES):
            top = int(chance.integers(height - size[0] + 1))
            left = int(chance.integers(width - size[1] + 1))
            observed = 1.0 if seen is None else float(seen[top : top + size[0], left : left + size[1]].mean())
            if observed > most:
                best, most = Region(top, left, *size), observed
            if observed >= 0.5:
                break
        return best


def read_window(source: WindowSource, index: int, region: Region | None = None) -> list[np.ndarray]:
    """The frames of a window, and its inputs where there are any."""
    frames = source.read(index, region)
    return [frames, source.inputs(index, region)] if source.shape.inputs else [frames]


def evaluation_batches(
    source: WindowSource,
    scaling: Scaling,
    batch_size: int,
    crop: tuple[int, int] | None = None,
    chosen: Sequence[int] | None = None,
) -> Iterator[tuple[list[int], Batch]]:
    """All windows (or those `chosen`) once, in order, with their numbers: whole frames, or the middle `crop` of them.

    Windows of one batch have one size: a batch ends early where the size changes, and the last may be short.
    """
    groups: list[list[int]] = []
    for index in range(len(source)) if chosen is None else chosen:
        if groups and len(groups[-1]) < batch_size and source.size_of(groups[-1][0]) == source.size_of(index):
            groups[-1].append(index)
        else:
            groups.append([index])

    for indices in groups:
        region = None if crop is None else _centre(source.size_of(indices[0]), crop)
        yield indices, scaled_batch((read_window(source, index, region) for index in indices), indices, source, scaling)


def _centre(size: tuple[int, int], crop: tuple[int, int]) -> Region:
    return Region((size[0] - crop[0]) // 2, (size[1] - crop[1]) // 2, *crop)


def scaled_batch(
    windows: Iterable[list[np.ndarray]], indices: Sequence[int], source: WindowSource, scaling: Scaling
) -> Batch:
    """The windows with the numbers `indices` as a batch with their actions. Of each, `windows` gives the frames `(T, C, H, W)` in
    physical units, and the inputs `(T, E, H, W)` where there are any; a pixel is valid where all its channels have data. They
    are taken one by one, since one fits in the cache."""
    whole: list[np.ndarray] = []
    for number, (frames, *inputs) in enumerate(windows):
        parts = [scaling.forward(frames, source.quantity), np.isfinite(frames).all(axis=1, keepdims=True), *inputs]
        whole = whole or [np.empty((len(indices), *part.shape), part.dtype) for part in parts]
        for values, part in zip(whole, parts, strict=True):
            values[number] = part
    stacked, valid, *seen = map(torch.from_numpy, whole)
    actions = window_actions(source, indices)
    return Batch(
        stacked, valid, None if actions is None else torch.from_numpy(actions), inputs=seen[0] if seen else None
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
