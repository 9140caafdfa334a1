"""Convolutions by Winograd's minimal filtering, for k x k kernels (k odd, 3 to 7) that keep the size of the map.

Shmuel Winograd, "Arithmetic Complexity of Computations", 1980; Andrew Lavin, Scott Gray, "Fast Algorithms for Convolutional
Neural Networks", CVPR 2016. A map is cut into tiles of 8 x 8 that overlap by k - 1, and for each tile d and kernel g

    V = B^T d B        U = G g G^T        y = A^T [ sum over channels of U . V ] A

gives m x m = (9 - k) x (9 - k) pixels of the result for 64 multiplications, where the direct form needs m^2 k^2: 400 for a 5 x 5
kernel. The sum over channels is one matrix product for each of the 64 places. B, G and A evaluate polynomials at 0, 1, -1, 2,
-2, 1/2, -1/2 and infinity, so V does not depend on k but for the overlap.

All three transforms are linear, so the gradients are their transposes around the same products; nothing is transformed
back and forth between the steps of a rollout. `Kernels` holds U, computed once for all steps, and sums its gradient over them in
place. Tensors are kept channels-last: a pixel's channels lie together, so that tiles are cut and put together in runs.

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


class _CutAndTransform(torch.autograd.Function):
    """V of a map, piece by piece: `(tiles, 64, C)`, of which the rows of a piece hold `(64, n, C)`. Linear, so nothing is kept
    for the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: int) -> Tensor:
        grid = ctx.grid = _Grid((x.shape[0], x.shape[2], x.shape[3]), kernel)
        back, _, _ = matrices(kernel, x.dtype)
        tiles = grid.padded(x)
        maps = x.new_empty(grid.tiles, PLACES, x.shape[1])
        for piece in grid.pieces:
            _both_ways(back, grid.cut(tiles, piece), maps[piece.tiles].view(TILE, TILE, -1))
        return maps

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        grid, dv = ctx.grid, gradients[0].contiguous()
        back, _, _ = matrices(grid.kernel, dv.dtype)
        out = grid.room(dv, dv.shape[-1])
        for piece in grid.pieces:
            part = dv[piece.tiles].view(TILE, TILE, -1)
            grid.add_up(out, _both_ways(back.t(), part, _scratch("cut", dv, *part.shape)), piece)
        return grid.inside(out), None


def transformed(x: Tensor, kernel: int) -> Tensor:
    """V of a map `x (B, C, H, W)`."""
    values: Tensor = _CutAndTransform.apply(x, kernel)  # type: ignore[no-untyped-call]
    return values


def _of(maps: Tensor, piece: _Piece) -> Tensor:
    """The piece of V, `(64, n, C)`."""
    return maps[piece.tiles].view(PLACES, len(piece), -1)


class _TransformKernels(torch.autograd.Function):
    """U of a weight; its gradient is what its holder has summed."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, holder: Kernels) -> Tensor:
        ctx.holder, ctx.kernel = holder, weight.shape[-1]
        ctx.set_materialize_grads(False)
        outputs, inputs = weight.shape[:2]
        _, spread, _ = matrices(ctx.kernel, weight.dtype)
        taps = weight.permute(2, 3, 1, 0).reshape(ctx.kernel, ctx.kernel, -1)
        return _both_ways(spread, taps).view(PLACES, inputs, outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None]:
        du = ctx.holder.take(gradients[0])
        if du is None:
            return None, None
        _, spread, _ = matrices(ctx.kernel, du.dtype)
        taps = _both_ways(spread.t(), du.view(TILE, TILE, -1))
        return taps.view(ctx.kernel, ctx.kernel, *du.shape[1:]).permute(3, 2, 0, 1), None


class Kernels:
    """U `(64, C, D)` of a weight `(D, C, k, k)`, and the gradient of it, which all products add to in place."""

    def __init__(self, weight: Tensor) -> None:
        self.kernel = int(weight.shape[-1])
        self._gradients: dict[tuple[int, int], Tensor] = {}
        self.values: Tensor = _TransformKernels.apply(weight, self)  # type: ignore[no-untyped-call]

    def add(self, maps: Tensor, products: Tensor, where: slice) -> None:
        """Add V^T dM to the gradient of the outputs `where`."""
        first, last, _ = where.indices(self.values.shape[-1])
        if (first, last) in self._gradients:
            self._gradients[first, last].baddbmm_(maps.transpose(1, 2), products)
        else:
            self._gradients[first, last] = torch.bmm(maps.transpose(1, 2), products)

    def take(self, more: Tensor | None) -> Tensor | None:
        """The gradient, with `more` of it; none is left."""
        parts, self._gradients = self._gradients, {}
        if not parts:
            return more
        gradient = torch.zeros_like(self.values) if more is None else more.clone()
        for (first, last), part in parts.items():
            gradient[..., first:last] += part
        return gradient


class _Sum(torch.autograd.Function):
    """The sum of convolutions, as `count` maps. `tensors` are V and U of each, `holders` the `Kernels` that U is from and
    the outputs that count."""

    @staticmethod
    def forward(
        ctx: Any, grid: _Grid, count: int, holders: Sequence[tuple[Kernels, slice]], *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.grid, ctx.holders = grid, holders
        ctx.save_for_backward(*tensors)
        maps, kernels = tensors[::2], _parts(holders, tensors[1::2])
        _, _, gather = matrices(grid.kernel, maps[0].dtype)
        outputs, step = kernels[0].shape[-1], grid.step
        whole = maps[0].new_empty(count, grid.batch, grid.rows * step, grid.columns * step, outputs // count)
        for piece in grid.pieces:
            products = _scratch("products", maps[0], PLACES, len(piece), outputs)
            torch.bmm(_of(maps[0], piece), kernels[0], out=products)
            for each, kernel in zip(maps[1:], kernels[1:], strict=True):
                products.baddbmm_(_of(each, piece), kernel)
            tiles = _scratch("tiles", maps[0], step, step, len(piece) * outputs)
            grid.join(whole, _both_ways(gather, products.view(TILE, TILE, -1), tiles), piece)
        if whole.shape[2:4] != (grid.height, grid.width):
            whole = whole[:, :, : grid.height, : grid.width].contiguous()
        return tuple(each.permute(0, 3, 1, 2) for each in whole.unbind())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        grid, tensors = ctx.grid, ctx.saved_tensors
        maps, kernels = tensors[::2], _parts(ctx.holders, tensors[1::2])
        _, _, gather = matrices(grid.kernel, maps[0].dtype)
        whole = [grid.whole(gradient) for gradient in gradients]
        wanted, learned = ctx.needs_input_grad[3::2], ctx.needs_input_grad[4::2]
        found = [torch.empty_like(each) if need else None for each, need in zip(maps, wanted, strict=True)]
        for piece in grid.pieces:
            products = _scratch("products", maps[0], PLACES, len(piece), kernels[0].shape[-1])
            _both_ways(gather.t(), grid.part(whole, piece), products.view(TILE, TILE, -1))
            for kernel, gradient in zip(kernels, found, strict=True):
                if gradient is not None:
                    torch.bmm(products, kernel.transpose(1, 2), out=_of(gradient, piece))
            for (holder, where), each, need in zip(ctx.holders, maps, learned, strict=True):
                if need:
                    holder.add(_of(each, piece), products, where)
        return (None, None, None, *(part for gradient in found for part in (gradient, None)))


def _parts(holders: Sequence[tuple[Kernels, slice]], kernels: Sequence[Tensor]) -> list[Tensor]:
    """Of each U the outputs that count."""
    return [kernel[..., where] for (_, where), kernel in zip(holders, kernels, strict=True)]


def convolutions(
    size: tuple[int, int, int], terms: Sequence[tuple[Tensor, Kernels, slice]], count: int = 1
) -> tuple[Tensor, ...]:
    """The sum of convolutions of maps of `size` (batch, height, width), each given as V, U and which of its outputs count,
    in `count` parts `(B, D / count, H, W)`, channels-last."""
    grid = _Grid(size, terms[0][1].kernel)
    holders = [(kernels, where) for _, kernels, where in terms]
    tensors = [tensor for maps, kernels, _ in terms for tensor in (maps, kernels.values)]
    results: tuple[Tensor, ...] = _Sum.apply(grid, count, holders, *tensors)  # type: ignore[no-untyped-call]
    return results
