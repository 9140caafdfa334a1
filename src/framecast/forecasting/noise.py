"""Gaussian noise with the correlations of the errors of a rain forecast, in space and over lead times.

Scales of rain are forecast as far as they persist along the motion: after t minutes a Fourier component of wavelength L keeps the
correlation r(t) = exp(-t / T(L)) with the newest frame, and T grows with L (Alan Seed, "A Dynamic and Spatial Scaling Approach to
Advection Forecasting", 2003; Urs Germann, Isztar Zawadzki, Barry Turner, "Predictability of Precipitation from Continental
Radar Images, Part IV", 2006). What is not known of it is an autoregressive process that starts at zero (Neill Bowler, Clive
Pierce, Alan Seed, "STEPS", 2006). With the power P of the field and white noise w,

    e(0) = 0,    e(t + d) = r(d) e(t) + sqrt((1 - r(d)^2) P) w,    g(t) = e(t) / sqrt(sum of (1 - r(t)^2) P),

so that g(t), the noise, has unit variance. At short lead times it is of small scales; larger ones come in with their own time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from framecast.forecasting.latent_spectrum import plane_weights, wavelengths

LIFETIME, GROWTH = 0.83, 1.18
"""T(L) = `LIFETIME` L^`GROWTH` in minutes, L in km."""


class RainNoise:
    """Draws noise on a periodic grid of `shape` for the lead times `minutes (L,)`, rising, from the `power (h, w // 2 + 1)` of
    the field; `pixel` is the spacing in km."""

    def __init__(self, power: np.ndarray, shape: tuple[int, int], minutes: np.ndarray, pixel: float) -> None:
        self.shape = shape
        lifetime = LIFETIME * wavelengths(shape, pixel) ** GROWTH
        weights = plane_weights(shape[1])
        # The columns that are their own mirror image keep half the variance of their noise; the others have a twin.
        half = np.sqrt(np.where(weights == 1, 2.0, 1.0) / 2) * np.prod(shape)
        self._steps: list[tuple[Tensor, Tensor, float]] = []
        for before, after in zip([0.0, *minutes[:-1]], minutes, strict=True):
            keep = np.exp(-(after - before) / lifetime)
            innovation = np.sqrt((1 - keep**2) * power) * half
            variance = ((1 - np.exp(-2 * after / lifetime)) * power * weights).sum()
            self._steps.append((_column(keep), _column(innovation), float(1 / np.sqrt(variance))))

    def draw(self, generator: torch.Generator) -> Iterator[Tensor]:
        """The noise `(h, w)` float32 at each lead time in turn."""
        size = (self.shape[0], self.shape[1] // 2 + 1, 2)
        state = torch.zeros(size)
        for keep, innovation, scale in self._steps:
            state.mul_(keep).addcmul_(innovation, torch.randn(size, generator=generator))
            yield torch.fft.irfft2(torch.view_as_complex(state), s=self.shape).mul_(scale)


def _column(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))[..., None]
