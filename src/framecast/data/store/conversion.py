"""Convert an archive to one Zarr store, which training reads fastest (`framecast convert`).

Files are read once, in the order of time, a shard of frames at a time, so memory does not grow with the archive. The store is
built in a hidden folder next to its path and moved there when it is complete. An interrupted conversion resumes; new files
are appended. `manifest.json` in the store lists the source files with their checksums, the files left out with the reasons,
and the changes of the frames.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.errors import ZarrUserWarning

from framecast.checks import as_path, check_kind, replace_fields, takes_fields_of
from framecast.data.archives.joining import first_names
from framecast.data.archives.opening import OpenResult, open_all
from framecast.data.frames import action_names, describe_source, stamp
from framecast.data.lazy import ArrayReader
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.data.readers.zarr_store import PIPELINE
from framecast.data.store.changes import UNCHANGED, Changes
from framecast.data.store.layout import Chunks, check_chunks, create, default_chunks, extra_arrays, frames_per_shard
from framecast.errors import ConfigError, DataError, FramecastError, ResourceError, RunError
from framecast.progress import Progress, no_progress

MANIFEST = "manifest.json"


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

    Files that are damaged, lie on another grid or hold another quantity than the first are left out, and so are those that
    come late, with frames before the end of a store that grows. Of frames at one time the first is taken, and a frame that
    cannot be decoded is stored without data. The result and the manifest report all of it. The default `chunks` are those
    of the existing store, else `layout.default_chunks`. `begun` is called with the size before anything is written, `progress`
    with the frames done and the total.

    Raises `DataError`; `ConfigError` if `out` is something else, was made with other settings, or holds frames without a
    clock whose numbers have shifted; `RunError` if it cannot be written.
    """
    check_kind(Changes, changes=changes)
    check_kind(ReadOptions, options=options)
    out, changes = as_path(out, "the path of a store, ....zarr", "out"), replace_fields(changes, stated)
    if out.suffix != ".zarr":
        raise ConfigError(f"{out.suffix or 'no suffix'} is no format", where=out, remedy="name it ....zarr")
    check_chunks(chunks)
    opened = open_all(source, options, lenient=True)
    if "sequence" in opened.frames.dims:
        raise DataError(
            "a set of clips, not an archive in time",
            where=describe_source(opened.frames),
            remedy="only frames along one time are converted",
        )
    frames = changes.apply(opened.frames)
    try:
        store = _Store(out, opened._replace(frames=frames), changes, chunks)
        (begun or no_progress)(store.size)
        store.lay_out()
        store.fill(progress or no_progress)
        return store.finish(frames.attrs["repairs"])
    except OSError as error:
        raise RunError(f"cannot be written ({error})", where=out) from error


class _Store:
    """A store under construction, in a hidden folder next to its path: a new one, one of an interrupted conversion, or a copy of
    the finished store. All three continue after their last frame."""

    def __init__(self, out: Path, opened: OpenResult, changes: Changes, chunks: Chunks | None) -> None:
        frames = opened.frames
        self.out, self.partial = out, out.with_name(f".{out.name}.partial")
        self.name = str(frames.name)
        _recover(out)
        # an earlier store, finished or interrupted, sets chunks and plan
        finished, started = _manifest(out), _manifest(self.partial)
        manifest = finished or started
        self.chunks = chunks or (tuple(manifest["plan"]["chunks"]) if manifest else default_chunks(frames))
        plan = json.loads(json.dumps(_make_plan(opened, changes, self.chunks)))  # as it is read back
        self.length = int(plan["shard"])
        if out.exists() and (reason := _mismatch(finished, plan, frames)):
            raise ConfigError(f"exists already and {reason}", where=out, remedy="convert to a new store")
        self.before = int(finished["frames"]) if finished else 0
        if _mismatch(started, plan, frames):
            shutil.rmtree(self.partial, ignore_errors=True)
            started = None
        self.manifest: dict[str, Any] = started or finished or _empty_manifest(plan)
        # the new frames, after the last of the store
        self.frames, late = _frames_after(frames, self.manifest)
        self.reader, self.threads = ArrayReader(self.frames), os.cpu_count() or 1
        self.manifest["left_out"] |= opened.left_out | late
        self.written = int(self.manifest["frames"])
        self.size = StoreSize(
            frames=self.written + self.frames.sizes["time"],
            already=self.written,
            shape=tuple(self.frames.shape[1:]),
            bytes=4 * prod(self.frames.shape),
        )

    def lay_out(self) -> None:
        """Create the folder and resize its arrays for all frames."""
        if not self.partial.exists() and self.out.exists():
            # The manifest comes last, from `_write_manifest`: a copy that was interrupted is none.
            shutil.copytree(self.out, self.partial, copy_function=self._copy, ignore=shutil.ignore_patterns(MANIFEST))
        elif not self.partial.exists():
            self.partial.parent.mkdir(parents=True, exist_ok=True)
            create(self.partial, self.frames, self.chunks, self.length)
        others = extra_arrays(self.frames)
        for name in (self.name, *others):
            array = self._array(name)
            array.resize((self.size.frames, *array.shape[1:]))
        for name, values in others.items():
            self._array(name)[self.written :] = values
        stored = self.manifest["stored"]
        self.manifest["stored"] = {
            key: checksum for key, checksum in stored.items() if not self._is_rewritten(Path(key))
        }
        self._write_manifest()

    def fill(self, progress: Callable[[int, int], None]) -> None:
        """Write shard after shard, and the manifest after each."""
        array, total, start = self._array(self.name), self.size.frames, self.written
        checked_files: set[str] = set()
        progress(start, total)
        with ThreadPoolExecutor(max_workers=1) as executor:  # one shard is decoded while the one before it is written
            pending = executor.submit(self._decode_shard, start)
            while start < total:
                frames, values, missing = pending.result()
                end = start + len(values)
                pending = executor.submit(self._decode_shard, end)
                array[start:end] = values
                for file in dict.fromkeys(map(str, frames["source"].values)):
                    if file not in checked_files:
                        self.manifest["files"][file] = _checksums(Path(file))
                        checked_files.add(file)
                self.manifest["missing"] |= missing
                self.manifest |= {"frames": end, "last": str(frames["time"].values[-1])}
                self._write_manifest()
                start = end
                progress(end, total)

    def finish(self, repairs: Sequence[str]) -> Conversion:
        """Complete the manifest and move the store to its path."""
        files = sorted(file for file in (self.partial / self.name / "c").rglob("*") if file.is_file())
        known = self.manifest["stored"]
        keys = {str(file.relative_to(self.partial)): file for file in files}
        self.manifest["stored"] = {key: known.get(key) or _sha256(file) for key, file in keys.items()}
        left_out = self.manifest["left_out"]
        self.manifest["left_out"] = {
            file: reason for file, reason in left_out.items() if file not in self.manifest["files"]
        }
        self.manifest["repairs"] = list(dict.fromkeys([*self.manifest["repairs"], *repairs]))
        self._write_manifest()
        with warnings.catch_warnings():
            # that version 3 has no such thing in its specification yet
            warnings.simplefilter("ignore", ZarrUserWarning)
            zarr.consolidate_metadata(self.partial)
        if self.out.exists():
            self.out.rename(_previous(self.out))
        self.partial.rename(self.out)
        shutil.rmtree(_previous(self.out), ignore_errors=True)
        return Conversion(
            out=self.out,
            frames=int(self.manifest["frames"]),
            added=int(self.manifest["frames"]) - self.before,
            bytes=sum(file.stat().st_size for file in self.out.rglob("*") if file.is_file()),
            files=len(self.manifest["files"]),
            left_out=self.manifest["left_out"],
            missing=self.manifest["missing"],
            repairs=tuple(self.manifest["repairs"]),
        )

    def _array(self, name: str) -> zarr.Array[Any]:
        with zarr.config.set({**PIPELINE, "threading.max_workers": 1}):  # one, for the same file each time
            array = zarr.open_group(self.partial, mode="r+", use_consolidated=False)[name]
        assert isinstance(array, zarr.Array)
        return array

    def _decode_shard(self, start: int) -> tuple[xr.DataArray, np.ndarray, dict[str, str]]:
        """The frames of the store from `start` to the end of its shard, their values, and what is missing."""
        end = min((start // self.length + 1) * self.length, self.size.frames)
        frames = self.frames.isel(time=slice(start - self.written, end - self.written))
        values = np.empty(frames.shape, dtype=np.float32)
        missing: dict[str, str] = {}
        ends = np.cumsum(self.frames.chunksizes["time"]) + self.written
        cuts = [start, *(int(cut) for cut in ends if start < cut < end), end]
        with ThreadPoolExecutor(max_workers=self.threads) as pool:
            pieces = [pool.submit(self._read, a, b, values[a - start : b - start]) for a, b in pairwise(cuts)]
            for piece in pieces:
                missing |= piece.result()
        return frames, values, missing

    def _read(self, start: int, end: int, values: np.ndarray) -> dict[str, str]:
        """Read the frames of the store from `start` to `end` into `values`. One that cannot be decoded becomes NaN;
        returns its time and the reason."""
        span = slice(start - self.written, end - self.written)
        try:
            values[:] = self.reader.decode(time=span)
        except ResourceError:
            raise
        except FramecastError as error:
            if end - start == 1:
                values[:] = np.nan
                return {stamp(self.frames["time"].values[span.start]): f"{error.where}: {error.what}"}
            failures = [self._read(k, k + 1, values[k - start : k - start + 1]) for k in range(start, end)]
            return {time: reason for each in failures for time, reason in each.items()}
        return {}

    def _is_rewritten(self, key: Path) -> bool:
        """Whether a stored file will be written again: all but full shards of earlier frames."""
        parts = key.parts
        return parts[:2] != (self.name, "c") or len(parts) < 3 or int(parts[2]) >= self.written // self.length

    def _copy(self, source: str, target: str) -> None:
        """Link unchanged files to those of the finished store and copy the others, so that the finished store is never
        changed."""
        if self._is_rewritten(Path(source).relative_to(self.out)):
            shutil.copy2(source, target)
            return
        try:
            os.link(source, target)
        except OSError:  # a file system without links
            shutil.copy2(source, target)

    def _write_manifest(self) -> None:
        """Write the manifest atomically."""
        temporary = self.partial / f"{MANIFEST}.new"
        temporary.write_text(json.dumps(self.manifest, indent=1))
        temporary.replace(self.partial / MANIFEST)


def _previous(out: Path) -> Path:
    """The path of the finished store while the longer one replaces it."""
    return out.with_name(f".{out.name}.previous")


def _recover(out: Path) -> None:
    """Restore the finished store if a conversion was interrupted during the replacement."""
    if _previous(out).exists():
        shutil.rmtree(_previous(out)) if out.exists() else _previous(out).rename(out)


def _manifest(store: Path) -> dict[str, Any] | None:
    """The manifest of a store; None if there is none, or if it is incomplete."""
    try:
        manifest = json.loads((store / MANIFEST).read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(manifest, dict) or not manifest.keys() >= _empty_manifest({}).keys():
        return None
    later_keys = {"clock": "T" in str(manifest["last"]), "time_step": None, "actions": 0}
    for key, value in later_keys.items():
        manifest["plan"].setdefault(key, value)
    return manifest


def _empty_manifest(plan: dict[str, Any]) -> dict[str, Any]:
    """The manifest of a store without frames."""
    empty: dict[str, Any] = {"files": {}, "left_out": {}, "missing": {}, "repairs": [], "stored": {}}
    return {"plan": plan, "frames": 0, "last": None, **empty}


def _make_plan(opened: OpenResult, changes: Changes, chunks: Chunks) -> dict[str, Any]:
    """What must stay the same for a store to grow."""
    frames = opened.frames
    grid = hashlib.sha256()
    for axis in ("y", "x"):
        grid.update(np.round(frames[axis].values, 3).tobytes() if axis in frames.coords else b"")
    return {
        "variable": str(frames.name),
        "units": frames.attrs["units"],
        "dry": float(frames.attrs["dry"]),
        "size": [frames.sizes[dim] for dim in ("channel", "y", "x")],
        "actions": len(action_names(frames)),
        "grid": grid.hexdigest(),
        "clock": frames["time"].dtype.kind == "M",
        "time_step": opened.time_step,
        "changes": asdict(changes),
        "chunks": list(chunks),
        "shard": frames_per_shard(frames, chunks),
    }


def _mismatch(manifest: dict[str, Any] | None, plan: dict[str, Any], frames: xr.DataArray) -> str:
    """Why a store cannot continue with these frames; empty if it can."""
    if manifest is None:
        return "was not made by this command"
    if differing := [key for key in plan if manifest["plan"].get(key) != plan[key]]:
        return f"was made with other settings, or on another grid ({', '.join(differing)})"
    if shifted := _shifted(frames, manifest):
        reason = "frames without a clock are counted through, and new or longer than before is"
        return f"the numbers of its frames have shifted: {reason} {first_names(shifted)}"
    return ""


def _shifted(frames: xr.DataArray, manifest: dict[str, Any]) -> list[str]:
    """The files that shift the numbers of frames without a clock: new ones before the end of the store, and longer ones, but for
    the last. Empty for frames with a clock, and for single frames numbered by their names."""
    plan, files = manifest["plan"], list(map(str, frames["source"].values))
    if (plan["clock"] and plan["time_step"] is None) or len(set(files)) == len(files):
        return []
    new, late = _frames_after(frames, manifest)
    earlier_files = list(dict.fromkeys(files[: len(files) - new.sizes["time"]]))
    sizes = {Path(file).absolute(): entry.get("bytes") for file, entry in manifest["files"].items()}
    longer = (
        file for file in earlier_files[:-1] if sizes.get(Path(file).absolute()) not in (None, Path(file).stat().st_size)
    )
    return [*late, *longer]


def _frames_after(frames: xr.DataArray, manifest: dict[str, Any]) -> tuple[xr.DataArray, dict[str, str]]:
    """The frames after the last one of a store, and the files among the others that are not in it."""
    if manifest["last"] is None:
        return frames, {}
    clock = manifest["plan"]["clock"]
    new = frames["time"].values > (np.datetime64(manifest["last"]) if clock else int(manifest["last"]))
    known = {Path(file).absolute() for file in manifest["files"]}
    sums = {entry.get("sha256") for entry in manifest["files"].values()} - {None}  # of files that may have been moved
    others = {file for file in map(str, frames["source"].values[~new]) if Path(file).absolute() not in known}
    late = {file for file in others if _checksums(Path(file)).get("sha256") not in sums}
    reason = f"late: the store went on to {manifest['last']} before it came; convert all to a new store to have it in"
    return frames.isel(time=new), dict.fromkeys(sorted(late), reason)


def _checksums(file: Path) -> dict[str, Any]:
    """Size and SHA-256 of a source file; for a store (a folder, or remote) only its kind."""
    if not file.is_file():
        return {"kind": "store"}
    return {"bytes": file.stat().st_size, "sha256": _sha256(file)}


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
