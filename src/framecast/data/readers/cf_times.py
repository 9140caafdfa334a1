"""Times of CF variables ("minutes since 2015-05-15 15:45:00") as datetime64[ns] in UTC.

Decoded are the calendars of the clock and all units of fixed length; a reference date may have an offset from UTC and lie before
1582. What is not an instant (other calendars, months, a year 0) is refused by name, as are times that cannot be stored, and
floating-point numbers too coarse for the steps between them.
"""

from __future__ import annotations

import datetime
import re
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from framecast.errors import DataError

_UNIT = re.compile(r"\s*([A-Za-z_]+)\s+since\s+(\S.*?)\s*", re.IGNORECASE)
_DATE = re.compile(
    r"(?:(\d{1,6})-(\d{1,2})-(\d{1,2})|(\d{4})(\d{2})(\d{2}))"
    r"(?:(?:T|\s+)(\d{1,2})(?::(\d{1,2})(?::(\d{1,2})(?:\.(\d*))?)?)?)?"
    r"\s*(?:Z|UTC|GMT|([+-])(\d{1,2})(?::?(\d{2}))?)?"
)
_TEXT = re.compile(r"(\d{4}-\d{2}-\d{2})[T_ ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)Z?")
_CALENDARS = ("standard", "gregorian", "proleptic_gregorian", "utc")
_SECONDS = {
    **dict.fromkeys(("second", "seconds", "sec", "secs", "s"), 1),
    **dict.fromkeys(("minute", "minutes", "min", "mins"), 60),
    **dict.fromkeys(("hour", "hours", "hr", "hrs", "h"), 3600),
    **dict.fromkeys(("day", "days", "d"), 86400),
    **dict.fromkeys(("week", "weeks"), 7 * 86400),
}
_PARTS_OF_A_SECOND = {
    **dict.fromkeys(("millisecond", "milliseconds", "millisec", "millisecs", "msec", "msecs", "ms"), 10**3),
    **dict.fromkeys(("microsecond", "microseconds", "microsec", "microsecs", "us"), 10**6),
    **dict.fromkeys(("nanosecond", "nanoseconds", "nanosec", "nanosecs", "ns"), 10**9),
}
_EARLIEST, _LATEST = np.iinfo(np.int64).min + 1, np.iinfo(np.int64).max
_NOT_A_TIME = np.iinfo(np.int64).min
"""What NaT is as an integer, and how xarray writes it."""
_COARSE_ALONE = 30.0
"""Seconds to which the time of a single frame must be exact."""


class _Clock(NamedTuple):
    """Numbers as times: nanoseconds a unit, and of the reference date since 1970."""

    unit: str
    nanoseconds: int
    reference: int


def is_time(variable: xr.Variable) -> bool:
    """Whether the units of a variable are those of times."""
    return variable.dtype.kind in "iuf" and _UNIT.fullmatch(str(variable.attrs.get("units", ""))) is not None


def decode_times(variable: xr.Variable, name: str, where: object) -> xr.Variable:
    """A variable of times as datetime64[ns], NaT where it is missing; the attributes `units` and `calendar` go. Raises
    `DataError` that names what is not decoded."""
    units, calendar = str(variable.attrs["units"]), str(variable.attrs.get("calendar", "standard")).lower()
    numbers = np.asarray(variable.values)
    if calendar not in _CALENDARS:
        raise DataError(
            f"the times of variable {name!r} are in the calendar {calendar!r}, whose days are not those of the clock",
            where=str(where),
            remedy=f"expected one of {', '.join(_CALENDARS)}; of a model's years convert them: "
            "dataset.convert_calendar('standard') in xarray",
        )
    clock = _parse(units, calendar, name, where)
    _check_resolution(numbers, clock, name, where)
    times = _as_times(numbers, clock, units, name, where)
    attributes = {key: value for key, value in variable.attrs.items() if key not in ("units", "calendar")}
    return xr.Variable(variable.dims, times, attributes)


def decode_text(variable: xr.Variable) -> xr.Variable:
    """A variable of times as text (`2024-03-31_00:05:00`, as WRF writes them) as datetime64[ns]; another one as it is."""
    if variable.dtype.kind not in "SUO" or variable.ndim > 1:
        return variable
    texts = [each.decode("ascii", "replace") if isinstance(each, bytes) else str(each) for each in variable.values.flat]
    matches = [_TEXT.fullmatch(text.strip("\0 ")) for text in texts]
    try:
        times = [np.datetime64(f"{match[1]}T{match[2]}", "ns") for match in matches if match is not None]
    except ValueError:  # no day of the calendar
        return variable
    if len(times) < len(texts):
        return variable
    return xr.Variable(variable.dims, np.array(times, "M8[ns]").reshape(variable.shape), variable.attrs)


def seconds_of(unit: object) -> float | None:
    """How many seconds a unit of durations has; None for what is none."""
    name = str(unit or "").strip().lower()
    parts = _PARTS_OF_A_SECOND.get(name)
    return 1 / parts if parts else _SECONDS.get(name)


def _parse(units: str, calendar: str, name: str, where: object) -> _Clock:
    match = _UNIT.fullmatch(units)
    unit = match[1].lower() if match else ""
    date = _DATE.fullmatch(match[2]) if match else None
    problem = None
    if unit not in _SECONDS and unit not in _PARTS_OF_A_SECOND:
        months = unit.rstrip("s") in ("month", "year", "common_year", "mon", "yr")
        problem = f"a {unit.rstrip('s')} has no fixed length" if months else f"the unit {unit!r} is not understood"
    elif date is None:
        problem = "the reference date is not understood"
    elif int(date[1] or date[4]) == 0:
        problem = "the reference date is in the year 0: times of a climatology, or of another calendar"
    if problem is None and date is not None:
        try:
            reference = _reference(date, calendar)
        except ValueError as error:
            problem = f"the reference date is none ({error})"
    if problem is not None:
        raise DataError(
            f"the times of variable {name!r} are in {units!r}: {problem}",
            where=str(where),
            remedy="expected units such as 'minutes since 2015-05-15 15:45:00'",
        )
    per_second = _PARTS_OF_A_SECOND.get(unit)
    return _Clock(unit, 10**9 // per_second if per_second else _SECONDS[unit] * 10**9, reference)


def _reference(date: re.Match[str], calendar: str) -> int:
    """Nanoseconds from 1970 to a reference date. Raises `ValueError` for none."""
    year, month, day = (int(date[k] or date[k + 3]) for k in (1, 2, 3))
    hour, minute, second = (int(date[k] or 0) for k in (7, 8, 9))
    if calendar in ("standard", "gregorian") and (year, month, day) < (1582, 10, 15):
        days = _julian_day(year, month, day) - _julian_day_of_1970()
    else:
        days = (datetime.date(year, month, day) - datetime.date(1970, 1, 1)).days
    datetime.time(hour, minute, min(second, 59))
    sign = -1 if date[11] == "-" else 1
    offset = sign * (int(date[12] or 0) * 60 + int(date[13] or 0))
    seconds = days * 86400 + hour * 3600 + (minute - offset) * 60 + second
    return seconds * 10**9 + int((date[10] or "").ljust(9, "0")[:9])


def _julian_day(year: int, month: int, day: int) -> int:
    """The number of a day in the Julian calendar (Meeus, Astronomical Algorithms, 1991, chapter 7)."""
    if not (1 <= month <= 12 and 1 <= day <= 31):
        raise ValueError("month or day out of range")
    if month < 3:
        year, month = year - 1, month + 12
    return 1461 * (year + 4716) // 4 + 306001 * (month + 1) // 10000 + day - 1524


def _julian_day_of_1970() -> int:
    return 2440588


def _check_resolution(numbers: np.ndarray, clock: _Clock, name: str, where: object) -> None:
    """Raise `DataError` for floating-point numbers that cannot hold the steps between the times."""
    known = numbers[np.isfinite(numbers)].ravel() if numbers.dtype.kind == "f" else np.array([])
    if not len(known):
        return
    seconds = clock.nanoseconds / 1e9
    exact = float(np.spacing(np.abs(known).max())) * seconds
    with np.errstate(over="ignore", invalid="ignore"):  # such numbers are refused
        steps = np.diff(np.unique(known).astype(np.float64)) * seconds
        hours = known.astype(np.float64) * (seconds / 3600)
    if len(steps):
        coarse = exact > float(np.median(steps)) / 10
    else:
        coarse = exact > _COARSE_ALONE and bool((hours != np.round(hours)).any())
    if coarse or (exact > 1 and len(steps) + 1 < len(known)):
        raise DataError(
            f"the times of variable {name!r} are {known.dtype} numbers of {clock.unit} and exact to {exact:,.3g} s only: "
            "their steps are lost",
            where=str(where),
            remedy="write the times as float64, or as whole seconds or minutes",
        )


def _as_times(numbers: np.ndarray, clock: _Clock, units: str, name: str, where: object) -> np.ndarray:
    """Numbers as datetime64[ns], floating-point ones to the millisecond. Raises `DataError` beyond what can be stored."""
    known = np.isfinite(numbers) if numbers.dtype.kind == "f" else numbers != _NOT_A_TIME
    times: Any = np.full(numbers.shape, np.datetime64("NaT", "ns"))
    if not known.any():
        return np.asarray(times)
    values = numbers[known]
    beyond = (int(values.min()) - 1, int(values.max()) + 1)  # whole units
    ends = [clock.reference + end * clock.nanoseconds for end in beyond]
    if not _EARLIEST <= min(ends) <= max(ends) <= _LATEST:
        raise DataError(
            f"variable {name!r} holds times beyond the years 1678 to 2261 ({_words(ends[0])} to {_words(ends[1])}, "
            f"{units!r}), which cannot be stored",
            where=str(where),
            remedy="correct the times or their reference date",
        )
    if values.dtype.kind == "f":
        unit = clock.nanoseconds / 10**6
        since = np.rint(values.astype(np.longdouble) * unit).astype(np.int64) + round(clock.reference / 10**6)
        times[known] = (since * 10**6).astype("datetime64[ns]")
    else:
        ticks, rest = divmod(clock.reference, clock.nanoseconds)
        large = values.dtype == np.uint64 or abs(ticks) >= 2**62  # before they are added
        since = (values.astype(object if large else np.int64) + ticks) * clock.nanoseconds + rest
        times[known] = since.astype(np.int64).astype("datetime64[ns]")
    return np.asarray(times)


def _words(nanoseconds: int) -> str:
    """A time in words, whatever its year."""
    year = 1970 + nanoseconds // 31_556_952_000_000_000
    return f"year {year}" if abs(year) < 10**6 else "beyond a million years"
