"""Compare the frames of an archive with those of a record: which are still there, which are gone, changed or new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from framecast.data.coverage import coverage
from framecast.data.windows.index import Window
from framecast.data.windows.record import FrameTable, times_of
from framecast.data.windows.splits import NAMES, NONE
from framecast.errors import DataError, counted

REMOTE_SAMPLES = 16
"""Frames of an archive at a remote address that are compared when it is opened again."""


@dataclass
class Changes:
    """What has changed in the data at `where` since training; `lost` is what a split needs."""

    where: str
    notes: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Raise `DataError` if a split needs what is gone or has changed."""
        if self.lost:
            raise DataError(
                f"the data are no longer those that the run was trained on: {'; '.join([*self.lost, *self.notes])}",
                where=self.where,
                remedy="restore them; a model can also be evaluated on other data, where frames of training are left out",
            )


@dataclass(frozen=True)
class Match:
    """The recorded frames of an archive that are still the same, their table, and the new position of each recorded time, -1 for
    one that is gone or has changed; `complete` if none is."""

    frames: xr.DataArray
    table: FrameTable
    positions: np.ndarray
    complete: bool


def match_frames(
    frames: xr.DataArray, table: FrameTable, same: bool, number: int, splits: Sequence[str], changes: Changes
) -> Match:
    """Find the recorded frames among those of an archive; frames of the `splits` that are gone or have changed are lost."""
    times, clock = times_of(frames)
    label = f"archive {number + 1}, " if number else ""
    sequences = min(frames.sizes.get("sequence", 1), len(table.labels))
    positions = np.searchsorted(times, table.times)
    present = (positions < len(times)) & (clock == table.clock)
    present[present] = times[positions[present]] == table.times[present]
    intact = np.zeros(table.labels.shape, dtype=bool)
    intact[:sequences] = present
    if new := len(times) - int(present.sum()):
        changes.notes.append(f"{label}{counted(new, 'frame')} new since training, not used")
    if not same or new:
        intact &= _unchanged(frames, table, positions, present, sequences)
    for what, mask in (("gone", ~present), ("changed", present)):
        lost = np.zeros_like(intact)
        lost[:sequences] = mask & ~intact[:sequences]
        _note_lost(f"{label}%s frames %s: {what}", table, lost, splits, changes)
    if sequences < len(table.labels):
        changes.lost.append(f"{label}{counted(len(table.labels) - sequences, 'sequence is', 'sequences are')} gone")
    intact_times = np.flatnonzero(intact.any(0))
    new_positions = np.full(len(table.times), -1)
    new_positions[intact_times] = np.arange(len(intact_times))
    labels = np.where(intact, table.labels, NONE).astype(np.int8)
    reduced = table._replace(labels=labels).take(sequences, intact_times)
    if "sequence" in frames.dims and frames.sizes["sequence"] != sequences:
        frames = frames.isel(sequence=slice(sequences))
    if not np.array_equal(positions[intact_times], np.arange(len(times))):
        frames = frames.isel(time=positions[intact_times])
    return Match(frames, reduced, new_positions, bool(intact.all()))


def _unchanged(
    frames: xr.DataArray, table: FrameTable, positions: np.ndarray, present: np.ndarray, sequences: int
) -> np.ndarray:
    """Which of the recorded frames have the same content `(S, T)`; of a remote archive some are read."""
    samples = np.flatnonzero(present)
    remote = "source" in frames.coords and "://" in str(frames["source"].values.ravel()[0])
    if remote:
        samples = samples[
            np.unique(np.linspace(0, len(samples) - 1, min(REMOTE_SAMPLES, len(samples))).round().astype(int))
        ]
    result = np.ones(table.labels.shape, dtype=bool)
    if len(samples):
        digests = coverage(frames.isel(time=positions[samples]), digests=True)["digest"].values.reshape(
            -1, len(samples)
        )
        result[:sequences, samples] = digests[:sequences] == table.digests[:sequences, samples]
    return result


def _note_lost(text: str, table: FrameTable, mask: np.ndarray, splits: Sequence[str], changes: Changes) -> None:
    """Note frames that are gone or have changed: as lost if one of the `splits` has them."""
    for name in NAMES:
        in_split = (mask & (table.labels == NAMES.index(name))).any(0)
        if in_split.any():
            message = text % (name, table.stamps(in_split))
            (changes.lost if name in splits else changes.notes).append(message)


def move_windows(windows: Sequence[Window], matches: Sequence[Match], length: int) -> tuple[Window, ...]:
    """The windows of a split at the new positions of their frames, without those that have lost one."""
    if all(match.complete for match in matches):
        return tuple(windows)
    moved = []
    for window in windows:
        match = matches[window.archive]
        places = match.positions[window.start : window.start + length]
        present = window.sequence < len(match.table.labels) and bool((places >= 0).all())
        if present and (match.table.labels[window.sequence, places] != NONE).all():
            moved.append(window._replace(start=int(places[0])))
    return tuple(moved)
