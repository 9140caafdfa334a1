"""What a forecaster is: one method on arrays, the same for models, baselines, ensembles and code of others.

A forecaster sees the context and nothing else, so that it cannot see the future. Labels (xarray) are put on its forecasts
elsewhere (`framecast.forecasting.labels`).

Axes: M members, B cases, T frames of the context, L lead times, C channels, H W height and width, A numbers of an action,
E extra inputs.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from framecast.errors import ConfigError, DataError


class Context(NamedTuple):
    """What a forecast begins with: `frames (B, T, C, H, W)` float32 in physical units, NaN where there is no data; `actions
    (B, T + L or one fewer, A)`, from the first frame on, or None; extra `inputs (B, T, E, H, W)` from 0 to 1, or None."""

    frames: np.ndarray
    actions: np.ndarray | None = None
    inputs: np.ndarray | None = None

    @property
    def length(self) -> int:
        """The number of frames."""
        return int(self.frames.shape[1])


class Forecasts(NamedTuple):
    """The forecasts of a forecaster that cannot work with every context: `values (M, B, L, C, H, W)`, and `fallback (B,)` bool,
    the cases that a simpler method forecast in its place."""

    values: np.ndarray
    fallback: np.ndarray


@runtime_checkable
class Forecaster(Protocol):
    """A source of forecasts. `context_length` is the least number of frames that it needs; of a longer context it uses the
    end."""

    @property
    def name(self) -> str: ...

    @property
    def context_length(self) -> int: ...

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray | Forecasts:
        """The next `horizon` frames in physical units, `(M, B, L, C, H, W)`, M = 1 for a deterministic forecaster; NaN where the
        forecast has no basis. One that may have to fall back on a simpler method returns `Forecasts`, always.

        Raises `ConfigError` if the context is shorter than `context_length`.
        """
        ...


def check_length(forecaster: Forecaster, length: int) -> None:
    """Raise `ConfigError` if a context of `length` frames is too short for a forecaster."""
    if length < forecaster.context_length:
        raise ConfigError(
            f"{forecaster.name} needs a context of {forecaster.context_length} frames, {length} given",
            remedy="give a longer context, or leave that forecaster out",
        )


def forecast_cases(forecaster: Forecaster, context: Context, horizon: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The values of a forecaster `(M, B, L, C, H, W)`, checked, and in which cases `(B,)` it fell back on a simpler method; None
    for one that never does.

    Raises `ConfigError` if the context is too short, and `DataError` if the forecaster does not return `(M, B, L, C, H, W)`.
    """
    check_length(forecaster, context.length)
    result = forecaster.forecast(context, horizon)
    values, fallback = result if isinstance(result, Forecasts) else (result, None)
    expected = (len(context.frames), horizon, *context.frames.shape[2:])
    if not isinstance(values, np.ndarray) or values.ndim != 6 or values.shape[1:] != expected or not len(values):
        given = f"an array of shape {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
        shape = ", ".join(map(str, expected))
        raise DataError(
            f"{given} returned, expected (members, {shape})",
            where=f"forecaster {forecaster.name}",
            remedy="return (M, B, L, C, H, W), M = 1 for a deterministic forecast",
        )
    return np.ascontiguousarray(values), fallback
