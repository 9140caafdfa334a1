"""Memory decoupling, for any cell that returns two memory increments.

Yunbo Wang, Haixu Wu, Jianjin Zhang, Zhifeng Gao, Jianmin Wang, Philip S. Yu, Mingsheng Long: "PredRNN: A Recurrent
Neural Network for Spatiotemporal Predictive Learning", 2022, equation 5:

    dC = W_decouple * (i . g)          dM = W_decouple * (i' . g')
    L_decouple = sum over t, l, c of |<dC, dM>_c| / (||dC||_c ||dM||_c)

Deviations: the mean over t, l and c instead of the sum (spec/models.md, row P4); W_decouple is one 1x1 convolution
shared by all layers and by both increments (row P6).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from framecast.models.layers import SameConv


class Decoupling(nn.Module):
    """`weight` times the mean absolute cosine between the increments of the two memories, channel by channel."""

    def __init__(self, hidden: int, weight: float) -> None:
        super().__init__()
        self.weight = weight
        self.adapter = SameConv(hidden, hidden, 1, bias=False)

    def forward(self, cell_increment: Tensor, memory_increment: Tensor) -> Tensor:
        """`cell_increment, memory_increment (B, D, h, w)` of one layer at one step -> scalar."""
        adapted = self.adapter(torch.cat([cell_increment, memory_increment])).flatten(2)
        dc, dm = adapted.chunk(2)
        return self.weight * functional.cosine_similarity(dc, dm, dim=2, eps=1e-12).abs().mean()
