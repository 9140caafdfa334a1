"""What the Finnish Meteorological Institute writes into its files: the items in the metadata of a GeoTIFF, and times."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from framecast.errors import UnreadableFile, shown

_ITEM = re.compile(r'<Item name="([^"<>]{1,80})"([^<>]{0,200})>([^<>]{0,200})</Item>')
_UNIT = re.compile(r'unit="([^"]*)"')
_DIGITS = re.compile(r"(\d{8})(\d{4}(?:\d{2})?)(?!\d)")
_DATE = 10
"""Letters of a date alone, which is no time."""


class Items(NamedTuple):
    """The texts of the items of GDAL metadata by name in small letters, and the units that the quantity has there."""

    texts: dict[str, str]
    units: str | None
    path: Path

    @classmethod
    def of(cls, metadata: str, path: Path) -> Items:
        """The items in the metadata of the file `path`."""
        items = _ITEM.findall(metadata)
        unit = next((_UNIT.search(rest) for name, rest, _ in items if name.lower() == "quantity"), None)
        return cls({name.lower(): value.strip() for name, _, value in items}, unit[1] if unit else None, path)

    def factor(self, name: str, default: float) -> float:
        """A finite number, the gain other than 0; the default where there is no such item. Raises `UnreadableFile`."""
        (value,) = self.codes(name) or (default,)
        if name in self.texts and not (np.isfinite(value) and (value or name != "gain")):
            raise self._error(name, "a number")
        return value

    def codes(self, name: str) -> tuple[float, ...]:
        """The number in an item as a code; none where there is no such item. Raises `UnreadableFile`."""
        try:
            return (float(self.texts[name]),) if name in self.texts else ()
        except ValueError as error:
            raise self._error(name, "a number") from error

    def time(self) -> datetime.datetime | None:
        """The time of the observation; None if it is not stated. Raises `UnreadableFile`."""
        name = "observation time"
        try:
            return parse_time(self.texts[name]) if name in self.texts else None
        except ValueError as error:
            raise self._error(name, "202403311205 or 2024-03-31T12:05:00Z") from error

    def _error(self, name: str, expected: str) -> UnreadableFile:
        return UnreadableFile(
            f"the item {name.capitalize()} of its metadata is {shown(self.texts[name])}, expected {expected}",
            where=self.path,
            remedy="correct it in the file",
        )


def parse_time(text: str) -> datetime.datetime:
    """A time as 202403311205, with or without seconds, or as ISO 8601 has it. Raises `ValueError`."""
    if digits := _DIGITS.match(text):
        text = f"{digits[1]}T{digits[2]}"
    if len(text) <= _DATE:
        raise ValueError(f"{text!r} is no time")
    return datetime.datetime.fromisoformat(text)
