"""Layers that several papers use: convolutions, norms, and gates as sums of convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, reduce

import torch
from torch import Tensor, nn
from torch.nn import functional

from framecast.ops.convolution import compute_once, convolve, sums, uses_winograd
from framecast.ops.winograd import Run


def channels_last(model: nn.Module) -> None:
    """Convert the weights of 2-d convolutions to channels-last layout, the fastest on GPUs."""
    for weight in model.parameters():
        if weight.dim() == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)


class SameConv(nn.Conv2d):
    """A k x k convolution that keeps the size of the map, computed by the algorithm that ops/convolution.py selects."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=bias)

    def forward(self, *x: Tensor) -> Tensor:
        """`x (B, inputs, h, w)`, one map or several that have the inputs together -> `(B, outputs, h, w)`."""
        return convolve(x, self.weight, self.bias)


class MapNorm(nn.LayerNorm):
    """LayerNorm over channels, height and width together, for maps of one `(D, h, w)`; it keeps their memory layout."""

    def forward(self, x: Tensor) -> Tensor:
        """`x (B, D, h, w)` -> the same shape."""
        if x.is_contiguous() or not x.is_contiguous(memory_format=torch.channels_last):
            return super().forward(x)
        channels, height, width = self.normalized_shape
        weight, bias = compute_once(_channels_last, self.weight), compute_once(_channels_last, self.bias)
        last = functional.layer_norm(x.permute(0, 2, 3, 1), (height, width, channels), weight, bias, self.eps)
        return last.permute(0, 3, 1, 2)


def _channels_last(weight: Tensor) -> Tensor:
    """`(D, h, w)` -> `(h, w, D)`."""
    return weight.permute(1, 2, 0).contiguous()


class GateConv(nn.Module):
    """A k x k convolution that keeps the size of the map, and the LayerNorm that some papers put after it.

    The norm runs over channels, height and width together, with affine weights of that full shape
    (docs/specification.md, section 0), so a layer with `grid=(h, w)` is tied to that size; `grid=None` means no norm.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, grid: tuple[int, int] | None = None, bias: bool = False
    ) -> None:
        super().__init__()
        self.conv = SameConv(inputs, outputs, kernel, bias=bias)
        self.norm = None if grid is None else MapNorm([outputs, *grid])

    def forward(self, *x: Tensor) -> Tensor:
        """`x (B, inputs, h, w)`, one map or several that have the inputs together -> `(B, outputs, h, w)`."""
        result: Tensor = self.conv(*x)
        return result if self.norm is None else self.norm(result)

    def plain_weight(self) -> Tensor | None:
        """The weight of a layer without norm and bias, whose output may be summed with others in one call; else None."""
        conv = self.conv
        return conv.weight if self.norm is None and conv.bias is None else None


def gates(width: int, *terms: tuple[GateConv, Tensor, Sequence[int]]) -> list[Tensor]:
    """Gates of `width` channels, each a sum of convolutions: every term is a layer, the map it is applied to, and the numbers
    of the gates that its outputs add to, in their order. `gates(D, (W_x, x, (0, 1, 2)), (W_h, h, (0, 2)))` are three gates
    of W_x * X, to the first and last of which W_h * H adds its two."""
    pairs: list[tuple[Tensor, Tensor]] = []
    for layer, x, _ in terms:
        weight = layer.plain_weight()
        if weight is not None and uses_winograd(x, weight):
            pairs.append((x, weight))
    if len(pairs) < len(terms):
        added: list[list[Tensor]] = [[] for _ in range(1 + max(max(numbers) for _, _, numbers in terms))]
        for layer, x, numbers in terms:
            for number, part in zip(numbers, layer(x).chunk(len(numbers), dim=1), strict=True):
                added[number].append(part)
        return [reduce(torch.add, parts) for parts in added]
    runs = _runs(width, tuple(tuple(numbers) for _, _, numbers in terms))
    return [*sums(pairs, runs)]


@cache
def _runs(width: int, adding: tuple[tuple[int, ...], ...]) -> tuple[Run, ...]:
    """The gates as runs: neighbouring gates with the same terms and adjacent outputs form one. `adding` are the gates of each
    term."""
    runs: list[list[int]] = []
    for gate in range(1 + max(map(max, adding))):
        positions = [numbers.index(gate) if gate in numbers else None for numbers in adding]
        before = [numbers.index(gate - 1) + 1 if gate - 1 in numbers else None for numbers in adding]
        if runs and positions == before:
            runs[-1].append(gate)
        else:
            runs.append([gate])
    return tuple(
        Run(
            len(run),
            tuple(
                (term, numbers.index(run[0]) * width, (numbers.index(run[-1]) + 1) * width)
                for term, numbers in enumerate(adding)
                if run[0] in numbers
            ),
        )
        for run in runs
    )
