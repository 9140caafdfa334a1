"""The command `framecast doctor`."""

from __future__ import annotations

import framecast


def doctor() -> None:
    """Check this installation: versions, compiled loops, GPU, optional packages, and how to install what is missing."""
    entries = framecast.check_installation()
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        print(f"{entry.name:<{width}}  {entry.state}")
        if entry.remedy:
            print(f"{'':<{width}}  -> {entry.remedy}")
