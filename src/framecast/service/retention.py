"""Deletes what the service wrote and is older than its retention: forecasts and frames by the time in their names.

An entry is only touched if its name is one that the service gives; a forecast folder also needs its record inside.
"""

from __future__ import annotations

import datetime
import logging

from framecast.errors import RunError
from framecast.service.layout import Layout, Time, times_in
from framecast.service.ledger import RECORD
from framecast.service.settings import Retention
from framecast.writing import discard

_log = logging.getLogger(__name__)


def delete_old(layout: Layout, retention: Retention, now: Time) -> int:
    """Delete forecasts and frames that are too old; returns how many. What cannot be deleted is logged."""
    count = 0
    for folder, hours in ((layout.forecasts, retention.forecasts), (layout.frames, retention.frames)):
        for time, path in times_in(folder):
            if time >= now - datetime.timedelta(hours=hours):
                break
            ours = (path / RECORD).is_file() if folder == layout.forecasts else path.is_file() and path.suffix == ".nc"
            if not ours or path.is_symlink():
                continue
            try:
                discard(path)
                count += 1
            except RunError as error:
                _log.warning("%s: cannot be deleted: %s", path, error.what)
    return count
