"""STEPS and LINDA of pysteps as ensemble baselines (`pip install "framecast[oracles]"`).

STEPS: Neill Bowler, Clive Pierce, Alan Seed, "STEPS: A probabilistic precipitation forecasting scheme", 2006. LINDA: Seppo
Pulkkinen, V. Chandrasekar, Tero Niemi, "Lagrangian Integro-Difference Equation Model for Precipitation Nowcasting", 2021.
Both run as pysteps implements them, on our motion field, on the decibels of the rain rate; where the context is (nearly) dry
they have nothing to work with, and every member is the extrapolation.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from framecast.data.quantities import ZR, Quantity, of
from framecast.data.scaling import RainLog
from framecast.errors import ArgumentError, ConfigError
from framecast.forecasting.baselines.extrapolation import Extrapolation
from framecast.forecasting.baselines.optical_flow import motion
from framecast.forecasting.labels import forecast_frames

_LEAST_WET = 0.005
"""Share of wet pixels below which there is nothing to work with."""
_WET, _DRY_DB, _WET_DB = 0.1, -15.0, -10.0


class _Ensemble(ABC):
    """What both have in common. The forecast of one field is the mean of the members."""

    name: str
    needed: int

    def __init__(self, quantity: Quantity, members: int = 8, seed: int = 0) -> None:
        if not quantity.precipitation:
            raise ArgumentError(f"{self.name} forecasts rain, not {quantity.name}", parameter="baselines")
        try:
            import pysteps  # noqa: F401
        except ImportError as error:
            raise ConfigError(f"{self.name} needs pysteps", remedy='pip install "framecast[oracles]"') from error
        self.quantity, self.members, self.seed = quantity, members, seed

    def forecast_members(self, context: np.ndarray, horizon: int) -> np.ndarray:
        """`context (T, C, H, W)`, of which the first channel is used -> `(members, horizon, 1, H, W)`."""
        extrapolated = Extrapolation(self.quantity).forecast_array(context, horizon)
        zr, logarithmic = ZR(), self.quantity.name == "reflectivity"
        recent = context[-self.needed :, 0].astype(np.float64)
        rate = zr.rain_rate(recent) if logarithmic else recent
        rate = np.where(np.isfinite(rate), rate, 0.0)
        everything = np.broadcast_to(extrapolated, (self.members, *extrapolated.shape))
        if len(recent) < self.needed or (rate[-1] >= _WET).mean() < _LEAST_WET:
            return everything.copy()
        seen = RainLog().forward(context[-4:, 0], self.quantity)
        velocity = motion(np.where(np.isfinite(seen), seen, 0.0))[::-1].astype(np.float64)
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                rates = self.run(rate, velocity, horizon)
        except (ValueError, RuntimeError, np.linalg.LinAlgError):  # rain too little for it to find what it looks for
            return everything.copy()
        values = (
            np.where(rates >= _WET, zr.reflectivity(np.maximum(rates, _WET)), self.quantity.dry)
            if logarithmic
            else rates
        )
        missing = ~np.isfinite(extrapolated)
        values = np.where(np.isfinite(values), values, self.quantity.dry)
        return np.where(missing, np.nan, values[:, :, None]).astype(np.float32)

    @abstractmethod
    def run(self, rate: np.ndarray, velocity: np.ndarray, horizon: int) -> np.ndarray:
        """Rain rates `(members, horizon, H, W)`."""

    def forecast_array(self, context: np.ndarray, horizon: int) -> np.ndarray:
        """The mean of the members, `(horizon, C, H, W)`."""
        return np.asarray(self.forecast_members(context, horizon).mean(0))

    def __call__(self, frames: xr.DataArray, horizon: int) -> xr.DataArray:
        """The Forecast that continues `frames`."""
        return forecast_frames(type(self)(of(frames), self.members, self.seed), frames, self.needed, horizon)


def _decibels(rate: np.ndarray) -> np.ndarray:
    return np.where(rate >= _WET, 10 * np.log10(np.maximum(rate, _WET)), _DRY_DB)


class Steps(_Ensemble):
    """Cascades of scales, each an autoregression along the motion, with noise of the same structure as the rain."""

    name = "steps"
    needed = 3

    def run(self, rate: np.ndarray, velocity: np.ndarray, horizon: int) -> np.ndarray:
        """Rain rates `(members, horizon, H, W)`."""
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
    """Cells of rain, each with its own growth and decay."""

    name = "linda"
    needed = 3

    def run(self, rate: np.ndarray, velocity: np.ndarray, horizon: int) -> np.ndarray:
        """Rain rates `(members, horizon, H, W)`."""
        from pysteps.nowcasts import linda

        forecast: Callable[..., Any] = linda.forecast
        return np.asarray(
            forecast(
                rate,
                velocity,
                horizon,
                n_ens_members=self.members,
                add_perturbations=True,
                vel_pert_method=None,
                kmperpixel=1.0,
                timestep=5,
                seed=self.seed,
                num_workers=1,
            )
        )
