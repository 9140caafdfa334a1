"""STEPS and LINDA of pysteps as ensemble baselines (`pip install "framecast[oracles]"`).

STEPS: Neill Bowler, Clive Pierce, Alan Seed, "STEPS: A probabilistic precipitation forecasting scheme", 2006. LINDA: Seppo
Pulkkinen, V. Chandrasekar, Tero Niemi, "Lagrangian Integro-Difference Equation Model for Precipitation Nowcasting", 2021.
Both run as pysteps implements them, on our motion field, on the decibels of the rain rate; where they cannot work with
a context, as a (nearly) dry one, every member is the extrapolation, and the case is reported as a fallback.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from framecast.data.quantities import ZR, Quantity
from framecast.data.scaling import RainLog
from framecast.errors import ArgumentError
from framecast.forecasting.baselines import Baseline
from framecast.forecasting.baselines.extrapolation import Extrapolation
from framecast.forecasting.baselines.optical_flow import motion
from framecast.forecasting.protocol import Context, Forecasts, check_length

_LEAST_WET = 0.005
"""Share of wet pixels below which there is nothing to work with."""
_WET, _DRY_DB, _WET_DB = 0.1, -15.0, -10.0


class _Ensemble(ABC):
    """What both have in common."""

    name: str
    context_length = 3

    def __init__(self, quantity: Quantity, members: int = 8, seed: int = 0) -> None:
        if not quantity.precipitation:
            raise ArgumentError(f"{self.name} forecasts rain, not {quantity.name}", parameter="baselines")
        self.quantity, self.members, self.seed = quantity, members, seed

    def forecast(self, context: Context, /, horizon: int) -> Forecasts:
        """Members `(M, B, L, C, H, W)`, all channels as the first, and which cases are extrapolated in their place."""
        check_length(self, context.length)
        extrapolated = Extrapolation(self.quantity).forecast(context, horizon)[0]
        cases = [self._case(*case, horizon) for case in zip(context.frames, extrapolated, strict=True)]
        members = [
            np.repeat(moved[None], self.members, 0) if case is None else case
            for case, moved in zip(cases, extrapolated, strict=True)
        ]
        return Forecasts(np.stack(members, axis=1), np.array([case is None for case in cases]))

    def _case(self, frames: np.ndarray, extrapolated: np.ndarray, horizon: int) -> np.ndarray | None:
        """The members `(M, L, C, H, W)` of one case, `frames (T, C, H, W)`, with data where the extrapolation `(L, C, H, W)` has
        some; None where pysteps cannot work."""
        zr, logarithmic = ZR(), self.quantity.rain == "reflectivity"
        recent = frames[-self.context_length :, 0].astype(np.float64)
        rate = self.quantity.rain_rate(recent, zr)
        rate = np.where(np.isfinite(rate), rate, 0.0)
        if (rate[-1] >= _WET).mean() < _LEAST_WET:
            return None
        fields = RainLog().forward(frames[-4:, 0], self.quantity)
        velocity = motion(np.where(np.isfinite(fields), fields, 0.0))[::-1].astype(np.float64)
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                rates = self.run(rate, velocity, horizon)
        except (ValueError, RuntimeError, np.linalg.LinAlgError):  # too little rain for what pysteps estimates
            return None
        values = (
            np.where(rates >= _WET, zr.reflectivity(np.maximum(rates, _WET)), self.quantity.dry)
            if logarithmic
            else rates
        )
        values = np.where(np.isfinite(values), values, self.quantity.dry)
        return np.where(~np.isfinite(extrapolated), np.nan, values[:, :, None]).astype(np.float32)

    @abstractmethod
    def run(self, rate: np.ndarray, velocity: np.ndarray, horizon: int) -> np.ndarray:
        """Rain rates `(members, horizon, H, W)`."""


def _decibels(rate: np.ndarray) -> np.ndarray:
    return np.where(rate >= _WET, 10 * np.log10(np.maximum(rate, _WET)), _DRY_DB)


class Steps(_Ensemble):
    """Cascades of scales, each an autoregression along the motion, with noise of the same structure as the rain."""

    name = "steps"

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


STEPS = Baseline(
    "steps",
    "an ensemble: cascades of scales along the motion, with noise (pysteps)",
    lambda data: Steps(data.quantity),
    requires=("pysteps",),
    extra="oracles",
)
LINDA = Baseline(
    "linda",
    "an ensemble: cells of rain that grow and decay along the motion (pysteps)",
    lambda data: Linda(data.quantity),
    requires=("pysteps",),
    extra="oracles",
)
