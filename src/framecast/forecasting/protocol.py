"""The interface of a forecaster: one method on arrays, for models, baselines, ensembles and user code alike.

A forecaster receives the context only, so it cannot use future frames. `framecast.forecasting.labels` converts its arrays to
xarray. This module needs numpy only.

Axes: M members, B cases, T context frames, L lead times, C channels, H W height and width, A dimension of an action, E extra
inputs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np

from framecast.checks import check_memory, describe
from framecast.errors import ArgumentError, ConfigError, DataError
from framecast.forecasting.distribution import Distribution, Exceedance

if TYPE_CHECKING:
    from framecast.data.scale import Scale


class Context(NamedTuple):
    """The input of a forecast: `frames (B, T, C, H, W)` float32 in physical units, NaN for no data; `actions (B, T + L or one
    fewer, A)`, from the first frame on, or None; extra `inputs (B, T, E, H, W)` from 0 to 1, or None; the `scales` of the cases
    in time and space, None where they are not known; and their initial `times`, those of the newest frames, or None."""

    frames: np.ndarray
    actions: np.ndarray | None = None
    inputs: np.ndarray | None = None
    scales: tuple[Scale, ...] | None = None
    times: tuple[np.datetime64 | int, ...] | None = None

    @property
    def length(self) -> int:
        """The number of context frames."""
        return int(self.frames.shape[1])


class Forecasts(NamedTuple):
    """The result of a forecaster: `values (M, B, L, C, H, W)`; `fallback (B,)` bool, true for the cases that were forecast by a
    simpler method, None for a forecaster that uses every context; and the `distribution` of the rain rate of the first channel,
    None for a forecaster without one. `exceedance` is for forecasts of which only some probabilities are known.

    With a distribution, `values` are M members that follow it, or for M = 1 its mean (`Distribution.values`).
    """

    values: np.ndarray
    fallback: np.ndarray | None = None
    distribution: Distribution | None = None
    exceedance: Exceedance | None = None


@runtime_checkable
class Forecaster(Protocol):
    """A source of forecasts: a `name`, a `context_length` and the method `forecast`.

    `context_length` is the minimum number of context frames; of a longer context the forecaster uses the last ones.
    """

    @property
    def name(self) -> str:
        """The name in tables and reports."""
        ...

    @property
    def context_length(self) -> int:
        """The minimum number of context frames."""
        ...

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray | Forecasts:
        """Forecast the next `horizon` frames in physical units, `(M, B, L, C, H, W)`, M = 1 for a deterministic forecaster; NaN
        where the forecast has no basis. A forecaster that may fall back on a simpler method always returns `Forecasts`, and so
        does one whose forecast is a distribution.

        Raises `ConfigError` if the context is shorter than `context_length`.
        """
        ...


MOST_STEPS = 100_000
"""The longest horizon, in frames."""


def prepare(context: Context, horizon: int, members: int | None = None) -> Context:
    """The context with arrays that PyTorch can use, whatever their strides, byte order and flags: float32, or float64 where they
    hold more. Raises `ArgumentError` for a horizon beyond `MOST_STEPS`, or whose forecast does not fit into memory."""
    if horizon > MOST_STEPS:
        raise ArgumentError(f"{describe(horizon)} given, expected at most {MOST_STEPS:,} frames", parameter="horizon")
    cases, _, *frame = context.frames.shape
    size = context.frames.dtype.itemsize * cases * horizon * (members or 1) * math.prod(frame)
    check_memory(size, "horizon", f"a forecast of {horizon:,} frames")
    frames, actions, inputs = (None if each is None else _native(each) for each in context[:3])
    assert frames is not None
    return context._replace(frames=frames, actions=actions, inputs=inputs)


def _native(values: np.ndarray) -> np.ndarray:
    kind = np.float64 if values.dtype.itemsize > np.dtype(np.float32).itemsize else np.float32
    return np.require(values, kind, ["C", "W"])


def check_length(forecaster: Forecaster, length: int) -> None:
    """Raise `ConfigError` if a context of `length` frames is shorter than a forecaster's minimum."""
    if length < forecaster.context_length:
        raise ConfigError(
            f"{forecaster.name} needs a context of {forecaster.context_length} frames, {length} given",
            remedy="use a longer context, or remove this forecaster",
        )


def forecast_cases(forecaster: Forecaster, context: Context, horizon: int) -> Forecasts:
    """Run a forecaster and check its result.

    Raises `ConfigError` if the context is too short, and `DataError` if the forecaster does not return `(M, B, L, C, H, W)`, or
    returns a distribution of other cases, lead times or pixels.
    """
    check_length(forecaster, context.length)
    context = prepare(context, horizon)
    result = forecaster.forecast(context, horizon)
    forecasts = result if isinstance(result, Forecasts) else Forecasts(result)
    _check(forecasts, (len(context.frames), horizon, *context.frames.shape[2:]), f"forecaster {forecaster.name}")
    return forecasts._replace(values=np.ascontiguousarray(forecasts.values))


def _check(forecasts: Forecasts, expected: tuple[int, ...], where: str) -> None:
    """Raise `DataError` if the values are not `(members, *expected)`, or the distribution does not belong to them."""
    values, distribution = forecasts.values, forecasts.distribution
    if not isinstance(values, np.ndarray) or values.ndim != 6 or values.shape[1:] != expected or not len(values):
        actual = f"an array of shape {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
        shape = ", ".join(map(str, expected))
        raise DataError(
            f"{actual} returned, expected (members, {shape})",
            where=where,
            remedy="return (M, B, L, C, H, W), M = 1 for a deterministic forecast",
        )
    fields = (*expected[:2], *expected[3:])
    if distribution is not None and distribution.shape != fields:
        raise DataError(
            f"a distribution of fields {distribution.shape} returned, expected {fields}",
            where=where,
            remedy="return probabilities (K, B, L, H, W) of the same cases, lead times and pixels as the values",
        )
