"""The area of rain that a network expects, held at that of extrapolation while lead times are short.

How the pixels of a radar change from one frame to the next depends on how its frames were made, more than rain does. A network
that was trained on few radars expects too much rain or too little on another one, from the first lead time on and everywhere
alike. Extrapolation does not: its neighbourhoods keep the area. With z_lk the logits of the network, m_l the minutes, and N_lk
the number of pixels that extrapolation expects at or above q_k,

    z'_lk = z_lk + b_lk exp(-m_l / FADING),      sum over pixels of P(z_lk + b_lk) = N_lk - LEAST_AREA b_lk

so that growth and decay are the network's own after an hour, and areas of few pixels, which say little, shift little. It is the
offset of the scaling of Platt (1999), with extrapolation in place of observations. Where no rain is near (`LEAST`), nothing is
shifted. `FADING` and `LEAST_AREA` were chosen on events left out of training (docs/results.md); 20 to 60 minutes serve alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from framecast.models.parts.exceedance import LEAST, descending, probabilities

FADING = 30.0
"""Minutes in which the hold of extrapolation on the area falls to a third."""
LEAST_AREA = 250.0
"""Square kilometres of rain that stand against an offset."""
_SIDE = 128
"""Areas are counted on every n-th row and column, so that the shorter side has at least so many and less than twice as many
of them, or all of its own where these are fewer."""
_STEPS = 6


def counting_stride(height: int, width: int) -> int:
    """The step n between the rows and columns on which the areas of frames of that size are counted."""
    return max(1, min(height, width) // _SIDE)


def hold_area(
    logits: Tensor, extrapolated: Tensor, known: Tensor, minutes: Tensor, kilometres: Sequence[float]
) -> Tensor:
    """The `logits (B, L, K, H, W)` with the areas held, at the lead times `minutes (B, L)`. `extrapolated (B, L, K, h, w)` are
    the logits of extrapolation on every n-th row and column, n the `counting_stride`, `known (B, H, W)` says which pixels count,
    and `kilometres (B,)` how wide they are. `logits` that are those of extrapolation are returned unchanged."""
    stride = counting_stride(*logits.shape[-2:])
    least = [LEAST_AREA / (stride * width) ** 2 for width in kilometres]
    counted, own = known[:, None, None, ::stride, ::stride], logits[..., ::stride, ::stride]
    ridge = torch.tensor(least, device=logits.device).reshape(-1, 1, 1)
    offset = _offset(own, (probabilities(extrapolated) * counted).sum((-2, -1)), counted, ridge)
    offset = offset * torch.exp(-minutes / FADING)[..., None]
    return descending(_share_of_rain(logits).mul_(offset[..., None, None]).add_(logits))


def _offset(logits: Tensor, expected: Tensor, counted: Tensor, ridge: Tensor) -> Tensor:
    """The offsets `(B, L, K)` with which `logits (B, L, K, h, w)` expect as many pixels as `expected (B, L, K)`, by Newton's
    method."""
    movable = _share_of_rain(logits).mul_(counted)
    offset = torch.zeros_like(expected)
    for _ in range(_STEPS):
        shifted = logits + offset[..., None, None] * movable
        share = torch.sigmoid(shifted)
        slope = (share * (1 - share) * movable).sum((-2, -1)) + ridge
        excess = (probabilities(shifted) * counted).sum((-2, -1)) - expected + ridge * offset
        offset = offset - (excess / slope).clamp(-1, 1)
    return offset


def _share_of_rain(logits: Tensor) -> Tensor:
    """How much of each probability is not the `LEAST` that stands where no rain is near, 0 to 1."""
    return torch.exp(-logits).add_(1).mul_(-LEAST).add_(1).clamp_(min=0)
