"""Forecasts that were made before, as a forecaster: it looks up the forecast of each initial time.

Verification asks a forecaster for the frames after a context; one that is given its forecasts answers with those of the context's
time. No score is computed here, and no file opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from framecast.data.conversion import WEAKEST
from framecast.data.orientation import turned_to
from framecast.data.quantities import ZR, Quantity, quantity_of
from framecast.errors import ArgumentError, DataError
from framecast.forecasting.distribution import Exceedance
from framecast.forecasting.labels import PROBABILITY, Forecast, values_of
from framecast.forecasting.protocol import Context, Forecasts
from framecast.verification.given_truth import Target

NEAREST_RATE = 1e-3
"""Rates that differ by this share are the same threshold."""


@dataclass(frozen=True)
class GivenForecast:
    """A forecast of one initial time: its `values ([member,] lead_time, channel, y, x)`, lazy; the `probability (threshold,
    lead_time, channel, y, x)` of reaching rates, if it states any; and the file `where` it lies."""

    values: xr.DataArray
    probability: xr.DataArray | None = None
    where: str = "forecast in memory"

    @property
    def init_time(self) -> np.datetime64:
        """The initial time."""
        return as_time(self.values["init_time"].values)

    @property
    def leads(self) -> np.ndarray:
        """The lead times, timedelta64[ns]."""
        return np.asarray(self.values["lead_time"].values)

    @property
    def members(self) -> int:
        """The number of members, 1 of a single forecast."""
        return int(self.values.sizes.get("member", 1))

    @property
    def rates(self) -> tuple[float, ...] | None:
        """The rates in mm/h whose probabilities it states; None without."""
        return None if self.probability is None else tuple(self.probability["threshold"].values.tolist())


def as_time(value: Any) -> np.datetime64:
    """A time to the nanosecond."""
    time: Any = np.asarray(value).astype("datetime64[ns]")
    return time[()]  # type: ignore[no-any-return]


def split_times(forecast: Forecast, where: str = "forecast in memory") -> list[GivenForecast]:
    """The forecast of each initial time. Raises `DataError` for one without times."""
    values = values_of(forecast)
    if values["init_time"].dtype.kind != "M" or values["lead_time"].dtype.kind != "m":
        raise DataError(
            "the forecast has no times, only numbers of frames: what it forecasts cannot be told",
            where=where,
            remedy="forecast from frames with times: time_step=MINUTES and start give them",
        )
    probability = forecast[PROBABILITY] if isinstance(forecast, xr.Dataset) and PROBABILITY in forecast else None
    return [
        GivenForecast(
            values.isel(init_time=k), None if probability is None else probability.isel(init_time=k, channel=0), where
        )
        for k in range(values.sizes["init_time"])
    ]


class GivenForecaster:
    """The `forecasts` of one source by initial time, as `target` asks for them; NaN at lead times that one lacks."""

    context_length = 1

    def __init__(self, name: str, forecasts: Mapping[np.datetime64, GivenForecast], target: Target) -> None:
        self.name, self.forecasts, self.target = name, forecasts, target
        first = next(iter(forecasts.values()))
        for each in forecasts.values():
            check_grid(each, target)
            if (each.members, each.probability is None) != (first.members, first.probability is None):
                raise DataError(
                    f"{each.members} members, but {first.members} in {first.where}",
                    where=each.where,
                    remedy="verify forecasts of one kind at a time",
                )

    def forecast(self, context: Context, /, horizon: int) -> Forecasts:
        """The forecasts of the times of the `context`. Raises `DataError` if one cannot be read."""
        if context.times is None or horizon != len(self.target.leads):
            raise ArgumentError(
                "forecasts that were made before have times and lead times of their own", parameter="horizon"
            )
        given = [self.forecasts[as_time(time)] for time in context.times]
        values = np.stack([self._values(each) for each in given], axis=1)
        if given[0].probability is None:
            return Forecasts(values)
        probability = np.stack([self._probability(each) for each in given], axis=1)
        return Forecasts(values, exceedance=Exceedance(self.target.rates, probability))

    def _values(self, given: GivenForecast) -> np.ndarray:
        """The values `(M, L, C, H, W)` in the quantity of the target."""
        part = _at_leads(given.values, given.leads, self.target.leads)
        part = turned_to(part, self.target.row_order)
        values = np.asarray(part.values, dtype=np.float32)
        values = in_quantity(values, quantity_of(given.values), self.target.quantity, self.target.zr)
        return values if "member" in part.dims else values[None]

    def _probability(self, given: GivenForecast) -> np.ndarray:
        """The probability `(R, L, H, W)` at the rates of the target."""
        assert given.probability is not None
        part = given.probability.isel(threshold=_places(given, self.target.rates))
        part = turned_to(_at_leads(part, given.leads, self.target.leads), self.target.row_order)
        return np.asarray(part.values, dtype=np.float32)


def _at_leads(array: xr.DataArray, leads: np.ndarray, wanted: np.ndarray) -> xr.DataArray:
    """The array at the `wanted` lead times, NaN where it has none of them."""
    places = np.array([int(np.flatnonzero(leads == lead)[0]) if lead in leads else -1 for lead in wanted])
    part = array.isel(lead_time=np.maximum(places, 0))
    if (places >= 0).all():
        return part
    return part.where(xr.DataArray(places >= 0, dims="lead_time"))


def _places(given: GivenForecast, rates: Sequence[float]) -> list[int]:
    """The positions of `rates` among those of a forecast. Raises `ArgumentError` for one that it lacks."""
    stated = np.array(given.rates)
    places = []
    for rate in rates:
        near = np.flatnonzero(np.abs(stated - rate) <= NEAREST_RATE * rate)
        if not len(near):
            raise ArgumentError(
                f"no probability at {rate:g} mm/h, only at {', '.join(f'{each:g}' for each in stated)}",
                where=given.where,
                parameter="rates",
                example=tuple(given.rates or ()),
            )
        places.append(int(near[0]))
    return places


def check_grid(given: GivenForecast, target: Target) -> None:
    """Raise `DataError` if a forecast does not lie on the grid of the truth."""
    values = turned_to(given.values, target.row_order)
    if difference := target.difference(values):
        raise DataError(
            f"the forecast lies on another grid than the truth: {difference}",
            where=given.where,
            remedy="regrid one of them, or give truth on the grid of the forecast",
        )
    if values.sizes["channel"] != target.channels:
        raise DataError(f"{values.sizes['channel']} channels, but {target.channels} in the truth", where=given.where)


def in_quantity(values: np.ndarray, own: Quantity, wanted: Quantity, zr: ZR) -> np.ndarray:
    """The values in another quantity of rain, as `data.conversion.as_rain_rate` converts frames."""
    if own.name == wanted.name:
        return values
    rates = np.asarray(own.rain_rate(values, zr), dtype=np.float32)
    return np.where((values <= own.dry) | (rates < WEAKEST), np.float32(0), rates)
