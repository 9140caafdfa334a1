"""Archives of many small files, listed by the times in their names: of thousands of files three are opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from framecast.data.archives.joining import along_time, first_names, same_but_time, time_in_name
from framecast.data.lazy import stack_files
from framecast.data.readers.formats import find_reader
from framecast.data.readers.options import Reader, ReadOptions
from framecast.errors import DataError, UnreadableFile, resource_errors

MANY = 1000
"""Of more files not all are opened if nobody asks for it."""
_FEWEST = 4
"""Of fewer files all are opened."""


def list_by_name(entries: Sequence[Path], options: ReadOptions) -> tuple[xr.DataArray, list[Path]] | None:
    """The frames of files with one frame each, along time, as `joining.in_a_row` gives them, and those files. The first, the
    middle and the last are opened; the others are taken to be like them, and checked when they are read. None where that
    cannot be done: names without date and time, another format among them, or three files that differ, or whose own times do
    not follow the names."""
    files = [file for file in entries if time_in_name(file.stem) is not None]
    files = [file for file in files if file.suffix == files[0].suffix]
    if len(files) < _FEWEST or (reader := find_reader(files[0])) is None:
        return None
    passed_over = sorted(set(entries) - set(files))
    if any(map(find_reader, passed_over)):
        return None
    named = np.array([time_in_name(file.stem) for file in files])
    try:
        first, *others = (_frame(reader, files[k], options) for k in (0, len(files) // 2, -1))
    except UnreadableFile:
        return None
    if "time" in first.dims or "sequence" in first.dims or not all(same_but_time(first, other) for other in others):
        return None
    places = (0, len(files) // 2, -1)
    late = {_frame_time(frame, named[k]) - named[k] for k, frame in zip(places, (first, *others), strict=True)}
    if len(late) > 1:
        return None
    times = named + late.pop()

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

    lazy = stack_files([str(file) for file in files], variable, first.variable)
    said = f"{len(files)} files are listed by their names: 3 were opened (by_name=False opens all)"
    repairs = [*first.attrs.get("repairs", []), said]
    if passed_over:
        repairs.append(f"passed over what is not understood: {first_names([file.name for file in passed_over])}")
    return along_time(lazy, first, list(times), repairs), files


def _frame(reader: Reader, file: Path, options: ReadOptions) -> xr.DataArray:
    """The frame in a file, without an axis of time. Raises `DataError` and `ResourceError`."""
    with resource_errors(file):
        if not reader.recognises(file):
            raise UnreadableFile("not of the format of the others", where=file)
        array = reader.read(file, options)
    return array.isel(time=0) if array.sizes.get("time") == 1 else array


def _frame_time(frame: xr.DataArray, otherwise: np.datetime64) -> np.datetime64:
    """The time that a frame says itself."""
    if "time" not in frame.coords:
        return otherwise
    return np.datetime64(frame["time"].values.astype("datetime64[ns]").item(), "ns")
