"""Open frames (`framecast.open`): find the files of a path, read each with its reader, and join them along time.

Only headers are read here; pixels are decoded when they are used.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from framecast.checks import check_kind, describe, refuses_arrays, replace_fields, takes_fields_of
from framecast.data.archives.grids import group_by_grid, pick_grid
from framecast.data.archives.joining import (
    find_mismatches,
    find_other_shapes,
    first_names,
    join,
    stack_single_frames,
)
from framecast.data.archives.listing import MANY, list_by_name
from framecast.data.archives.names import frame_number, natural_key
from framecast.data.clock import describe_clock
from framecast.data.frames import build, order_times
from framecast.data.orientation import turned_like
from framecast.data.readers import foreign, images, video, zarr_store
from framecast.data.readers.file_names import time_in_name
from framecast.data.readers.formats import find_reader, list_formats, read, reader_of
from framecast.data.readers.options import DEFAULT, Reader, ReadOptions
from framecast.errors import ArgumentError, DataError, UnreadableFile, resource_errors
from framecast.progress import advance
from framecast.reading.paths import status

DEPTH = 4
"""The depth of nested folders that is searched: year, month, day and hour."""
_FOREIGN = 5
"""The number of files, of a folder in which nothing is understood, that are looked into for the reason."""


@takes_fields_of(ReadOptions)
@refuses_arrays
def open(path: str | Path | Sequence[str | Path], options: ReadOptions = DEFAULT, **stated: Any) -> xr.DataArray:
    """Frames `([sequence,] time, channel, y, x)`, lazy, float32, in physical units, with NaN where there is no data.

    `path` is a file, a folder (its subfolders are searched if it holds no data itself), a glob pattern (`archive/**/*.nc`), a
    list of them, or the address of a Zarr store (`s3://bucket/archive.zarr`, through obstore or fsspec). Reading is
    controlled by `options`, or by keywords, which take precedence.

    Several files are joined along time, and the coordinate `source` holds the file of each frame. An incomplete file is
    left out and reported in `attrs["repairs"]`, unless none is left. A single frame without a time stamp
    takes it from its file's name: a date and time (`20150515_1545`, UTC), else the last number as the number of the frame.

    The header of every file is read, so that errors in an archive are reported at once. With `by_name` (if None: for more
    than 1,000 files) only three files are opened if all names hold date and time: the others are assumed to be alike, and an
    error in one of them is raised when it is read.

    Raises `DataError` naming file, variable and remedy, `ArgumentError` for an invalid option, and `ResourceError` if
    the machine runs out of open files or memory.
    """
    check_kind(ReadOptions, options=options)
    return open_all(path, replace_fields(options, stated)).frames


def open_like(path: str | Path | Sequence[str | Path], options: ReadOptions, before: ReadOptions) -> xr.DataArray:
    """Open frames as `open_like_all` does; what was left out is in their repairs only."""
    return open_like_all(path, options, before).frames


def open_like_all(
    path: str | Path | Sequence[str | Path], options: ReadOptions, before: ReadOptions, *, chunked: bool = True
) -> OpenResult:
    """Open frames with `options`, completed by those of training, `before`; `attrs["repairs"]` reports what was completed.

    If the files lack the variable of training, or have other units, they are read without that option, which
    `attrs["repairs"]` reports. Raises `DataError`, which names the options taken from training.
    """
    before = replace(before, by_name=None, like=None)  # these belong to an archive
    wanted = options.with_defaults(before)
    inherited = {name: value for name, value in before.stated.items() if name not in options.stated}
    failure: DataError | None = None
    for dropped in _subsets([name for name in ("variable", "units") if name in inherited]):
        removed: dict[str, Any] = dict.fromkeys(dropped)
        try:
            result = open_all(path, replace(wanted, **removed), chunked=chunked)
        except DataError as error:
            failure = failure or error
            continue
        frames, messages = result.frames, []
        if failure is not None:
            names = _describe_options({name: inherited[name] for name in dropped})
            messages.append(f"read without {names} of training: {failure.what}")
        if used := {
            name: value for name, value in inherited.items() if name not in dropped and _has_effect(name, value, result)
        }:
            messages.append(f"read as in training: {_describe_options(used)}")
        needless = _unused_step_message(inherited["time_step"]) if "time_step" in inherited else None
        frames.attrs["repairs"] = [*messages, *(repair for repair in frames.attrs["repairs"] if repair != needless)]
        return result
    assert failure is not None
    if inherited:
        what = f"{failure.what} (from training: {_describe_options(inherited)})"
        raise type(failure)(
            what, where=failure.where, remedy=failure.remedy, parameter=failure.parameter, example=failure.example
        ) from failure
    raise failure


def _subsets(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """All subsets of the names, smallest first."""
    return chain.from_iterable(combinations(names, count) for count in range(len(names) + 1))


def _describe_options(stated: dict[str, Any]) -> str:
    """Options and their values in words, for messages."""
    special: dict[str, Callable[[Any], str]] = {
        "grey": lambda value: "grey",
        "size": lambda value: f"size {value[0]}x{value[1]}",
        "time_step": lambda value: f"time step {value:g} minutes",
    }
    return ", ".join(
        special[name](value) if name in special else f"{name.replace('_', ' ')} {value!r}"
        for name, value in stated.items()
    )


def _has_effect(name: str, value: Any, result: OpenResult) -> bool:
    """Whether an option had an effect: frames with time stamps ignore a time step, NetCDF files a size."""
    frames = result.frames
    if name == "time_step":
        return result.time_step is not None
    if name == "variable":
        return bool(frames.name == value)
    readers = {"grey": (images, video), "size": (images, video), "frame_rate": (video,)}
    source = Path(str(frames["source"].values[0]))
    return name not in readers or any(reader.recognises(source) for reader in readers[name])


class OpenResult(NamedTuple):
    """Frames, the files that were left out with the reasons, and the time step in minutes if it set the times."""

    frames: xr.DataArray
    left_out: dict[str, str]
    time_step: float | None


def open_all(
    path: str | Path | Sequence[str | Path], options: ReadOptions, *, lenient: bool = False, chunked: bool = True
) -> OpenResult:
    """`open` with a list of what was left out. `lenient` also leaves out files on another grid, or of another quantity, than
    the first, and frames whose time another frame has already, where `open` raises `DataError`; for that it opens all files
    if `options.by_name` is None. Unless `chunked`, frames that are one lazy array to xarray are that, without Dask."""
    check_paths(path)
    if isinstance(path, str) and "://" in path:
        return _finish(_open_remote(path, options, chunked), options)
    if (row_and_files := _list_by_name(path, options, lenient=lenient)) is not None:
        return _finish(_build_row(*row_and_files, options, chunked), options)
    files, repairs = _find_files(path)
    if options.by_name:
        repairs.append("files could not be listed by their names: all were opened")
    arrays: dict[Path, xr.DataArray] = {}
    failures: list[DataError] = []
    # read every file; damaged ones are left out
    for number, (file, reader) in enumerate(files.items()):
        advance("opening files", number, len(files))
        try:
            with resource_errors(file):
                arrays[file] = read(reader, file, options)
        except UnreadableFile as error:
            failures.append(foreign.explain(error, file))
        except DataError as error:
            if not lenient:
                raise
            failures.append(error)
    advance("opening files", len(files), len(files))
    if not arrays:
        raise failures[0] if len(files) == 1 else _no_readable_file(failures)
    left_out = {str(error.where): error.what for error in failures}
    if lenient and options.like is None:
        left_out |= {str(file): reason for file, reason in find_other_shapes(arrays).items()}
        arrays = {file: array for file, array in arrays.items() if str(file) not in left_out}
    else:
        groups = group_by_grid(arrays)
        group = pick_grid(groups, options.like)
        others = [other.describe() for other in groups if other is not group]
        repairs += [f"left out were files on other grids: {'; '.join(others)}"] if others else []
        arrays = {file: arrays[file] for file in group.files}
    # join along time: as one stack where all are single frames
    row = stack_single_frames(arrays) if len(arrays) > 1 else None
    if row is not None:
        joined = _build_row(row, list(arrays), options, chunked)
    else:
        chunked = chunked or len(arrays) > 1
        parts = {file: _frames(array, file, options, len(files), chunked) for file, array in arrays.items()}
        first = next(iter(parts.values()))
        parts = {file: turned_like(part, first) for file, part in parts.items()}
        if lenient:
            left_out |= {str(file): reason for file, reason in find_mismatches(parts).items()}
            parts = {file: part for file, part in parts.items() if str(file) not in left_out}
        joined = join(parts)
    if left_out and not lenient:  # else the list itself is wanted
        what = f"{len(left_out)} of {len(files)} files could not be read and were left out"
        repairs.append(f"{what}: {first_names([f'{file}: {reason}' for file, reason in left_out.items()])}")
    return _finish(joined, options, repairs, left_out, keep_first=lenient)


def check_paths(path: object) -> None:
    """Raise `ArgumentError` if `path` is neither a path nor a list of paths."""
    paths = path if isinstance(path, list | tuple) else [path]
    for item in paths:
        if not isinstance(item, str | Path) or not str(item):
            raise ArgumentError(
                f"{describe(item)} given, expected a path, or a list of paths",
                parameter="path",
                remedy="such as 'archive/' or sorted(folder.glob('*.nc')); frames in memory are written first: "
                "frames.to_netcdf('frames.nc')",
            )
        if "://" not in str(item):
            status(item, "path")


def _build_row(row: xr.DataArray, files: Sequence[Path], options: ReadOptions, chunked: bool) -> xr.DataArray:
    """Frames from stacked single frames, one file each."""
    frames = build(row, where=str(files[0]), units=options.units, dry=options.dry, chunked=chunked)
    return frames.assign_coords(source=("time", [str(file) for file in files]))


def _list_by_name(
    path: str | Path | Sequence[str | Path], options: ReadOptions, *, lenient: bool
) -> tuple[xr.DataArray, list[Path]] | None:
    """Many files listed by their names; None if that is not asked for or not possible."""
    single_source = isinstance(path, str | Path) and find_reader(
        Path(path)
    )  # a store, or a folder of images in its own order
    if options.by_name is False or (options.by_name is None and (lenient or single_source)):
        return None
    entries = _entries(path)
    return list_by_name(entries, options) if options.by_name or len(entries) > MANY else None


def _entries(path: str | Path | Sequence[str | Path]) -> list[Path]:
    """The files of a path, in the natural order of their names, without reading any."""
    if not isinstance(path, str | Path):
        return [file for one in path for file in _entries(one)]
    where = Path(path)
    if where.is_file():
        return [where]
    if where.is_dir():
        return _expand_folders(_list_folder(where))
    return _expand_folders(sorted(map(Path, glob.glob(str(path), recursive=True)), key=natural_key))


def files_named_by(path: str) -> set[str]:
    """The files of a path, as absolute paths, without reading any or checking their formats."""
    if "://" in path:
        return {path}
    where = Path(path)
    entries = [where] if where.is_dir() and find_reader(where) else _entries(path)
    return {str(entry.resolve()) for entry in entries}


def _list_folder(folder: Path) -> list[Path]:
    return sorted((entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=natural_key)


def _expand_folders(entries: list[Path], depth: int = DEPTH) -> list[Path]:
    """The entries of a folder; if none is data, those of its subfolders, as in archives by year and day."""
    if depth == 0 or any(map(_reader_of_entry, entries)) or not any(entry.is_dir() for entry in entries):
        return entries
    expanded = [_expand_folders(_list_folder(entry), depth - 1) if entry.is_dir() else [entry] for entry in entries]
    return [*chain.from_iterable(expanded)]


def _finish(
    frames: xr.DataArray,
    options: ReadOptions,
    repairs: Sequence[str] = (),
    left_out: dict[str, str] | None = None,
    *,
    keep_first: bool = False,
) -> OpenResult:
    """Frames at the stated time step, in order of time, with all repairs."""
    time_step = None if frames["time"].dtype.kind == "M" else options.time_step
    if options.time_step is not None:
        frames = _with_step(frames, options.time_step)
    result = OpenResult(order_times(frames, keep_first=keep_first), left_out or {}, time_step)
    unused = {
        name: value
        for name, value in options.stated.items()
        if name in ("grey", "size", "frame_rate") and not _has_effect(name, value, result)
    }
    messages = [f"{_describe_options(unused)} had no effect on these files"] if unused else []
    messages += describe_clock(result.frames["time"].values)
    result.frames.attrs["repairs"] = [*repairs, *messages, *result.frames.attrs["repairs"]]
    return result


def _open_remote(address: str, options: ReadOptions, chunked: bool) -> xr.DataArray:
    """The frames of a remote Zarr store."""
    array = read(zarr_store, address, options)
    frames = build(array, where=address, units=options.units, dry=options.dry, chunked=chunked)
    if "time" not in frames.coords:
        frames = frames.assign_coords(time=np.arange(frames.sizes["time"]))
    return frames.assign_coords(source=("time", [address] * frames.sizes["time"]))


def _find_files(path: str | Path | Sequence[str | Path]) -> tuple[dict[Path, Reader], list[str]]:
    """The files to read with their readers, in the natural order of their names, and a report of the skipped ones."""
    if not isinstance(path, str | Path):
        if not path:
            raise ArgumentError("an empty list of files", parameter="path")
        results = [_find_files(one) for one in path]
        files = {file: reader for readers, _ in results for file, reader in readers.items()}
        return files, [message for _, repairs in results for message in repairs]
    where = Path(path)
    if where.is_file():
        return {where: reader_of(where)}, []
    if where.is_dir() and (reader := find_reader(where)):
        return {where: reader}, []
    entries = _entries(path)
    if not entries and not where.is_dir():
        raise DataError("no such file or folder", where=where, remedy="give a file, a folder or a glob pattern")
    return _select_readable(entries, where)


def _select_readable(entries: list[Path], where: Path) -> tuple[dict[Path, Reader], list[str]]:
    """The readable entries of a folder with their readers, and a report that names the others."""
    files = {file: reader for file in entries if (reader := _reader_of_entry(file))}
    others = [file.name for file in entries if file not in files]
    if not files:
        kind = next(filter(None, map(foreign.describe, entries[:_FOREIGN])), None)
        if kind is not None:
            raise DataError(f"{first_names(others)}: {kind.what}, which is not read", where=where, remedy=kind.remedy)
        what = "in this folder" if where.is_dir() else "that matches"
        raise DataError(
            f"nothing {what} is understood ({first_names(others) or 'it is empty'})",
            where=where,
            remedy=f"understood are {list_formats()}",
        )
    return files, [f"{where}: passed over what is not understood: {first_names(others)}"] if others else []


def _reader_of_entry(entry: Path) -> Reader | None:
    """The reader of an entry of a folder; None also for what cannot be looked at, such as a link to itself."""
    try:
        return find_reader(entry)
    except (ArgumentError, OSError):
        return None


def _no_readable_file(failures: Sequence[DataError]) -> DataError:
    return DataError(
        f"none of {len(failures)} files could be read; the first: {failures[0].what}",
        where=failures[0].where,
        remedy="fetch the files again",
    )


def _frames(array: xr.DataArray, file: Path, options: ReadOptions, files: int, chunked: bool) -> xr.DataArray:
    """What a reader returned, as Frames with a time coordinate: dates, or the numbers of the frames."""
    frames = build(array, where=str(file), units=options.units, dry=options.dry, chunked=chunked)
    if "time" in frames.coords:
        return frames
    count = frames.sizes["time"]
    if count > 1:
        return frames.assign_coords(time=np.arange(count))
    date = time_in_name(file.stem)
    if date is not None:
        return frames.assign_coords(time=[date])
    return frames.assign_coords(time=[frame_number(file) if files > 1 else 0])


def _unused_step_message(minutes: float) -> str:
    return f"the stated time step of {minutes:g} minutes was not needed: the frames have time stamps"


def _with_step(frames: xr.DataArray, minutes: float) -> xr.DataArray:
    """Frames without clock at a stated step, counted from the beginning of 1970. Raises `DataError` for numbers beyond what a
    time can be."""
    if frames["time"].dtype.kind == "M":
        message = _unused_step_message(minutes)
    else:
        step = np.timedelta64(round(minutes * 60e9), "ns")
        numbers = frames["time"].values
        last = int(np.argmax(numbers))
        if int(numbers[last]) * round(minutes * 60e9) > np.iinfo(np.int64).max:
            raise DataError(
                f"the frame with the number {numbers[last]} would, at {minutes:g} minutes a frame, lie after the year 2262",
                where=str(frames["source"].values[last]),
                remedy="number the frames from 0, or name them by date and time: rain_20200101_1205.png",
            )
        frames = frames.assign_coords(time=np.datetime64(0, "ns") + numbers * step)
        message = f"times are counted from 1970 at the stated step of {minutes:g} minutes"
    frames.attrs["repairs"] = [*frames.attrs["repairs"], message]
    return frames
