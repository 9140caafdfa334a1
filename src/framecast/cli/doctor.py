"""The command `framecast doctor`."""

from __future__ import annotations


def doctor() -> None:
    """Check this installation: versions, compiled loops, GPU, optional packages, and how to install what is missing."""
    from framecast.workflows.doctor import examine

    entries = examine()
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        print(f"{entry.name:<{width}}  {entry.state}")
        if entry.remedy:
            print(f"{'':<{width}}  -> {entry.remedy}")
