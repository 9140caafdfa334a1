"""Convolutions that keep the size of the map, and the rule that selects their algorithm.

| on | kernel | channels in x channels out, at least | computed |
| --- | --- | --- | --- |
| CPU, float32 | 5 x 5, 7 x 7 | 1,024; 512 if both are multiples of 16 | by `winograd` |
| | 3 x 3 | the same, and 8 tiles of 6 x 6 pixels | by `winograd` |
| CPU | 1 x 1 | any, channels-last | as a linear layer on the channels (pointwise.py) |
| anything else | | | as a convolution, by PyTorch; on GPUs with one weight gradient for all steps (gpu/deferred.py) |

Below these sizes, the transforms cost more than they save. `use_algorithm("direct")` and `use_algorithm("winograd")` (choice.py)
override the rule. 7 x 7 kernels have larger tiles: PyTorch always computes them for fewer than 8 channels in or out and for maps
smaller than the kernel, where too few terms average out the error of a tile (up to 2e-5 of the norms; 7e-6 elsewhere). Within
`share_transforms()`, as in a rollout, the transform of a map or a weight that several convolutions read is computed once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import accumulate
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from framecast.ops import pointwise, winograd
from framecast.ops.choice import Algorithm, current_algorithm
from framecast.ops.gpu import deferred
from framecast.ops.native.library import available
from framecast.ops.tiles import tile_of

T = TypeVar("T")

Transforms = dict[tuple[int, ...], tuple[Tensor, int, Any]]
"""Transforms of weights by the identity of the weight and the size of the tiles: the weight, its version, and U, or the
transpose of a 1 x 1 weight."""


class _ThreadState(threading.local):
    """The cache of transforms of this thread."""

    cache: _TransformCache | None = None


class _TransformCache:
    """Transforms that are computed once: of weights for the lifetime of the cache, of maps for this step and the next."""

    def __init__(self, weights: Transforms | None = None) -> None:
        self._weights: Transforms = {} if weights is None else weights
        self._now: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        self._before: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        self._free: list[Tensor] = []
        self._deferred: Transforms = {}

    def map_transform(self, x: Tensor, kernel: int) -> Tensor:
        """V of a map. The cache holds the map as well, so that its `id` is not reused."""
        key = (id(x), kernel)
        known = self._now.get(key) or self._before.get(key)
        if known is None:
            known = self._now[key] = (x, winograd.transform_map(x, kernel, self._free))
        return known[1]

    def weight_transform(self, transform: Callable[..., T], weight: Tensor, *tile: int) -> T:
        """`transform` of a weight, for tiles of one size if it depends on it."""
        return _get_or_compute(self._weights, transform, weight, *tile)

    def deferred_weight(self, weight: Tensor) -> deferred.Deferred:
        """The weight for the convolutions of all steps. It is not kept for a later rollout: it holds the maps of all steps, and
        those of a segment must be freed before the next segment is computed again."""
        return _get_or_compute(self._deferred, deferred.Deferred, weight)

    def step(self) -> None:
        """Drop the maps of the previous step and reuse their memory."""
        self._free = [values for _, values in self._before.values()]
        self._now, self._before = {}, self._now


def _get_or_compute(known: Transforms, transform: Callable[..., T], weight: Tensor, *tile: int) -> T:
    """`transform` of a weight from `known`; it is computed again if the weight has changed."""
    key = (id(weight), *tile)
    if key not in known or known[key][1] != weight._version:
        known[key] = (weight, weight._version, transform(weight, *tile))
    return known[key][2]  # type: ignore[no-any-return]


_state = _ThreadState()


@contextmanager
def share_transforms(weights: Transforms | None = None) -> Iterator[None]:
    """Transform each map and each weight once within the context; a nested call uses the outer cache. `weights` keeps the
    transforms of weights, n^2 / k^2 times as large as the weights, for later calls; with gradients, for one backward pass."""
    before = _state.cache
    _state.cache = before or _TransformCache(weights)
    try:
        yield
    finally:
        _state.cache = before


def next_step() -> None:
    """Within `share_transforms()`: drop the transforms of maps that were read in the previous step but not in this one."""
    if _state.cache is not None:
        _state.cache.step()


def compute_once(transform: Callable[[Tensor], T], weight: Tensor) -> T:
    """`transform` of a weight; computed once within `share_transforms()`."""
    return transform(weight) if _state.cache is None else _state.cache.weight_transform(transform, weight)


Maps = Tensor | tuple[Tensor, ...]
"""A map, or several that are read as one map with the channels of all."""


def convolve(x: Maps, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve `x (B, C, h, w)` with `weight (D, C, k, k)`, stride 1, zero padding: `(B, D, h, w)`."""
    if _by_linear(x, weight):
        maps = _each(x)
        if not pointwise.can_mix(maps, weight, bias):
            return pointwise.linear(maps, weight, bias)
        return pointwise.mix(maps, weight, bias, compute_once(pointwise.transpose_weight, weight))
    if not uses_winograd(x, weight):
        return _by_library(_concatenate(x), weight, bias)
    (result,) = sums([(x, weight)], (winograd.Run(1, ((0, 0, weight.shape[0]),)),))
    return result if bias is None else result + bias[:, None, None]


def _by_library(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    own = _state.cache
    if own is None or not deferred.defers(x, weight):
        return functional.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
    result = deferred.convolve(x, own.deferred_weight(weight))
    return result if bias is None else result + bias.to(result.dtype)[:, None, None]


def convolve_each(pairs: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """`convolve(x, weight)` for each pair; maps have one height and width, kernels one size. A map is transformed once for all
    its weights, forward and for the gradient."""
    fast = [uses_winograd(x, weight) for x, weight in pairs]
    terms = [pair for pair, able in zip(pairs, fast, strict=True) if able]
    runs = tuple(winograd.Run(1, ((number, 0, weight.shape[0]),)) for number, (_, weight) in enumerate(terms))
    result = iter(sums(terms, runs) if terms else ())
    return [next(result) if able else convolve(*pair) for pair, able in zip(pairs, fast, strict=True)]


def sums(terms: Sequence[tuple[Maps, Tensor]], runs: tuple[winograd.Run, ...]) -> tuple[Tensor, ...]:
    """The maps that the `runs` define as sums of convolutions, each of `(B, C, h, w)` with a weight `(D, C, k, k)` for which
    `uses_winograd` is true. All kernels have one size."""
    own = _state.cache or _TransformCache()
    results: list[winograd.Term] = []
    for x, weight in terms:
        begin, kernel = 0, weight.shape[-1]
        for map_ in _each(x):
            kernels = own.weight_transform(winograd.Kernels, weight, tile_of(kernel, *map_.shape[2:]))
            results.append(winograd.Term(map_, own.map_transform(map_, kernel), kernels, begin))
            begin += map_.shape[1]
    if len(results) > len(terms):
        runs = _for_each_map(runs, tuple(len(_each(x)) for x, _ in terms))
    return winograd.sums(results, runs)


@lru_cache
def _for_each_map(runs: tuple[winograd.Run, ...], maps: tuple[int, ...]) -> tuple[winograd.Run, ...]:
    """The `runs` with one term for each map, where a term of `runs` has several `maps`."""
    ends = tuple(accumulate(maps))
    return tuple(
        winograd.Run(
            run.into,
            tuple(
                (number, first, last)
                for term, first, last in run.parts
                for number in range(ends[term] - maps[term], ends[term])
            ),
        )
        for run in runs
    )


def _each(x: Maps) -> tuple[Tensor, ...]:
    return (x,) if isinstance(x, Tensor) else x


def _concatenate(x: Maps) -> Tensor:
    """One map with all channels; a single map is not copied."""
    first, *others = _each(x)
    return torch.cat([first, *others], dim=1) if others else first


def _by_linear(x: Maps, weight: Tensor) -> bool:
    """Whether a convolution is a product of matrices in its memory layout."""
    if weight.shape[-1] != 1 or current_algorithm() == "direct":
        return False
    return all(each.device.type == "cpu" and each.stride(1) == 1 for each in _each(x))


def uses_winograd(x: Maps, weight: Tensor) -> bool:
    """Whether `winograd` computes this convolution, by the rule or by `use_algorithm`."""
    algorithm = current_algorithm()
    if algorithm == "direct" or not available() or torch.is_autocast_enabled("cpu"):
        return False
    maps = _each(x)
    for each in (weight, *maps):
        if each.dtype != torch.float32 or not each.is_cpu:
            return False
    return _gains(weight.shape, maps[0].shape, algorithm)


@lru_cache
def _gains(weight: torch.Size, maps: torch.Size, algorithm: Algorithm) -> bool:
    """Whether `winograd` can compute this convolution and is faster or required."""
    outputs, inputs, kernel, _ = weight
    if kernel not in (3, 5, 7):
        return False
    batch, _, height, width = maps
    if kernel == 7 and (min(inputs, outputs) < 8 or min(height, width) < kernel):
        return False
    if algorithm == "winograd":
        return True
    enough = kernel > 3 or batch * -(-height // 6) * -(-width // 6) >= 8
    aligned = inputs % 16 == outputs % 16 == 0  # registers are full
    return enough and inputs * outputs >= (512 if aligned else 1024)
