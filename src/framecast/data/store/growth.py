"""What an archive adds to a store that exists: the frames after its end. Of the others, those at times that it lacks are late;
those at times that it has are compared with its frames, unless their file has not changed since it was converted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
import zarr

from framecast.data.archives.joining import first_names
from framecast.data.lazy import ArrayReader
from framecast.data.store.decoding import decode_frames
from framecast.data.store.manifest import Sources, is_after
from framecast.errors import counted


class Growth(NamedTuple):
    """The frames after the last one of a store, and what is to be reported of the others."""

    frames: xr.DataArray
    left_out: dict[str, str]
    """Files of which frames are left out, with the reasons."""
    repairs: list[str]
    changed: frozenset[str]
    """Files whose frames in the store are different now; their entries in the manifest stay, so that they are reported again."""


class _Compared(NamedTuple):
    """How many frames of a file are at times of the store, and how many of these differ from its frames."""

    frames: int
    differing: int


def growth_of(
    frames: xr.DataArray, manifest: dict[str, Any], times: np.ndarray, stored: zarr.Array[Any], length: int
) -> Growth:
    """What `frames` add to the store with this manifest, whose frames `stored (T, C, H, W)` have these times, as whole numbers;
    `length` frames are compared at a time. The times of change of files that have not changed are noted in the manifest."""
    after, sources = is_after(frames, manifest), Sources(manifest)
    numbers = frames["time"].values.astype(np.int64)
    places = np.minimum(np.searchsorted(times, numbers), len(times) - 1)
    present = times[places] == numbers
    by_file: dict[str, list[int]] = {}
    for index, file in enumerate(map(str, frames["source"].values)):
        by_file.setdefault(file, []).append(index)
    # what is late, and what is at a time of the store, by file
    left_out: dict[str, str] = {}
    copies: dict[str, _Compared] = {}
    changed: set[str] = set()
    for file, indices in by_file.items():
        of_file = np.array(indices)
        reasons = []
        if count := int((~after & ~present)[of_file].sum()):
            reasons.append(_late(count, len(of_file)))
        chosen = of_file[present[of_file]]
        if len(chosen) and not _is_same(file, sources):
            differing = _differing(frames.isel(time=chosen), places[chosen], stored, length)
            compared = _Compared(len(chosen), differing)
            if sources.name_of(file) is None:
                copies[file] = compared
            elif differing:
                changed.add(file)
                reasons.append(_changed(compared))
        if reasons:
            left_out[file] = "; ".join(reasons)
    left_out = {file: left_out[file] for file in sorted(left_out)}
    return Growth(frames.isel(time=after), left_out, _notes(copies), frozenset(changed))


def _is_same(file: str, sources: Sources) -> bool:
    """Whether the store was made from a file as it is, maybe under another name."""
    return sources.has_moved(file) if sources.name_of(file) is None else sources.is_unchanged(file)


def _late(count: int, of: int) -> str:
    verb = "lies" if count == 1 else "lie"
    return (
        f"late: {count:,} of {counted(of, 'frame')} {verb} before the end of the store; "
        "convert all to a new store to have all frames in"
    )


def _changed(compared: _Compared) -> str:
    part = f"{compared.differing:,} of {counted(compared.frames, 'frame')}"
    return (
        f"changed since it was converted: {part} that the store has from it {'is' if compared.differing == 1 else 'are'} "
        "different now, and the store keeps what it has; convert all to a new store to have the file as it is"
    )


def _notes(copies: Mapping[str, _Compared]) -> list[str]:
    """The reports of frames of new files at times of the store."""
    exact = {file: each.frames - each.differing for file, each in copies.items() if each.frames > each.differing}
    others = {file: each.differing for file, each in copies.items() if each.differing}
    notes = []
    if exact:
        what = f"{counted(sum(exact.values()), 'frame')} with a time that the store has dropped: exact copies"
        notes.append(f"{what} ({first_names(list(exact))})")
    if others:
        what = f"{counted(sum(others.values()), 'frame')} with the time of another, different one in the store dropped"
        notes.append(f"{what}: the store keeps the first ({first_names(list(others))})")
    return notes


def _differing(frames: xr.DataArray, places: np.ndarray, stored: zarr.Array[Any], length: int) -> int:
    """How many frames are not those at these places of the store. One that cannot be decoded is without data."""
    reader, count = ArrayReader(frames), 0
    for start in range(0, len(places), length):
        part = places[start : start + length]
        values = np.empty((len(part), *frames.shape[1:]), np.float32)
        decode_frames(reader, start, start + len(part), values)
        earlier = np.asarray(stored.oindex[part])
        same = (values == earlier) | (np.isnan(values) & np.isnan(earlier))
        count += int((~same.all(axis=(1, 2, 3))).sum())
    return count
