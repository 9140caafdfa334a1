"""Archives as one Zarr store: what training reads fastest.

Files are read once, in the order of time, a shard of frames at a time, so memory does not grow with the archive. The store is
built beside its final place and moved there when it is whole; interrupted, it is taken up where it stopped, and given more
files it grows by those that are new. `manifest.json` inside says which files went in, with their checksums, which were left
out and why, and how the frames were changed on the way.
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

from framecast.checks import as_path, replace_fields, takes_fields_of
from framecast.data.archives.joining import first_of
from framecast.data.archives.opening import Opened, open_all
from framecast.data.frames import action_names, describe_source, stamp
from framecast.data.lazy import ArrayReader
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.data.readers.zarr_store import PIPELINE
from framecast.data.store.changes import UNCHANGED, Changes
from framecast.data.store.layout import Chunks, beside, check_chunks, chunks_of, create, frames_of_shard
from framecast.errors import ConfigError, DataError, FramecastError, ResourceError, RunError
from framecast.progress import Progress, no_progress

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Size:
    """How large a store becomes, known before anything is written."""

    frames: int
    """In all."""
    already: int
    """Frames that are there already, from an earlier or an interrupted conversion."""
    shape: tuple[int, ...]
    """Channels, height and width."""
    bytes: int
    """Of what is still to be written, as float32, not compressed."""


@dataclass
class Conversion:
    """What a conversion did."""

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
    begun: Callable[[Size], None] | None = None,
    progress: Progress | None = None,
    **stated: Any,
) -> Conversion:
    """Write the frames that `framecast.open` finds in `source` to the Zarr store `out`, or add the new ones to it.

    Files that are damaged, lie on another grid or hold another quantity than the first are left out, and so are those that
    come late, with frames before the end of a store that grows. Of frames at one time the first is taken, and a frame that
    cannot be decoded is stored without data. All of it is said in the result and in the manifest. Without `chunks` they are
    those of the store that grows, of a new one those of `layout.chunks_of`. `begun` is told the size before anything is
    written, `progress` the frames done and to do.

    Raises `DataError`; `ConfigError` where `out` is something else, was made with other settings, or holds frames without a
    clock whose numbers have shifted; `RunError` where it cannot be written.
    """
    out, changes = as_path(out, "the path of a store, ....zarr"), replace_fields(changes, stated)
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
    frames = changes.applied(opened.frames)
    try:
        store = _Store(out, opened._replace(frames=frames), changes, chunks)
        (begun or no_progress)(store.size)
        store.lay_out()
        store.fill(progress or no_progress)
        return store.finish(frames.attrs["repairs"])
    except OSError as error:
        raise RunError(f"cannot be written ({error})", where=out) from error


class _Store:
    """A store that is being built, in a folder beside its final place: of nothing, of what an interrupted conversion left
    there, or of a copy of the finished store. All three go on after the last frame they hold."""

    def __init__(self, out: Path, opened: Opened, changes: Changes, chunks: Chunks | None) -> None:
        frames = opened.frames
        self.out, self.partial = out, out.with_name(f".{out.name}.partial")
        self.name = str(frames.name)
        _recover(out)
        finished, started = _manifest(out), _manifest(self.partial)
        there = finished or started
        self.chunks = chunks or (tuple(there["plan"]["chunks"]) if there else chunks_of(frames))
        plan = json.loads(json.dumps(_plan(opened, changes, self.chunks)))  # as it is read back
        self.length = int(plan["shard"])
        if out.exists() and (why := _ended(finished, plan, frames)):
            raise ConfigError(f"exists already and {why}", where=out, remedy="convert to a new store")
        self.before = int(finished["frames"]) if finished else 0
        if _ended(started, plan, frames):
            shutil.rmtree(self.partial, ignore_errors=True)
            started = None
        self.manifest: dict[str, Any] = started or finished or _nothing(plan)
        self.frames, late = _after(frames, self.manifest)
        self.parts, self.threads = ArrayReader(self.frames), os.cpu_count() or 1
        self.manifest["left_out"] |= opened.left_out | late
        self.written = int(self.manifest["frames"])
        self.size = Size(
            frames=self.written + self.frames.sizes["time"],
            already=self.written,
            shape=tuple(self.frames.shape[1:]),
            bytes=4 * prod(self.frames.shape),
        )

    def lay_out(self) -> None:
        """Make the folder, and room for all frames."""
        if not self.partial.exists() and self.out.exists():
            # The manifest comes last, from `_note`: a copy that was interrupted is none.
            shutil.copytree(self.out, self.partial, copy_function=self._copy, ignore=shutil.ignore_patterns(MANIFEST))
        elif not self.partial.exists():
            self.partial.parent.mkdir(parents=True, exist_ok=True)
            create(self.partial, self.frames, self.chunks, self.length)
        others = beside(self.frames)
        for name in (self.name, *others):
            array = self._array(name)
            array.resize((self.size.frames, *array.shape[1:]))
        for name, values in others.items():
            self._array(name)[self.written :] = values
        stored = self.manifest["stored"]
        self.manifest["stored"] = {key: sum_ for key, sum_ in stored.items() if not self._rewritten(Path(key))}
        self._note()

    def fill(self, progress: Callable[[int, int], None]) -> None:
        """Write shard after shard, and after each what the manifest says of it."""
        array, total, start = self._array(self.name), self.size.frames, self.written
        summed: set[str] = set()
        progress(start, total)
        with ThreadPoolExecutor(max_workers=1) as ahead:  # one shard is decoded while the one before it is written
            coming = ahead.submit(self._decoded, start)
            while start < total:
                some, values, missing = coming.result()
                end = start + len(values)
                coming = ahead.submit(self._decoded, end)
                array[start:end] = values
                for file in dict.fromkeys(map(str, some["source"].values)):
                    if file not in summed:
                        self.manifest["files"][file] = _checksums(Path(file))
                        summed.add(file)
                self.manifest["missing"] |= missing
                self.manifest |= {"frames": end, "last": str(some["time"].values[-1])}
                self._note()
                start = end
                progress(end, total)

    def finish(self, repairs: Sequence[str]) -> Conversion:
        """Move the store to its place."""
        files = sorted(file for file in (self.partial / self.name / "c").rglob("*") if file.is_file())
        known = self.manifest["stored"]
        keys = {str(file.relative_to(self.partial)): file for file in files}
        self.manifest["stored"] = {key: known.get(key) or _sha256(file) for key, file in keys.items()}
        left_out = self.manifest["left_out"]
        self.manifest["left_out"] = {file: why for file, why in left_out.items() if file not in self.manifest["files"]}
        self.manifest["repairs"] = list(dict.fromkeys([*self.manifest["repairs"], *repairs]))
        self._note()
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

    def _decoded(self, start: int) -> tuple[xr.DataArray, np.ndarray, dict[str, str]]:
        """The frames of the store from `start` to the end of its shard, their values, and what is missing."""
        end = min((start // self.length + 1) * self.length, self.size.frames)
        some = self.frames.isel(time=slice(start - self.written, end - self.written))
        values = np.empty(some.shape, dtype=np.float32)
        missing: dict[str, str] = {}
        ends = np.cumsum(self.frames.chunksizes["time"]) + self.written
        cuts = [start, *(int(cut) for cut in ends if start < cut < end), end]
        with ThreadPoolExecutor(max_workers=self.threads) as pool:
            pieces = [pool.submit(self._read, a, b, values[a - start : b - start]) for a, b in pairwise(cuts)]
            for piece in pieces:
                missing |= piece.result()
        return some, values, missing

    def _read(self, start: int, end: int, values: np.ndarray) -> dict[str, str]:
        """Read the frames of the store from `start` to `end` into `values`. One that cannot be decoded has no data; the result
        says why."""
        place = slice(start - self.written, end - self.written)
        try:
            values[:] = self.parts.decoded(time=place)
        except ResourceError:
            raise
        except FramecastError as error:
            if end - start == 1:
                values[:] = np.nan
                return {stamp(self.frames["time"].values[place.start]): f"{error.where}: {error.what}"}
            alone = [self._read(k, k + 1, values[k - start : k - start + 1]) for k in range(start, end)]
            return {time: why for each in alone for time, why in each.items()}
        return {}

    def _rewritten(self, key: Path) -> bool:
        """Whether a stored file is one that is written from here on: anything but a full shard of earlier frames."""
        parts = key.parts
        return parts[:2] != (self.name, "c") or len(parts) < 3 or int(parts[2]) >= self.written // self.length

    def _copy(self, source: str, target: str) -> None:
        """Share what stays as it is with the finished store, copy the rest, so that the finished one is never touched."""
        if self._rewritten(Path(source).relative_to(self.out)):
            shutil.copy2(source, target)
            return
        try:
            os.link(source, target)
        except OSError:  # a file system without links
            shutil.copy2(source, target)

    def _note(self) -> None:
        """Write the manifest, whole or not at all."""
        temporary = self.partial / f"{MANIFEST}.new"
        temporary.write_text(json.dumps(self.manifest, indent=1))
        temporary.replace(self.partial / MANIFEST)


def _previous(out: Path) -> Path:
    """Where the finished store lies for the moment in which the longer one takes its place."""
    return out.with_name(f".{out.name}.previous")


def _recover(out: Path) -> None:
    """Put the finished store back where a conversion was interrupted in that moment."""
    if _previous(out).exists():
        shutil.rmtree(_previous(out)) if out.exists() else _previous(out).rename(out)


def _manifest(store: Path) -> dict[str, Any] | None:
    """What a store says of itself; None where there is none, or none that is whole."""
    try:
        manifest = json.loads((store / MANIFEST).read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(manifest, dict) or not manifest.keys() >= _nothing({}).keys():
        return None
    not_noted_once = {"clock": "T" in str(manifest["last"]), "time_step": None, "actions": 0}
    for key, value in not_noted_once.items():
        manifest["plan"].setdefault(key, value)
    return manifest


def _nothing(plan: dict[str, Any]) -> dict[str, Any]:
    """The manifest of a store without frames."""
    empty: dict[str, Any] = {"files": {}, "left_out": {}, "missing": {}, "repairs": [], "stored": {}}
    return {"plan": plan, "frames": 0, "last": None, **empty}


def _plan(opened: Opened, changes: Changes, chunks: Chunks) -> dict[str, Any]:
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
        "shard": frames_of_shard(frames, chunks),
    }


def _ended(manifest: dict[str, Any] | None, plan: dict[str, Any], frames: xr.DataArray) -> str:
    """Why a store cannot go on with these frames; nothing where it can."""
    if manifest is None:
        return "was not made by this command"
    if differing := [key for key in plan if manifest["plan"].get(key) != plan[key]]:
        return f"was made with other settings, or on another grid ({', '.join(differing)})"
    if moved := _shifted(frames, manifest):
        why = "frames without a clock are counted through, and new or longer than before is"
        return f"the numbers of its frames have shifted: {why} {first_of(moved)}"
    return ""


def _shifted(frames: xr.DataArray, manifest: dict[str, Any]) -> list[str]:
    """The files by which frames that are counted through have other numbers than in a store: new ones before its end, and those
    that are longer now, but for the last. None where there is a clock, or a file is one frame with the number in its name."""
    plan, files = manifest["plan"], list(map(str, frames["source"].values))
    if (plan["clock"] and plan["time_step"] is None) or len(set(files)) == len(files):
        return []
    new, late = _after(frames, manifest)
    there = list(dict.fromkeys(files[: len(files) - new.sizes["time"]]))
    sizes = {Path(file).absolute(): said.get("bytes") for file, said in manifest["files"].items()}
    longer = (file for file in there[:-1] if sizes.get(Path(file).absolute()) not in (None, Path(file).stat().st_size))
    return [*late, *longer]


def _after(frames: xr.DataArray, manifest: dict[str, Any]) -> tuple[xr.DataArray, dict[str, str]]:
    """The frames after the last one of a store, and the files among the others that are not in it."""
    if manifest["last"] is None:
        return frames, {}
    clock = manifest["plan"]["clock"]
    new = frames["time"].values > (np.datetime64(manifest["last"]) if clock else int(manifest["last"]))
    known = {Path(file).absolute() for file in manifest["files"]}
    sums = {said.get("sha256") for said in manifest["files"].values()} - {None}  # of files that may lie elsewhere now
    others = {file for file in map(str, frames["source"].values[~new]) if Path(file).absolute() not in known}
    late = {file for file in others if _checksums(Path(file)).get("sha256") not in sums}
    why = f"late: the store went on to {manifest['last']} before it came; convert all to a new store to have it in"
    return frames.isel(time=new), dict.fromkeys(sorted(late), why)


def _checksums(file: Path) -> dict[str, Any]:
    """Size and SHA-256 of a source; of a store that is a folder, or lies elsewhere, only what it is."""
    if not file.is_file():
        return {"kind": "store"}
    return {"bytes": file.stat().st_size, "sha256": _sha256(file)}


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
