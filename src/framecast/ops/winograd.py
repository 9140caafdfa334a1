"""Convolutions by Winograd's minimal filtering, for k x k kernels (k odd, 3 to 7) that keep the size of the map.

Shmuel Winograd, "Arithmetic Complexity of Computations", 1980; Andrew Lavin, Scott Gray, "Fast Algorithms for Convolutional
Neural Networks", CVPR 2016. A map is cut into tiles of 8 x 8 that overlap by k - 1, and for each tile d and kernel g

    V = B^T d B        U = G g G^T        y = A^T [ sum over channels of U . V ] A

gives m x m = (9 - k) x (9 - k) pixels of the result for 64 multiplications, where the direct form needs m^2 k^2: 400 for a 5 x 5
kernel. The sum over channels is one matrix product for each of the 64 places. B, G and A evaluate polynomials at 0, 1, -1, 2,
-2, 1/2, -1/2 and infinity, so V does not depend on k but for the overlap.

All three transforms are linear, so the gradients are their transposes around the same products; nothing is transformed
back and forth between the steps of a rollout. `Kernels` holds U, computed once for all steps; its gradient is summed over them
in place. Tensors are kept channels-last: a pixel's channels lie together, so that tiles are cut and put together in runs.

The relative error is about 2e-6 in float32, where the direct form has 2e-7.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

TILE = 8
PLACES = TILE**2
PIECE = 128
"""About how many tiles are worked on at once: what is computed of them should stay in the cache until it has been used."""

_POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)  # and infinity


def _powers(count: int) -> np.ndarray:
    """Polynomials of `count` coefficients at the eight points, `(8, count)`; at infinity it is the last coefficient."""
    finite = np.vander(np.array(_POINTS), count, increasing=True)
    return np.vstack([finite, np.eye(count)[-1:]])


@cache
def matrices(kernel: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """B^T `(8, 8)`, G `(8, kernel)` and A^T `(9 - kernel, 8)`. The rows of B^T are brought to the size of 1."""
    back = np.linalg.inv(_powers(TILE)).T
    scale = 2.0 ** np.round(np.log2(np.abs(back).max(axis=1, keepdims=True)))
    found = back / scale, scale * _powers(kernel), _powers(TILE + 1 - kernel).T
    return tuple(torch.from_numpy(np.ascontiguousarray(each)).to(dtype) for each in found)  # type: ignore[return-value]


class _Scratch(threading.local):
    """Memory for what is needed within one function only. Without it the system hands out and takes back pages of it at
    every step, which costs as much as the work."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, torch.dtype], Tensor] = {}

    def __call__(self, name: str, like: Tensor, *shape: int) -> Tensor:
        """Uninitialised memory of `shape`; the next call with this `name` may return the same."""
        size = prod(shape)
        kept = self._kept.get((name, like.dtype))
        if kept is None or kept.numel() < size:
            kept = self._kept[name, like.dtype] = like.new_empty(size)
        return kept[:size].view(shape)


_scratch = _Scratch()


def _both_ways(matrix: Tensor, tiles: Tensor, out: Tensor | None = None) -> Tensor:
    """`matrix (a, b)` from both sides to each of the tiles `(b, b, N)`: `(a, a, N)`, transposed, which costs one turn less;
    tiles that are transformed there and back again are as they were."""
    (after, before), count = matrix.shape, tiles.shape[-1]
    half = _scratch("half", tiles, before, after, count)
    torch.bmm(matrix.expand(before, after, before), tiles, out=half)
    out = tiles.new_empty(after, after, count) if out is None else out
    return torch.bmm(matrix.expand(after, after, before), half.transpose(0, 1), out=out)


class _Piece(NamedTuple):
    """Some tiles: those of the maps `batches` in the tile rows `rows`, all columns. In V they are `tiles`."""

    batches: slice
    rows: slice
    tiles: slice

    def __len__(self) -> int:
        return int(self.tiles.stop - self.tiles.start)


class _Grid:
    """How maps of `(batch, height, width)` are cut for a kernel: `rows` x `columns` tiles a map, `step` pixels apart."""

    def __init__(self, size: tuple[int, int, int], kernel: int) -> None:
        self.batch, self.height, self.width = size
        self.kernel = kernel
        self.step = TILE + 1 - kernel
        self.rows, self.columns = -(-self.height // self.step), -(-self.width // self.step)
        self.tiles = self.batch * self.rows * self.columns
        self.pieces = self._pieces()

    def _pieces(self) -> list[_Piece]:
        each = self.rows * self.columns
        maps, rows = max(PIECE // each, 1), self.rows if each <= PIECE else max(PIECE // self.columns, 1)
        pieces, done = [], 0
        for first in range(0, self.batch, maps):
            batches = slice(first, min(first + maps, self.batch))
            for top in range(0, self.rows, rows):
                part = slice(top, min(top + rows, self.rows))
                count = (batches.stop - batches.start) * (part.stop - part.start) * self.columns
                pieces.append(_Piece(batches, part, slice(done, done + count)))
                done += count
        return pieces

    def _over(self) -> tuple[int, int]:
        """By how many pixels the tiles of results reach over the map, below and to the right."""
        return self.rows * self.step - self.height, self.columns * self.step - self.width

    def padded(self, x: Tensor) -> Tensor:
        """`x (B, C, H, W)` with zeros around as the tiles need them, `(B, rows, columns, C, 8, 8)`, without a copy of what
        overlaps."""
        beside, (below, right) = self.kernel // 2, self._over()
        around = self.kernel - 1 - beside
        last = functional.pad(x.permute(0, 2, 3, 1), (0, 0, beside, right + around, beside, below + around))
        return last.unfold(1, TILE, self.step).unfold(2, TILE, self.step)

    def cut(self, tiles: Tensor, piece: _Piece) -> Tensor:
        """A piece of what `padded` returned, `(8, 8, n * C)`."""
        part = tiles[piece.batches, piece.rows].permute(4, 5, 0, 1, 2, 3)
        return _scratch("cut", tiles, *part.shape).copy_(part).view(TILE, TILE, -1)

    def add_up(self, out: Tensor, tiles: Tensor, piece: _Piece) -> None:
        """The transpose of `cut`: `tiles (8, 8, n * C)`, which overlap, are added to `out (B, height, width, C)`, a map with
        room around it."""
        step, rows = self.step, piece.rows.stop - piece.rows.start
        cut = tiles.view(TILE, TILE, -1, rows, self.columns, out.shape[-1])
        for top in range(0, TILE, step):
            for left in range(0, TILE, step):
                part = cut[top : top + step, left : left + step].permute(2, 3, 0, 4, 1, 5)
                first = piece.rows.start * step + top
                under = out[piece.batches, first : first + rows * step, left : left + self.columns * step]
                under = self._tiled(under)
                under[:, :, : part.shape[2], :, : part.shape[4]] += part

    def room(self, like: Tensor, channels: int) -> Tensor:
        """Zeros for `add_up`, large enough for tiles that reach over the map on all sides."""
        whole = -(-TILE // self.step) * self.step
        return like.new_zeros(self.batch, self.rows * self.step + whole, self.columns * self.step + whole, channels)

    def inside(self, out: Tensor) -> Tensor:
        """The map in what `room` returned, `(B, C, H, W)`."""
        beside = self.kernel // 2
        return out[:, beside : beside + self.height, beside : beside + self.width].permute(0, 3, 1, 2)

    def join(self, whole: Tensor, tiles: Tensor, piece: _Piece) -> None:
        """Put tiles of results `(step, step, n * D)` side by side, as `count` maps, into `whole (count, B, H, W, D / count)`."""
        step, count = self.step, whole.shape[0]
        rows = slice(piece.rows.start * step, piece.rows.stop * step)
        shape = (step, step, -1, piece.rows.stop - piece.rows.start, self.columns, count, whole.shape[-1])
        self._tiled(whole[:, piece.batches, rows]).copy_(tiles.view(shape).permute(5, 2, 3, 0, 4, 1, 6))

    def part(self, maps: Sequence[Tensor], piece: _Piece) -> Tensor:
        """The transpose of `join`: of `maps (B, rows * step, columns * step, D)` a piece, `(step, step, n * count * D)`."""
        step, rows = self.step, piece.rows.stop - piece.rows.start
        shape = (step, step, -1, rows, self.columns, len(maps), maps[0].shape[-1])
        tiles = _scratch("part", maps[0], step**2 * len(piece) * len(maps) * maps[0].shape[-1]).view(shape)
        for number, last in enumerate(maps):
            part = self._tiled(last[piece.batches, piece.rows.start * step : piece.rows.stop * step])
            tiles[..., number, :] = part.permute(2, 4, 0, 1, 3, 5)
        return tiles.view(step, step, -1)

    def _tiled(self, maps: Tensor) -> Tensor:
        """`maps (..., n * step, columns * step, D)` as `(..., n, step, columns, step, D)`, the same memory."""
        *outer, height, _, channels = maps.shape
        shape = (*outer, height // self.step, self.step, self.columns, self.step, channels)
        *strides, below, right, last = maps.stride()
        return maps.as_strided(shape, (*strides, self.step * below, below, self.step * right, right, last))

    def whole(self, y: Tensor) -> Tensor:
        """`y (B, D, H, W)` as `(B, rows * step, columns * step, D)`, with zeros where the tiles reach over the map."""
        below, right = self._over()
        last = y.permute(0, 2, 3, 1)
        return functional.pad(last, (0, 0, 0, right, 0, below)) if below or right else last


def transformed(x: Tensor, kernel: int, free: list[Tensor] | None = None) -> Tensor:
    """V of maps `x (B, C, H, W)`, piece by piece: `(tiles, 64, C)`, of which the rows of a piece hold `(64, n, C)`. Autograd
    does not follow it. Where one of `free` has its shape, it is taken from there and written over."""
    grid = _Grid((x.shape[0], x.shape[2], x.shape[3]), kernel)
    back, _, _ = matrices(kernel, x.dtype)
    with torch.no_grad():
        tiles = grid.padded(x)
        shape = (grid.tiles, PLACES, x.shape[1])
        fitting = [number for number, each in enumerate(free or ()) if each.shape == shape]
        maps = free.pop(fitting[0]) if free and fitting else x.new_empty(shape)
        for piece in grid.pieces:
            _both_ways(back, grid.cut(tiles, piece), maps[piece.tiles].view(TILE, TILE, -1))
    return maps


def _of(maps: Tensor, piece: _Piece) -> Tensor:
    """The piece of V, `(64, n, C)`."""
    return maps[piece.tiles].view(PLACES, len(piece), -1)


class _Gradient:
    """The gradient of U, which all products add to in place, in parts of its outputs."""

    def __init__(self) -> None:
        self._parts: dict[tuple[int, int], Tensor] = {}

    def add(self, maps: Tensor, products: Tensor, first: int, last: int) -> None:
        """Add V^T dM to the gradient of the outputs from `first` to `last`."""
        if (first, last) in self._parts:
            self._parts[first, last].baddbmm_(maps.transpose(1, 2), products)
        else:
            self._parts[first, last] = torch.bmm(maps.transpose(1, 2), products)

    def take(self) -> dict[tuple[int, int], Tensor]:
        """The parts; none are left."""
        parts, self._parts = self._parts, {}
        return parts


class _TransformKernels(torch.autograd.Function):
    """U of a weight; its gradient is what has been added up beside autograd."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, gradient: _Gradient) -> Tensor:
        ctx.gradient, ctx.shape = gradient, weight.shape
        ctx.set_materialize_grads(False)
        outputs, inputs, kernel = weight.shape[:3]
        _, spread, _ = matrices(kernel, weight.dtype)
        taps = weight.permute(2, 3, 1, 0).reshape(kernel, kernel, -1)
        return _both_ways(spread, taps).view(PLACES, inputs, outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None]:
        outputs, inputs, kernel = ctx.shape[:3]
        taken = ctx.gradient.take()
        if gradients[0] is not None:
            raise RuntimeError("U is not for use outside of this module")
        if not taken:
            return None, None
        weight = next(iter(taken.values())).new_zeros(kernel, kernel, inputs, outputs)
        for (first, last), part in taken.items():
            _, spread, _ = matrices(kernel, part.dtype)
            taps = _both_ways(spread.t(), part.view(TILE, TILE, -1))
            weight[..., first:last] += taps.view(kernel, kernel, inputs, last - first)
        return weight.permute(3, 2, 0, 1), None


class Kernels:
    """U `(64, C, D)` of a weight `(D, C, k, k)`. Autograd knows nothing of how its gradient is added up, and must not hold
    what holds U."""

    def __init__(self, weight: Tensor) -> None:
        self.kernel = int(weight.shape[-1])
        self.gradient = _Gradient()
        self.values: Tensor = _TransformKernels.apply(weight, self.gradient)  # type: ignore[no-untyped-call]


class Run(NamedTuple):
    """A sum of convolutions, cut `into` maps of one width: of which terms which outputs are summed, `(term, first, last)`
    each."""

    into: int
    parts: tuple[tuple[int, int, int], ...]


class _Sums(torch.autograd.Function):
    """All maps of all runs. `tensors` are x and U of each term. V, four times as large as x, is not kept for the gradient
    but computed again."""

    @staticmethod
    def forward(
        ctx: Any,
        kernel: int,
        runs: Sequence[Run],
        gradients: Sequence[_Gradient],
        maps: Sequence[Tensor],
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.kernel, ctx.runs, ctx.gradients = kernel, runs, gradients
        ctx.save_for_backward(*tensors)
        like, kernels = tensors[0], tensors[1::2]
        grid = _Grid((like.shape[0], like.shape[2], like.shape[3]), kernel)
        _, _, gather = matrices(kernel, like.dtype)
        step, made = grid.step, []
        for run in runs:
            (term, start, stop), *others = run.parts
            outputs = stop - start
            whole = like.new_empty(run.into, grid.batch, grid.rows * step, grid.columns * step, outputs // run.into)
            for piece in grid.pieces:
                products = _scratch("products", like, PLACES, len(piece), outputs)
                torch.bmm(_of(maps[term], piece), kernels[term][..., start:stop], out=products)
                for other, first, last in others:
                    products.baddbmm_(_of(maps[other], piece), kernels[other][..., first:last])
                tiles = _scratch("tiles", like, step, step, len(piece) * outputs)
                grid.join(whole, _both_ways(gather, products.view(TILE, TILE, -1), tiles), piece)
            if whole.shape[2:4] != (grid.height, grid.width):
                whole = whole[:, :, : grid.height, : grid.width].contiguous()
            made += [each.permute(0, 3, 1, 2) for each in whole.unbind()]
        return tuple(made)

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[Any, ...]:
        tensors = ctx.saved_tensors
        xs, kernels = tensors[::2], tensors[1::2]
        grid = _Grid((xs[0].shape[0], xs[0].shape[2], xs[0].shape[3]), ctx.kernel)
        back, _, gather = matrices(ctx.kernel, xs[0].dtype)
        wanted, learned = ctx.needs_input_grad[4::2], ctx.needs_input_grad[5::2]
        maps = [transformed(x, ctx.kernel) if need else None for x, need in zip(xs, learned, strict=True)]
        whole = [grid.whole(gradient) for gradient in given]
        rooms = [grid.room(x, x.shape[1]) if need else None for x, need in zip(xs, wanted, strict=True)]
        for piece in grid.pieces:
            found: dict[int, Tensor] = {}
            done = 0
            for run in ctx.runs:
                outputs = run.parts[0][2] - run.parts[0][1]
                products = _scratch("products", xs[0], PLACES, len(piece), outputs)
                part = grid.part(whole[done : done + run.into], piece)
                _both_ways(gather.t(), part, products.view(TILE, TILE, -1))
                done += run.into
                for term, first, last in run.parts:
                    turned = kernels[term][..., first:last].transpose(1, 2)
                    if wanted[term] and term in found:
                        found[term].baddbmm_(products, turned)
                    elif wanted[term]:
                        into = _scratch(f"term {term}", xs[0], PLACES, len(piece), turned.shape[-1])
                        found[term] = torch.bmm(products, turned, out=into)
                    if (known := maps[term]) is not None:
                        ctx.gradients[term].add(_of(known, piece), products, first, last)
            for term, gradient in found.items():
                shape = (TILE, TILE, gradient.shape[1] * gradient.shape[2])
                tiles = _both_ways(back.t(), gradient.view(shape), _scratch("cut", gradient, *shape))
                grid.add_up(rooms[term], tiles, piece)  # type: ignore[arg-type]
        inside = [None if room is None else grid.inside(room) for room in rooms]
        return (None, None, None, None, *(part for gradient in inside for part in (gradient, None)))


def sums(terms: Sequence[tuple[Tensor, Tensor, Kernels]], runs: Sequence[Run]) -> tuple[Tensor, ...]:
    """The maps of all `runs`, each `(B, D, H, W)`, channels-last, from terms that are x, its V, and U."""
    tensors = [tensor for x, _, kernels in terms for tensor in (x, kernels.values)]
    gradients, maps = [kernels.gradient for _, _, kernels in terms], [v for _, v, _ in terms]
    results: tuple[Tensor, ...] = _Sums.apply(terms[0][2].kernel, runs, gradients, maps, *tensors)  # type: ignore[no-untyped-call]
    return results
