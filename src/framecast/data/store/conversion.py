"""Convert an archive to one Zarr store, which training reads fastest (`framecast convert`).

Files are read once, in the order of time, a shard of frames at a time, so memory does not grow with the archive. The store is
built in a hidden folder next to its path and moved there when it is complete. An interrupted conversion resumes; new files
are appended. `manifest.json` in the store lists the source files with their checksums, the files left out with the reasons,
and the changes of the frames.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.abc.buffer import Buffer
from zarr.core.buffer import cpu
from zarr.storage import MemoryStore

from framecast.checks import as_path, check_kind, refuses_arrays, replace_fields, takes_fields_of
from framecast.data.archives.joining import first_names
from framecast.data.archives.opening import OpenResult, open_all
from framecast.data.archives.outputs import check_output
from framecast.data.frames import describe_source
from framecast.data.lazy import ArrayReader
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.data.readers.zarr_pipeline import PIPELINE
from framecast.data.store.changes import UNCHANGED, Changes
from framecast.data.store.decoding import decode_frames
from framecast.data.store.growth import Growth, growth_of
from framecast.data.store.layout import (
    Chunks,
    check_chunks,
    choose_chunks,
    consolidate,
    create,
    extra_arrays,
)
from framecast.data.store.manifest import (
    MANIFEST,
    checksums,
    empty_manifest,
    make_plan,
    mismatch,
    modified,
    read_manifest,
    sha256,
)
from framecast.errors import ConfigError, DataError
from framecast.progress import Progress, no_progress
from framecast.reading.paths import read_bytes
from framecast.reading.plain_data import parse_json, read_json
from framecast.writing import adopt, claim, naming, put_bytes, replacing, resolve, write_bytes, write_errors

_SCRATCH = ".scratch"
"""The hidden folder, in a store under construction, in which a shard is encoded."""
_LARGEST = 2**31
"""Bytes of a file of coordinates, times or actions."""


@dataclass(frozen=True)
class StoreSize:
    """The size of the store, known before anything is written."""

    frames: int
    """All frames of the store."""
    already: int
    """Frames that the store holds already, from an earlier or an interrupted conversion."""
    shape: tuple[int, ...]
    """Channels, height and width."""
    bytes: int
    """Bytes still to be written, as float32, not compressed."""


@dataclass
class Conversion:
    """The result of a conversion."""

    out: Path
    frames: int = 0
    added: int = 0
    bytes: int = 0
    files: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    """Files, with the reasons."""
    missing: dict[str, str] = field(default_factory=dict)
    """Times of frames that could not be decoded and are without data in the store, with the reasons."""
    repairs: tuple[str, ...] = ()


@takes_fields_of(Changes)
@refuses_arrays
def convert(
    source: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    changes: Changes = UNCHANGED,
    chunks: Chunks | None = None,
    options: ReadOptions = DEFAULT,
    begun: Callable[[StoreSize], None] | None = None,
    progress: Progress | None = None,
    **stated: Any,
) -> Conversion:
    """Write the frames that `framecast.open` finds in `source` to the Zarr store `out`, or add the new ones to it.

    Files that are damaged, lie on another grid or hold another quantity than the first are left out, and so are late frames,
    before the end of a store that grows, and the frames of a file that has changed since it was converted. Of frames at one
    time the first is taken, and a frame that cannot be decoded is stored without data. The result and the manifest report all
    of it. The default `chunks` are those of the existing store, else `layout.default_chunks`. `begun` is called with the size
    before anything is written, `progress` with the frames done and the total.

    Raises `DataError`; `ConfigError` if `out` is something else, was made with other settings, or holds frames without a
    clock whose numbers have shifted; `RunError` if it cannot be written.
    """
    check_kind(Changes, changes=changes)
    check_kind(ReadOptions, options=options)
    out, changes = as_path(out, "the path of a store, ....zarr", "out"), replace_fields(changes, stated)
    if out.suffix != ".zarr":
        raise ConfigError(f"{out.suffix or 'no suffix'} is no format", where=out, remedy="name it ....zarr")
    if chunks is not None:
        check_chunks(chunks)
    opened = open_all(source, options, lenient=True)
    if "sequence" in opened.frames.dims:
        raise DataError(
            "a set of clips, not an archive in time",
            where=describe_source(opened.frames),
            remedy="only frames along one time are converted",
        )
    check_output(out, [opened.frames], source)
    frames = changes.apply(opened.frames)
    with claim(out, sibling=True), naming(out, _partial(out)):
        store = _Store(out, opened._replace(frames=frames), changes, chunks, options.units)
        (begun or no_progress)(store.size)
        store.lay_out()
        store.fill(progress or no_progress)
        return store.finish(frames.attrs["repairs"])


class _Store:
    """A store under construction, in a hidden folder next to its path: a new one, one of an interrupted conversion, or a copy of
    the finished store. All three continue after their last frame."""

    def __init__(
        self, out: Path, opened: OpenResult, changes: Changes, chunks: Chunks | None, units: str | None
    ) -> None:
        frames = opened.frames
        self.path, self.out = out, resolve(out)
        self.partial = _partial(out)
        self.name = str(frames.name)
        _recover(self.out)
        # an earlier store, finished or interrupted, sets chunks and plan
        finished, started = read_manifest(self.out), read_manifest(self.partial)
        if finished and started and started["frames"] <= finished["frames"]:
            started = None  # an earlier state of the store, which was not removed after it had been replaced
        self.chunks = choose_chunks(chunks, finished, started, frames)
        plan = parse_json(json.dumps(make_plan(opened, changes, self.chunks, units)), out)  # as it is read back
        self.length = int(plan["shard"])
        if self.out.exists() and (reason := mismatch(finished, plan, frames) or self._damage(self.out, finished)):
            raise ConfigError(f"exists already and {reason}", where=out, remedy="convert to a new store")
        self.before = int(finished["frames"]) if finished else 0
        if mismatch(started, plan, frames) or self._damage(self.partial, started):
            started = None
        self.base = self.partial if started else self.out if finished else None
        self.manifest: dict[str, Any] = started or finished or empty_manifest(plan)
        # the new frames, after the last of the store
        growth = self._growth(frames)
        self.frames, self.changed = growth.frames, growth.changed
        self.reader, self.threads = ArrayReader(self.frames), os.cpu_count() or 1
        earlier, files = self.manifest["left_out"], set(map(str, frames["source"].values))
        earlier = {file: reason for file, reason in earlier.items() if file not in files}
        self.manifest["left_out"] = earlier | opened.left_out | growth.left_out
        self.manifest["repairs"] = list(dict.fromkeys([*self.manifest["repairs"], *growth.repairs]))
        self.written = int(self.manifest["frames"])
        self.size = StoreSize(
            frames=self.written + self.frames.sizes["time"],
            already=self.written,
            shape=tuple(self.frames.shape[1:]),
            bytes=4 * prod(self.frames.shape),
        )

    def _growth(self, frames: xr.DataArray) -> Growth:
        """What the frames add to the store that continues; all of them to a new one."""
        if self.base is None or not self.manifest["frames"]:
            return Growth(frames, {}, [], frozenset())
        times = np.asarray(_array(self.base, "time")[: self.manifest["frames"]])
        return growth_of(frames, self.manifest, times, _array(self.base, self.name), self.length)

    def lay_out(self) -> None:
        """Create the folder with the arrays at their final sizes, the times, and the shards that are written, in one step."""
        content = self._content()
        with replacing(self.partial) as folder:
            for key, data in content.items():
                put_bytes(folder / key, data)
            for shard in filter(self._is_kept, self._keys()):
                self._link(shard, folder)
            stored = self.manifest["stored"]
            self.manifest["stored"] = {key: digest for key, digest in stored.items() if self._is_kept(Path(key))}
            put_bytes(folder / MANIFEST, self._manifest_text())

    def _content(self) -> dict[str, bytes]:
        """All files of the store but its shards, by key. zarr makes them in memory: it writes with threads of its own, which go
        on writing, and creating folders, where one of them has failed."""
        memory: dict[str, Buffer] = {}
        store = MemoryStore(memory)
        if self.base is None:
            create(store, self.frames, self.chunks, self.length)
        else:
            for key in (key for key in self._keys() if key.parts[:2] != (self.name, "c")):
                memory[str(key)] = cpu.Buffer.from_bytes(read_bytes(self.base / key, _LARGEST))
        others = extra_arrays(self.frames)
        for name in (self.name, *others):
            array = _array(store, name)
            array.resize((self.size.frames, *array.shape[1:]))
        for name, values in others.items():
            _array(store, name)[self.written :] = values
        consolidate(store)
        return {key: buffer.to_bytes() for key, buffer in memory.items()}

    def fill(self, progress: Callable[[int, int], None]) -> None:
        """Write shard after shard, and the manifest after each."""
        total, start = self.size.frames, self.written
        checked_files = set(self.changed)
        progress(start, total)
        with ThreadPoolExecutor(max_workers=1) as executor:  # one shard is decoded while the one before it is written
            pending = executor.submit(self._decode_shard, start)
            while start < total:
                frames, values, missing = pending.result()
                end = start + len(values)
                pending = executor.submit(self._decode_shard, end)
                self._write_shard(start, values)
                for file in dict.fromkeys(map(str, frames["source"].values)):
                    if file not in checked_files:
                        self.manifest["modified"][file] = modified(Path(file))
                        self.manifest["files"][file] = checksums(Path(file))
                        checked_files.add(file)
                self.manifest["missing"] |= missing
                self.manifest |= {"frames": end, "last": str(frames["time"].values[-1])}
                self._write_manifest()
                start = end
                progress(end, total)

    def finish(self, repairs: Sequence[str]) -> Conversion:
        """Complete the manifest and move the store to its path."""
        shutil.rmtree(self.partial / _SCRATCH, ignore_errors=True)
        files = sorted(file for file in (self.partial / self.name / "c").rglob("*") if file.is_file())
        known = self.manifest["stored"]
        keys = {str(file.relative_to(self.partial)): file for file in files}
        self.manifest["stored"] = {key: known.get(key) or sha256(file) for key, file in keys.items()}
        self.manifest["repairs"] = list(dict.fromkeys([*self.manifest["repairs"], *repairs]))
        self._write_manifest()
        adopt(self.partial, self.out)
        return Conversion(
            out=self.path,
            frames=int(self.manifest["frames"]),
            added=int(self.manifest["frames"]) - self.before,
            bytes=sum(file.stat().st_size for file in self.out.rglob("*") if file.is_file()),
            files=len(self.manifest["files"]),
            left_out=self.manifest["left_out"],
            missing=self.manifest["missing"],
            repairs=tuple(self.manifest["repairs"]),
        )

    def _write_shard(self, start: int, values: np.ndarray) -> None:
        """Write frames from `start` on as the file of their shard, in one step: with the frames before them in that shard."""
        number, before = divmod(start, self.length)
        if before:
            values = np.concatenate([_array(self.partial, self.name)[start - before : start], values])
        key, scratch = Path(self.name, "c", str(number), "0", "0", "0"), self.partial / _SCRATCH
        with write_errors(self.path):
            shutil.rmtree(scratch, ignore_errors=True)
            metadata = read_json(self.partial / self.name / "zarr.json")
            metadata["shape"][0] = self.length
            put_bytes(scratch / self.name / "zarr.json", json.dumps(metadata).encode())
            _array(scratch, self.name)[: len(values)] = values
        shard = scratch / self.name / "c" / "0" / "0" / "0" / "0"
        if shard.exists():  # frames without data only are not stored
            self.manifest["stored"][str(key)] = sha256(shard)
            adopt(shard, self.partial / key)

    def _damage(self, store: Path, manifest: dict[str, Any] | None) -> str:
        """Why a store cannot continue though its manifest is whole; empty if it can: its arrays hold what the manifest says, and
        its last shard, to which frames may be added, can be read."""
        if manifest is None:
            return ""
        count, last = manifest["frames"], manifest["last"]
        try:
            times, frames = _array(store, "time"), _array(store, self.name)
            sizes_fit = min(times.shape[0], frames.shape[0]) >= count >= 0 and (store == self.partial) | (
                times.shape[0] == frames.shape[0] == count
            )
            if not sizes_fit or (count == 0) != (last is None):
                return "its manifest does not fit its frames"
            if count:
                time = np.datetime64(last, "ns").astype(int) if manifest["plan"]["clock"] else int(last)
                if time != int(np.asarray(times[count - 1])):
                    return "its manifest does not fit its times"
                frames[(count - 1) // self.length * self.length : count]
        except Exception as error:  # zarr has no common error; whatever it raises, this store is not whole
            return f"is damaged ({error})"
        missing = [key for key in manifest["stored"] if not (store / key).is_file()]
        return f"has lost {first_names(missing)}" if missing else ""

    def _decode_shard(self, start: int) -> tuple[xr.DataArray, np.ndarray, dict[str, str]]:
        """The frames of the store from `start` to the end of its shard, their values, and what is missing."""
        end = min((start // self.length + 1) * self.length, self.size.frames)
        frames = self.frames.isel(time=slice(start - self.written, end - self.written))
        values = np.empty(frames.shape, dtype=np.float32)
        missing: dict[str, str] = {}
        ends = np.cumsum(self.frames.chunksizes["time"]) + self.written
        cuts = [start, *(int(cut) for cut in ends if start < cut < end), end]
        with ThreadPoolExecutor(max_workers=self.threads) as pool:
            pieces = [
                pool.submit(
                    decode_frames, self.reader, a - self.written, b - self.written, values[a - start : b - start]
                )
                for a, b in pairwise(cuts)
            ]
            for piece in pieces:
                missing |= piece.result()
        return frames, values, missing

    def _is_kept(self, key: Path) -> bool:
        """Whether a stored file belongs to a shard of the frames that are written."""
        parts = key.parts
        return len(parts) > 2 and parts[:2] == (self.name, "c") and int(parts[2]) * self.length < self.written

    def _keys(self) -> list[Path]:
        """The files of the store that continues, but for its manifest and all that is hidden; none of a new one."""
        if self.base is None:
            return []
        keys = (file.relative_to(self.base) for file in sorted(self.base.rglob("*")) if file.is_file())
        return [key for key in keys if key.name != MANIFEST and not any(part.startswith(".") for part in key.parts)]

    def _link(self, key: Path, folder: Path) -> None:
        """Link a shard of the earlier store, which is only ever replaced as a whole; copy it where there are no links."""
        source, target = (self.base or folder) / key, folder / key
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)

    def _manifest_text(self) -> bytes:
        return json.dumps(self.manifest, indent=1).encode()

    def _write_manifest(self) -> None:
        write_bytes(self.partial / MANIFEST, self._manifest_text())


def _partial(out: Path) -> Path:
    """The hidden folder in which a store is under construction."""
    target = resolve(out)
    return target.with_name(f".{target.name}.partial")


def _array(store: Path | MemoryStore, name: str) -> zarr.Array[Any]:
    with zarr.config.set({**PIPELINE, "threading.max_workers": 1}):  # one, for the same file each time
        array = zarr.open_array(store, path=name, mode="r+", zarr_format=3)
    assert isinstance(array, zarr.Array)
    return array


def _previous(out: Path) -> Path:
    """The path of the finished store while the longer one replaces it."""
    return out.with_name(f".{out.name}.previous")


def _recover(out: Path) -> None:
    """Restore the finished store if a conversion was interrupted during the replacement."""
    if _previous(out).exists():
        shutil.rmtree(_previous(out)) if out.exists() else _previous(out).rename(out)
