"""The names of several runs that are compared. Imports nothing slow, so that a run named twice is refused at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from framecast.checks import as_path, as_tuple
from framecast.errors import ArgumentError
from framecast.reading.paths import as_utf8


def name_runs(runs: Mapping[str, str | Path] | Sequence[str | Path]) -> dict[str, Path]:
    """Runs by the names of their folders, or by their paths if two folders have the same name. Raises `ArgumentError` if `runs`
    are not paths, or if one is given twice."""
    if isinstance(runs, Mapping):
        return {name: as_path(run, "the folder of a run", "runs") for name, run in runs.items()}
    folders = [
        as_path(run, "the folder of a run", "runs")
        for run in ([runs] if isinstance(runs, str | Path) else as_tuple(runs, "runs"))
    ]
    for k, folder in enumerate(folders):
        if folder.resolve() in {each.resolve() for each in folders[:k]}:
            raise ArgumentError(f"{folder} is given twice", parameter="runs", remedy="name each run once")
    by_name = {as_utf8(folder.resolve().name): folder for folder in folders}
    return by_name if len(by_name) == len(folders) else {as_utf8(str(folder)): folder for folder in folders}
