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

from framecast.forecasting.latent_spectrum import plane_weights, rings, wavelengths

LIFETIME, GROWTH = 0.83, 1.18
"""T(L) = `LIFETIME` L^`GROWTH` in minutes, L in km."""


class RainNoise:
    """Draws noise on a periodic grid of `shape` for the lead times `minutes (L,)`, rising, from the `power (h, w // 2 + 1)` of
    the field; `pixel` is the spacing in km."""

    def __init__(self, power: np.ndarray, shape: tuple[int, int], minutes: np.ndarray, pixel: float) -> None:
        self.shape = shape
        lifetime = LIFETIME * wavelengths(shape, pixel) ** GROWTH
        self._weights = plane_weights(shape[1])
        # The columns that are their own mirror image keep half the variance of their noise; the others have a twin.
        half = np.sqrt(np.where(self._weights == 1, 2.0, 1.0) / 2) * np.prod(shape)
        steps = np.diff(minutes, prepend=0.0)
        self._keep = [_column(np.exp(-step / lifetime)) for step in steps]
        self._innovation = [_column(np.sqrt((1 - np.exp(-2 * step / lifetime)) * power) * half) for step in steps]
        self._unknown = [(1 - np.exp(-2 * lead / lifetime)) * power for lead in minutes]
        self._gains = [_column(self._unit(unknown, np.ones_like(power))) for unknown in self._unknown]
        self._half = half
        self._rings = rings(shape)

    def _unit(self, unknown: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """The gains of each frequency that multiply its power by `factor` and make the variance 1."""
        return np.asarray(np.sqrt(factor / (unknown * factor * self._weights).sum()))

    def adjust(self, lead: int, factor: np.ndarray) -> None:
        """Multiply the power of each ring of wavelengths at a lead time by `factor (R,)`, relative to the others."""
        self._gains[lead] = _column(self._unit(self._unknown[lead], factor[self._rings]))

    def neighbour_correlations(self, lead: int) -> tuple[float, float, float, float]:
        """The correlations at a lead time with the next pixel in the column, in the row, and on both diagonals."""
        power = self._unknown[lead] * self._gains[lead][..., 0].double().numpy() ** 2
        lags = np.fft.irfft2(power, self.shape) * np.prod(self.shape)
        return float(lags[1, 0]), float(lags[0, 1]), float(lags[1, 1]), float(lags[1, -1])

    def draw(self, generator: torch.Generator) -> Iterator[Tensor]:
        """The noise `(h, w)` float32 at each lead time in turn."""
        state = torch.zeros(self.shape[0], self.shape[1] // 2 + 1, 2)
        for keep, innovation, gain in zip(self._keep, self._innovation, self._gains, strict=True):
            state.mul_(keep).addcmul_(innovation, torch.randn(state.shape, generator=generator))
            yield self._field(state * gain)

    def draw_one(self, lead: int, generator: torch.Generator) -> Tensor:
        """Noise `(h, w)` float32 of one lead time."""
        amplitude = _column(np.sqrt(self._unknown[lead]) * self._half) * self._gains[lead]
        return self._field(amplitude * torch.randn(*amplitude.shape[:2], 2, generator=generator))

    def _field(self, coefficients: Tensor) -> Tensor:
        field: Tensor = torch.fft.irfft2(torch.view_as_complex(coefficients), s=self.shape)
        return field


def _column(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))[..., None]
