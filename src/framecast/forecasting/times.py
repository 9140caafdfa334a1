"""Times and durations that people state: 15min, 2026-11-29T12:00Z."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from framecast.checks import describe
from framecast.errors import ArgumentError

Duration = np.timedelta64 | timedelta | str
Time = np.datetime64 | datetime | str
_UNITS = (("days", 86400), ("hours", 3600))


def as_duration(value: Any, parameter: str) -> np.timedelta64:
    """A duration above 0: a timedelta, or a text such as 15min, 90s or 1h. Raises `ArgumentError`."""
    try:
        duration = pd.Timedelta(value) if isinstance(value, Duration) else pd.NaT
    except (ValueError, OverflowError):
        duration = pd.NaT
    if duration is pd.NaT or duration <= pd.Timedelta(0):
        raise ArgumentError(f"{describe(value)} is no duration", parameter=parameter, example="15min")
    return np.timedelta64(duration.value, "ns")


def as_time(value: Any, parameter: str) -> np.datetime64:
    """A time in UTC, of a datetime or a text; without a zone it is in UTC already. Raises `ArgumentError`."""
    try:
        time = pd.Timestamp(value) if isinstance(value, Time) else pd.NaT
    except (ValueError, OverflowError):
        time = pd.NaT
    if time is pd.NaT:
        raise ArgumentError(f"{describe(value)} is no time", parameter=parameter, example="2026-11-29T12:00Z")
    if time.tzinfo is not None:
        time = time.tz_convert("UTC").tz_localize(None)
    return np.datetime64(time.to_datetime64(), "ns")


def present() -> np.datetime64:
    """The time now, in UTC."""
    return np.datetime64(datetime.now(UTC).replace(tzinfo=None), "ns")


def in_words(seconds: float) -> str:
    """A duration as people read it: in minutes, from two hours on in hours, from two days on in days."""
    unit, length = next(((name, each) for name, each in _UNITS if abs(seconds) >= 2 * each), ("minutes", 60))
    return f"{seconds / length:.2g} {unit}" if abs(seconds) < 10 * length else f"{seconds / length:,.0f} {unit}"
