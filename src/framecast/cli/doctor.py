"""The command `framecast doctor`."""

from __future__ import annotations

from typing import TypedDict

import framecast
from framecast.cli.options import command


class DoctorEntry(TypedDict):
    name: str
    state: str
    remedy: str


class DoctorResult(TypedDict):
    entries: list[DoctorEntry]


@command
def doctor() -> DoctorResult:
    """Check this installation: versions, compiled loops, GPU, optional packages, and how to install what is missing."""
    entries = framecast.check_installation()
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        print(f"{entry.name:<{width}}  {entry.state}")
        if entry.remedy:
            print(f"{'':<{width}}  -> {entry.remedy}")
    return {"entries": [{"name": each.name, "state": each.state, "remedy": each.remedy} for each in entries]}
