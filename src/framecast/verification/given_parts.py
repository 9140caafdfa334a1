"""The parts of which a forecast in files is made: some lead times each, of probabilities also some thresholds.

Each of several files of one initial time is a part. No file is opened here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from framecast.data.frames import same_grid
from framecast.data.lazy import Selection, lazy_variable
from framecast.data.orientation import turned_like
from framecast.data.quantities import RAIN_RATE, Quantity, quantity_of
from framecast.errors import ArgumentError, DataError
from framecast.forecasting.labels import PROBABILITY, Forecast, values_of

NEAREST_RATE = 1e-3
"""Rates that differ by this share are the same threshold."""
IN_MEMORY = "forecast in memory"


@dataclass(frozen=True)
class Part:
    """Some lead times of a forecast, or its probabilities at some thresholds: its `values ([member,] lead_time, channel, y, x)`,
    lazy, and the `probability (threshold, lead_time, y, x)` of reaching rates, one of them or both; the file `where` it lies, and
    its `origin` as that states it."""

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

    @property
    def labels(self) -> tuple[Any, ...]:
        """What the file calls its members; empty if it does not say."""
        return tuple(np.ravel(self.field["member"].values).tolist()) if "member" in self.field.coords else ()

    def adds_members(self, other: Part) -> bool:
        """Whether its values are further members at lead times of another part."""
        named = all(each.labels and not each.kind[1] for each in (self, other))
        return named and not {*self.labels} & {*other.labels} and bool(np.isin(self.leads, other.leads).any())

    def at(self, leads: np.ndarray) -> Part:
        """The part at some of its lead times, `leads (L,)` bool."""
        fields = [None if each is None else each.isel(lead_time=leads) for each in (self.values, self.probability)]
        return replace(self, values=fields[0], probability=fields[1])


def with_members(part: Part, more: Part) -> Part:
    """A part with the members of another one on the same grid, `more`, after its own; lazy."""
    assert part.values is not None
    assert more.values is not None
    first, second = part.values, turned_like(more.values, part.values)
    members = [
        each.isel(member=k).variable if "member" in each.dims else each.variable
        for each in (first, second)
        for k in range(each.sizes.get("member", 1))
    ]

    def read(selection: Selection) -> np.ndarray:
        which, rest = selection[0], selection[1:]
        if not isinstance(which, slice):
            return members[which][rest].values
        return np.stack([each[rest].values for each in members[which]])

    values = lazy_variable(("member", *members[0].dims), (len(members), *members[0].shape), read)
    values.attrs = dict(first.attrs)
    coordinates = {name: each.variable for name, each in first.coords.items() if name != "member"}
    coordinates["member"] = xr.Variable(("member",), [*part.labels, *more.labels])
    return replace(part, values=xr.DataArray(values, coordinates, name=first.name))


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

    @cached_property
    def rates(self) -> tuple[float, ...] | None:
        """The rates in mm/h, ascending, whose probabilities it states at all of its lead times; None without."""
        if self.first.rates is None:
            return None
        at_leads: dict[bytes, list[float]] = {}
        for part in self.parts:
            at_leads.setdefault(part.leads.tobytes(), []).extend(part.rates or ())
        return shared_rates(at_leads.values())

    def states(self, rates: Sequence[float]) -> bool:
        """Whether it states the probabilities at all of the `rates`."""
        return bool((places_of(rates, self.rates or ()) >= 0).all())

    def check_rates(self, rates: Sequence[float]) -> None:
        """Raise `ArgumentError` for one of the `rates` whose probability it does not state."""
        stated = self.rates or ()
        for rate, place in zip(rates, places_of(rates, stated), strict=True):
            if place < 0:
                raise ArgumentError(
                    f"no probability at {rate:g} mm/h, only at {', '.join(f'{each:g}' for each in stated)}",
                    where=self.first.where,
                    parameter="rates",
                    example=stated,
                )

    def joined(self, part: Part) -> GivenForecast | None:
        """This forecast and what another part adds: lead times, members, or the probabilities of other thresholds; None if that
        is nothing. Raises `DataError` for probabilities or members that do not fit to these."""
        for number, each in enumerate(self.parts):
            if part.adds_members(each):
                self._check_fit(part, each, "members")
                parts = (*self.parts[:number], with_members(each, part), *self.parts[number + 1 :])
                return GivenForecast(self.init_time, parts)
            if part.kind == each.kind == (0, True) and np.isin(part.leads, each.leads).any():
                self._check_thresholds(part, each)
        if part.kind != (0, True) or self.first.kind != (0, True):
            new = ~np.isin(part.leads, self.leads)
            if not new.any():
                return None
            part = part if new.all() else part.at(new)
        return GivenForecast(self.init_time, (*self.parts, part))

    def adds_frames(self, part: Part) -> bool:
        """Whether all of a part is new to this forecast."""
        shared = [each for each in self.parts if np.isin(part.leads, each.leads).any()]
        return all(part.adds_members(each) or part.kind == each.kind == (0, True) for each in shared)

    def _check_thresholds(self, part: Part, other: Part) -> None:
        """Raise `DataError` if the probabilities of two files cannot be those of one forecast."""
        twice = [f"{rate:g}" for rate in part.rates or () if places_of([rate], other.rates or ())[0] >= 0]
        if twice:
            raise DataError(
                f"probabilities at {' and '.join(twice)} mm/h {self._like(other)}",
                where=part.where,
                remedy="give one of the two files",
            )
        self._check_fit(part, other, "probabilities")

    def _check_fit(self, part: Part, other: Part, what: str) -> None:
        """Raise `DataError` if two files of one forecast have other lead times, another grid or another quantity."""
        if not np.array_equal(part.leads, other.leads):
            spans = " and ".join(_span(each.leads) for each in (part, other))
            raise DataError(
                f"{what} {self._like(other)}, but at other lead times: {spans}",
                where=part.where,
                remedy="give files with the same lead times, or verify them one by one",
            )
        if part.quantity.name != other.quantity.name or not same_grid(
            turned_like(part.field, other.field), other.field
        ):
            difference = "on another grid" if part.quantity.name == other.quantity.name else f"of {part.quantity.title}"
            raise DataError(
                f"{what} {self._like(other)}, but {difference}", where=part.where, remedy="verify them one by one"
            )

    def _like(self, other: Part) -> str:
        return f"of {np.datetime_as_string(self.init_time, unit='m')} UTC as in {other.where}"


def _span(leads: np.ndarray) -> str:
    """Lead times in words."""
    minutes = leads / np.timedelta64(1, "m")
    return f"{len(leads)} from {minutes.min():g} to {minutes.max():g} minutes"


def places_of(rates: Sequence[float], stated: Sequence[float]) -> np.ndarray:
    """The positions `(R,)` of `rates` among those that are `stated`, -1 for one that is not."""
    if not len(stated):
        return np.full(len(rates), -1)
    wanted = np.asarray(rates, dtype=np.float64)[:, None]
    near = np.abs(np.asarray(stated) - wanted) <= NEAREST_RATE * wanted
    return np.where(near.any(1), near.argmax(1), -1)


def shared_rates(stated: Iterable[Sequence[float]]) -> tuple[float, ...]:
    """The rates above 0 that all of the lists have, ascending."""
    first, *others = stated
    return tuple(
        rate for rate in sorted(first) if rate > 0 and all(places_of([rate], other)[0] >= 0 for other in others)
    )


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
