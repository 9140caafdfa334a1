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
from framecast.data.frames import same_grid
from framecast.data.orientation import turned_like
from framecast.data.quantities import RAIN_RATE, ZR, Quantity, quantity_of
from framecast.errors import ArgumentError, DataError
from framecast.forecasting.distribution import Exceedance, is_ladder
from framecast.forecasting.labels import PROBABILITY, Forecast, values_of
from framecast.forecasting.protocol import Context, Forecasts
from framecast.verification.given_grid import nearest_pixels
from framecast.verification.given_truth import Target

NEAREST_RATE = 1e-3
"""Rates that differ by this share are the same threshold."""
IN_MEMORY = "forecast in memory"


@dataclass(frozen=True)
class Part:
    """Some lead times of a forecast: its `values ([member,] lead_time, channel, y, x)`, lazy, and the `probability (threshold,
    lead_time, y, x)` of reaching rates, one of them or both; the file `where` it lies, and its `origin` as that states it."""

    values: xr.DataArray | None
    probability: xr.DataArray | None
    where: str
    origin: Mapping[str, Any]

    @property
    def field(self) -> xr.DataArray:
        """What tells the grid and the times: the values, or the probabilities of a forecast without."""
        field = self.probability if self.values is None else self.values
        assert field is not None
        return field

    @property
    def quantity(self) -> Quantity:
        """The quantity of the values; the rain rate for probabilities alone."""
        return RAIN_RATE if self.values is None else quantity_of(self.values)

    @property
    def forecaster(self) -> str:
        """What made the forecast, as the file states it; empty if it does not."""
        stated = self.origin.get("framecast_rung") or self.field.attrs.get("framecast_rung")
        return str(stated or self.field.attrs.get("forecaster", ""))

    @property
    def leads(self) -> np.ndarray:
        """The lead times `(L,)`, timedelta64[ns]."""
        return np.asarray(self.field["lead_time"].values.astype("timedelta64[ns]"))

    @property
    def rates(self) -> tuple[float, ...] | None:
        """The rates in mm/h whose probabilities it states; None without."""
        return None if self.probability is None else tuple(self.probability["threshold"].values.tolist())

    @property
    def kind(self) -> tuple[int, bool]:
        """The number of members, 1 of a single forecast, 0 without values, and whether it states probabilities."""
        members = 0 if self.values is None else int(self.values.sizes.get("member", 1))
        return members, self.probability is not None


@dataclass(frozen=True)
class GivenForecast:
    """The forecast of one initial time, in one or several parts."""

    init_time: np.datetime64
    parts: tuple[Part, ...]

    @property
    def first(self) -> Part:
        """The part that stands for all where they are alike."""
        return self.parts[0]

    @property
    def leads(self) -> np.ndarray:
        """All lead times, ascending."""
        return np.unique(np.concatenate([part.leads for part in self.parts]))


def as_time(value: Any) -> np.datetime64:
    """A time to the nanosecond."""
    time: Any = np.asarray(value).astype("datetime64[ns]")
    return time[()]  # type: ignore[no-any-return]


def split_times(forecast: Forecast, where: str = IN_MEMORY) -> list[GivenForecast]:
    """The forecast of each initial time. Raises `DataError` for one without times."""
    probability = forecast[PROBABILITY] if isinstance(forecast, xr.Dataset) and PROBABILITY in forecast else None
    values = None if "values" not in forecast.attrs and probability is not None else values_of(forecast)
    first = probability if values is None else values
    assert first is not None
    if first["init_time"].dtype.kind != "M" or first["lead_time"].dtype.kind != "m":
        raise DataError(
            "the forecast has numbers of frames in the place of times, so nothing is known of when its frames are",
            where=where,
            remedy="forecast from frames that have times",
        )
    if probability is not None and "channel" in probability.dims:
        probability = probability.isel(channel=0)
    return [
        GivenForecast(
            as_time(first["init_time"].values[k]),
            (
                Part(
                    None if values is None else values.isel(init_time=k),
                    None if probability is None else probability.isel(init_time=k),
                    where,
                    forecast.attrs,
                ),
            ),
        )
        for k in range(first.sizes["init_time"])
    ]


class GivenForecaster:
    """The `forecasts` of one source by initial time, as `target` asks for them; NaN at lead times that one lacks.

    Raises `DataError` for forecasts on another grid than the truth, or of which some are ensembles and others not."""

    context_length = 1

    def __init__(self, name: str, forecasts: Mapping[np.datetime64, GivenForecast], target: Target) -> None:
        self.name, self.forecasts, self.target = name, forecasts, target
        parts = [part for each in forecasts.values() for part in each.parts]
        self._pixels = nearest_pixels(parts[0].field, target.frames, parts[0].where) if target.regrid else None
        for part in parts:
            check_grid(part, parts[0] if target.regrid else None, target)
            if part.kind != parts[0].kind:
                raise DataError(
                    f"{_describe(part)}, but {_describe(parts[0])} in {parts[0].where}",
                    where=part.where,
                    remedy="verify forecasts of one kind at a time",
                )

    def forecast(self, context: Context, /, horizon: int) -> Forecasts:
        """The forecasts of the times of the `context`. Raises `DataError` if one cannot be read, and `ArgumentError` if they
        state no probability at a rate of the target."""
        if context.times is None or horizon != len(self.target.leads):
            raise ArgumentError(
                "forecasts that were made before have times and lead times of their own", parameter="horizon"
            )
        given = [self.forecasts[as_time(time)] for time in context.times]
        values = np.stack([self._values(each) for each in given], axis=1)
        first = given[0].first
        if first.rates is None:
            return Forecasts(values)
        members, _ = first.kind
        ladder = self._exceedance(given, first.rates) if members < 2 and is_ladder(first.rates) else None
        exceedance = self._exceedance(given, self.target.rates)
        return Forecasts(values, exceedance=exceedance._replace(ladder=ladder, alone=first.values is None))

    def _values(self, given: GivenForecast) -> np.ndarray:
        """The values `(M, L, C, H, W)` in the quantity of the target; NaN where there are none."""
        arrays = [part.values for part in given.parts if part.values is not None]
        if not arrays:
            sizes = self.target.frames.sizes
            shape = (1, len(self.target.leads), self.target.channels, sizes["y"], sizes["x"])
            return np.full(shape, np.nan, dtype=np.float32)
        values = self._joined(given, arrays)
        values = in_quantity(values, given.first.quantity, self.target.quantity, self.target.zr)
        return values if "member" in arrays[0].dims else values[None]

    def _exceedance(self, given: Sequence[GivenForecast], rates: tuple[float, ...]) -> Exceedance:
        """The probabilities `(R, B, L, H, W)` at some rates."""
        fields = []
        for each in given:
            parts = []
            for part in each.parts:
                assert part.probability is not None
                parts.append(part.probability.isel(threshold=_places(part, rates)))
            fields.append(self._joined(each, parts))
        return Exceedance(rates, np.stack(fields, axis=1))

    def _joined(self, given: GivenForecast, arrays: Sequence[xr.DataArray]) -> np.ndarray:
        """The arrays of the parts at the lead times of the target, NaN where no part has one."""
        axis = arrays[0].dims.index("lead_time")
        wanted_sizes = {"lead_time": len(self.target.leads)} | {
            name: self.target.frames.sizes[name] for name in ("y", "x")
        }
        shape = [wanted_sizes.get(str(dim), size) for dim, size in arrays[0].sizes.items()]
        joined = np.full(shape, np.nan, dtype=np.float32)
        along = np.moveaxis(joined, axis, 0)
        for part, array in zip(given.parts, arrays, strict=True):
            wanted = np.isin(self.target.leads, part.leads)
            places = np.searchsorted(part.leads, self.target.leads[wanted])
            chosen = array.isel(lead_time=places)
            if self._pixels is None:
                values = turned_like(chosen, self.target.frames).values
            else:
                values = self._pixels.take(chosen.values)
            along[wanted] = np.moveaxis(values, axis, 0)
        return joined


def _describe(part: Part) -> str:
    members, probabilities = part.kind
    if not members:
        return "probabilities only"
    return f"{members} member{'s' * (members > 1)} {'with' if probabilities else 'without'} probabilities"


def _places(part: Part, rates: Sequence[float]) -> list[int]:
    """The positions of `rates` among those of a forecast. Raises `ArgumentError` for one that it lacks."""
    stated = np.array(part.rates)
    places = []
    for rate in rates:
        near = np.flatnonzero(np.abs(stated - rate) <= NEAREST_RATE * rate)
        if not len(near):
            raise ArgumentError(
                f"no probability at {rate:g} mm/h, only at {', '.join(f'{each:g}' for each in stated)}",
                where=part.where,
                parameter="rates",
                example=tuple(part.rates or ()),
            )
        places.append(int(near[0]))
    return places


def check_grid(part: Part, first: Part | None, target: Target) -> None:
    """Raise `DataError` if a forecast lies on another grid than the truth; if they are to be put there, than the `first` one."""
    if first is not None and not same_grid(part.field, first.field):
        raise DataError(f"the forecast lies on another grid than that in {first.where}", where=part.where)
    if first is None and (difference := target.difference(turned_like(part.field, target.frames))):
        raise DataError(
            f"the forecast lies on another grid than the truth: {difference}",
            where=part.where,
            remedy="give truth on the grid of the forecast, or have the forecast put on that of the truth",
            parameter="regrid",
            example=True,
        )
    if part.values is not None and part.values.sizes["channel"] != target.channels:
        raise DataError(
            f"{part.values.sizes['channel']} channels, but {target.channels} in the truth", where=part.where
        )


def in_quantity(values: np.ndarray, own: Quantity, wanted: Quantity, zr: ZR) -> np.ndarray:
    """The values in another quantity of rain, as `data.conversion.as_rain_rate` converts frames."""
    if own.name == wanted.name:
        return values
    rates = np.asarray(own.rain_rate(values, zr), dtype=np.float32)
    return np.where((values <= own.dry) | (rates < WEAKEST), np.float32(0), rates)
