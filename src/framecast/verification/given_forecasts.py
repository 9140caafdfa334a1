"""Forecasts that were made before, as a forecaster: it looks up the forecast of each initial time.

Verification asks a forecaster for the frames after a context; one that is given its forecasts answers with those of the context's
time. No score is computed here, and no file opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from framecast.data.conversion import WEAKEST
from framecast.data.frames import same_grid
from framecast.data.orientation import turned_like
from framecast.data.quantities import ZR, Quantity
from framecast.errors import ArgumentError, DataError
from framecast.forecasting.distribution import Exceedance, is_ladder
from framecast.forecasting.protocol import Context, Forecasts
from framecast.verification.given_grid import nearest_pixels
from framecast.verification.given_parts import GivenForecast, Part, as_time, places_of, shared_rates
from framecast.verification.given_truth import Target


class GivenForecaster:
    """The `forecasts` of one source by initial time, as `target` asks for them; NaN at lead times that one lacks.

    `rates` are those in mm/h at which all of them state probabilities, None without; `members` is the number of members, 1 of
    single forecasts, 0 of probabilities alone. Raises `DataError` for forecasts on another grid than the truth, or of which some
    are ensembles and others not."""

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
        self.members, states = parts[0].kind
        self.rates = shared_rates(dict.fromkeys(each.rates or () for each in forecasts.values())) if states else None

    def forecast(self, context: Context, /, horizon: int) -> Forecasts:
        """The forecasts of the times of the `context`. Raises `DataError` if one cannot be read, and `ArgumentError` if they
        state no probability at a rate of the target."""
        if context.times is None or horizon != len(self.target.leads):
            raise ArgumentError(
                "forecasts that were made before have times and lead times of their own", parameter="horizon"
            )
        given = [self.forecasts[as_time(time)] for time in context.times]
        values = np.stack([self._values(each) for each in given], axis=1)
        if self.rates is None:
            return Forecasts(values)
        exceedance = self._exceedance(given, self.target.rates)
        ladder = self._exceedance(given, self.rates) if self.members < 2 and is_ladder(self.rates) else None
        return Forecasts(values, exceedance=exceedance._replace(ladder=ladder, alone=self.members == 0))

    def _values(self, given: GivenForecast) -> np.ndarray:
        """The values `(M, L, C, H, W)` in the quantity of the target; NaN where there are none."""
        sizes = self.target.frames.sizes
        shape = (self.members or 1, len(self.target.leads), self.target.channels, sizes["y"], sizes["x"])
        values = np.full(shape, np.nan, dtype=np.float32)
        for part in given.parts:
            if part.values is not None:
                wanted, stored = self._read(part, part.values)
                check_possible(stored, part)
                values[:, wanted] = in_quantity(stored, part.quantity, self.target.quantity, self.target.zr)
        return values

    def _exceedance(self, given: Sequence[GivenForecast], rates: tuple[float, ...]) -> Exceedance:
        """The probabilities `(R, B, L, H, W)` at some rates. Raises `ArgumentError` for one that a forecast does not state."""
        sizes = self.target.frames.sizes
        shape = (len(rates), len(given), len(self.target.leads), sizes["y"], sizes["x"])
        probability = np.full(shape, np.nan, dtype=np.float32)
        for each, field in zip(given, np.moveaxis(probability, 1, 0), strict=True):
            each.check_rates(rates)
            for part in each.parts:
                assert part.probability is not None
                places = places_of(rates, part.rates or ())
                states = np.flatnonzero(places >= 0)
                if len(states):
                    wanted, stored = self._read(part, part.probability.isel(threshold=places[states]))
                    check_probabilities(stored, part)
                    field[np.ix_(states, wanted)] = stored
        return Exceedance(rates, probability)

    def _read(self, part: Part, array: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
        """Which lead times of the target a part has, as positions, and an array of the part there, on the grid of the target."""
        wanted = np.flatnonzero(np.isin(self.target.leads, part.leads))
        chosen = array.isel(lead_time=np.searchsorted(part.leads, self.target.leads[wanted]))
        if self._pixels is None:
            return wanted, turned_like(chosen, self.target.frames).values
        return wanted, self._pixels.take(chosen.values)


def _describe(part: Part) -> str:
    members, probabilities = part.kind
    if not members:
        return "probabilities only"
    return f"{members} member{'s' * (members > 1)} {'with' if probabilities else 'without'} probabilities"


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


_LEAST_RATE = -1.0
"""Rain rates in mm/h that a forecast of rain may have by its method, which is judged as it is: an interpolation or a network may
be a little below 0."""
_ROUNDING = 0.01
"""By how much stored probabilities may leave 0 to 1."""


def check_possible(values: np.ndarray, part: Part) -> None:
    """Raise `DataError` for values that no forecast has, such as those that mark missing data without saying so."""
    quantity = part.quantity
    lowest = min(quantity.lowest, _LEAST_RATE) if quantity.precipitation else quantity.lowest
    for value in (np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)):
        if value < lowest or np.isinf(value):
            raise DataError(
                f"the forecast has the value {value:g} {quantity.units}, which cannot be",
                where=part.where,
                remedy="if it stands for missing data, write NaN in its place, or state it as the attribute _FillValue",
            )


def check_probabilities(values: np.ndarray, part: Part) -> None:
    """Raise `DataError` for probabilities that are not from 0 to 1."""
    low, high = (reduce(values, axis=None) for reduce in (np.fmin.reduce, np.fmax.reduce))
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise DataError(
            f"probabilities from {low:g} to {high:g}, expected 0 to 1",
            where=part.where,
            remedy="of percentages state the unit % in the file, and of missing data the attribute _FillValue",
        )


def in_quantity(values: np.ndarray, own: Quantity, wanted: Quantity, zr: ZR) -> np.ndarray:
    """The values in another quantity of rain, as `data.conversion.as_rain_rate` converts frames."""
    if own.name == wanted.name:
        return values
    rates = np.asarray(own.rain_rate(values, zr), dtype=np.float32)
    return np.where((values <= own.dry) | (rates < WEAKEST), np.float32(0), rates)
