"""STEPS and LINDA of pysteps as ensemble baselines (`pip install "framecast[oracles]"`).

STEPS: Neill Bowler, Clive Pierce, Alan Seed, "STEPS: A probabilistic precipitation forecasting scheme", 2006. LINDA: Seppo
Pulkkinen, V. Chandrasekar, Tero Niemi, "Lagrangian Integro-Difference Equation Model for Precipitation Nowcasting", 2021.
Both run as pysteps implements them, with our motion field; STEPS on decibels of the rain rate, LINDA on the rain rate. If
pysteps cannot use a context, such as a (nearly) dry one, every member is the extrapolation and the case is reported as a
fallback.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from framecast.data.motion.optical_flow import context_motion
from framecast.data.quantities import ZR, Quantity
from framecast.forecasting.baselines import Baseline
from framecast.forecasting.baselines.extrapolation import Extrapolation
from framecast.forecasting.protocol import Context, Forecasts, check_length

MEMBERS = 8
"""The members of an ensemble, unless stated."""
_MIN_WET_FRACTION = 0.005
"""A context with a smaller fraction of wet pixels in its newest frame is extrapolated."""
_WET, _DRY_DB, _WET_DB = 0.1, -15.0, -10.0
"""The threshold of rain in mm/h, the value of dry pixels in decibels, and the threshold in decibels."""


class _Ensemble(ABC):
    """An ensemble forecast by pysteps."""

    name: str
    context_length = 3

    def __init__(self, quantity: Quantity, members: int = MEMBERS, seed: int = 0) -> None:
        self.quantity, self.members, self.seed = quantity, members, seed

    def forecast(self, context: Context, /, horizon: int) -> Forecasts:
        """Forecast the members `(M, B, L, C, H, W)`, all channels as the first, and report the cases that are extrapolated."""
        check_length(self, context.length)
        extrapolation = Extrapolation(self.quantity).forecast(context, horizon)[0]
        cases = [self._forecast_case(*case, horizon) for case in zip(context.frames, extrapolation, strict=True)]
        members = [
            np.repeat(fallback[None], self.members, 0) if case is None else case
            for case, fallback in zip(cases, extrapolation, strict=True)
        ]
        return Forecasts(np.stack(members, axis=1), np.array([case is None for case in cases]))

    def _forecast_case(self, frames: np.ndarray, extrapolation: np.ndarray, horizon: int) -> np.ndarray | None:
        """Forecast the members `(M, L, C, H, W)` of one case, `frames (T, C, H, W)`, with the mask of its extrapolation
        `(L, C, H, W)`; None if pysteps cannot use the frames."""
        # Rain rates; a dry frame has nothing to estimate a model from.
        zr, logarithmic = ZR(), self.quantity.rain == "reflectivity"
        recent = frames[-self.context_length :, 0].astype(np.float64)
        rate = self.quantity.rain_rate(recent, zr)
        rate = np.where(np.isfinite(rate), rate, 0.0)
        if (rate[-1] >= _WET).mean() < _MIN_WET_FRACTION:
            return None
        # Motion and forecast; pysteps expects columns before rows.
        velocity = context_motion(frames[:, :1], self.quantity)[::-1].astype(np.float64)
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                rates = self.nowcast(rate, velocity, horizon)
        except (ValueError, RuntimeError, np.linalg.LinAlgError):  # too little rain for the estimates of pysteps
            return None
        # Back to the quantity of the frames.
        values = (
            np.where(rates >= _WET, zr.reflectivity(np.maximum(rates, _WET)), self.quantity.dry)
            if logarithmic
            else rates
        )
        values = np.where(np.isfinite(values), values, self.quantity.dry)
        return np.where(~np.isfinite(extrapolation), np.nan, values[:, :, None]).astype(np.float32)

    @abstractmethod
    def nowcast(self, rate: np.ndarray, velocity: np.ndarray, horizon: int) -> np.ndarray:
        """Forecast rain rates `(M, L, H, W)` from `rate (T, H, W)` and `velocity (2, H, W)`."""


def _decibels(rate: np.ndarray) -> np.ndarray:
    """Convert rain rates in mm/h to decibels."""
    return np.where(rate >= _WET, 10 * np.log10(np.maximum(rate, _WET)), _DRY_DB)


class Steps(_Ensemble):
    """A cascade of scales, each an autoregressive process along the motion, with noise of the spectrum of the rain."""

    name = "steps"

    def nowcast(self, rate: np.ndarray, velocity: np.ndarray, horizon: int) -> np.ndarray:
        """Forecast rain rates `(M, L, H, W)` from `rate (T, H, W)` and `velocity (2, H, W)`."""
        from pysteps.nowcasts import steps

        forecast: Callable[..., Any] = steps.forecast
        decibels = forecast(
            _decibels(rate),
            velocity,
            horizon,
            n_ens_members=self.members,
            n_cascade_levels=6,
            precip_thr=_WET_DB,
            norain_thr=0.0,
            kmperpixel=1.0,
            timestep=5,
            vel_pert_method=None,
            seed=self.seed,
            num_workers=1,
        )
        return np.asarray(np.where(decibels >= _WET_DB, 10 ** (decibels / 10), 0.0))


class Linda(_Ensemble):
    """Rain cells, each with its own growth and decay; a single member is the forecast without perturbations."""

    name = "linda"

    def nowcast(self, rate: np.ndarray, velocity: np.ndarray, horizon: int) -> np.ndarray:
        """Forecast rain rates `(M, L, H, W)` from `rate (T, H, W)` and `velocity (2, H, W)`."""
        from pysteps.nowcasts import linda

        forecast: Callable[..., Any] = linda.forecast
        rates = np.asarray(
            forecast(
                rate,
                velocity,
                horizon,
                n_ens_members=self.members,
                add_perturbations=self.members > 1,
                vel_pert_method=None,
                kmperpixel=1.0,
                timestep=5,
                seed=self.seed,
                num_workers=1,
            )
        )
        return rates.reshape(self.members, horizon, *rate.shape[1:])


STEPS = Baseline(
    "steps",
    "an ensemble: a cascade of scales advected with noise (pysteps)",
    lambda data: Steps(data.quantity, data.members or MEMBERS, data.seed),
    requires=("pysteps",),
    extra="oracles",
    precipitation=True,
    least=3,
    ensemble=True,
)
LINDA = Baseline(
    "linda",
    "an ensemble: rain cells that grow and decay along the motion (pysteps)",
    lambda data: Linda(data.quantity, data.members or MEMBERS, data.seed),
    requires=("pysteps",),
    extra="oracles",
    precipitation=True,
    least=3,
    ensemble=True,
)
