"""Layers that several papers use."""

from __future__ import annotations

from torch import Tensor, nn


class GateConv(nn.Module):
    """A k x k convolution that keeps the size of the map, and the LayerNorm that some papers put after it.

    The norm runs over channels, height and width together, with affine weights of that full shape
    (spec/models.md, section 0), so a layer with `grid=(h, w)` is tied to that size; `grid=None` means no norm.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, grid: tuple[int, int] | None = None, bias: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
        self.norm = nn.Identity() if grid is None else nn.LayerNorm([outputs, *grid])

    def forward(self, x: Tensor) -> Tensor:
        """`x (B, inputs, h, w)` -> `(B, outputs, h, w)`."""
        normed: Tensor = self.norm(self.conv(x))
        return normed
