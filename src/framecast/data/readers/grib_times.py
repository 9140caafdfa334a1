"""Times of GRIB messages as GDAL describes them: over what time a message of edition 2 accumulates, and whether it is a forecast.

Source: WMO Manual on Codes, FM 92 GRIB edition 2, templates 4.8 and 4.11, code tables 1.4, 4.4 and 4.10.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_MINUTES = {0: 1.0, 1: 60.0, 2: 1440.0, 10: 180.0, 11: 360.0, 12: 720.0, 13: 1 / 60}
_INTERVAL = {"8": 15, "11": 18, "12": 17}
"""By the number of the template: where the end of its interval stands among its values."""
_ACCUMULATION = 1
_HOURS_OF_MRMS = re.compile(r"_(\d{2})H(?:_|$)")


def accumulated_minutes(tags: Mapping[str, str]) -> float | None:
    """The minutes over which a message of edition 2 accumulates, from the `tags` of its band; None for one that does not."""
    if hours := _HOURS_OF_MRMS.search(tags.get("GRIB_ELEMENT", "")):
        return 60.0 * int(hours[1])
    start = _INTERVAL.get(tags.get("GRIB_PDS_PDTN", ""))
    values = tags.get("GRIB_PDS_TEMPLATE_ASSEMBLED_VALUES", "").split()
    if start is None or len(values) < start + 12:
        return None
    statistic, _, unit, length = map(int, values[start + 8 : start + 12])
    minutes = length * _MINUTES.get(unit, 0)
    return minutes if statistic == _ACCUMULATION and minutes > 0 else None


def lead_seconds(tags: Mapping[str, str], minutes: float | None) -> float:
    """How long after the time of its run a message begins, an accumulation over `minutes` with its interval; an accumulation that
    begins with its run is one of observations unless it says that it is a forecast."""
    valid, reference = (float(tags.get(f"GRIB_{name}_TIME", "0").split()[0]) for name in ("VALID", "REF"))
    is_forecast = "TYPE=1(" in tags.get("GRIB_IDS", "")
    return valid - reference - (0 if is_forecast or minutes is None else 60 * minutes)
