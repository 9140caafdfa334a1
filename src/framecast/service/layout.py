"""Where what lies in the output of a domain, and the names of times.

OUT/DOMAIN/status.json                          replaced after each cycle
OUT/DOMAIN/cycles.jsonl                         one line for each expected time
OUT/DOMAIN/attempt.json                         the plan in progress, while a forecast is made
OUT/DOMAIN/frames/20261129T120000Z.nc           observed frames
OUT/DOMAIN/forecasts/20261129T120000Z/          one forecast, by its initial time: forecast.nc, cycle.json, products
OUT/DOMAIN/archive.zarr                         all forecasts, if chosen
OUT/DOMAIN/scores.csv                           scores of past forecasts
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from framecast.writing import write_text

Time = datetime.datetime
"""A time in UTC, with its zone."""
FORECAST = "forecast.nc"
"""The file of a forecast in its folder."""
_STAMP = "%Y%m%dT%H%M%SZ"
_NAMED = re.compile(r"\d{8}T\d{6}Z")


def utc_now() -> Time:
    """The time on the clock of the machine."""
    return datetime.datetime.now(datetime.UTC)


def name_of(time: Time) -> str:
    """A time as the name of a file: 20261129T120000Z."""
    return time.strftime(_STAMP)


def time_of(name: str) -> Time | None:
    """The time in a name that `name_of` gave, without its suffix; None for any other name."""
    if not _NAMED.fullmatch(name):
        return None
    try:
        return datetime.datetime.strptime(name, _STAMP).replace(tzinfo=datetime.UTC)
    except ValueError:
        return None


def iso(time: Time) -> str:
    """A time in ISO 8601: 2026-11-29T12:00:00Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def from_iso(text: str) -> Time:
    """The time that `iso` wrote. Raises `ValueError`."""
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.UTC)


def from_stamp(stamp: Any) -> Time:
    """A datetime64 as a time."""
    seconds = int(np.datetime64(stamp, "s").astype(np.int64))
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def to_stamp(time: Time) -> np.datetime64:
    """A time as a datetime64 to the nanosecond."""
    return np.datetime64(time.replace(tzinfo=None), "ns")


class Layout:
    """The paths of one domain."""

    def __init__(self, out: str | Path, domain: str) -> None:
        self.folder = Path(out) / domain
        self.status = self.folder / "status.json"
        self.cycles = self.folder / "cycles.jsonl"
        self.attempt = self.folder / "attempt.json"
        self.scores = self.folder / "scores.csv"
        self.archive = self.folder / "archive.zarr"
        self.frames = self.folder / "frames"
        self.forecasts = self.folder / "forecasts"
        self.log = self.folder / "service.log"

    def frame(self, time: Time) -> Path:
        """The file of an observed frame."""
        return self.frames / f"{name_of(time)}.nc"

    def forecast(self, time: Time) -> Path:
        """The folder of the forecast with that initial time."""
        return self.forecasts / name_of(time)


def times_in(folder: Path) -> Iterator[tuple[Time, Path]]:
    """What lies in a folder under the name of a time, in order of time; nothing if there is no such folder."""
    entries = folder.iterdir() if folder.is_dir() else ()
    named = [(time, entry) for entry in entries if (time := time_of(entry.name.removesuffix(".nc"))) is not None]
    yield from sorted(named)


def write_json(path: Path, content: Any) -> None:
    """Replace a JSON file in one step. Raises `RunError`."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
