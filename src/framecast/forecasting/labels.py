"""Converts the arrays of a forecaster to a labelled Forecast, and runs a forecaster on the newest of labelled frames.

This is the one place where labels are put on forecasts. A Forecast is an `xarray.DataArray` with dims `(init_time, lead_time,
channel, y, x)`, or `(init_time, member, lead_time, channel, y, x)` for an ensemble, in the units and on the grid of the frames
it continues. `init_time` is the time of the newest frame on the regular clock (`data.clock`), `lead_time` a timedelta64 (the
number of the step if the frames have no times). NaN means that the forecast has no basis there.

A forecast of distributions is an `xarray.Dataset`: this array, the mean or the members, and with the dimension `threshold` (rain
rates in mm/h) the `exceedance_probability` and the `likely_event`, 1 where an event is to be expected if the critical success
index at that rate is to be high; with the dimension `quantile`, if quantiles are wanted, the `rain_rate_quantile` in mm/h.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from framecast.checks import check_counts
from framecast.data.archives.outputs import source_files
from framecast.data.clock import clock_of
from framecast.data.frames import check_frames, describe_source, stamp
from framecast.data.orientation import CURVILINEAR
from framecast.data.quantities import RAIN_RATE, quantity_of
from framecast.data.scale import scale_of
from framecast.data.windows.index import NO_DATA, regular_steps, time_step
from framecast.errors import DataError
from framecast.forecasting.distribution import Distribution
from framecast.forecasting.protocol import Context, Forecaster, forecast_cases

DIMS = ("init_time", "lead_time", "channel", "y", "x")
MEMBER_DIMS = ("init_time", "member", "lead_time", "channel", "y", "x")
PROBABILITY, EVENT, QUANTILE = "exceedance_probability", "likely_event", "rain_rate_quantile"
Forecast = xr.DataArray | xr.Dataset
"""A labelled forecast; a Dataset if it has a distribution."""
RECENT = 4
"""Context frames that a forecaster receives if available, even if its minimum is lower: enough to estimate motion."""


def forecast_frames(
    forecaster: Forecaster,
    frames: xr.DataArray,
    horizon: int,
    *,
    context: int | None = None,
    actions: np.ndarray | None = None,
    inputs: np.ndarray | None = None,
    rates: Sequence[float] | None = None,
    quantiles: Sequence[float] = (),
) -> Forecast:
    """Forecast the `horizon` frames after the newest of `frames` with a forecaster.

    The forecaster receives the newest `context` frames, by default its minimum and at least `RECENT` if available, with the
    `actions (T + L, A)` and extra `inputs (T, E, H, W)` of these frames. The Forecast has the attribute `fallback` if a simpler
    method replaced the forecaster. A distribution is evaluated at `rates` in mm/h, by default those of the event scores, and at
    `quantiles` between 0 and 1.

    Raises `DataError` if `frames` are not Frames, are too few, are not one time step apart or have no data, and `ArgumentError`
    if `horizon` < 1.
    """
    check_frames(frames)
    check_horizon(horizon)
    check_valid_times(frames, horizon)
    length = context or max(forecaster.context_length, min(RECENT, frames.sizes["time"]))
    recent = newest_frames(frames, length)
    case = Context(
        recent.values[None],
        None if actions is None else np.asarray(actions)[None],
        None if inputs is None else inputs[None],
        (scale_of(frames),),
    )
    values, fallback, distribution = forecast_cases(forecaster, case, horizon)[:3]
    forecast = label_forecast(values[:, 0], frames if frames.sizes["time"] > 1 else recent, forecaster.name)
    if fallback is not None and fallback[0]:
        forecast.attrs["fallback"] = f"{forecaster.name} cannot use these frames; a simpler method made the forecast"
    if distribution is None:
        return forecast
    return label_distribution(distribution, forecast, rates or quantity_of(frames).thresholds, quantiles)


def values_of(forecast: Forecast) -> xr.DataArray:
    """The values of a Forecast: the mean or the members of one with a distribution."""
    return forecast if isinstance(forecast, xr.DataArray) else forecast[str(forecast.attrs["values"])]


def label_distribution(
    distribution: Distribution, values: xr.DataArray, rates: Sequence[float], quantiles: Sequence[float] = ()
) -> xr.Dataset:
    """The Dataset of a forecast of one case: its labelled `values`, and its distribution at `rates` in mm/h and at
    `quantiles`."""
    coordinates = {name: each for name, each in values.coords.items() if name != "member"}
    coordinates["threshold"] = xr.DataArray(list(rates), dims="threshold", attrs={"units": RAIN_RATE.units})
    dims = ("init_time", "threshold", *DIMS[1:])

    def label(fields: np.ndarray, name: str, description: str) -> xr.DataArray:
        """Label `fields (R, L, H, W)`."""
        attributes = {"units": "1", "long_name": description}
        return xr.DataArray(fields[None, :, :, None], coords=coordinates, dims=dims, name=name, attrs=attributes)

    probability = distribution.exceedance(rates)[:, 0]
    events = np.stack([distribution.most_skilful(rate)[0] for rate in rates]).astype(np.float32)
    events[np.isnan(probability)] = np.nan
    result = xr.Dataset(
        {
            str(values.name): values,
            PROBABILITY: label(probability, PROBABILITY, "probability that the rain rate is at or above the threshold"),
            EVENT: label(events, EVENT, "where to expect rain at or above the threshold, for the highest expected CSI"),
        },
        attrs={**values.attrs, "values": str(values.name)},
    )
    if not len(quantiles):
        return result
    # one variable more, on a dimension of its own
    del coordinates["threshold"]
    coordinates["quantile"] = xr.DataArray(list(quantiles), dims="quantile", attrs={"units": "1"})
    fields = np.stack([distribution.quantile(quantile)[0] for quantile in quantiles])
    attributes = {"units": RAIN_RATE.units, "long_name": "quantile of the rain rate"}
    result[QUANTILE] = xr.DataArray(
        fields[None, :, :, None], coords=coordinates, dims=("init_time", "quantile", *DIMS[1:]), attrs=attributes
    )
    return result


def check_sequence(frames: xr.DataArray) -> xr.DataArray:
    """The same frames. Raises `DataError` if they are not Frames, or several sequences."""
    check_frames(frames)
    if "sequence" in frames.dims:
        raise DataError(
            f"{frames.sizes['sequence']} sequences found, expected one",
            where=describe_source(frames),
            remedy="select one: frames.isel(sequence=0)",
        )
    return frames


def newest_frames(frames: xr.DataArray, count: int) -> xr.DataArray:
    """The newest `count` frames of one sequence. Raises `DataError` if there are fewer, if they are not one time step apart, or
    if one of them has no data."""
    # One sequence, long enough.
    where = describe_source(check_sequence(frames))
    if frames.sizes["time"] < count:
        raise DataError(
            f"{frames.sizes['time']} frames found, expected {count} or more", where=where, remedy="open more frames"
        )
    # No gap among the newest.
    recent = frames.isel(time=slice(-count, None))
    if count > 1:
        broken = ~regular_steps(frames)[-(count - 1) :]
        if broken.any():
            raise _not_regular(frames, recent, broken, where)
    # Data in every frame.
    missing = np.isnan(recent.values).all((1, 2, 3))
    if missing.any():
        first = int(missing.argmax())
        time = stamp(recent["time"].values[first])
        raise DataError(
            f"no data at all in {missing.sum()} of the newest {count} frames, first at {time}",
            where=describe_source(recent.isel(time=first)),
            remedy=NO_DATA if missing.all() else "select frames before it",
        )
    return recent


def _not_regular(frames: xr.DataArray, recent: xr.DataArray, broken: np.ndarray, where: str) -> DataError:
    """The error for newest frames that do not follow each other on the clock."""
    missing = np.diff(recent["time"].values)[broken] / time_step(frames) >= 1.5
    first, second = (stamp(time) for time in recent["time"].values[np.flatnonzero(broken)[0] :][:2])
    reason = (
        "a frame is missing among them" if missing.any() else f"{first} and {second} are not both on the regular clock"
    )
    remedy = "add the missing frame, or select frames before the gap" if missing.any() else "correct the time stamps"
    return DataError(
        f"the newest {recent.sizes['time']} frames are not one time step apart: {reason}", where=where, remedy=remedy
    )


def label_forecast(values: np.ndarray, frames: xr.DataArray, name: str) -> xr.DataArray:
    """Label `values (M, L, C, H, W)` as the Forecast that continues `frames`; without the dimension `member` if M is 1. Raises
    `DataError` for valid times that cannot be stored."""
    step = time_step(frames)
    members, horizon = values.shape[:2]
    check_valid_times(frames, horizon)
    leads = np.arange(1, horizon + 1)
    times = frames["time"].values
    coords = {
        "init_time": [clock_of(times).times[-1] if isinstance(step, np.timedelta64) else times[-1]],
        "lead_time": leads * step if isinstance(step, np.timedelta64) else leads,
        **{axis: frames[axis] for axis in ("channel", "y", "x", "crs", *CURVILINEAR) if axis in frames.coords},
    }
    if members > 1:
        coords["member"] = np.arange(members)
    attributes = {key: value for key, value in frames.attrs.items() if key != "repairs"}
    forecast = xr.DataArray(
        (values[None] if members > 1 else values).astype(np.float32, copy=False),
        coords=coords,
        dims=MEMBER_DIMS if members > 1 else DIMS,
        name=frames.name,
        attrs={**attributes, "forecaster": name},
    )
    forecast.encoding["sources"] = source_files(frames)  # which writing it must not replace
    return forecast


def check_valid_times(frames: xr.DataArray, horizon: int) -> None:
    """Raise `DataError` if the last of `horizon` valid times lies after the year 2262, and cannot be stored."""
    if frames.sizes["time"] < 2 or frames["time"].dtype.kind != "M":
        return
    newest = int(frames["time"].values[-1].astype("datetime64[ns]").astype(np.int64))
    step = int(np.timedelta64(time_step(frames), "ns").astype(np.int64))
    if newest + (horizon + 1) * step > np.iinfo(np.int64).max:
        raise DataError(
            f"{horizon} frames after {stamp(frames['time'].values[-1])} lie after the year 2262: their times cannot be stored",
            where=describe_source(frames),
            remedy="correct the time stamps, or forecast fewer frames",
        )


def check_horizon(horizon: object) -> None:
    """Raise `ArgumentError` if `horizon` is not a whole number of at least 1."""
    check_counts(horizon=0 if horizon is None else horizon)  # a count may be None, a horizon may not
