"""Frames that a run was trained on, recognised in any data by time and content, or by time and place.

The content is that of all pixels. A crop of a frame, its field at another resolution or from another radar is known by its place,
where both are on a map; elsewhere `shared_times` tells that there may be such.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from framecast.data.coverage import tells_nothing
from framecast.data.place import Bounds, is_same_place
from framecast.data.windows.record import DataRecord, FrameTable
from framecast.data.windows.splits import NAMES


class KnownFrames:
    """The frames of some records that are in one split."""

    def __init__(self, records: Iterable[DataRecord], split: str) -> None:
        label = NAMES.index(split)
        self._times: set[int] = set()
        self._frames: set[tuple[int, int]] = set()
        self._contents: set[int] = set()
        self._without_clock: set[int] = set()
        self._places: list[tuple[Bounds, set[int]]] = []
        for table in (archive.table for record in records for archive in record.archives):
            sequences, times = np.nonzero(table.labels == label)
            digests, stamps = table.digests[sequences, times], table.times[times]
            contents = digests[~tells_nothing(digests)].tolist()
            self._contents.update(contents)
            if table.clock:
                self._times.update(stamps.tolist())
                self._frames.update(zip(stamps.tolist(), digests.tolist(), strict=True))
                if table.bounds is not None:
                    self._places.append((table.bounds, set(stamps.tolist())))
            else:
                self._without_clock.update(contents)

    def mask(self, table: FrameTable) -> np.ndarray:
        """Which of the frames of an archive are known, `(S, T)`. Frames with times are known by time and content, or by time
        and place; others by content alone. One that is all dry is known at a known time, unless most others at known times are
        not."""
        clock, times, digests = table.clock, table.times, table.digests
        contents = self._without_clock if clock else self._contents
        varied = ~tells_nothing(digests)
        known: np.ndarray = _are_in(digests, contents) & varied
        if not clock:
            return known
        pairs = zip(np.broadcast_to(times, digests.shape).ravel().tolist(), digests.ravel().tolist(), strict=True)
        same = np.fromiter((pair in self._frames for pair in pairs), bool, digests.size).reshape(digests.shape)
        others = varied & self.shared_times(table)
        if same[others].sum() * 2 < others.sum():
            same &= varied
        return np.asarray(known | same | self._at_same_place(table))

    def _at_same_place(self, table: FrameTable) -> np.ndarray:
        """Which of the times of an archive are those of known frames of the same place, `(T,)`."""
        here = [times for bounds, times in self._places if table.bounds and is_same_place(bounds, table.bounds)]
        return _are_in(table.times, set().union(*here))

    def shared_times(self, table: FrameTable) -> np.ndarray:
        """Which of the times of an archive are those of known frames, `(T,)`."""
        return _are_in(table.times, self._times) if table.clock else np.zeros(len(table.times), dtype=bool)


def _are_in(values: np.ndarray, known: set[int]) -> np.ndarray:
    members = np.fromiter((value in known for value in values.ravel().tolist()), bool, values.size)
    return np.asarray(members.reshape(values.shape))
