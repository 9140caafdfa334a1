"""SEVIR: Mark S. Veillette, Siddharth Samsi, Christopher J. Mattioli: "SEVIR: A Storm Event Imagery Dataset for Deep Learning
Applications in Radar and Satellite Meteorology", NeurIPS 2020. The radar part, vertically integrated liquid (VIL).

Files: `CATALOG.csv`, which lists file, row and time of each event, and `data/vil/<year>/SEVIR_VIL_....h5` with `vil
(N, 384, 384, 49)` bytes, one event a row, a frame every 5 minutes. Events before June 2019 are for training, the others for the
test, as in the nowcasts of the paper; `validation` holds out the last ones before that. Pixels are between 0 and 1 here, as
255ths.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import h5py
import numpy as np

from framecast.data.readers.hdf5 import check_dataset, open_hdf5
from framecast.data.sets.clips import Clip, ClipData, Part, resize
from framecast.data.windows.labels import season
from framecast.errors import DataError
from framecast.reading.paths import check_file
from framecast.types import config

FRAMES = 49
TEST_FROM = "2019-06-01"


class _Event(NamedTuple):
    """An event: its file, row, time and name."""

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
                labels = {"season": season(int(event.time[5:7]))}
                yield Clip(event.name, windows, partial(_frames, event, self.size), labels=labels)


def _events(folder: Path) -> list[_Event]:
    """The events of the catalogue that VIL was stored for. Raises `DataError` for a catalogue that is none."""
    catalogue = folder / "CATALOG.csv"
    if not catalogue.is_file():
        raise DataError("no such file", where=catalogue, remedy="see `framecast datasets` for sevir")
    try:
        with check_file(catalogue).open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if missing := {"id", "file_name", "file_index", "img_type", "time_utc"} - set(rows.fieldnames or ()):
                raise DataError(f"no column {', '.join(sorted(missing))}", where=catalogue, remedy="fetch it again")
            vil_rows = [(rows.line_num, row) for row in rows if row["img_type"] == "vil"]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"no table of text ({error})", where=catalogue, remedy="fetch it again") from error
    events = [_event(folder, row, f"{catalogue}, line {line}") for line, row in vil_rows]
    return sorted((event for event in events if event.file.is_file()), key=lambda event: (event.time, event.name))


def _event(folder: Path, row: dict[str, str], where: str) -> _Event:
    """What a line of the catalogue says. Raises `DataError`."""
    try:
        path = (folder / "data" / row["file_name"]).resolve()
        number, time = int(float(row["file_index"])), datetime.fromisoformat(row["time_utc"])
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"no row of an event at a date ({error})", where=where, remedy="fetch it again") from error
    if not path.is_relative_to(folder.resolve()):
        raise DataError(f"{row['file_name']} lies outside the folder", where=where)
    return _Event(path, number, f"{time:%Y-%m-%d %H:%M:%S}", row["id"])


def _frames(event: _Event, size: int, frames: Sequence[int]) -> np.ndarray:
    with open_hdf5(event.file, "SEVIR") as file:
        stored = file.get("vil")
        if not isinstance(stored, h5py.Dataset) or stored.dtype != np.uint8:
            raise DataError("no vil of bytes", where=event.file, remedy="see `framecast datasets` for sevir")
        check_dataset(stored, event.file)
        if stored.ndim != 4 or stored.shape[-1] != FRAMES or not 0 <= event.row < len(stored):
            raise DataError(
                f"vil of shape {stored.shape}, expected (N, 384, 384, {FRAMES}) with a row {event.row} for {event.name}",
                where=event.file,
                remedy="fetch it again, and CATALOG.csv",
            )
        pixels = stored[event.row]
    return np.stack([resize(pixels[..., k, None], size) for k in frames])
