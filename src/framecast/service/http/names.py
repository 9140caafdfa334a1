"""The names that may stand in an address. Whatever does not match is not found: no text from outside becomes a path."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

LATEST = "latest"
_DOMAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_TIME = re.compile(r"[12][0-9]{7}T[0-9]{6}Z")
_FILE = re.compile(r"[a-z][a-z0-9_]{0,79}\.(nc|tif|png|json)")
_PRODUCT = re.compile(r"(observed|rate|accumulation)|exceedance_([0-9]{1,4}(?:\.[0-9]{1,3})?)|member_([0-9]{1,3})")
MEDIA_TYPES = {
    "nc": "application/x-netcdf",
    "tif": "image/tiff",
    "png": "image/png",
    "json": "application/json",
}
"""The types of the files that are given out, by suffix."""


class Product(NamedTuple):
    """What a tile shows: `kind` is observed, rate, accumulation, exceedance (of `threshold`) or member (number `member`)."""

    kind: str
    threshold: float = 0.0
    member: int = 0


def is_domain(text: str) -> bool:
    """Whether a text can be the name of a domain."""
    return _DOMAIN.fullmatch(text) is not None


def is_time(text: str) -> bool:
    """Whether a text is a time as in the names of folders, 20261129T120000Z."""
    return _TIME.fullmatch(text) is not None and _parse(text) is not None


def is_file(text: str) -> bool:
    """Whether a text can be the name of a file of a forecast."""
    return _FILE.fullmatch(text) is not None


def parse_product(text: str) -> Product | None:
    """The product that a text names; None if it names none."""
    match = _PRODUCT.fullmatch(text)
    if match is None:
        return None
    simple, threshold, member = match.groups()
    if simple:
        return Product(simple)
    return Product("exceedance", threshold=float(threshold)) if threshold else Product("member", member=int(member))


def compact(text: str) -> str:
    """A time in ISO 8601 as in the names of folders; another text as it may be, see `is_time`."""
    return text.replace("-", "").replace(":", "")


def seconds_of(name: str) -> float:
    """The time of a name that `is_time`, in seconds since 1970."""
    return datetime.strptime(name, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def name_of(seconds: float) -> str:
    """The name of a time in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")


def iso(seconds: float) -> str:
    """A time in seconds since 1970 as 2026-11-29T12:00:00Z."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _parse(name: str) -> float | None:
    try:
        return seconds_of(name)
    except ValueError:
        return None
