"""Times in the names of files, in UTC: `rain_20240331_1205.png`, `2024-03-31T12-05-00Z`, `2024091_1205` (day of the year).

An offset from UTC (`+0200`) and a clock of 12 hours (`0105PM`) are read. Names that hold a time which could be read in more than
one way (years of two digits, the day before the month, zones by name) are refused by `archives.names`, which would otherwise take
a part of the time for the number of a frame.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

import numpy as np

_CLOCK = r"(?P<hour>\d{2})(?:[-_:.]?(?P<minute>\d{2})|[hH](?P<minute_h>\d{2})[mM]?)(?:[-_:.]?(?P<second>\d{2})s?)?"
_SPACED_CLOCK = r"(?P<hour>\d{2}) (?P<minute>\d{2})(?: (?P<second>\d{2}))?"
_AFTER = (
    r"(?:\.\d{1,9}(?=[Zz]|[+]))?(?:[-_ ]?(?P<half>[AaPp])\.?[Mm](?![A-Za-z]))?"
    r"(?:[-_ ]?(?i:Z|UTC|GMT)(?![A-Za-z])|(?P<offset>[+]\d{2}(?:[-_:]?\d{2})?))?(?!\d)"
)
_YEAR = r"(?<!\d)(?P<year>(?:19|20)\d{2})"
_DATE = rf"{_YEAR}[-_.]?(?P<month>\d{{2}})[-_.]?(?P<day>\d{{2}})"
_SPACED_DATE = rf"{_YEAR} (?P<month>\d{{2}}) (?P<day>\d{{2}})"
_BETWEEN = r"(?:[-_Tt .]| at |-S)"
_HOUR = r"(?P<hour>[01]\d|2[0-3])"
_GOES = (
    r"(?<=[-_][sec])(?P<year>20\d{2})(?P<day_of_year>\d{3})(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})\d(?!\d)"
)
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        _GOES,
        rf"{_DATE}{_BETWEEN}?{_CLOCK}{_AFTER}",
        rf"{_YEAR}[-_.]?(?P<day_of_year>\d{{3}})[-_Tt .]?{_CLOCK}{_AFTER}",
        rf"{_SPACED_DATE}{_BETWEEN}{_CLOCK}{_AFTER}",
        rf"{_DATE}{_BETWEEN}{_SPACED_CLOCK}{_AFTER}",
        rf"{_SPACED_DATE}{_BETWEEN}{_SPACED_CLOCK}{_AFTER}",
        rf"{_DATE}[-_Tt .]?[hH](?P<hour>\d{{2}})[mM](?P<minute>\d{{2}})(?:[sS](?P<second>\d{{2}}))?{_AFTER}",
        rf"{_DATE}(?:[Tt]|(?<=\d{{8}}))(?P<hour>\d{{2}})(?P<minute>\d{{2}})(?P<second>\d{{2}})(?:\d{{3}}){{1,2}}{_AFTER}",
        rf"{_DATE}[Tt]{_HOUR}{_AFTER}(?![.,]\d)",
        rf"{_DATE}[-_Tt .]?{_HOUR}[Zz](?![A-Za-z\d])",
        rf"{_YEAR}(?P<month>\d{{2}})(?P<day>\d{{2}}){_HOUR}(?!\d)",
        rf"(?<!\d[-_.]){_DATE}(?![-_T .]?\d)",
        rf"(?<!\d[-_. ]){_SPACED_DATE}(?![-_T .]?\d)",
    )
)
"""The first is that of GOES, to a tenth of a second, the eighth ends with milliseconds or microseconds, the next three with the
hour, and the last two with the day, whose frame is that of midnight."""
_ZONES = (
    r"CES?T|EES?T|WES?T|MES?Z|BST|MSK|[ECMP][SD]T|AKST|HST|JST|KST|HKT|SGT|IST|AE[SD]T|ACST|AWST|NZ[SD]T|BRT|ART|SAST|L[ST]?T|"
    r"EST5EDT|CST6CDT|MST7MDT|PST8PDT|(?:Europe|America|Asia|Africa|Australia|Pacific)[/_-][A-Z]|(?i:local|localtime|cest?|mesz)"
)
_CLOCK_DIGITS = r"(?:[01]\d|2[0-3])[-_:.h]?[0-5]\d(?:[-_:.m]?[0-5]\d)?"
_MONTH, _DAY = r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_MONTH_NAME = (
    r"(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)"
)
WHOLE_DATE = re.compile(
    rf"(?<!\d)(?:19|20)\d{{2}}(?:[-_.]?{_MONTH}[-_.]?{_DAY}| {_MONTH} {_DAY})(?=(?:[-_Tt ]?\d{{4}}(?:\d{{2}})?)?(?!\d))"
)
"""A date that nothing is missing of, with or without a clock after it."""
_ORDERS = (
    *("a year of two digits", "digits after the seconds"),
    *("the year after the day and the month", "a month by its name", "a month or a day of one digit"),
)
"""What is no matter beside a time with a whole year: of the first two in any name, of the others where they lie apart."""
_HALF = "a clock of 12 hours"
_UNCLEAR = {
    _ORDERS[0]: re.compile(
        rf"(?<!\d)(?:(?!00)\d{{2}}{_MONTH}{_DAY}[-_T ]?{_CLOCK_DIGITS}|\d{{2}}[-_.]{_MONTH}[-_.]{_DAY}[-_T ]{_CLOCK_DIGITS}"
        rf"|(?!00)\d{{2}}(?:[0-2]\d\d|3[0-6]\d){_CLOCK_DIGITS})(?!\d)"
    ),
    _ORDERS[1]: re.compile(rf"(?<!\d)(?:19|20)\d{{2}}{_MONTH}{_DAY}(?:[01]\d|2[0-3])(?:[0-5]\d){{2}}\d+"),
    _ORDERS[2]: re.compile(rf"(?<!\d)(?:{_DAY}[-_.]?{_MONTH}|{_MONTH}[-_.]?{_DAY})[-_.]?(?:19|20)\d{{2}}(?!\d{{3}})"),
    _ORDERS[3]: re.compile(
        rf"\d[-_. ]?{_MONTH_NAME}[-_. ]?\d|(?<![A-Za-z]){_MONTH_NAME}[-_. ]?\d{{1,2}}[-_., ]+(?:19|20)\d{{2}}"
    ),
    _ORDERS[4]: re.compile(
        r"(?<!\d)(?:19|20)\d{2}(?:-(?:\d-\d\d?|\d\d-\d)(?!\d)|[._ ](?:\d[._ ]\d\d?|\d\d[._ ]\d)[-_T ]\d\d?[-:.h]\d\d)"
    ),
    _HALF: re.compile(r"\d(?:[-_ ]?[AaPp]\.?[Mm](?![A-Za-z])|[AaPp]$)"),
}
_UNCLEAR_AFTER = {
    "a time zone by its name, where UTC or an offset is expected": re.compile(
        rf"(?:\.\d+)?[-_ .(]*(?:{_ZONES})(?![A-Z])"
    ),
    "an offset from UTC, or the end of an interval, after the time": re.compile(
        r"(?:\.\d+)?[-_ ]?(?:(?i:UTC|GMT)(?:[-_ ]?[-+]|)\d|-(?:0\d|1[0-2])[:_]?(?:00|15|30|45)(?!\d))"
    ),
}
"""What may follow a time and change its meaning."""
_LOCAL_BEFORE = re.compile(r"(?<![A-Za-z])(?:LS?T|(?i:local[-_ ]?time))[-_ ]?$")
_TIME_APART = re.compile(
    rf"(?<![A-Za-z\d])(?i:t|time|at|utc|gmt)?(?:{_CLOCK_DIGITS}|(?:[01]\d|2[0-3])[zZ])(?![A-Za-z\d])"
    r"|(?<=-date-)(?:[-_Tt ]?\d{4}(?:\d{2})?(?!\d)"
    rf"|(?:[A-Za-z]|[-_ .][hH]){_CLOCK_DIGITS}(?![A-Za-z\d])"
    r"|[-_Tt .]?(?:\d[-:.hH][0-5]\d|(?:[01]\d|2[0-3])[-:.hH]\d)m?(?![A-Za-z\d]))"
)
"""A clock before or after a date, also one with an hour or a minute of one digit, and digits after it that are none."""


def time_in_name(name: str) -> np.datetime64 | None:
    """The date and time in a file's name (`66_20201031_001000.prcp`, `2020103100`), None where there is none that is clear."""
    if why_unclear(name) is not None:
        return None
    return next((_time(match.groupdict()) for match in _matches(name)), None)


def why_unclear(name: str) -> str | None:
    """Why the time in a name cannot be read; None where it can, and where there is none."""
    clear = [*_matches(name)]
    timed = [match for match in clear if match.groupdict().get("hour")]
    for match in timed:
        tail = name[max(match.end(part) for part, value in match.groupdict().items() if value) :]
        for why, pattern in _UNCLEAR_AFTER.items():
            if pattern.match(tail):
                return why
        if _LOCAL_BEFORE.search(name[: match.start()]):
            return next(iter(_UNCLEAR_AFTER))
    for why, pattern in _UNCLEAR.items():
        for match in pattern.finditer(name):
            apart = any(other.end() <= match.start() or other.start() >= match.end() for other in clear)
            if (why in _ORDERS[:2] and clear) or (why in _ORDERS[2:] and apart):
                continue
            if why == _HALF and any(other.groupdict().get("half") for other in clear):
                continue
            return why
    date = None if timed else WHOLE_DATE.search(name)
    if date is not None and _TIME_APART.search(f"{name[: date.start()]}-date-{name[date.end() :]}"):
        return "a date, and no time of the day after it"
    return None


def _matches(name: str) -> Iterator[re.Match[str]]:
    """The dates and times in a name, those of one pattern after those of another. What is none ends where it begins: in
    `CASE2019_20240331` the date begins with digits that could belong to one of 2019."""
    for pattern in _PATTERNS:
        start = 0
        while (match := pattern.search(name, start)) is not None:
            valid = _valid(match)
            start = match.end() if valid else match.start() + 1
            if valid:
                yield match


def _valid(match: re.Match[str]) -> bool:
    try:
        _time(match.groupdict())
    except ValueError:
        return False
    return True


def _time(parts: dict[str, str | None]) -> np.datetime64:
    """The time in UTC of the parts of a name. Raises `ValueError` for none."""
    year, hour = int(parts["year"] or 0), int(parts.get("hour") or 0)
    minute = int(parts.get("minute") or parts.get("minute_h") or 0)
    half = (parts.get("half") or "").lower()
    if half:
        if not 1 <= hour <= 12:
            raise ValueError("no hour of a clock of 12")
        hour = hour % 12 + 12 * (half == "p")
    if day_of_year := parts.get("day_of_year"):
        date = datetime.datetime.strptime(f"{year} {day_of_year}", "%Y %j")
    else:
        date = datetime.datetime(year, int(parts["month"] or 0), int(parts["day"] or 0))
    time = date.replace(hour=hour, minute=minute, second=int(parts.get("second") or 0))
    if offset := parts.get("offset"):
        digits = re.sub(r"\D", "", offset).ljust(4, "0")
        hours, minutes = int(digits[:2]), int(digits[2:])
        if hours > 14 or minutes > 59:
            raise ValueError("no offset from UTC")
        time -= datetime.timedelta(hours=hours, minutes=minutes)
    return np.datetime64(time, "ns")
