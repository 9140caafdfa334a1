"""From arrays back to labels: the Forecast.

`xarray.DataArray` with dims `(init_time, lead_time, channel, y, x)`, in the units and on the grid of the frames it
continues. `init_time` is the time of the newest frame, `lead_time` a timedelta64 (the number of the step where the frames
have no clock). NaN means that the forecast has no basis there.
"""

from __future__ import annotations

from numbers import Integral
from typing import Protocol

import numpy as np
import xarray as xr

from framecast.checks import in_words
from framecast.data.frames import check_frames, named, stamp
from framecast.data.windows.index import NO_DATA, time_step
from framecast.errors import ArgumentError, DataError

DIMS = ("init_time", "lead_time", "channel", "y", "x")


class Forecaster(Protocol):
    """A source of forecasts on arrays in physical units, NaN where there is no data."""

    @property
    def name(self) -> str: ...

    def forecast_array(self, context: np.ndarray, horizon: int) -> np.ndarray:
        """`context (T, C, H, W)` -> `(horizon, C, H, W)`."""
        ...


def newest(frames: xr.DataArray, count: int) -> xr.DataArray:
    """The newest `count` frames. Raises `DataError` where there are fewer, or where they are not one step apart."""
    where = named(frames)
    if "sequence" in frames.dims:
        raise DataError(
            f"{frames.sizes['sequence']} sequences, not one",
            where=where,
            remedy="forecast one: frames.isel(sequence=0)",
        )
    if frames.sizes["time"] < count:
        raise DataError(f"{frames.sizes['time']} frames found, {count} needed", where=where, remedy="open more frames")
    newest_ones = frames.isel(time=slice(-count, None))
    if count > 1:
        step, gaps = time_step(frames), np.diff(newest_ones["time"].values)
        tolerance = step // 10 if isinstance(step, np.timedelta64) else 0
        if (np.abs(gaps - step) > tolerance).any():
            raise DataError(
                f"the newest {count} frames are not one step apart: a frame is missing among them",
                where=where,
                remedy="supply the missing frame, or end the frames before the gap",
            )
    missing = np.isnan(newest_ones.values).all((1, 2, 3))
    if missing.any():
        first = int(missing.argmax())
        time = stamp(newest_ones["time"].values[first])
        raise DataError(
            f"no data at all in {missing.sum()} of the newest {count} frames, first at {time}",
            where=named(newest_ones.isel(time=first)),
            remedy=NO_DATA if missing.all() else "give frames that end before it",
        )
    return newest_ones


def assemble(values: np.ndarray, frames: xr.DataArray, name: str) -> xr.DataArray:
    """`values (L, C, H, W)` as the Forecast that continues `frames`."""
    step = time_step(frames)
    leads = np.arange(1, len(values) + 1)
    coords = {
        "init_time": [frames["time"].values[-1]],
        "lead_time": leads * step if isinstance(step, np.timedelta64) else leads,
        **{axis: frames[axis] for axis in ("channel", "y", "x", "crs") if axis in frames.coords},
    }
    attributes = {key: value for key, value in frames.attrs.items() if key != "repairs"}
    return xr.DataArray(
        values[None].astype(np.float32),
        coords=coords,
        dims=DIMS,
        name=frames.name,
        attrs={**attributes, "forecaster": name},
    )


def check_horizon(horizon: object) -> None:
    """Raise `ArgumentError` for what is no number of frames."""
    if not isinstance(horizon, Integral) or horizon < 1:
        raise ArgumentError(f"{in_words(horizon)} given, expected a whole number of at least 1", parameter="horizon")


def forecast_frames(
    forecaster: Forecaster, frames: xr.DataArray, context: int, horizon: int, **more: np.ndarray
) -> xr.DataArray:
    """The Forecast of the `horizon` frames after the newest `context` frames; `more`, such as actions, for one that takes it.
    Raises `DataError` for what are no Frames, and for a horizon of no frame."""
    check_frames(frames)
    check_horizon(horizon)
    used = newest(frames, context)
    step_source = frames if frames.sizes["time"] > 1 else used
    values = forecaster.forecast_array(used.values, horizon, **more)
    return assemble(values, step_source, forecaster.name)
