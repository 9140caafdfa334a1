"""Distributions, and members that follow them, from the logits of a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from framecast.data.quantities import ZR, Quantity
from framecast.data.scale import Scale
from framecast.forecasting.distribution import Distribution, rates_as
from framecast.forecasting.ensembles import draw_members
from framecast.forecasting.protocol import Forecasts
from framecast.models.parts.exceedance import probabilities


def forecasts_from_logits(
    logits: Tensor,
    rates: Sequence[float],
    quantity: Quantity,
    frames: np.ndarray,
    origins: Sequence[Sequence[Tensor]],
    scales: Sequence[Scale],
    drawn: tuple[int, int] | None,
) -> Forecasts:
    """The distributions at `rates` in mm/h with `logits (B, L, K, H, W)`, and their mean, or if `drawn` states a number of
    members and a seed, these members.

    `frames (B, T, C, H, W)` are the contexts in the unit of `quantity`, `origins` where each pixel came from, for each case and
    lead time, and `scales` those of the cases.
    """
    zr = ZR()
    probability = probabilities(logits.permute(2, 0, 1, 3, 4).contiguous()).numpy()
    distribution = Distribution(np.array(rates), probability)
    if drawn is None:
        return Forecasts(distribution.values(quantity, zr)[None], distribution=distribution)
    (members, seed), horizon = drawn, logits.shape[1]
    cases = [
        draw_members(
            distribution.rates,
            probability[:, case],
            np.asarray(quantity.rain_rate(frames[case, :, 0], zr)),
            torch.stack(list(origins[case][:horizon])).numpy(),
            scale.minutes * np.arange(1, horizon + 1),
            members=members,
            seed=seed,
            pixel=scale.kilometres,
        )
        for case, scale in enumerate(scales)
    ]
    drawn_rates = np.stack(cases, axis=1)[:, :, :, None] if len(cases) > 1 else cases[0][:, None, :, None]
    return Forecasts(rates_as(quantity, drawn_rates, distribution.rates[0], zr), distribution=distribution)
