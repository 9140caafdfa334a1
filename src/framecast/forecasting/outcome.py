"""What a forecast was made by and from: the record in its attributes, and the outcome of a fallback ladder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from framecast.forecasting.labels import Forecast, values_of


@dataclass(frozen=True)
class Outcome:
    """What a ladder made: the `forecast`, None on the rung "nothing"; the name of the `rung`; the `reasons`, one sentence each
    that begins with the name of a fault; the time of the `newest` frame used, and its `age` in seconds, None where either is not
    known; and the `largest` value at each lead time, in the units of the forecast."""

    forecast: Forecast | None
    rung: str
    reasons: tuple[str, ...]
    newest: np.datetime64 | int | None = None
    age: float | None = None
    largest: tuple[float, ...] = ()
    faults: tuple[str, ...] = field(default=())
    """The names of the faults, one for each reason."""


def record(forecast: Forecast, rung: str, newest: Any, age: float | None, reasons: Sequence[str] = ()) -> None:
    """Record in the attributes of a forecast by which rung, from which newest frame and for which reasons it was made."""
    attributes: dict[str, Any] = {"framecast_rung": rung}
    if newest is not None:
        attributes["framecast_newest_frame"] = (
            f"{np.datetime_as_string(newest, unit='s')}Z" if isinstance(newest, np.datetime64) else int(newest)
        )
    if age is not None:
        attributes["framecast_age_seconds"] = age
    if reasons:
        attributes["framecast_reasons"] = "\n".join(reasons)
    for part in (forecast, values_of(forecast)):
        part.attrs.update(attributes)


def largest_values(forecast: Forecast) -> tuple[float, ...]:
    """The largest value at each lead time; NaN where a lead time has none."""
    values = values_of(forecast)
    return tuple(map(float, values.max([dim for dim in values.dims if dim != "lead_time"]).values))


def in_minutes(seconds: float) -> str:
    """A duration as people read it."""
    return f"{seconds / 60:.3g} minutes" if seconds < 7200 else f"{seconds / 3600:,.0f} hours"
