"""Convolutions that keep the size of the map, and the rule by which they are computed.

| on | kernel | channels in x channels out, at least | computed |
| --- | --- | --- | --- |
| CPU, float32 | 5 x 5, 7 x 7 | 1,024; 512 where both are multiples of 16 | by `winograd` |
| | 3 x 3 | the same, and 8 tiles of 6 x 6 pixels | by `winograd` |
| CPU | 1 x 1 | any, channels-last | as a linear layer on the channels (pointwise.py) |
| anything else | | | as a convolution, by PyTorch; on GPUs with one weight gradient for all steps (gpu/deferred.py) |

Below that, cutting tiles costs more than it saves. `use("direct")` and `use("winograd")` (choice.py) override the rule. Of
7 x 7 kernels, whose tiles are larger, fewer than 8 channels in or out and maps smaller than the kernel are always left to
PyTorch: the error of a tile stays where little is summed over (to 2e-5 of the norms; 7e-6 on all others).
Within `shared()` - a rollout is - the transform of a map or of a weight that several convolutions read is computed once.
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
from framecast.ops.choice import Algorithm, chosen
from framecast.ops.gpu import deferred
from framecast.ops.native.library import available
from framecast.ops.tiles import tile_of

T = TypeVar("T")

Transforms = dict[tuple[int, ...], tuple[Tensor, int, Any]]
"""Of weights, by their identity and the size of tiles: the weight, its version, and U, or a 1 x 1 one turned."""


class _Here(threading.local):
    """What holds in this thread."""

    shared: _Shared | None = None


class _Shared:
    """Transforms that are computed once: of weights as long as this lives, of maps for this step and the next."""

    def __init__(self, kept: Transforms | None = None) -> None:
        self._weights: Transforms = {} if kept is None else kept
        self._now: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        self._before: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        self._free: list[Tensor] = []
        self._deferred: Transforms = {}

    def of_map(self, x: Tensor, kernel: int) -> Tensor:
        """V of a map. The map is held with it, so that nothing else can have its number."""
        key = (id(x), kernel)
        known = self._now.get(key) or self._before.get(key)
        if known is None:
            known = self._now[key] = (x, winograd.transformed(x, kernel, self._free))
        return known[1]

    def of_weight(self, made: Callable[..., T], weight: Tensor, *tile: int) -> T:
        """What is `made` of a weight, for tiles of one size where that matters."""
        return _once(self._weights, made, weight, *tile)

    def for_all_steps(self, weight: Tensor) -> deferred.Deferred:
        """The weight as all steps read it. It is never kept for the next time: it holds the maps of all steps, and those of a
        segment must be free when the next is computed again."""
        return _once(self._deferred, deferred.Deferred, weight)

    def step(self) -> None:
        """Forget the maps of the step before, and use their memory again."""
        self._free = [values for _, values in self._before.values()]
        self._now, self._before = {}, self._now


def _once(known: Transforms, made: Callable[..., T], weight: Tensor, *tile: int) -> T:
    """What is `made` of a weight, again when that has changed."""
    key = (id(weight), *tile)
    if key not in known or known[key][1] != weight._version:
        known[key] = (weight, weight._version, made(weight, *tile))
    return known[key][2]  # type: ignore[no-any-return]


_here = _Here()


@contextmanager
def shared(kept: Transforms | None = None) -> Iterator[None]:
    """Transform each map and each weight once; within another `shared()`, once there. `kept` holds the transforms of weights for
    the next time, n^2 / k^2 times as large as the weights; with gradients, for one backward pass."""
    before = _here.shared
    _here.shared = before or _Shared(kept)
    try:
        yield
    finally:
        _here.shared = before


def next_step() -> None:
    """Within `shared()`: what was read in the step before this one and not in this one will not be read again."""
    if _here.shared is not None:
        _here.shared.step()


def once(made: Callable[[Tensor], T], weight: Tensor) -> T:
    """What is `made` of a weight; within `shared()`, once."""
    return made(weight) if _here.shared is None else _here.shared.of_weight(made, weight)


Maps = Tensor | tuple[Tensor, ...]
"""A map, or several that are read as one with the channels of all."""


def convolve(x: Maps, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x (B, C, h, w)` with `weight (D, C, k, k)`, stride 1, zeros around: `(B, D, h, w)`."""
    if _by_linear(x, weight):
        maps = _each(x)
        if not pointwise.mixes(maps, weight, bias):
            return pointwise.linear(maps, weight, bias)
        return pointwise.mix(maps, weight, bias, once(pointwise.turned, weight))
    if not by_winograd(x, weight):
        return _by_library(_joined(x), weight, bias)
    (result,) = sums([(x, weight)], (winograd.Run(1, ((0, 0, weight.shape[0]),)),))
    return result if bias is None else result + bias[:, None, None]


def _by_library(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    own = _here.shared
    if own is None or not deferred.defers(x, weight):
        return functional.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
    made = deferred.convolve(x, own.for_all_steps(weight))
    return made if bias is None else made + bias.to(made.dtype)[:, None, None]


def convolve_each(pairs: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """`convolve(x, weight)` for each of the pairs, whose maps have one height and width and whose kernels one size. A map is
    transformed once for all its weights, forward and for the gradient."""
    fast = [by_winograd(x, weight) for x, weight in pairs]
    terms = [pair for pair, able in zip(pairs, fast, strict=True) if able]
    runs = tuple(winograd.Run(1, ((number, 0, weight.shape[0]),)) for number, (_, weight) in enumerate(terms))
    made = iter(sums(terms, runs) if terms else ())
    return [next(made) if able else convolve(*pair) for pair, able in zip(pairs, fast, strict=True)]


def sums(terms: Sequence[tuple[Maps, Tensor]], runs: tuple[winograd.Run, ...]) -> tuple[Tensor, ...]:
    """Sums of convolutions, each of `(B, C, h, w)` with a weight `(D, C, k, k)` for which `by_winograd` holds: the maps that
    the `runs` make of them. All kernels have one size."""
    own = _here.shared or _Shared()
    found: list[winograd.Term] = []
    for x, weight in terms:
        begin, kernel = 0, weight.shape[-1]
        for map_ in _each(x):
            kernels = own.of_weight(winograd.Kernels, weight, tile_of(kernel, *map_.shape[2:]))
            found.append(winograd.Term(map_, own.of_map(map_, kernel), kernels, begin))
            begin += map_.shape[1]
    if len(found) > len(terms):
        runs = _for_each_map(runs, tuple(len(_each(x)) for x, _ in terms))
    return winograd.sums(found, runs)


@lru_cache
def _for_each_map(runs: tuple[winograd.Run, ...], maps: tuple[int, ...]) -> tuple[winograd.Run, ...]:
    """The `runs` of terms of so many maps, in terms of the maps."""
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


def _joined(x: Maps) -> Tensor:
    """One map with all channels; a single one is not copied."""
    first, *others = _each(x)
    return torch.cat([first, *others], dim=1) if others else first


def _by_linear(x: Maps, weight: Tensor) -> bool:
    """Whether a convolution is a product of matrices as it lies in memory."""
    if weight.shape[-1] != 1 or chosen() == "direct":
        return False
    return all(each.device.type == "cpu" and each.stride(1) == 1 for each in _each(x))


def by_winograd(x: Maps, weight: Tensor) -> bool:
    """Whether the rule, or who overrides it, says so."""
    algorithm = chosen()
    if algorithm == "direct" or not available() or torch.is_autocast_enabled("cpu"):
        return False
    maps = _each(x)
    for each in (weight, *maps):
        if each.dtype != torch.float32 or not each.is_cpu:
            return False
    return _gains(weight.shape, maps[0].shape, algorithm)


@lru_cache
def _gains(weight: torch.Size, maps: torch.Size, algorithm: Algorithm) -> bool:
    """Whether `winograd` is the faster one, or wanted, where it can be used."""
    outputs, inputs, kernel, _ = weight
    if kernel not in (3, 5, 7):
        return False
    batch, _, height, width = maps
    if kernel == 7 and (min(inputs, outputs) < 8 or min(height, width) < kernel):
        return False
    if algorithm == "winograd":
        return True
    enough = kernel > 3 or batch * -(-height // 6) * -(-width // 6) >= 8
    whole = inputs % 16 == outputs % 16 == 0  # registers are full
    return enough and inputs * outputs >= (512 if whole else 1024)
