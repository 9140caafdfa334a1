"""Convolutions that keep the size of the map, and the rule by which they are computed.

| on | kernel | where | computed |
| --- | --- | --- | --- |
| CPU, float32 | 5 x 5 | channels in x channels out x tiles of 4 x 4 pixels of the result is at least 200,000 | by `winograd` |
| | 3 x 3 | channels in x channels out is at least 16,384, maps of at least 32 x 32 | by `winograd` |
| anything else | | | by PyTorch |

Below that, cutting tiles costs more than it saves (benchmarks/convolutions.py). `use("direct")` and `use("winograd")` override the rule. Within `shared()` - a rollout is - the transform of a map or of a weight
that several convolutions read is computed once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary

from framecast.ops import winograd

Algorithm = Literal["auto", "direct", "winograd"]


class Term(NamedTuple):
    """A convolution in a sum: a map `x (B, C, h, w)` and a weight `(D, C, k, k)`, of whose outputs `where` counts."""

    x: Tensor
    weight: Tensor
    where: slice = slice(None)


class _Here(threading.local):
    """What holds in this thread."""

    algorithm: Algorithm = "auto"
    shared: _Shared | None = None


class _Shared:
    """Transforms that are computed once: of maps as long as these live, of weights as long as this does."""

    def __init__(self) -> None:
        self.maps: dict[int, WeakTensorKeyDictionary] = {}
        self.kernels: WeakTensorKeyDictionary = WeakTensorKeyDictionary()

    def of_map(self, x: Tensor, kernel: int) -> Tensor:
        """V of a map."""
        known = self.maps.setdefault(kernel, WeakTensorKeyDictionary())
        if x not in known:
            known[x] = winograd.transformed(x, kernel)
        found: Tensor = known[x]
        return found

    def of_weight(self, weight: Tensor) -> winograd.Kernels:
        """U of a weight."""
        if weight not in self.kernels:
            self.kernels[weight] = winograd.Kernels(weight)
        found: winograd.Kernels = self.kernels[weight]
        return found


_here = _Here()


@contextmanager
def use(algorithm: Algorithm) -> Iterator[None]:
    """Compute convolutions in this thread by `algorithm` where it can be done."""
    before, _here.algorithm = _here.algorithm, algorithm
    try:
        yield
    finally:
        _here.algorithm = before


@contextmanager
def shared() -> Iterator[None]:
    """Transform each map and each weight once. No weight may change within."""
    before = _here.shared
    _here.shared = before or _Shared()
    try:
        yield
    finally:
        _here.shared = before


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x (B, C, h, w)` with `weight (D, C, k, k)`, stride 1, zeros around: `(B, D, h, w)`."""
    if not by_winograd(x, weight):
        return functional.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
    (result,) = add([Term(x, weight)])
    return result if bias is None else result + bias[:, None, None]


def add(terms: Sequence[Term], count: int = 1) -> tuple[Tensor, ...]:
    """The sum of convolutions, in `count` parts `(B, D / count, h, w)`. Their kernels have one size, and as many outputs of
    each count."""
    x = terms[0].x
    if not all(by_winograd(term.x, term.weight) for term in terms):
        parts = [functional.conv2d(x, weight[where], padding=weight.shape[-1] // 2) for x, weight, where in terms]
        return reduce(torch.add, parts).chunk(count, dim=1)
    own = _here.shared or _Shared()
    found = [(own.of_map(x, weight.shape[-1]), own.of_weight(weight), where) for x, weight, where in terms]
    return winograd.convolutions((x.shape[0], x.shape[2], x.shape[3]), found, count)


def by_winograd(x: Tensor, weight: Tensor) -> bool:
    """Whether the rule, or who overrides it, says so."""
    outputs, inputs, kernel = weight.shape[0], weight.shape[1], weight.shape[-1]
    able = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32 and kernel in (3, 5, 7)
    if not able or _here.algorithm == "direct" or torch.is_autocast_enabled("cpu"):
        return False
    if _here.algorithm == "winograd":
        return True
    batch, _, height, width = x.shape
    if kernel == 5:
        return inputs * outputs * batch * (height // 4) * (width // 4) >= 200_000
    return kernel == 3 and inputs * outputs >= 128 * 128 and min(height, width) >= 32
