"""Data of a run by its record: written down when the run begins, opened again later with the same frames in the same splits.

An archive may have grown, shrunk, changed or moved since. Its files are compared with the record, its frames where a file is no
longer the same; what is new is not used, and what a split needs and is gone or has changed is an error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from framecast.data.archives.opening import files_named_by
from framecast.data.archives.opening import open as open_frames
from framecast.data.datasets import ArchiveData
from framecast.data.frames import check_frames
from framecast.data.identity import FileIdentity, identify_files
from framecast.data.windows.matching import Changes, match_frames, move_windows
from framecast.data.windows.record import ArchiveRecord, DataRecord, Part, coverage_of
from framecast.data.windows.sources import Check, DataConfig, DataSplits, WindowSource
from framecast.data.windows.splits import NAMES, split_by_labels
from framecast.errors import DataError, FramecastError, counted

SAMPLES = 16
"""Windows of each split whose content identifies a data set with parts of its own."""
_SHOWN = 3


def record_data(
    data: DataConfig, sources: DataSplits, settings: Mapping[str, Any], *, in_memory: bool = False
) -> DataRecord:
    """The record of an opened data set with these plain `settings`. The files of archives are read once, for their SHA-256;
    frames that were given `in_memory` have none. Raises `DataError`."""
    record = DataRecord(settings, data.context, data.horizon)
    if not sources.tables:
        return replace(record, parts={name: _part(sources, name) for name in NAMES})
    archives = [
        ArchiveRecord(() if in_memory else identify_files(_source_files(frames)), table)
        for frames, table in zip(sources.frames, sources.tables, strict=True)
    ]
    own = {file.path for archive in archives for file in archive.files}
    inputs = identify_files(file for file in sources.input_files if file not in own)
    named = _named(data) if isinstance(data, ArchiveData) and not in_memory else set()
    others = named - {str(Path(path).resolve()) for path in own}
    return replace(
        record,
        archives=tuple(archives),
        windows=sources.windows,
        inputs=inputs,
        others=tuple(sorted(Path(path).name for path in others)),
    )


def open_recorded(
    data: DataConfig,
    record: DataRecord,
    splits: Sequence[str],
    *,
    check: Check = lambda shape: None,
    frames: Sequence[xr.DataArray] | None = None,
) -> DataSplits:
    """Open the data of a run with the frames and the splits of its `record`; `splits` names those that are used. `data` may have
    other lengths of windows, other inputs and another stride than in training. `frames` replace the files.

    Changes since training are named in `repairs`. Raises `DataError` if a frame of the `splits` is gone or has changed.
    """
    if not isinstance(data, ArchiveData):
        recorded: Any = replace(data, context=record.context, horizon=record.horizon)  # type: ignore[type-var]
        _check_parts(recorded.open(check), record, splits, data.description)
        return data.open(check)
    changes = Changes(data.description)
    _check_inputs(record, data)
    if frames is None:
        opened = [_reopen(archive, data, changes) for archive in record.archives]
        _find_new_files(record, data, changes)
    else:
        opened = [(check_frames(each), False) for each in frames]
    if len(opened) != len(record.archives):
        raise DataError(
            f"{len(opened)} archives, but the run was trained on {len(record.archives)}", remedy="give the same data"
        )
    archives = data.convert([each for each, _ in opened])
    check(data.frame_shape(archives))
    matches = [
        match_frames(each, archive.table, same, number, splits, changes)
        for number, (each, archive, (_, same)) in enumerate(zip(archives, record.archives, opened, strict=True))
    ]
    if not all(same for _, same in opened) and frames is None and _reads_more_than_pixels(data):
        changes.lost.append("a file that holds actions or inputs besides its frames has changed")
    changes.check()
    archives = tuple(match.frames for match in matches)
    windows = data.list_windows(archives, [coverage_of(match.table, match.frames) for match in matches])
    parts = split_by_labels(windows, [match.table.labels for match in matches])
    if (data.context, data.horizon, data.stride) == (record.context, record.horizon, record.settings.get("stride")):
        parts = {name: move_windows(record.windows[name], matches, windows.length) for name in NAMES}
    sources = data.assemble(archives, windows, parts, tuple(match.table for match in matches))
    return replace(sources, repairs=(*changes.notes, *sources.repairs))


def changed_files(data: DataConfig, record: DataRecord) -> list[str]:
    """The files of the `data` that are not those of the `record`: changed, gone, or new at its paths."""
    if not isinstance(data, ArchiveData):
        return []
    recorded = [*record.inputs, *(file for archive in record.archives for file in archive.files)]
    return [*(file.path for file in recorded if not file.is_at(file.path)), *_new_files(record, data)]


def _source_files(frames: xr.DataArray) -> list[str]:
    """The files of frames in the order of time, as they were opened."""
    return [] if "source" not in frames.coords else [*dict.fromkeys(map(str, frames["source"].values.ravel()))]


def _reads_more_than_pixels(data: ArchiveData) -> bool:
    """Whether actions or other variables are read from the files of the frames, which no digest of a frame covers."""
    return data.actions or any(each.path is None for each in data.inputs)


def _reopen(archive: ArchiveRecord, data: ArchiveData, changes: Changes) -> tuple[xr.DataArray, bool]:
    """The frames of the recorded files, and whether the files are the same, so that no frame need be compared."""
    if not archive.files:
        raise DataError("they were frames in memory, which no file holds", where="data.path", remedy="give them again")
    located = [(file.path, *_locate(file, changes)) for file in archive.files]
    paths = [path for _, path, _ in located if path is not None]
    gone = [name for name, path, _ in located if path is None]
    changed = [name for name, path, same in located if path is not None and same is False]
    if changed:
        changes.notes.append(
            f"{counted(len(changed), 'file')} with another content than in training: {_names(changed)}"
        )
    if gone:
        changes.notes.append(
            f"{counted(len(gone), 'file of training is', 'files of training are')} gone: {_names(gone)}"
        )
    if not paths:
        changes.lost.append("none of its files is left")
        changes.check()
    try:
        single = paths[0] if len(paths) == 1 else paths
        return open_frames(single, data.reading), all(same for _, path, same in located if path is not None)
    except FramecastError as error:
        if changed or gone:
            raise DataError(
                f"{'; '.join(changes.notes)}; what is there cannot be opened as in training: {error.what}",
                where=changes.where,
                remedy="restore the files of training",
            ) from error
        raise


def _locate(file: FileIdentity, changes: Changes) -> tuple[str | None, bool | None]:
    """Where a recorded file is now, at its path or else where it was in training, and whether it is the same: None if that is
    not known. None for a file that is gone."""
    if file.remote:
        return file.path, None
    candidates = [path for path in dict.fromkeys((file.path, file.absolute)) if Path(path).exists()]
    for path in candidates:
        if file.is_at(path):
            if path != candidates[0]:
                changes.notes.append(
                    f"{file.path} is another file here than in training, which is {path}: that is used"
                )
            return path, True
    return (candidates[0], False) if candidates else (None, False)


def _named(data: ArchiveData) -> set[str]:
    """The files at the paths of the data, as absolute paths; none for frames in memory."""
    try:
        return set() if data.in_memory else set().union(*(files_named_by(path) for path in data.paths))
    except OSError:
        return set()


def _new_files(record: DataRecord, data: ArchiveData) -> list[str]:
    """The files that are at the paths of the data now and were not in training."""
    known = {str(Path(file.path).resolve()) for archive in record.archives for file in archive.files}
    return sorted(path for path in _named(data) - known if "://" not in path and Path(path).name not in record.others)


def _find_new_files(record: DataRecord, data: ArchiveData, changes: Changes) -> None:
    """Note the files that are new since training."""
    if new := _new_files(record, data):
        changes.notes.append(f"{counted(len(new), 'file')} new since training, not used: {_names(new)}")


def _check_inputs(record: DataRecord, data: ArchiveData) -> None:
    """Raise `DataError` if a file of an extra input has changed. Inputs at other paths than in training are not checked."""
    recorded = [each["path"] for each in record.settings.get("inputs", ())]
    paths = [list(each.path) if isinstance(each.path, tuple) else each.path for each in data.inputs]
    if paths != recorded:
        return
    named = [path for each in data.inputs for path in each.paths(len(record.archives)) if path is not None]
    for file in sorted(set().union(*map(files_named_by, named))) if named else ():
        if not any(each.is_at(file) for each in record.inputs) and not _is_other(file, record):
            raise DataError(
                "this extra input is not that of training",
                where=file,
                remedy="restore the file, or name its present path",
                parameter="inputs",
                example=["PATH"],
            )


def _is_other(file: str, record: DataRecord) -> bool:
    """Whether no recorded input has the name of `file`: it lay in the folder of an input and was passed over."""
    return Path(file).name not in {Path(each.path).name for each in record.inputs}


def _part(sources: DataSplits, name: str) -> Part:
    """A split of a data set with parts of its own."""
    source = sources.source(name)
    return Part(0 if source is None else len(source), tuple(sources.clips.get(name, ())), _sample(source))


def _sample(source: WindowSource | None) -> tuple[str, ...]:
    """Digests of the first and last windows of a source, and of some between."""
    if source is None or not len(source):
        return ()
    chosen = np.unique(np.linspace(0, len(source) - 1, min(SAMPLES, len(source))).round().astype(int))
    windows = (np.ascontiguousarray(source.read(int(index)), dtype="<f4") for index in chosen)
    return tuple(hashlib.blake2b(window.tobytes(), digest_size=8).hexdigest() for window in windows)


def _check_parts(sources: DataSplits, record: DataRecord, splits: Sequence[str], where: str) -> None:
    """Raise `DataError` if a split of a data set is not the recorded one."""
    changes = Changes(where)
    for name in splits:
        part, now = record.parts[name], _part(sources, name)
        if gone := sorted(set(part.clips) - set(now.clips)):
            changes.lost.append(f"{counted(len(gone), f'{name} clip is', f'{name} clips are')} gone: {_names(gone)}")
        if new := sorted(set(now.clips) - set(part.clips)):
            changes.lost.append(f"{counted(len(new), f'{name} clip is', f'{name} clips are')} new: {_names(new)}")
        if not gone and not new and part != now:
            what = f"{now.windows} and not {part.windows}" if now.windows != part.windows else "with another content"
            changes.lost.append(f"{name} windows: {what}")
    changes.check()


def _names(paths: Sequence[str]) -> str:
    """The first of some paths, by their names."""
    more = len(paths) - _SHOWN
    return ", ".join(Path(path).name for path in paths[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
