"""The parts of long work that are done already, in a hidden folder next to its results: the same command continues there.

    .cases.partial/begun.json     what the results depend on: program, models, settings, data
    .cases.partial/000012.npz     parts from number 12 on: of an evaluation sums, cases and seconds

Parts are written some seconds apart, each file in one step. A part of other work is never used: if the results depend on
something else now, the folder is emptied. No score is computed here.
"""

from __future__ import annotations

import io
import json
import logging
import shutil
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import xarray as xr

from framecast.errors import FramecastError
from framecast.reading.paths import read_bytes
from framecast.reading.plain_data import parse_json, read_json
from framecast.writing import write_bytes, write_text

FOLDER = ".cases.partial"
_BEGUN = "begun.json"
_EVERY = 10.0
"""Seconds of work that are lost at most."""
_LARGEST = 2**31
"""Bytes of a file of parts."""
DAMAGE = (FramecastError, OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile)
"""What reading a damaged file raises."""
_log = logging.getLogger(__name__)


class StoredPart(NamedTuple):
    """The result of some cases without frames: their numbers, sums, and the seconds that each forecaster needed."""

    order: list[int]
    sums: xr.Dataset
    seconds: dict[str, float]


Part = TypeVar("Part")


class PartFormat(NamedTuple, Generic[Part]):
    """How parts of some `work` are stored: `pack` makes the content of a file of them, by number, and `load` reads one, none of
    one that is damaged."""

    work: str
    pack: Callable[[Mapping[int, Part]], memoryview]
    load: Callable[[Path], dict[int, Part]]


class StoredParts(Generic[Part]):
    """The parts in a hidden `folder`, of work that depends on the values of `depends`."""

    def __init__(self, folder: Path, depends: Mapping[str, str], stored_as: PartFormat[Part]) -> None:
        self._folder, self._format = folder, stored_as
        self._waiting: dict[int, Part] = {}
        self._written = time.monotonic()
        self.parts = self._read(depends)
        """Those of work that was interrupted, by number."""
        if not self.parts:
            self.remove()
            write_text(self._folder / _BEGUN, json.dumps(dict(depends), indent=1) + "\n")

    def _read(self, depends: Mapping[str, str]) -> dict[int, Part]:
        """The parts that are stored; none if they depend on something else."""
        if not self._folder.is_dir():
            return {}
        try:
            begun = read_json(self._folder / _BEGUN)
        except FramecastError:
            begun = None
        changed = [name for name, value in depends.items() if not isinstance(begun, dict) or begun.get(name) != value]
        if changed:
            work = self._format.work
            _log.warning("%s was interrupted here, with other %s: begun anew", work, ", ".join(changed))
            return {}
        parts: dict[int, Part] = {}
        for file in sorted(self._folder.glob("*.npz")):
            parts |= self._format.load(file)
        _log.info("%s parts were done before an interruption", len(parts))
        return parts

    def add(self, number: int, part: Part) -> None:
        """Store a part, with those that are not written yet if it is time. Raises `RunError`."""
        self._waiting[number] = part
        if time.monotonic() - self._written > _EVERY:
            self.write()

    def write(self) -> None:
        """Write the parts that are not written yet. Raises `RunError`."""
        if self._waiting:
            write_bytes(self._folder / f"{min(self._waiting):06}.npz", self._format.pack(self._waiting))
        self._waiting, self._written = {}, time.monotonic()

    def remove(self) -> None:
        """Delete all parts: the results are complete, or others."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _pack(parts: Mapping[int, StoredPart]) -> memoryview:
    """Parts as the content of a file."""
    arrays: dict[str, np.ndarray] = {}
    header: dict[str, Any] = {}
    for number, part in parts.items():
        sums = {str(name): values for name, values in part.sums.data_vars.items()}
        arrays |= {f"{number}/{name}": values.values for name, values in sums.items()}
        header[str(number)] = {
            "order": part.order,
            "seconds": part.seconds,
            "forecasters": part.sums["forecaster"].values.tolist(),
            "dims": {name: list(values.dims) for name, values in sums.items()},
        }
    return pack_arrays(header, arrays)


def pack_arrays(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> memoryview:
    """A header and arrays by name as the content of a file."""
    content = io.BytesIO()
    np.savez(content, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
    return content.getbuffer()


def load_arrays(file: Path) -> tuple[dict[str, Any], Any]:
    """The header and the arrays of a file. Raises one of `DAMAGE`."""
    content = np.load(io.BytesIO(read_bytes(file, _LARGEST)), allow_pickle=False)
    return parse_json(content["header"].tobytes().decode(), file), content


def _load(file: Path) -> dict[int, StoredPart]:
    """The parts in a file; none of one that is damaged: they are scored again."""
    try:
        header, content = load_arrays(file)
        parts = {}
        for number, entry in header.items():
            data = {name: (dims, content[f"{number}/{name}"]) for name, dims in entry["dims"].items()}
            sums = xr.Dataset(data, coords={"forecaster": entry["forecasters"]})
            parts[int(number)] = StoredPart(entry["order"], sums, entry["seconds"])
        return parts
    except DAMAGE:
        return {}


EVALUATION = PartFormat("an evaluation", _pack, _load)
