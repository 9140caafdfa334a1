"""The command that prints what an installation has, and what it lacks."""

from __future__ import annotations


def doctor() -> None:
    """Print what this installation has: versions, compiled loops, a GPU, optional parts, and how to add what is missing."""
    from framecast.workflows.doctor import examine

    entries = examine()
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        print(f"{entry.name:<{width}}  {entry.state}")
        if entry.remedy:
            print(f"{'':<{width}}  -> {entry.remedy}")
