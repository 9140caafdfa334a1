"""Open an archive of many single-frame files by the times in their names: only three of the files are opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from framecast.data.archives.joining import along_time, first_names, same_but_time
from framecast.data.lazy import stack_files
from framecast.data.readers.file_names import time_in_name
from framecast.data.readers.formats import find_reader, read
from framecast.data.readers.options import Reader, ReadOptions
from framecast.errors import DataError, UnreadableFile, resource_errors

MANY = 1000
"""With more files, `by_name=None` lists them by name."""
_FEWEST = 4
"""With fewer files, all are opened."""


def list_by_name(entries: Sequence[Path], options: ReadOptions) -> tuple[xr.DataArray, list[Path]] | None:
    """The frames of files with one frame each, along time, as `joining.stack_single_frames` returns them, and those files.

    The first, the middle and the last file are opened; the others are assumed to be alike, and checked when they are read.
    None if names have no date and time, if formats are mixed, or if the three files differ or their times do not follow the
    names. Reading a frame raises `DataError` if its file differs from the first.
    """
    # the files with a time in their names, all of one format
    files = [file for file in entries if time_in_name(file.stem) is not None]
    files = [file for file in files if file.suffix == files[0].suffix]
    if len(files) < _FEWEST or (reader := find_reader(files[0])) is None:
        return None
    unknown = sorted(set(entries) - set(files))
    if any(map(find_reader, unknown)):
        return None
    # three samples must be alike, and offset by one time from their names
    name_times = np.array([time_in_name(file.stem) for file in files])
    samples = (0, len(files) // 2, -1)
    try:
        first, *others = (_frame(reader, files[k], options) for k in samples)
    except UnreadableFile:
        return None
    if "time" in first.dims or "sequence" in first.dims or not all(same_but_time(first, other) for other in others):
        return None
    offsets = {
        _frame_time(frame, name_times[k]) - name_times[k] for k, frame in zip(samples, (first, *others), strict=True)
    }
    if len(offsets) > 1:
        return None
    times = name_times + offsets.pop()

    def variable(number: int) -> xr.Variable:
        try:
            frame = _frame(reader, files[number], options)
        except UnreadableFile as error:
            remedy = "; ".join(filter(None, [error.remedy, "if all files are opened it is left out"]))
            raise UnreadableFile(
                error.what, where=error.where, remedy=remedy, parameter="by_name", example=False
            ) from error
        if not same_but_time(first, frame):
            raise DataError(
                f"differs from {files[0].name} in size, grid or units",
                where=files[number],
                remedy="open archives that differ one by one",
            )
        if (time := _frame_time(frame, times[number])) != times[number]:
            raise DataError(
                f"holds {time}, its name says {times[number]}",
                where=files[number],
                remedy="take the times that the files hold",
                parameter="by_name",
                example=False,
            )
        return frame.variable

    # one lazy array of all files
    lazy = stack_files([str(file) for file in files], variable, first.variable)
    message = f"{len(files)} files are listed by their names: 3 were opened (by_name=False opens all)"
    repairs = [*first.attrs.get("repairs", []), message]
    if unknown:
        repairs.append(f"passed over what is not understood: {first_names([file.name for file in unknown])}")
    return along_time(lazy, first, list(times), repairs), files


def _frame(reader: Reader, file: Path, options: ReadOptions) -> xr.DataArray:
    """The frame in a file, without a time axis. Raises `DataError` and `ResourceError`."""
    with resource_errors(file):
        if not reader.recognises(file):
            raise UnreadableFile("not of the format of the others", where=file)
        array = read(reader, file, options)
    return array.isel(time=0) if array.sizes.get("time") == 1 else array


def _frame_time(frame: xr.DataArray, default: np.datetime64) -> np.datetime64:
    """The time coordinate of a frame, `default` if it has none."""
    if "time" not in frame.coords:
        return default
    return np.datetime64(frame["time"].values.astype("datetime64[ns]").item(), "ns")
