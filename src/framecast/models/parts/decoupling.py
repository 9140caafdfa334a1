"""Memory decoupling, for any cell that returns two memory increments.

Yunbo Wang, Haixu Wu, Jianjin Zhang, Zhifeng Gao, Jianmin Wang, Philip S. Yu, Mingsheng Long: "PredRNN: A Recurrent
Neural Network for Spatiotemporal Predictive Learning", 2022, equation 5:

    dC = W_decouple * (i . g)          dM = W_decouple * (i' . g')
    L_decouple = sum over t, l, c of |<dC, dM>_c| / (||dC||_c ||dM||_c)

Deviations: the mean over t, l and c instead of the sum (docs/specification.md, row P4); W_decouple is one 1x1 convolution
shared by all layers and by both increments (row P6).
"""

from __future__ import annotations

from torch import Tensor, nn

from framecast.models.parts.layers import SameConv
from framecast.ops.products import products

_LEAST = 1e-24
"""The square of the smallest length of an increment in the denominator."""


class Decoupling(nn.Module):
    """`weight` times the mean absolute cosine between the increments of the two memories, channel by channel."""

    probe = "increments"

    def __init__(self, hidden: int, weight: float) -> None:
        super().__init__()
        self.weight = weight
        self.adapter = SameConv(hidden, hidden, 1, bias=False)

    def forward(self, cell_increment: Tensor, memory_increment: Tensor) -> Tensor:
        """`cell_increment, memory_increment (B, D, h, w)` of one layer at one step -> scalar."""
        dc, dm = self.observe((cell_increment, memory_increment))
        product, c, m = products(dc, dm).unbind()
        lengths = c.clamp_min(_LEAST).sqrt() * m.clamp_min(_LEAST).sqrt()
        return self.weight * (product.abs() / lengths).mean()

    def observe(self, inputs: tuple[Tensor, Tensor], output: None = None) -> tuple[Tensor, Tensor]:
        """The increments `(B, D, h, w)` behind the adapter, in the space of the loss."""
        cell_increment, memory_increment = inputs
        return self.adapter(cell_increment), self.adapter(memory_increment)
