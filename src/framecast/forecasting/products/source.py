"""A forecast as products need it: rain rates in mm/h of members and lead times, probabilities, times and place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from framecast.data.place import Place, place_of
from framecast.data.quantities import QUANTITIES, RAIN_RATE, ZR, with_dry
from framecast.errors import DataError
from framecast.forecasting.labels import PROBABILITY, QUANTILE, Forecast, values_of
from framecast.forecasting.write import check_forecast

MINUTE = np.timedelta64(60, "s")


_ORIGIN = "framecast_"
"""The beginning of the names of the attributes that say how a forecast came about."""


def origin_of(forecast: Forecast) -> dict[str, str]:
    """How a forecast came about, from its attributes: its rung, the reasons, the age of its newest frame."""
    attributes = {**values_of(forecast).attrs, **forecast.attrs}
    return {str(name): str(value) for name, value in attributes.items() if str(name).startswith(_ORIGIN)}


@dataclass(frozen=True, eq=False)
class Source:
    """One forecast of rain: its `forecast` as it is, and `values ([member,] lead_time, y, x)` of its one initial time and
    channel."""

    forecast: Forecast
    values: xr.DataArray

    @staticmethod
    def of(forecast: Forecast) -> Source:
        """Raises `DataError` for what is no forecast of rain with one initial time, one channel and lead times in minutes."""
        values = check_forecast(forecast)
        if QUANTITIES[values.attrs["quantity"]].rain is None:
            raise DataError(
                f"a forecast of {values.attrs['quantity']}, expected one of rain",
                remedy="use framecast.write for its values",
            )
        for dim, selection in (("init_time", "isel(init_time=[0])"), ("channel", "isel(channel=[0])")):
            if values.sizes[dim] != 1:
                raise DataError(
                    f"{values.sizes[dim]} along {dim}, expected one", remedy=f"select it: forecast.{selection}"
                )
        if values["lead_time"].dtype.kind != "m" or values["init_time"].dtype.kind != "M":
            raise DataError(
                "the forecast has no times: its lead times are numbers of frames",
                remedy="give the frames times when they are opened",
            )
        leads = values["lead_time"].values
        if not (np.diff(leads, prepend=np.timedelta64(0, "ns")) > np.timedelta64(0, "ns")).all():
            raise DataError(
                "the lead times do not ascend from above 0", remedy="sort them: forecast.sortby('lead_time')"
            )
        return Source(forecast, values.isel(init_time=0, channel=0))

    @property
    def init_time(self) -> np.datetime64:
        """The initial time, UTC, in seconds."""
        times: np.ndarray = np.atleast_1d(self.values["init_time"].values.astype("datetime64[s]"))
        return times[0]  # type: ignore[no-any-return]

    @cached_property
    def leads(self) -> np.ndarray:
        """The lead times in minutes `(L,)`: each frame is the mean since the one before it, the first since the initial time."""
        return np.asarray(self.values["lead_time"].values / MINUTE)

    @property
    def spans(self) -> list[tuple[float, float]]:
        """Begin and end of each frame in minutes after the initial time."""
        return list(zip([0.0, *self.leads[:-1]], self.leads, strict=True))

    @property
    def is_ensemble(self) -> bool:
        """Whether the forecast has members."""
        return "member" in self.values.dims

    @cached_property
    def rates(self) -> np.ndarray:
        """The rain rates in mm/h `(M, L, H, W)`; M = 1 without members. Dry is 0, no data NaN. Reflectivity is converted by the
        default Z-R relation, that of the probabilities."""
        values = np.asarray(self.values.values, dtype=np.float32)
        quantity = QUANTITIES[self.values.attrs["quantity"]]
        if "dry" in self.values.attrs:
            quantity = with_dry(quantity, float(self.values.attrs["dry"]))
        if quantity.name != RAIN_RATE.name:
            rates = np.asarray(quantity.rain_rate(values, ZR()), dtype=np.float32)
            values = np.where(values <= np.float32(quantity.dry), np.float32(0), rates)
        return values if self.is_ensemble else values[None]

    @cached_property
    def probabilities(self) -> dict[float, np.ndarray]:
        """The stored probabilities `(L, H, W)` by rate in mm/h; empty without."""
        return self._stored(PROBABILITY, "threshold")

    @cached_property
    def quantiles(self) -> dict[float, np.ndarray]:
        """The stored quantiles of the rate in mm/h `(L, H, W)` by their probability; empty without."""
        return self._stored(QUANTILE, "quantile")

    def _stored(self, name: str, axis: str) -> dict[float, np.ndarray]:
        """A variable of a distribution by the value of its axis."""
        if not isinstance(self.forecast, xr.Dataset) or name not in self.forecast:
            return {}
        stored = self.forecast[name].isel(init_time=0, channel=0).transpose(axis, "lead_time", "y", "x")
        places = [float(place) for place in np.asarray(stored[axis].values)]
        return dict(zip(places, np.asarray(stored.values, dtype=np.float32), strict=True))

    @cached_property
    def place(self) -> Place | str:
        """Where the pixels lie; a text that says why that is not known."""
        return place_of(self.values)

    @property
    def files(self) -> frozenset[str]:
        """The files and stores that the forecast was made from or read from."""
        return frozenset(self.values.encoding.get("sources", ()))

    @property
    def name(self) -> str:
        """The name of the forecaster."""
        return str(values_of(self.forecast).attrs.get("forecaster", "forecast"))

    def sums(self, window: tuple[float, float]) -> np.ndarray:
        """The rain in mm of each member in a window `(M, H, W)`: rates times the time that they stand for. A pixel without data
        in one of its frames has no sum: one of the others alone would be too small."""
        total = np.zeros((self.rates.shape[0], *self.rates.shape[2:]), dtype=np.float32)
        for number in self.frames_in(window):
            begin, end = self.spans[number]
            total += self.rates[:, number] * np.float32((end - begin) / 60)
        return total

    def frames_in(self, window: tuple[float, float]) -> list[int]:
        """The numbers of the frames of a window."""
        return [k for k, (begin, end) in enumerate(self.spans) if begin >= window[0] and end <= window[1]]

    def refuse_window(self, window: tuple[float, float]) -> str | None:
        """Why the frames do not make up a window; None if they do."""
        edges = [0.0, *self.leads]
        if all(edge in edges for edge in window):
            return None
        shown = f"{window[0]:g} to {window[1]:g} min"
        if window[1] > edges[-1]:
            return f"the window {shown} ends after the forecast, which reaches {edges[-1]:g} min"
        return f"the window {shown} does not begin and end with a frame"

    def default_windows(self) -> tuple[tuple[float, float], ...]:
        """The full hours that the frames make up; all of a shorter forecast."""
        hours = [(60.0 * hour, 60.0 * (hour + 1)) for hour in range(int(self.leads[-1] // 60))]
        return tuple(hour for hour in hours if self.refuse_window(hour) is None) or ((0.0, float(self.leads[-1])),)
