"""Extrapolation as a probability: how likely a moving parcel exceeds a ladder of rain rates, from the newest frame alone.

With r the rate of the newest frame at a parcel, R the unknown rate after m minutes, q_k the rungs of the ladder and F_s the share
of observed pixels at or above q_k in a Gaussian neighbourhood of width s (in km),

    logit P(R >= q_k | m) = sum_s w_ks(m) logit F_s(q_k) + b_k(m)

F_0 is soft: a logistic spread of a quarter around the logarithm of the rate. The weights are functions of lead time, linear in
the square root of the minutes between knots. They start at extrapolation smoothed by lead time: a neighbourhood of
`START + GROWTH * m` km, between the widths that enclose it. What is learnt is added to that, so that decay of the weights leads
back to it. The start was chosen on radar composites of Europe and of the United States: at 5, 30 and 60 minutes, neighbourhoods
of 2, 7 and 13 km had the least Brier score at 0.5, 2 and 8 mm/h alike.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

LADDER = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""The rates in mm/h whose exceedance is predicted."""
DRY = 0.01
"""The rate in mm/h that stands for a dry pixel where logarithms are taken."""
KNOTS = (2.0, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0)
"""Lead times in minutes between which weights are interpolated."""
WIDTHS = (0.0, 1.5, 3.0, 6.0, 12.0, 24.0)
"""Standard deviations of the neighbourhoods in km; the first is the pixel itself."""
START, GROWTH = 0.5, 0.22
"""The width of the neighbourhood in km at once, and its growth per minute, before anything is learnt."""
SOFTNESS = 0.25
"""The logistic spread of the logarithm of the rate of a pixel."""
PACE = 10.0
"""What is learnt of the prior counts so many times: the steps that suit a network would be small for a few weights."""
LEAST = 1e-4
"""Shares of a neighbourhood are kept so far from 0 and from 1, where their logits are infinite: little against the share of heavy
rain in a wet frame. `probabilities` takes it off again."""
ROUNDING = 1e-5
"""Probabilities closer to 0 are 0."""
_POOLED = 4.0
"""Neighbourhoods wider than so many pixels are computed at a lower resolution."""


def interpolation_weights(minutes: Tensor) -> Tensor:
    """The weights of the `KNOTS` for lead times `minutes (...)`, linear in their square roots: `(..., N)`, with a sum of 1."""
    knots = torch.tensor(KNOTS, device=minutes.device).sqrt()
    position = minutes.clamp(KNOTS[0], KNOTS[-1]).sqrt()
    lower = (torch.bucketize(position.contiguous(), knots) - 1).clamp(0, len(KNOTS) - 2)
    share = ((position - knots[lower]) / (knots[lower + 1] - knots[lower]))[..., None]
    first, second = (functional.one_hot(number, len(KNOTS)) for number in (lower, lower + 1))
    return first * (1 - share) + second * share


def smooth(fields: Tensor, width: float) -> Tensor:
    """A Gaussian mean of `fields (B, C, H, W)` with a standard deviation of `width` pixels; the border is extended. Wide
    neighbourhoods are means of blocks first, whose centres are interpolated."""
    height, columns = fields.shape[-2:]
    if width > _POOLED:
        factor = int(width // 2)
        padded = functional.pad(fields, (0, -columns % factor, 0, -height % factor), mode="replicate")
        coarse = smooth(functional.avg_pool2d(padded, factor), width / factor)
        fine = functional.interpolate(coarse, scale_factor=factor, mode="bilinear", align_corners=False)
        return fine[..., :height, :columns]
    reach = max(1, math.ceil(3 * width))
    offsets = torch.arange(-reach, reach + 1, device=fields.device, dtype=fields.dtype)
    kernel = torch.exp(-((offsets / max(width, 1e-3)) ** 2) / 2)
    kernel = (kernel / kernel.sum()).reshape(1, 1, -1)
    batch, channels = fields.shape[:2]
    planes = functional.pad(fields.reshape(batch * channels, 1, height, columns), (reach,) * 4, mode="replicate")
    rows = functional.conv2d(planes, kernel[..., None])
    return functional.conv2d(rows, kernel[:, :, None]).reshape(fields.shape)


class ExtrapolationPrior(nn.Module):
    """The logits of exceedance by lead time, see the equation of the module."""

    def __init__(self, rates: Sequence[float] = LADDER) -> None:
        super().__init__()
        self.start: Tensor
        self.log_rates: Tensor
        self.register_buffer("start", _start_weights(len(rates)), persistent=False)
        self.register_buffer("log_rates", torch.tensor(rates).log(), persistent=False)
        self.weight = nn.Parameter(torch.zeros_like(self.start))
        self.bias = nn.Parameter(torch.zeros(len(KNOTS), len(rates)))

    def features(self, log_rate: Tensor, known: Tensor, kilometres: Sequence[float]) -> Tensor:
        """The logits of the shares of neighbourhoods `(B, K, S, H, W)`, from the logarithms of the newest rates `log_rate
        (B, H, W)`, where they are `known (B, H, W)` bool, with pixels of `kilometres (B,)`."""
        limits = self.log_rates.reshape(1, -1, 1, 1)
        mask = known[:, None].to(log_rate.dtype)
        own = torch.sigmoid((log_rate[:, None] - limits) / SOFTNESS) * mask
        events = (log_rate[:, None] >= limits).to(log_rate.dtype) * mask
        fields = torch.cat([events, mask], dim=1)
        shares = [own]
        for width in WIDTHS[1:]:
            means = torch.cat(
                [smooth(field[None], width / size) for field, size in zip(fields, kilometres, strict=True)]
            )
            shares.append(means[:, :-1] / means[:, -1:].clamp(min=0.05))
        share = torch.stack(shares, dim=2).clamp(0, 1)
        return torch.logit((share + LEAST) / (1 + 2 * LEAST))

    def forward(self, features: Tensor, minutes: Tensor, *, learnt: bool = True) -> Tensor:
        """Logits `(B, L, K, H, W)` at the lead times `minutes (B, L)`, from `features (B, K, S, H, W)`; not `learnt`, those of an
        untrained model."""
        time, pace = interpolation_weights(minutes), PACE * learnt
        weight = torch.einsum("bln,nks->bkls", time, self.start + pace * self.weight)
        bias = torch.einsum("bln,nk->blk", time, pace * self.bias)
        logits = (weight @ features.flatten(3)).transpose(1, 2)
        return logits.reshape(*logits.shape[:3], *features.shape[3:]) + bias[..., None, None]

    @torch.no_grad()
    def reweight(self, trust: Tensor) -> None:
        """Multiply what was learnt by factors `(K,)`."""
        self.weight.mul_(trust[:, None])
        self.bias.mul_(trust)


def _start_weights(rates: int) -> Tensor:
    """The weights `(N, K, S)` of extrapolation smoothed by lead time: those of the two widths that enclose the neighbourhood."""
    weights = torch.zeros(len(KNOTS), len(WIDTHS))
    for knot, minutes in enumerate(KNOTS):
        width = min(START + GROWTH * minutes, WIDTHS[-1])
        upper = bisect_left(WIDTHS, width)
        low, high = (math.log(max(each, WIDTHS[1] / 2)) for each in (WIDTHS[upper - 1], WIDTHS[upper]))
        share = min(max((math.log(width) - low) / (high - low), 0.0), 1.0)
        weights[knot, upper - 1], weights[knot, upper] = 1 - share, share
    return weights[:, None].expand(-1, rates, -1).clone()


def probabilities(logits: Tensor) -> Tensor:
    """The probabilities with `logits`, without the `LEAST` that keeps shares off 0 and 1: where no rain is near, they are 0. A
    hundred thousand dry pixels would else expect ten of 32 mm/h or more, and the variance of light rain would be theirs. Losses
    judge the logits as they are, whose gradient does not end at 0."""
    probability = (1 + 2 * LEAST) * torch.sigmoid(logits) - LEAST
    return probability.masked_fill(probability < ROUNDING, 0.0).clamp(max=1)


class _Descending(torch.autograd.Function):
    """The running minimum along a dimension. Its gradient is what autograd would compute rung by rung, with more copies."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, dim: int) -> Tensor:
        lowered = _running_minimum(logits, dim)
        ctx.save_for_backward(logits, lowered)
        ctx.dim = dim
        return lowered

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        logits, lowered = (each.unbind(ctx.dim) for each in ctx.saved_tensors)
        gradient = gradient.clone()
        parts = gradient.unbind(ctx.dim)
        for k in range(len(logits) - 1, 0, -1):
            # 1 where the rung below is the minimum, a half where both are
            passed = torch.sub(logits[k], lowered[k - 1]).sign_().add_(1).mul_(0.5).mul_(parts[k])
            parts[k - 1].add_(passed)
            parts[k].sub_(passed)
        return gradient, None


def descending(logits: Tensor, dim: int = 2) -> Tensor:
    """`logits` made monotone: those of a higher rung, along `dim`, are at most those of the rungs below."""
    if logits.requires_grad and torch.is_grad_enabled():
        result: Tensor = _Descending.apply(logits, dim)  # type: ignore[no-untyped-call]
        return result
    return _running_minimum(logits, dim)


def _running_minimum(logits: Tensor, dim: int) -> Tensor:
    return torch.stack([*accumulate(logits.unbind(dim), torch.minimum)], dim)
