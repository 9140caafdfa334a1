"""Extrapolation as a probability: how likely the rain that extrapolation carries exceeds each rate of a ladder.

The probability at a moving parcel is the share of pixels at or above the rate in its neighbourhood, in the newest frame; the
neighbourhood grows with lead time, as extrapolation becomes uncertain (Germann and Zawadzki, "Scale Dependence of the
Predictability of Precipitation from Continental Radar Images. Part II: Probability Forecasts", 2004, the method of the local
Lagrangian neighbourhood). Its widths are those of `framecast.models.parts.exceedance`, before anything is learnt. The
probabilities are carried along the motion of the context, as the values of `extrapolation` are.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from framecast.data.motion.advection import motion_of
from framecast.data.motion.coordinates import carry_forecast, origins_of
from framecast.data.motion.optical_flow import context_motion
from framecast.data.quantities import ZR, Quantity
from framecast.data.scale import ASSUMED, Scale
from framecast.forecasting.baselines import Baseline
from framecast.forecasting.distribution import Distribution
from framecast.forecasting.protocol import Context, Forecasts, check_length
from framecast.models.parts.exceedance import LADDER, ExtrapolationPrior, descending, probabilities

_DRY = 1e-6
"""The rate in mm/h that stands for dry where logarithms are taken: far below the ladder, so that no rain is expected of it."""


class ExtrapolationProbability:
    """The distribution that extrapolation implies; its mean is the deterministic forecast. The scale of the frames is that of the
    context, where it has none `scale`."""

    name = "extrapolation_probability"
    context_length = 1

    def __init__(self, quantity: Quantity, scale: Scale = ASSUMED) -> None:
        self.quantity, self.scale = quantity, scale
        self._prior = ExtrapolationPrior()

    @torch.no_grad()
    def forecast(self, context: Context, /, horizon: int) -> Forecasts:
        """Forecast the probabilities and their mean `(1, B, L, C, H, W)`, all channels as the first."""
        check_length(self, context.length)
        scales = context.scales or (self.scale,) * len(context.frames)
        cases = [self._forecast_case(*case, horizon) for case in zip(context.frames, scales, strict=True)]
        distribution = Distribution(np.array(LADDER), np.stack(cases, axis=1))
        mean = distribution.values(self.quantity, ZR())
        return Forecasts(np.repeat(mean, context.frames.shape[2], axis=2)[None], distribution=distribution)

    def _forecast_case(self, frames: np.ndarray, scale: Scale, horizon: int) -> np.ndarray:
        """The probabilities `(K, L, H, W)` of one case, `frames (T, C, H, W)`."""
        newest = frames[-1, 0]
        probability = self._in_place(newest, scale, horizon)
        motion = motion_of(context_motion(frames, self.quantity))
        probability.masked_fill_(torch.from_numpy(np.isnan(newest)), torch.nan)
        height, width = newest.shape
        carried = carry_forecast(probability, origins_of(motion, height, width, horizon), 0.0)
        return carried.transpose(0, 1).numpy()

    def _in_place(self, newest: np.ndarray, scale: Scale, horizon: int) -> Tensor:
        """The probabilities at each parcel of the `newest` frame `(H, W)`, before it moves: `(L, K, H, W)`."""
        known = np.isfinite(newest)
        rates = np.where(known & (newest > self.quantity.dry), self.quantity.rain_rate(newest, ZR()), 0.0)
        log_rates = torch.from_numpy(np.log(np.maximum(rates, _DRY)).astype(np.float32))
        features = self._prior.features(log_rates[None], torch.from_numpy(known)[None], [scale.kilometres])
        return torch.stack([self._at(features, scale.minutes * lead) for lead in range(1, horizon + 1)])

    def _at(self, features: Tensor, minutes: float) -> Tensor:
        """The probabilities `(K, H, W)` after `minutes`, from the features `(1, K, S, H, W)` of the prior."""
        logits = self._prior(features, torch.tensor([[minutes]]))
        return probabilities(descending(logits))[0, 0]


EXTRAPOLATION_PROBABILITY = Baseline(
    "extrapolation_probability",
    "the probability of each rate in a neighbourhood that grows with lead time, along the motion of the context",
    lambda data: ExtrapolationProbability(data.quantity, data.scale),
    precipitation=True,
    scaled=True,
    least=2,
    distribution=True,
)
