"""Times of ODIM HDF5, and what in a file says that its fields are forecasts.

A field is of a forecast if the file says so (`how`, or `what/prodname`), if it begins `_LATE` or more after the nominal time, or
if it is one of several of its quantity that end at different times, the last more than `_SCAN` after the nominal time: a scan
that is observed may begin and end some minutes after it.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from framecast.data.readers.hdf5 import text

PERIOD = ("startdate", "starttime", "enddate", "endtime")
_SAYS = re.compile(r"nowcast|forecast|lead_?time", re.IGNORECASE)
_NO = ("", "0", "0.0", "false", "no", "none")
_LATE = datetime.timedelta(minutes=4.5)
_SCAN = datetime.timedelta(minutes=5)


def time_of(attributes: Mapping[str, Any], date: str, time: str) -> datetime.datetime:
    """The time in UTC of a date and a time: text, of which the seconds may be absent, or numbers. Raises `KeyError` and
    `ValueError`."""
    clock = text(attributes[time])
    is_number = np.asarray(attributes[time]).dtype.kind in "iuf"
    clock = f"{float(clock):06.0f}" if is_number else clock.ljust(6, "0") if len(clock) == 4 else clock
    if len(clock) != 6:
        raise ValueError(f"the time {clock!r} is not of the form HHMMSS")
    day = text(attributes[date]).removesuffix(".0")
    try:
        return datetime.datetime.strptime(day + clock, "%Y%m%d%H%M%S")
    except ValueError as error:
        raise ValueError(f"{date} {day!r} and {time} {clock!r}, expected 20240331 and 120500") from error


def period_of(what: Mapping[str, Any]) -> tuple[datetime.datetime, datetime.datetime] | None:
    """The start and the end of a field; None if it does not state both."""
    if any(name not in what for name in PERIOD):
        return None
    return time_of(what, *PERIOD[:2]), time_of(what, *PERIOD[2:])


def words_of_forecast(how: Mapping[str, Any], what: Mapping[str, Any]) -> str | None:
    """What in `how` or `what` says that a field is a forecast: the name of an attribute that is not 0 or false, or the task or
    name of the product."""
    for name, value in how.items():
        if _SAYS.search(name) and text(value).lower() not in _NO:
            return f"its how/{name} is {text(value)[:40]}"
    for room, attributes, name in (("how", how, "task"), ("what", what, "prodname")):
        if name in attributes and _SAYS.search(text(attributes[name])):
            return f"its {room}/{name} is {text(attributes[name])[:40]!r}"
    return None


def times_of_forecast(nominal: datetime.datetime, fields: Iterable[tuple[str, Mapping[str, Any]]]) -> str | None:
    """What in the times of fields, given as quantity and `what`, says that they are forecasts."""
    ends: dict[str, set[datetime.datetime]] = {}
    for quantity, what in fields:
        try:
            period = period_of(what)
        except ValueError:  # of a field whose nominal time is read, these times are not used
            continue
        if period is None:
            continue
        if period[0] - nominal >= _LATE:
            return f"its {quantity} begins {_minutes(period[0] - nominal)} after its nominal time"
        ends.setdefault(quantity, set()).add(period[1])
    for quantity, times in ends.items():
        if len(times) > 1 and max(times) - nominal > _SCAN:
            return (
                f"its {quantity} is of {len(times)} times up to {_minutes(max(times) - nominal)} after its nominal time"
            )
    return None


def _minutes(time: datetime.timedelta) -> str:
    return f"{time.total_seconds() / 60:g} minutes"
