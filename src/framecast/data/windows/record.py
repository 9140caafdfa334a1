"""The record of the data of a run: which files, which frames, and which of them are in which split.

It is written when a run begins, to `data.json` in its folder, and is read wherever the split is needed again; no split is ever
computed twice. A frame is known by its time and the digest of its content (`coverage.frame_digests`), so it is known in any file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from framecast.data.frames import stamp
from framecast.data.identity import FileIdentity
from framecast.data.place import Bounds, bounds_of
from framecast.data.windows.index import Window
from framecast.data.windows.splits import NAMES
from framecast.errors import FramecastError, RunError
from framecast.reading.paths import is_file
from framecast.reading.plain_data import read_json

RECORD = "data.json"
LARGEST_RECORD = 2**30
"""Bytes of the file of a record that is read."""
VERSION = 1
"""The version of the format."""
_MACHINE = ("absolute", "stamp")
"""What of a file depends on where it lies; the digest of a record does not."""


class FrameTable(NamedTuple):
    """The frames of an archive: `times (T,)`, nanoseconds since 1970 if there is a `clock`, else numbers; and for each sequence
    `labels`, the number of the split in `NAMES` or -1, `coverage`, the share of pixels with data, and `digests`, all `(S, T)`.
    `bounds` are those of the place, None where it is not known."""

    clock: bool
    times: np.ndarray
    labels: np.ndarray
    coverage: np.ndarray
    digests: np.ndarray
    bounds: Bounds | None = None

    def take(self, sequences: int, times: np.ndarray) -> FrameTable:
        """The table of the first `sequences`, at the positions `times`."""
        labels, coverage, digests = (part[:sequences, times] for part in (self.labels, self.coverage, self.digests))
        return FrameTable(self.clock, self.times[times], labels, coverage, digests, self.bounds)

    def stamps(self, mask: np.ndarray) -> str:
        """The times where `mask (T,)`, the first and the last of many, as text."""
        times = self.times[mask]
        labels = [stamp(np.datetime64(int(t), "ns")) if self.clock else f"frame {t}" for t in (*times[:2], times[-1])]
        return ", ".join(labels[: len(times)]) if len(times) < 3 else f"{len(times)} from {labels[0]} to {labels[-1]}"


class ArchiveRecord(NamedTuple):
    """An archive: its files in the order of their frames, none for frames in memory, and its frames."""

    files: tuple[FileIdentity, ...]
    table: FrameTable


class Part(NamedTuple):
    """A split of a data set with parts of its own: the number of windows, the names of its clips, and digests of some windows."""

    windows: int
    clips: tuple[str, ...]
    digests: tuple[str, ...]


@dataclass(frozen=True)
class DataRecord:
    """The data of a run: the `settings` of the data set, the lengths of a window, and either the `archives` with the `windows` of
    each split, or the `parts` of a data set that has its own. `inputs` are the files of extra inputs, `others` the names of files
    that lay at the paths of the data and were not used."""

    settings: Mapping[str, Any]
    context: int
    horizon: int
    archives: tuple[ArchiveRecord, ...] = ()
    windows: Mapping[str, tuple[Window, ...]] = field(default_factory=dict)
    parts: Mapping[str, Part] = field(default_factory=dict)
    inputs: tuple[FileIdentity, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The SHA-256 of what the data are, wherever they lie."""
        content = self._plain()
        del content["settings"], content["others"]
        for archive in content["archives"]:
            archive["files"] = [_without_place(file) for file in archive["files"]]
        content["inputs"] = [_without_place(file) for file in content["inputs"]]
        return _sha256(content)

    def counts(self) -> dict[str, int]:
        """The number of windows of each split."""
        if self.parts:
            return {name: part.windows for name, part in self.parts.items()}
        return {name: len(windows) for name, windows in self.windows.items()}

    def describe(self) -> str:
        """The splits in words: windows, and the times between which their frames lie."""
        return "; ".join(f"{count} {name} windows{self._period(name)}" for name, count in self.counts().items())

    def _period(self, name: str) -> str:
        label = NAMES.index(name)
        periods = []
        for _, table in self.archives:
            inside = (table.labels == label).any(0)
            if table.clock and inside.any():
                first, last = (stamp(np.datetime64(int(t), "ns")) for t in table.times[inside][[0, -1]])
                periods.append(f"{first} to {last}")
        return f" ({', '.join(periods[:3])}{', ...' if len(periods) > 3 else ''})" if periods else ""

    def dump(self) -> bytes:
        """The record as the content of a file, with its digest and a checksum of the whole."""
        content = {"format_version": VERSION, "digest": self.digest, **self._plain()}
        return json.dumps({**content, "checksum": _sha256(content)}, separators=(",", ":")).encode() + b"\n"

    def _plain(self) -> dict[str, Any]:
        return {
            "settings": dict(self.settings),
            "context": self.context,
            "horizon": self.horizon,
            "archives": [
                {"files": [file._asdict() for file in archive.files], **_plain_table(archive.table)}
                for archive in self.archives
            ],
            "windows": {name: _window_runs(windows) for name, windows in self.windows.items()},
            "parts": {name: part._asdict() for name, part in self.parts.items()},
            "inputs": [file._asdict() for file in self.inputs],
            "others": list(self.others),
        }


def read_record(folder: Path) -> DataRecord | None:
    """The record in a folder of a run or of a model; None if it has none. Raises `RunError` for one that was changed."""
    path = folder / RECORD
    try:
        content = read_json(path, LARGEST_RECORD) if is_file(path) else None
    except FramecastError as error:
        raise _damaged(path, error.what) from error
    if content is None:
        return None
    if not isinstance(content, dict) or content.pop("checksum", None) != _sha256(content):
        raise _damaged(path, "its checksum does not match")
    try:
        return _record(content, path)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, f"it is not a record: {str(error)[:200]}") from error


def _record(content: dict[str, Any], path: Path) -> DataRecord:
    if content["format_version"] > VERSION:
        raise RunError(
            f"a record of version {content['format_version']}, expected up to {VERSION}",
            where=path,
            remedy="use a newer framecast",
        )
    return DataRecord(
        settings=content["settings"],
        context=content["context"],
        horizon=content["horizon"],
        archives=tuple(ArchiveRecord(_files(each["files"]), _table(each)) for each in content["archives"]),
        windows={name: _windows(runs) for name, runs in content["windows"].items()},
        parts={
            name: Part(part["windows"], tuple(part["clips"]), tuple(part["digests"]))
            for name, part in content["parts"].items()
        },
        inputs=_files(content["inputs"]),
        others=tuple(content["others"]),
    )


def _damaged(path: Path, what: str) -> RunError:
    return RunError(
        f"the record of the data of the run was changed ({what})",
        where=path,
        remedy="restore it from a copy: one lies in best/ and last/ of the run",
    )


def times_of(frames: xr.DataArray) -> tuple[np.ndarray, bool]:
    """The times of frames `(T,)` as integers, nanoseconds since 1970 or numbers, and whether there is a clock."""
    times = frames["time"].values
    clock = times.dtype.kind == "M"
    return (times.astype("datetime64[ns]") if clock else times).astype(np.int64), bool(clock)


def table_of(frames: xr.DataArray, covered: xr.DataArray, labels: np.ndarray) -> FrameTable:
    """The table of an archive, from its `coverage` with digests and its `labels (S, T)`."""
    times, clock = times_of(frames)
    shape = (-1, len(times))
    coverage, digests = (part.values.reshape(shape) for part in (covered, covered["digest"]))
    return FrameTable(clock, times, labels, coverage, digests, bounds_of(frames))


def coverage_of(table: FrameTable, frames: xr.DataArray) -> xr.DataArray:
    """The `coverage` of frames from their table, without reading them."""
    dims = [dim for dim in ("sequence", "time") if dim in frames.dims]
    shape = [frames.sizes[dim] for dim in dims]
    none = (dims, np.zeros(shape, dtype=np.int64))
    coordinates = {"infinite": none, "below": none, "outside": none, "digest": (dims, table.digests.reshape(shape))}
    return xr.DataArray(table.coverage.reshape(shape), dims=dims, coords=coordinates)


def _plain_table(table: FrameTable) -> dict[str, Any]:
    return {
        "clock": table.clock,
        "sequences": len(table.labels),
        "times": [list(run) for run in _arithmetic_runs(table.times)],
        "labels": _runs(table.labels),
        "coverage": _runs(table.coverage),
        "digests": table.digests.astype(">u8").tobytes().hex(),
        **({} if table.bounds is None else {"bounds": list(table.bounds)}),
    }


def _table(content: Mapping[str, Any]) -> FrameTable:
    times = np.concatenate(
        [first + step * np.arange(count, dtype=np.int64) for first, step, count in content["times"]]
        or [np.zeros(0, dtype=np.int64)]
    )
    shape = (content["sequences"], len(times))
    bounds = content.get("bounds")
    return FrameTable(
        content["clock"],
        times,
        _expand(content["labels"], np.int8).reshape(shape),
        _expand(content["coverage"], np.float64).reshape(shape),
        np.frombuffer(bytes.fromhex(content["digests"]), dtype=">u8").astype(np.uint64).reshape(shape),
        None if bounds is None else _bounds(*map(float, bounds)),
    )


def _bounds(west: float, south: float, east: float, north: float) -> Bounds:
    return west, south, east, north


def _runs(values: np.ndarray) -> list[list[float]]:
    """Values as `[value, count]` of each run of equal ones."""
    flat = values.ravel()
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1]) if flat.size else np.zeros(0, dtype=int)
    counts = np.diff(np.append(starts, flat.size))
    return [[flat[start].item(), int(count)] for start, count in zip(starts, counts, strict=True)]


def _expand(runs: Sequence[Sequence[float]], dtype: Any) -> np.ndarray:
    return np.repeat(np.array([value for value, _ in runs], dtype=dtype), [int(count) for _, count in runs])


def _arithmetic_runs(values: np.ndarray) -> list[tuple[int, int, int]]:
    """Integers as `(first, step, count)` of each run of one step."""
    runs: list[tuple[int, int, int]] = []
    for value in values.tolist():
        if runs:
            first, step, count = runs[-1]
            if count == 1 or value == first + step * count:
                runs[-1] = (first, value - first if count == 1 else step, count + 1)
                continue
        runs.append((value, 0, 1))
    return runs


def _window_runs(windows: Sequence[Window]) -> list[list[int]]:
    """Windows as `[archive, sequence, first start, step, count]`."""
    starts: dict[tuple[int, int], list[int]] = {}
    for window in windows:
        starts.setdefault((window.archive, window.sequence), []).append(window.start)
    return [[*key, *run] for key, each in starts.items() for run in _arithmetic_runs(np.array(each))]


def _windows(runs: Sequence[Sequence[int]]) -> tuple[Window, ...]:
    return tuple(
        Window(archive, sequence, first + step * k)
        for archive, sequence, first, step, count in runs
        for k in range(count)
    )


def _files(content: Sequence[Mapping[str, Any]]) -> tuple[FileIdentity, ...]:
    return tuple(FileIdentity(**file) for file in content)


def _without_place(file: Mapping[str, Any]) -> dict[str, Any]:
    return {key: Path(value).name if key == "path" else value for key, value in file.items() if key not in _MACHINE}


def _sha256(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
