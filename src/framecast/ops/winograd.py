"""Convolutions by Winograd's minimal filtering, for k x k kernels (k odd, 3 to 7) that keep the size of the map.

Shmuel Winograd, "Arithmetic Complexity of Computations", 1980; Andrew Lavin, Scott Gray, "Fast Algorithms for Convolutional
Neural Networks", CVPR 2016. A map is cut into tiles of n x n that overlap by k - 1, and for each tile d and kernel g

    V = B^T d B        U = G g G^T        y = A^T [ sum over channels of U . V ] A

gives m x m pixels of the result, m = n + 1 - k, for n^2 multiplications, where the direct form needs m^2 k^2. The sum over
channels is one matrix product for each of the n^2 positions ("places") of a tile.

| kernel | tile | result | multiplications, direct | points, and infinity | relative error |
| --- | --- | --- | --- | --- | --- |
| 3 x 3 | 6 x 6 | 4 x 4 | 36, 144 | 0, 2/3, -2/3, 3/2, -3/2 | 8e-7 |
| 3 x 3 | 8 x 8 | 6 x 6 | 64, 324 | 0, 1, -1, 2, -2, 1/2, -1/2 | 2e-6 |
| 5 x 5 | 8 x 8 | 4 x 4 | 64, 400 | the same | 2e-6 |
| 7 x 7 | 10 x 10 | 4 x 4 | 100, 784 | 0, 2/5, -2/5, 4/5, -4/5, 5/4, -5/4, 5/2, -5/2 | 1e-5 |

The direct form has an error of 2e-7 in float32. B, G and A evaluate polynomials at the points (tiles.py), and V does not depend
on k but for the overlap.

All three transforms are linear, so the gradients are their transposes around the same products. `Kernels` holds U, computed
once for all steps of a rollout; its gradient is summed over the steps in place. Tensors are channels-last: the channels of a
pixel are adjacent and are processed one register at a time.

The loops are in C (native/winograd.h, native/library.py). Without them this module is not used.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor

from framecast.ops.backward import needs_gradient
from framecast.ops.native.library import ADDRESS, COUNT, SIZE, addresses, c_array, load_function, threads
from framecast.ops.native.memory import empty
from framecast.ops.tiles import POINTS, matrices, tile_of

PANEL = 64
"""Outputs of a weight that are adjacent in U, as in winograd.h."""
PADDING = 16
"""Floats between two positions: with a stride that is a power of two all positions would share one cache line."""


class _Tiling(ctypes.Structure):
    """The tiling of maps `(batch, height, width)`: tiles with results of `step` x `step`."""

    _fields_ = tuple((name, ctypes.c_int64) for name in ("batch", "height", "width", "step"))

    tile: int
    """Not passed to C, which has loops for each size."""

    @staticmethod
    def of(x: Tensor, kernel: int) -> _Tiling:
        """The tiling of `x (B, C, h, w)`."""
        batch, _, height, width = x.shape
        return _tiling(batch, height, width, kernel)

    @property
    def loops(self) -> _Loops:
        """The loops for the size of its tiles."""
        return _LOOPS[self.tile]

    @cached_property
    def tiles(self) -> int:
        """Number of tiles."""
        return int(self.batch * -(-self.height // self.step) * -(-self.width // self.step))


@lru_cache
def _tiling(batch: int, height: int, width: int, kernel: int) -> _Tiling:
    tile = tile_of(kernel, height, width)
    tiling = _Tiling(batch, height, width, tile + 1 - kernel)
    tiling.tile = tile
    return tiling


class _Term(ctypes.Structure):
    """A `Term` of winograd.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("v", "u")),
        *((name, ctypes.c_int64) for name in ("channels", "inputs", "begin", "outputs", "first", "stride")),
        *((name, ctypes.c_void_p) for name in ("transposed", "dv", "du")),
        ("fresh", ctypes.c_int64),
    )


class _Run(ctypes.Structure):
    """A `Run` of winograd.h."""

    _fields_ = tuple((name, ctypes.c_int64) for name in ("terms", "outputs", "maps"))


class _Loops:
    """The loops for tiles of one size."""

    def __init__(self, tile: int) -> None:
        self.places = tile**2

        def loop(name: str, *arguments: Any, returns: Any = None) -> Callable[..., Any]:
            return load_function(f"framecast_{name}_{tile}", *arguments, returns=returns)

        self.input_transform = loop("input_transform", ADDRESS, _Tiling, SIZE, ADDRESS, SIZE, COUNT)
        self.input_transform_adjoint = loop("input_transform_adjoint", ADDRESS, SIZE, _Tiling, SIZE, ADDRESS, COUNT)
        self.sum = loop("sum", ADDRESS, ADDRESS, SIZE, _Tiling, ADDRESS, ADDRESS, COUNT)
        self.gradients = loop("gradients", ADDRESS, ADDRESS, SIZE, _Tiling, ADDRESS, ADDRESS, COUNT)
        self.kernels = loop("kernels", ADDRESS, SIZE, ADDRESS, ADDRESS, SIZE, SIZE, COUNT)
        self.taps = loop("taps", ADDRESS, SIZE, SIZE, ADDRESS, SIZE, ADDRESS, COUNT)
        self.workspace = loop("workspace", COUNT, returns=SIZE)

    def size(self, tiling: _Tiling, channels: int) -> int:
        """Floats of V with the padding between its positions."""
        return self.places * (tiling.tiles * channels + PADDING)

    def scratch(self) -> int:
        """The address of what `sum` and `gradients` need for what they make on the way."""
        return _workspace("products", self.workspace(threads())).data_ptr()


_LOOPS = {tile: _Loops(tile) for tile in POINTS}


class _Workspace(threading.local):
    """Memory that is used within one function only, and kept: returning pages to the system and getting them back costs as much
    as the work."""

    def __init__(self) -> None:
        self._blocks: dict[str, Tensor] = {}

    def __call__(self, name: str, size: int) -> Tensor:
        """`size` floats, uninitialised; the next call with this `name` may return the same."""
        block = self._blocks.get(name)
        if block is None or block.numel() < size:
            block = self._blocks[name] = empty(size)
        return block if block.numel() == size else block[:size]


_workspace = _Workspace()


def _last(x: Tensor) -> Tensor:
    """`x (B, C, h, w)` in channels-last layout, detached."""
    if x.is_contiguous(memory_format=torch.channels_last):
        return x
    return x.detach().contiguous(memory_format=torch.channels_last)


def _transform(x: Tensor, tiling: _Tiling, into: Tensor) -> Tensor:
    """V of maps `x (B, C, h, w)`: `(places, tiles * C + PADDING)`."""
    loops, last = tiling.loops, _last(x)
    maps = into.view(loops.places, -1)
    loops.input_transform(last.data_ptr(), tiling, last.shape[1], maps.data_ptr(), maps.stride(0), threads())
    return maps


def transform_map(x: Tensor, kernel: int, free: list[Tensor] | None = None) -> Tensor:
    """V of maps `x (B, C, h, w)`: `(places, tiles * C + PADDING)`, without gradient. It overwrites a tensor of `free` of the
    same size, if there is one."""
    tiling = _Tiling.of(x, kernel)
    size = tiling.loops.size(tiling, x.shape[1])
    fitting = [number for number, each in enumerate(free or ()) if each.numel() == size]
    return _transform(x, tiling, free.pop(fitting[0]) if free and fitting else empty(size))


class _Gradient:
    """The gradient of U, which all products add to in place, and the layout of U that they read."""

    def __init__(self, places: int, inputs: int, outputs: int) -> None:
        self.places, self.inputs, self.outputs = places, inputs, outputs
        self._sum: Tensor | None = None
        self._transposed: Tensor | None = None

    def of(self, kernels: Tensor) -> Tensor:
        """The sum to add to."""
        if self._sum is None:
            self._sum = empty(*kernels.shape).zero_()
        return self._sum

    def transposed(self, kernels: Tensor) -> Tensor:
        """U as `(places, D, C)`."""
        if self._transposed is None:
            self._transposed = empty(self.places, self.outputs, self.inputs)
            for begin in range(0, self.outputs, PANEL):
                panel = self._transposed[:, begin : begin + PANEL]
                values = kernels[self.places * self.inputs * begin :][: panel.numel()]
                panel.copy_(values.view(self.places, self.inputs, -1).transpose(1, 2))
        return self._transposed

    def take(self) -> Tensor | None:
        """Return the sum and reset it to None."""
        total, self._sum = self._sum, None
        return total


def _kernels(weight: Tensor, tile: int) -> Tensor:
    """U of a weight `(D, C, k, k)`: panels of `PANEL` outputs, each `(places, C, PANEL)`, one after the other."""
    outputs, inputs, size = weight.shape[:3]
    _, spread, _ = matrices(size, tile, weight.dtype)
    taps, result = weight.detach().contiguous(), empty(tile**2 * inputs * outputs)
    loops = _LOOPS[tile]
    loops.kernels(taps.data_ptr(), size, spread.data_ptr(), result.data_ptr(), inputs, outputs, threads())
    return result


class _TransformKernels(torch.autograd.Function):
    """U of a weight; its gradient is the sum that was accumulated outside of autograd."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, tile: int, gradient: _Gradient) -> Tensor:
        ctx.gradient, ctx.shape, ctx.tile = gradient, weight.shape, tile
        ctx.set_materialize_grads(False)
        return _kernels(weight, tile)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None, None]:
        outputs, inputs, size = ctx.shape[:3]
        total = ctx.gradient.take()
        if gradients[0] is not None:
            raise RuntimeError("U is not for use outside of this module")
        if total is None:
            return None, None, None
        _, spread, _ = matrices(size, ctx.tile, total.dtype)
        taps, loops = empty(*ctx.shape), _LOOPS[ctx.tile]
        loops.taps(total.data_ptr(), inputs, outputs, spread.data_ptr(), size, taps.data_ptr(), threads())
        return taps, None, None


class Kernels:
    """U of a weight `(D, C, k, k)` for tiles of one size. Its gradient is accumulated outside of autograd, which must hold no
    reference to this object."""

    def __init__(self, weight: Tensor, tile: int) -> None:
        outputs, inputs, self.kernel = weight.shape[:3]
        self.gradient = _Gradient(tile**2, inputs, outputs)
        self.values: Tensor = _TransformKernels.apply(weight, tile, self.gradient)  # type: ignore[no-untyped-call]


class Term(NamedTuple):
    """A map that is convolved with a part of the inputs of a weight."""

    x: Tensor
    """`(B, C, h, w)`."""
    v: Tensor
    """Its `transform_map`."""
    kernels: Kernels
    begin: int
    """The first of its C channels among the inputs of the weight."""


class Run(NamedTuple):
    """A sum of convolutions, split `into` maps of one width. `parts` are the terms with the range of their outputs, `(term,
    first, last)`."""

    into: int
    parts: tuple[tuple[int, int, int], ...]

    @property
    def outputs(self) -> int:
        """Channels of all its maps together."""
        _, first, last = self.parts[0]
        return last - first


@lru_cache
def _table(runs: tuple[Run, ...]) -> Any:
    """The runs as a C array."""
    return c_array(_Run, [_Run(len(run.parts), run.outputs, run.into) for run in runs])


@lru_cache
def _widths(runs: tuple[Run, ...]) -> tuple[tuple[int, int], ...]:
    """The number and the width of the maps of the runs; neighbouring maps of one width are grouped."""
    groups = groupby(runs, key=lambda run: run.outputs // run.into)
    return tuple((sum(run.into for run in some), width) for width, some in groups)


class _Sums(torch.autograd.Function):
    """The maps of all runs. `tensors` are x and U of each term. V, four times as large as x, is computed again for the
    gradient."""

    @staticmethod
    def forward(ctx: Any, terms: Sequence[Term], runs: tuple[Run, ...], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.kernel, ctx.runs = terms[0].kernels.kernel, runs
        ctx.gradients, ctx.begins = [term.kernels.gradient for term in terms], [term.begin for term in terms]
        ctx.save_for_backward(*tensors)
        xs = tensors[::2]
        ctx.of = [next(first for first, other in enumerate(xs) if other is x) for x in xs]
        return _compute_sums(terms, runs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        saved = ctx.saved_tensors
        xs, kernels = saved[::2], saved[1::2]
        tiling = _Tiling.of(xs[0], ctx.kernel)
        loops = tiling.loops
        needs_map, needs_weight = (
            ctx.needs_input_grad[2::2],
            [needs_gradient(node) for node, _ in ctx.next_functions[1::2]],
        )
        maps: dict[int, Tensor] = {}  # of each x, which may be that of several terms: V, and the gradient of V
        changes: dict[int, Tensor] = {}
        of = ctx.of  # the first term with the same x
        for x, key, change, weight_needed in zip(xs, of, needs_map, needs_weight, strict=True):
            size = loops.size(tiling, x.shape[1])
            if weight_needed and key not in maps:
                maps[key] = _transform(x, tiling, _workspace(f"V {len(maps)}", size))
            if change and key not in changes:
                changes[key] = _workspace(f"dV {len(changes)}", size).view(loops.places, -1)
        # the terms, whose gradients of V and U the loops add up
        terms, known = [], set()
        for term, first, _ in (part for run in ctx.runs for part in run.parts):
            begin, gradient = ctx.begins[term], ctx.gradients[term]
            result = _term(xs[term], maps.get(of[term]), gradient, kernels[term], begin, first)
            if (into := changes.get(of[term])) is not None:
                result.dv, result.transposed = into.data_ptr(), gradient.transposed(kernels[term]).data_ptr()
                result.stride, result.fresh = into.stride(0), of[term] not in known
                known.add(of[term])
            if needs_weight[term]:
                result.du = gradient.of(kernels[term]).data_ptr()
            terms.append(result)
        # run the loops, and transform the gradients of V back to those of x
        last = [_last(each) for each in grads]
        table = c_array(_Term, terms), _table(ctx.runs), len(ctx.runs)
        loops.gradients(*table, tiling, addresses(last), loops.scratch(), threads())
        results: list[Tensor | None] = []
        for x, key in zip(xs, of, strict=True):
            change = changes.pop(key, None)  # all of it is the gradient of the first
            results += [None if change is None else _input_gradient(change, tiling, x.shape[1]), None]
        return (None, None, *results)


def _compute_sums(terms: Sequence[Term], runs: tuple[Run, ...]) -> tuple[Tensor, ...]:
    """The maps of all runs, without gradient."""
    tiling = _Tiling.of(terms[0].x, terms[0].kernels.kernel)
    loops = tiling.loops
    inputs: list[_Term] = []
    maps: list[Tensor] = []
    for run in runs:
        for number, first, _ in run.parts:
            x, v, kernels, begin = terms[number]
            inputs.append(_term(x, v, kernels.gradient, kernels.values, begin, first))
    for many, width in _widths(runs):
        maps += empty(many, tiling.batch, tiling.height, tiling.width, width).permute(0, 1, 4, 2, 3).unbind()
    table = c_array(_Term, inputs), _table(runs), len(runs)
    loops.sum(*table, tiling, addresses(maps), loops.scratch(), threads())
    return tuple(maps)


def _input_gradient(changes: Tensor, tiling: _Tiling, channels: int) -> Tensor:
    """The gradient of x `(B, C, h, w)` from that of V: the transpose of `_transform`."""
    last = empty(tiling.batch, tiling.height, tiling.width, channels).zero_()
    tiling.loops.input_transform_adjoint(
        changes.data_ptr(), changes.stride(0), tiling, channels, last.data_ptr(), threads()
    )
    return last.permute(0, 3, 1, 2)


def _term(x: Tensor, maps: Tensor | None, gradient: _Gradient, kernels: Tensor, begin: int, first: int) -> _Term:
    """A term in C, without gradients."""
    v, stride = (None, 0) if maps is None else (maps.data_ptr(), maps.stride(0))
    return _Term(v, kernels.data_ptr(), x.shape[1], gradient.inputs, begin, gradient.outputs, first, stride)


def sums(terms: Sequence[Term], runs: tuple[Run, ...]) -> tuple[Tensor, ...]:
    """The maps of all `runs`, each `(B, D, H, W)`, channels-last."""
    if not torch.is_grad_enabled():
        return _compute_sums(terms, runs)
    tensors = [tensor for term in terms for tensor in (term.x, term.kernels.values)]
    results: tuple[Tensor, ...] = _Sums.apply(terms, runs, *tensors)  # type: ignore[no-untyped-call]
    return results
