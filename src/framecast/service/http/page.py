"""The files of the page, read once at the start: an address finds one of them or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import framecast.service.page

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
INDEX = "index.html"


class File(NamedTuple):
    """A file of the page."""

    content: bytes
    media_type: str


def page_files() -> dict[str, File]:
    """The files of the page, by their path below it."""
    folder = Path(framecast.service.page.__file__).parent
    return {
        path.relative_to(folder).as_posix(): File(path.read_bytes(), _TYPES[path.suffix])
        for path in sorted(folder.rglob("*"))
        if path.suffix in _TYPES
    }
