"""SEVIR: Mark S. Veillette, Siddharth Samsi, Christopher J. Mattioli: "SEVIR: A Storm Event Imagery Dataset for Deep Learning
Applications in Radar and Satellite Meteorology", NeurIPS 2020. The radar part, vertically integrated liquid (VIL).

Files: `CATALOG.csv`, which says where and when each event was, and `data/vil/<year>/SEVIR_VIL_....h5` with `vil
(N, 384, 384, 49)` bytes, one event a row, a frame every 5 minutes. Events before June 2019 are for training, the others for the
test, as in the nowcasts of the paper; `validation` holds out the last ones before that. Pixels are between 0 and 1 here, as
255ths.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from framecast.data.readers.hdf5 import check, opened
from framecast.data.sets.clips import Clip, ClipData, Part, resized
from framecast.errors import DataError
from framecast.types import config

FRAMES = 49
TEST_FROM = "2019-06-01"


class _Event(NamedTuple):
    """Where an event lies, and when it was."""

    file: Path
    row: int
    time: str
    name: str


@config
class SEVIR(ClipData):
    """Storms over the United States: 65 minutes in, an hour out, a window every `stride` frames."""

    name: Literal["sevir"] = "sevir"
    size: int = 384
    context: int = 13
    horizon: int = 12
    stride: int = 12

    channels = 1

    def clips(self, part: Part) -> Iterator[Clip]:
        """One clip for each event, in the order of time."""
        length = self.context + self.horizon
        windows = [range(first, first + length) for first in range(0, FRAMES - length + 1, self.stride)]
        for event in _events(Path(self.path)):
            if (event.time >= TEST_FROM) == (part == "test"):
                yield Clip(event.name, windows, partial(_frames, event, self.size))


def _events(folder: Path) -> list[_Event]:
    """The events of the catalogue that VIL was stored for. Raises `DataError` for a catalogue that is none."""
    catalogue = folder / "CATALOG.csv"
    if not catalogue.is_file():
        raise DataError("no such file", where=catalogue, remedy="see `framecast datasets` for sevir")
    with catalogue.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        needed = {"id", "file_name", "file_index", "img_type", "time_utc"}
        if missing := needed - set(rows.fieldnames or ()):
            raise DataError(f"no column {', '.join(sorted(missing))}", where=catalogue)
        events = []
        for row in rows:
            if row["img_type"] == "vil":
                path = (folder / "data" / row["file_name"]).resolve()
                if not path.is_relative_to(folder.resolve()):
                    raise DataError(f"{row['file_name']} lies outside the folder", where=catalogue)
                if path.is_file():
                    events.append(_Event(path, int(row["file_index"]), row["time_utc"], row["id"]))
    return sorted(events, key=lambda event: (event.time, event.name))


def _frames(event: _Event, size: int, frames: Sequence[int]) -> np.ndarray:
    with opened(event.file, "SEVIR") as file:
        check(file["vil"], event.file)
        pixels = file["vil"][event.row]
    if pixels.ndim != 3 or pixels.shape[-1] != FRAMES:
        raise DataError(f"an event of shape {pixels.shape}, expected (384, 384, {FRAMES})", where=event.file)
    return np.stack([resized(pixels[..., k, None], size) for k in frames])
