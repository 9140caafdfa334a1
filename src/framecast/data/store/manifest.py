"""The manifest of a converted store: what it was made from and how, and whether it can continue with other frames."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from framecast.checks import LARGEST_COUNT
from framecast.data.archives.joining import first_names
from framecast.data.archives.opening import OpenResult
from framecast.data.frames import action_names
from framecast.data.store.changes import Changes
from framecast.data.store.layout import Chunks, clip_chunks, frames_per_shard
from framecast.data.units import identify
from framecast.errors import DataError, FramecastError
from framecast.reading.paths import is_file
from framecast.reading.plain_data import read_json

MANIFEST = "manifest.json"
LARGEST_MANIFEST = 2**30
"""Bytes of a manifest that is read."""
_KINDS: dict[str, type | tuple[type, ...]] = {
    "plan": dict,
    "frames": int,
    "last": (str, int, type(None)),
    "files": dict,
    "modified": dict,
    "left_out": dict,
    "missing": dict,
    "repairs": list,
    "stored": dict,
}


def read_manifest(store: Path) -> dict[str, Any] | None:
    """The manifest of a store; None if there is none, or if it is damaged."""
    try:
        manifest = read_json(store / MANIFEST, LARGEST_MANIFEST)
    except FramecastError:
        return None
    if isinstance(manifest, dict):
        manifest.setdefault("modified", {})  # of earlier versions
    if not isinstance(manifest, dict) or not all(
        isinstance(manifest.get(key, ...), kind) for key, kind in _KINDS.items()
    ):
        return None
    plan = manifest["plan"]
    if not all(_are_counts(plan.get(key)) for key in ("size", "chunks")) or not _are_counts([plan.get("shard")] * 3):
        return None
    if not all(isinstance(about, dict) for about in manifest["files"].values()):
        return None
    if not 0 <= manifest["frames"] <= LARGEST_COUNT or not _is_time(manifest["last"], plan.get("clock")):
        return None
    plan["chunks"] = list(clip_chunks(plan["chunks"], *plan["size"][1:]))
    later_keys = {"clock": "T" in str(manifest["last"]), "time_step": None, "actions": 0}
    for key, value in later_keys.items():
        plan.setdefault(key, value)
    return manifest


def _is_time(last: Any, clock: Any) -> bool:
    """Whether `last` is the time of a frame as a manifest has it: nothing, or text that is a date if there is a `clock`, else a
    number."""
    if last is None:
        return True
    try:
        return not np.isnat(np.datetime64(last)) if clock or "T" in str(last) else int(last) >= 0
    except (ValueError, TypeError):
        return False


def _are_counts(values: Any) -> bool:
    """Whether `values` are three whole numbers from 1 on."""
    return isinstance(values, list) and len(values) == 3 and all(type(value) is int and value > 0 for value in values)


def empty_manifest(plan: dict[str, Any]) -> dict[str, Any]:
    """The manifest of a store without frames."""
    empty: dict[str, Any] = {"files": {}, "modified": {}, "left_out": {}, "missing": {}, "repairs": [], "stored": {}}
    return {"plan": plan, "frames": 0, "last": None, **empty}


STATED = "stated_units"
"""The entry of a plan with the units that were stated for files that do not say: other ones must mean the same."""


def make_plan(opened: OpenResult, changes: Changes, chunks: Chunks, units: str | None = None) -> dict[str, Any]:
    """What must stay the same for a store to grow; `units` are those that are stated."""
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
        STATED: units,
    }


def mismatch(manifest: dict[str, Any] | None, plan: dict[str, Any], frames: xr.DataArray) -> str:
    """Why a store cannot continue with these frames; empty if it can."""
    if manifest is None:
        return "was not made by this command"
    earlier = manifest["plan"]
    differing = [key for key in plan if key != STATED and earlier.get(key) != plan[key]]
    pair = [entry.get(STATED) for entry in (earlier, plan)]
    if None not in pair and len({identify(units, variable=STATED, where=STATED) for units in pair}) > 1:
        differing.append(f"units stated: {pair[0]} before, now {pair[1]}")
    if differing:
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
    after = is_after(frames, manifest)
    earlier_files = list(dict.fromkeys(files[: len(files) - int(after.sum())]))
    sources = Sources(manifest)
    late = [file for file in earlier_files if not sources.name_of(file) and not sources.has_moved(file)]
    sizes = {Path(file).absolute(): entry.get("bytes") for file, entry in manifest["files"].items()}
    longer = (
        file for file in earlier_files[:-1] if sizes.get(Path(file).absolute()) not in (None, Path(file).stat().st_size)
    )
    return [*sorted(late), *longer]


def is_after(frames: xr.DataArray, manifest: dict[str, Any]) -> np.ndarray:
    """Which frames come after the last one of a store."""
    if manifest["last"] is None:
        return np.ones(frames.sizes["time"], bool)
    last = np.datetime64(manifest["last"]) if manifest["plan"]["clock"] else int(manifest["last"])
    return np.asarray(frames["time"].values > last)


class Sources:
    """The source files of a store, as its manifest has them."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        self._files, self._modified = manifest["files"], manifest["modified"]
        self._names = {Path(name).absolute(): name for name in self._files}
        self._sums = {entry.get("sha256") for entry in self._files.values()} - {None}

    def name_of(self, file: str) -> str | None:
        """The name under which the manifest has a file; None if it has none of that path."""
        return self._names.get(Path(file).absolute())

    def has_moved(self, file: str) -> bool:
        """Whether a file has the checksum of one of the source files. Raises `DataError`."""
        return checksums(Path(file)).get("sha256") in self._sums

    def is_unchanged(self, file: str) -> bool:
        """Whether a file of the manifest is as it was when it was converted: by its size and time of change, else by its
        checksum, and then the time is noted. A store is not compared. Raises `DataError`."""
        name, path = self._names[Path(file).absolute()], Path(file)
        entry, time = self._files[name], modified(path)
        if "sha256" not in entry or time is None:
            return True
        if time != self._modified.get(name) or path.stat().st_size != entry.get("bytes"):
            if checksums(path) != entry:
                return False
            self._modified[name] = time
        return True


def modified(file: Path) -> int | None:
    """When a source file was changed, in nanoseconds since 1970; None for a store. Raises `DataError`."""
    try:
        return file.stat().st_mtime_ns if is_file(file) else None
    except OSError as error:
        raise DataError(f"cannot be read ({error})", where=file) from error


def checksums(file: Path) -> dict[str, Any]:
    """Size and SHA-256 of a source file; for a store (a folder, or remote) only its kind. Raises `DataError`."""
    if not is_file(file):
        return {"kind": "store"}
    try:
        return {"bytes": file.stat().st_size, "sha256": sha256(file)}
    except OSError as error:
        raise DataError(f"cannot be read ({error})", where=file) from error


def sha256(file: Path) -> str:
    """The SHA-256 of a file. Raises `OSError`."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
