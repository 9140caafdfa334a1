"""Opening frames, whatever they come in."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from framecast.checks import describe, replace_fields, takes_fields_of
from framecast.data.archives.joining import (
    check_shapes,
    differing,
    first_of,
    in_a_row,
    join,
    number_of,
    other_shapes,
    time_of,
)
from framecast.data.archives.listing import MANY, listed
from framecast.data.frames import build, order_times
from framecast.data.readers import images as pictures
from framecast.data.readers import video, zarr_store
from framecast.data.readers.formats import reader_of, recognised, understood
from framecast.data.readers.options import DEFAULT, Reader, ReadOptions
from framecast.errors import ArgumentError, DataError, UnreadableFile, resource_errors
from framecast.progress import advance

DEPTH = 4
"""How deep folders may lie in one another: by year, month, day and hour."""


@takes_fields_of(ReadOptions)
def open(path: str | Path | Sequence[str | Path], options: ReadOptions = DEFAULT, **stated: Any) -> xr.DataArray:
    """Frames `([sequence,] time, channel, y, x)`, lazy, float32, in physical units, with NaN where there is no data.

    `path` is a file, a folder (one without data stands for what lies in its folders), a glob pattern (`archive/**/*.nc`), a
    list of them, or the address of a Zarr store (`s3://bucket/archive.zarr`, through obstore or fsspec). How it is read is
    given as `options`, or as keywords, which go before them.

    Several files are joined along time, and the coordinate `source` says which file a frame came from. A file that is
    incomplete is left out and reported in `attrs["repairs"]`, unless none is left. A single frame without a time stamp
    takes it from its file's name: a date and time (`20150515_1545`, UTC), else the last number as the number of the frame.

    Every file is opened, if only its header, so that what is wrong with an archive is known at once. With `by_name`, which
    holds for more than 1,000 files if it is None, three of many are, if dates and times in all names tell their order: the
    others are taken to be like them, and what is wrong with one is said when it is read.

    Raises `DataError` naming file, variable and remedy, `ArgumentError` for an option that cannot be, and `ResourceError` where
    this machine lacks open files or memory.
    """
    return open_all(path, replace_fields(options, stated)).frames


def open_like(path: str | Path | Sequence[str | Path], options: ReadOptions, before: ReadOptions) -> xr.DataArray:
    """Frames read as those of training were, `before`, where `options` state nothing else; `attrs["repairs"]` says so.

    The variable and the units of training give way, reported in `attrs["repairs"]`, where these files have no such variable or
    other units: without them they can be read. Raises `DataError`, which then names what was taken from training.
    """
    before = replace(before, by_name=None)  # how many files are opened belongs to an archive
    wanted = options.over(before)
    taken = {name: value for name, value in before.stated.items() if name not in options.stated}
    failure: DataError | None = None
    for left in _subsets([name for name in ("variable", "units") if name in taken]):
        less: dict[str, Any] = dict.fromkeys(left)
        try:
            opened = open_all(path, replace(wanted, **less))
        except DataError as error:
            failure = failure or error
            continue
        frames, said = opened.frames, []
        if failure is not None:
            without = _in_words({name: taken[name] for name in left})
            said.append(f"read without {without} of training: {failure.what}")
        if kept := {name: value for name, value in taken.items() if name not in left and _applied(name, value, opened)}:
            said.append(f"read as in training: {_in_words(kept)}")
        needless = _not_needed(taken["time_step"]) if "time_step" in taken else None
        frames.attrs["repairs"] = [*said, *(repair for repair in frames.attrs["repairs"] if repair != needless)]
        return frames
    assert failure is not None
    if taken:
        what = f"{failure.what} (from training: {_in_words(taken)})"
        raise type(failure)(
            what, where=failure.where, remedy=failure.remedy, parameter=failure.parameter, example=failure.example
        ) from failure
    raise failure


def _subsets(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """None of the names, each alone, all of them."""
    return chain.from_iterable(combinations(names, count) for count in range(len(names) + 1))


def _in_words(stated: dict[str, Any]) -> str:
    """What is stated, for messages."""
    special: dict[str, Callable[[Any], str]] = {
        "grey": lambda value: "grey",
        "size": lambda value: f"size {value[0]}x{value[1]}",
        "time_step": lambda value: f"time step {value:g} minutes",
    }
    return ", ".join(
        special[name](value) if name in special else f"{name.replace('_', ' ')} {value!r}"
        for name, value in stated.items()
    )


def _applied(name: str, value: Any, opened: Opened) -> bool:
    """Whether what was stated had a say: a clock needs no time step, a NetCDF file is not resized."""
    frames = opened.frames
    if name == "time_step":
        return opened.time_step is not None
    if name == "variable":
        return bool(frames.name == value)
    readers = {"grey": (pictures, video), "size": (pictures, video), "frame_rate": (video,)}
    source = Path(str(frames["source"].values[0]))
    return name not in readers or any(reader.recognises(source) for reader in readers[name])


class Opened(NamedTuple):
    """Frames, the files that were left out with the reasons, and the time step in minutes where times were made of it."""

    frames: xr.DataArray
    left_out: dict[str, str]
    time_step: float | None


def open_all(path: str | Path | Sequence[str | Path], options: ReadOptions, *, lenient: bool = False) -> Opened:
    """`open` with a list of what was left out. `lenient` also leaves out files on another grid, or of another quantity, than
    the first, and frames whose time another frame has already, where `open` raises `DataError`; for that it opens all files
    if `options.by_name` is None."""
    check_paths(path)
    if isinstance(path, str) and "://" in path:
        return _opened(_remote(path, options), options)
    if (found := _listed(path, options, lenient=lenient)) is not None:
        return _opened(_built(*found, options), options)
    files, repairs = _files(path)
    if options.by_name:
        repairs.append("files could not be listed by their names: all were opened")
    arrays: dict[Path, xr.DataArray] = {}
    failures: list[DataError] = []
    for number, (file, reader) in enumerate(files.items()):
        advance(number, len(files))
        try:
            with resource_errors(file):
                arrays[file] = reader.read(file, options)
        except UnreadableFile as error:
            failures.append(error)
        except DataError as error:
            if not lenient:
                raise
            failures.append(error)
    advance(len(files), len(files))
    if not arrays:
        raise failures[0] if len(files) == 1 else _nothing_left(failures)
    left_out = {str(error.where): error.what for error in failures}
    if lenient:
        left_out |= {str(file): why for file, why in other_shapes(arrays).items()}
        arrays = {file: array for file, array in arrays.items() if str(file) not in left_out}
    check_shapes(arrays)
    row = in_a_row(arrays) if len(arrays) > 1 else None
    if row is not None:
        joined = _built(row, list(arrays), options)
    else:
        parts = {file: _frames(array, file, options, len(files)) for file, array in arrays.items()}
        if lenient:
            left_out |= {str(file): why for file, why in differing(parts).items()}
            parts = {file: part for file, part in parts.items() if str(file) not in left_out}
        joined = join(parts)
    if left_out and not lenient:  # else the list itself is wanted
        what = f"{len(left_out)} of {len(files)} files could not be read and were left out"
        repairs.append(f"{what}: {first_of([f'{file}: {why}' for file, why in left_out.items()])}")
    return _opened(joined, options, repairs, left_out, keep_first=lenient)


def check_paths(path: object) -> None:
    """Raise `ArgumentError` for what is neither a path nor a list of paths."""
    several = path if isinstance(path, list | tuple) else [path]
    for one in several:
        if not isinstance(one, str | Path) or not str(one):
            raise ArgumentError(
                f"{describe(one)} given, expected a path, or a list of paths",
                parameter="path",
                remedy="such as 'archive/' or sorted(folder.glob('*.nc')); frames in memory are written first: "
                "frames.to_netcdf('frames.nc')",
            )


def _built(row: xr.DataArray, files: Sequence[Path], options: ReadOptions) -> xr.DataArray:
    """Frames from a row of single ones, a file each."""
    frames = build(row, where=str(files[0]), units=options.units, dry=options.dry)
    return frames.assign_coords(source=("time", [str(file) for file in files]))


def _listed(
    path: str | Path | Sequence[str | Path], options: ReadOptions, *, lenient: bool
) -> tuple[xr.DataArray, list[Path]] | None:
    """Many files by their names, where that is wanted and can be done."""
    whole = isinstance(path, str | Path) and recognised(Path(path))  # a store, or a folder of pictures in its own order
    if options.by_name is False or (options.by_name is None and (lenient or whole)):
        return None
    entries = _entries(path)
    return listed(entries, options) if options.by_name or len(entries) > MANY else None


def _entries(path: str | Path | Sequence[str | Path]) -> list[Path]:
    """The files that a path stands for, in the natural order of their names; none are read."""
    if not isinstance(path, str | Path):
        return [file for one in path for file in _entries(one)]
    where = Path(path)
    if where.is_file():
        return [where]
    if where.is_dir():
        return _within(_listing(where))
    return _within(sorted(map(Path, glob.glob(str(path), recursive=True)), key=_natural))


def files_named_by(path: str) -> set[str]:
    """The files that a path stands for, as absolute paths; none are read, nor is their format looked at."""
    if "://" in path:
        return {path}
    where = Path(path)
    entries = [where] if where.is_dir() and recognised(where) else _entries(path)
    return {str(entry.resolve()) for entry in entries}


def _listing(folder: Path) -> list[Path]:
    return sorted((entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=_natural)


def _within(entries: list[Path], depth: int = DEPTH) -> list[Path]:
    """The entries of a folder; where none is data, what lies in the folders among them, as in archives by year and day."""
    if depth == 0 or any(map(recognised, entries)) or not any(entry.is_dir() for entry in entries):
        return entries
    within = [_within(_listing(entry), depth - 1) if entry.is_dir() else [entry] for entry in entries]
    return [*chain.from_iterable(within)]


def _opened(
    frames: xr.DataArray,
    options: ReadOptions,
    repairs: Sequence[str] = (),
    left_out: dict[str, str] | None = None,
    *,
    keep_first: bool = False,
) -> Opened:
    """Frames at the stated time step and in order, with what was repaired before."""
    time_step = None if frames["time"].dtype.kind == "M" else options.time_step
    if options.time_step is not None:
        frames = _with_step(frames, options.time_step)
    opened = Opened(order_times(frames, keep_first=keep_first), left_out or {}, time_step)
    needless = {
        name: value
        for name, value in options.stated.items()
        if name in ("grey", "size", "frame_rate") and not _applied(name, value, opened)
    }
    said = [f"{_in_words(needless)} had no effect on these files"] if needless else []
    opened.frames.attrs["repairs"] = [*repairs, *said, *opened.frames.attrs["repairs"]]
    return opened


def _remote(address: str, options: ReadOptions) -> xr.DataArray:
    """The frames of a Zarr store somewhere else."""
    frames = build(zarr_store.read(address, options), where=address, units=options.units, dry=options.dry)
    if "time" not in frames.coords:
        frames = frames.assign_coords(time=np.arange(frames.sizes["time"]))
    return frames.assign_coords(source=("time", [address] * frames.sizes["time"]))


def _files(path: str | Path | Sequence[str | Path]) -> tuple[dict[Path, Reader], list[str]]:
    """The files to read with their readers, in the natural order of their names, and what was passed over."""
    if not isinstance(path, str | Path):
        if not path:
            raise ArgumentError("an empty list of files", parameter="path")
        found = [_files(one) for one in path]
        files = {file: reader for some, _ in found for file, reader in some.items()}
        return files, [said for _, repairs in found for said in repairs]
    where = Path(path)
    if where.is_file():
        return {where: reader_of(where)}, []
    if where.is_dir() and (reader := recognised(where)):
        return {where: reader}, []
    entries = _entries(path)
    if not entries and not where.is_dir():
        raise DataError(
            "no such file or folder",
            where=where,
            remedy="give a file, a folder or a glob pattern",
        )
    return _sift(entries, where)


def _sift(entries: list[Path], where: Path) -> tuple[dict[Path, Reader], list[str]]:
    """Those of the entries of a folder that are understood, with their readers, and a report that names the others."""
    files = {file: reader for file in entries if (reader := recognised(file))}
    others = [file.name for file in entries if file not in files]
    if not files:
        what = "in this folder" if where.is_dir() else "that matches"
        raise DataError(
            f"nothing {what} is understood ({first_of(others) or 'it is empty'})",
            where=where,
            remedy=f"understood are {understood()}",
        )
    return files, [f"{where}: passed over what is not understood: {first_of(others)}"] if others else []


def _natural(file: Path) -> list[tuple[int, str]]:
    """frame_2 before frame_10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", str(file))]


def _nothing_left(failures: Sequence[DataError]) -> DataError:
    return DataError(
        f"none of {len(failures)} files could be read; the first: {failures[0].what}",
        where=failures[0].where,
        remedy="fetch the files again",
    )


def _frames(array: xr.DataArray, file: Path, options: ReadOptions, files: int) -> xr.DataArray:
    """What a reader returned, as Frames with a time coordinate: dates, or the numbers of the frames."""
    frames = build(array, where=str(file), units=options.units, dry=options.dry)
    if "time" in frames.coords:
        return frames
    count = frames.sizes["time"]
    if count > 1:
        return frames.assign_coords(time=np.arange(count))
    date = time_of(file.stem)
    if date is not None:
        return frames.assign_coords(time=[date])
    return frames.assign_coords(time=[number_of(file) if files > 1 else 0])


def _not_needed(minutes: float) -> str:
    return f"the stated time step of {minutes:g} minutes was not needed: the frames have time stamps"


def _with_step(frames: xr.DataArray, minutes: float) -> xr.DataArray:
    """Frames without clock at a stated step, counted from the beginning of 1970. Raises `DataError` for numbers beyond what a
    time can be."""
    if frames["time"].dtype.kind == "M":
        said = _not_needed(minutes)
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
        said = f"times are counted from 1970 at the stated step of {minutes:g} minutes"
    frames.attrs["repairs"] = [*frames.attrs["repairs"], said]
    return frames
