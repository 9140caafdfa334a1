"""From arrays back to labels, once for all forecasters: the Forecast.

`xarray.DataArray` with dims `(init_time, lead_time, channel, y, x)`, or `(init_time, member, lead_time, channel, y, x)` for
an ensemble, in the units and on the grid of the frames it continues. `init_time` is the time of the newest frame,
`lead_time` a timedelta64 (the number of the step where the frames have no clock). NaN means that the forecast has no basis
there.
"""

from __future__ import annotations

from numbers import Integral

import numpy as np
import xarray as xr

from framecast.checks import describe
from framecast.data.frames import check_frames, describe_source, stamp
from framecast.data.windows.index import NO_DATA, time_step
from framecast.errors import ArgumentError, DataError
from framecast.forecasting.protocol import Context, Forecaster, forecast_cases

DIMS = ("init_time", "lead_time", "channel", "y", "x")
MEMBER_DIMS = ("init_time", "member", "lead_time", "channel", "y", "x")
RECENT = 4
"""Frames that a forecaster is given, where there are so many, even if it needs fewer: enough to see motion."""


def run(
    forecaster: Forecaster,
    frames: xr.DataArray,
    horizon: int,
    *,
    context: int | None = None,
    actions: np.ndarray | None = None,
    inputs: np.ndarray | None = None,
) -> xr.DataArray:
    """The Forecast of the `horizon` frames after the newest of `frames`.

    The forecaster is given the newest `context` frames, unless stated as many as it needs and at least `RECENT` where there
    are so many, with `actions (T + L, A)` and extra `inputs (T, E, H, W)` of these. The attribute `fallback` of the
    Forecast says where a simpler method had to forecast in its place. Raises `DataError` for what are no Frames, for frames
    that are too few, not one step apart or without data, and for a horizon of no frame.
    """
    check_frames(frames)
    check_horizon(horizon)
    length = context or max(forecaster.context_length, min(RECENT, frames.sizes["time"]))
    used = newest(frames, length)
    case = Context(
        used.values[None],
        None if actions is None else np.asarray(actions)[None],
        None if inputs is None else inputs[None],
    )
    values, fallback = forecast_cases(forecaster, case, horizon)
    forecast = assemble(values[:, 0], frames if frames.sizes["time"] > 1 else used, forecaster.name)
    if fallback is not None and fallback[0]:
        forecast.attrs["fallback"] = f"{forecaster.name} cannot work with these frames; a simpler method forecast them"
    return forecast


def newest(frames: xr.DataArray, count: int) -> xr.DataArray:
    """The newest `count` frames. Raises `DataError` where there are fewer, or where they are not one step apart."""
    where = describe_source(frames)
    if "sequence" in frames.dims:
        raise DataError(
            f"{frames.sizes['sequence']} sequences, not one",
            where=where,
            remedy="forecast one: frames.isel(sequence=0)",
        )
    if frames.sizes["time"] < count:
        raise DataError(f"{frames.sizes['time']} frames found, {count} needed", where=where, remedy="open more frames")
    used = frames.isel(time=slice(-count, None))
    if count > 1:
        step, gaps = time_step(frames), np.diff(used["time"].values)
        tolerance = step // 10 if isinstance(step, np.timedelta64) else 0
        if (np.abs(gaps - step) > tolerance).any():
            raise DataError(
                f"the newest {count} frames are not one step apart: a frame is missing among them",
                where=where,
                remedy="supply the missing frame, or end the frames before the gap",
            )
    missing = np.isnan(used.values).all((1, 2, 3))
    if missing.any():
        first = int(missing.argmax())
        time = stamp(used["time"].values[first])
        raise DataError(
            f"no data at all in {missing.sum()} of the newest {count} frames, first at {time}",
            where=describe_source(used.isel(time=first)),
            remedy=NO_DATA if missing.all() else "give frames that end before it",
        )
    return used


def assemble(values: np.ndarray, frames: xr.DataArray, name: str) -> xr.DataArray:
    """`values (M, L, C, H, W)` as the Forecast that continues `frames`; without members if M is 1."""
    step = time_step(frames)
    members, horizon = values.shape[:2]
    leads = np.arange(1, horizon + 1)
    coords = {
        "init_time": [frames["time"].values[-1]],
        "lead_time": leads * step if isinstance(step, np.timedelta64) else leads,
        **{axis: frames[axis] for axis in ("channel", "y", "x", "crs") if axis in frames.coords},
    }
    if members > 1:
        coords["member"] = np.arange(members)
    attributes = {key: value for key, value in frames.attrs.items() if key != "repairs"}
    return xr.DataArray(
        (values[None] if members > 1 else values).astype(np.float32),
        coords=coords,
        dims=MEMBER_DIMS if members > 1 else DIMS,
        name=frames.name,
        attrs={**attributes, "forecaster": name},
    )


def check_horizon(horizon: object) -> None:
    """Raise `ArgumentError` for what is no number of frames."""
    if not isinstance(horizon, Integral) or horizon < 1:
        raise ArgumentError(f"{describe(horizon)} given, expected a whole number of at least 1", parameter="horizon")
