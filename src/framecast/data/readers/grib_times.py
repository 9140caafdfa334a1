"""GRIB messages as GDAL describes them: over what time one of edition 2 accumulates, whether it is a forecast, if they are alike.

Source: WMO Manual on Codes, FM 92 GRIB edition 2, templates 4.1, 4.8 and 4.11, code tables 1.4, 4.4 and 4.10.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from framecast.errors import DataError

_MINUTES = {0: 1.0, 1: 60.0, 2: 1440.0, 10: 180.0, 11: 360.0, 12: 720.0, 13: 1 / 60}
_INTERVAL = {"8": 15, "11": 18, "12": 17}
"""By the number of the template: where the end of its interval stands among its values."""
_STATISTICS = (0, 1)
"""Averages and accumulations, in code table 4.10."""
_EXTREMES = {2: "maximum", 3: "minimum"}
_HOURS_OF_MRMS = re.compile(r"_(\d{2})H(?:_|$)")


def interval_of(tags: Mapping[str, str], name: str, path: Path) -> float | None:
    """The minutes over which a message of edition 2 is an average or an accumulation, from the `tags` of its band; None for that
    of a moment. Raises `DataError` for the largest or smallest of an interval."""
    if hours := _HOURS_OF_MRMS.search(tags.get("GRIB_ELEMENT", "")):
        return 60.0 * int(hours[1])
    start = _INTERVAL.get(tags.get("GRIB_PDS_PDTN", ""))
    values = tags.get("GRIB_PDS_TEMPLATE_ASSEMBLED_VALUES", "").split()
    if start is None or len(values) < start + 12:
        return None
    statistic, _, unit, length = map(int, values[start + 8 : start + 12])
    minutes = length * _MINUTES.get(unit, 0)
    if statistic in _EXTREMES:
        raise DataError(
            f"{name} is the {_EXTREMES[statistic]} over {minutes:g} minutes, no rate or amount",
            where=path,
            remedy="give averages, accumulations or fields of a moment",
        )
    return minutes if statistic in _STATISTICS and minutes > 0 else None


def lead_seconds(tags: Mapping[str, str], minutes: float | None) -> float:
    """How long after the time of its run a message begins, one of an interval of `minutes` with that; an interval that begins
    with its run is one of observations unless it says that it is a forecast."""
    valid, reference = (float(tags.get(f"GRIB_{name}_TIME", "0").split()[0]) for name in ("VALID", "REF"))
    is_forecast = "TYPE=1(" in tags.get("GRIB_IDS", "")
    return valid - reference - (0 if is_forecast or minutes is None else 60 * minutes)


def check_alike(tags: Mapping[int, Mapping[str, str]], name: str, path: Path) -> None:
    """Raise `DataError` if the messages of one element, their tags by band, are of several levels or members."""
    levels = sorted({each.get("GRIB_SHORT_NAME", "") for each in tags.values()})
    members = sorted({_member(each) or "" for each in tags.values()})
    for what, kinds, key in (("levels", levels, "level"), ("members", members, "number")):
        if len(kinds) > 1:
            raise DataError(
                f"{name} of several {what}: {', '.join(kinds[:10])}{', ...' * (len(kinds) > 10)}",
                where=path,
                remedy=f"write one to a file of its own: grib_copy -w {key}={re.split('[^0-9]', kinds[0])[0]} IN OUT",
            )


def check_sums(intervals: Sequence[tuple[datetime.datetime, float | None]], name: str, path: Path) -> None:
    """Raise `DataError` if several of the `intervals`, each its end and its minutes, begin together: sums since a beginning."""
    ends: dict[datetime.datetime, datetime.datetime] = {}
    for end, minutes in intervals:
        begin = end - datetime.timedelta(minutes=minutes or 0)
        if minutes is not None and ends.setdefault(begin, end) != end:
            raise DataError(
                f"{name} holds sums since {begin:%Y-%m-%d %H:%M} UTC, up to {min(end, ends[begin]):%H:%M} and to "
                f"{max(end, ends[begin]):%H:%M}",
                where=path,
                remedy="write their differences, the amount of each step: cdo deltat IN OUT, or xarray.Dataset.diff",
            )


def _member(tags: Mapping[str, str]) -> str | None:
    """The number of the member of an ensemble, in templates 4.1 and 4.11."""
    values = tags.get("GRIB_PDS_TEMPLATE_ASSEMBLED_VALUES", "").split()
    return values[16] if tags.get("GRIB_PDS_PDTN") in ("1", "11") and len(values) > 16 else None
