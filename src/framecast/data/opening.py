"""Opening frames, whatever they come in."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from framecast.data.frames import build, order_times, same_grid
from framecast.data.readers import READERS, reader_of
from framecast.data.readers.options import Options, Unreadable
from framecast.errors import DataError

_STAMP = re.compile(
    r"(?<!\d)((?:19|20)\d{2})[-_]?(\d{2})[-_]?(\d{2})[-_T]?(\d{2})[-_:]?(\d{2})(?:[-_:]?(\d{2}))?(?!\d)"
)


def open(
    path: str | Path | Sequence[str | Path],
    *,
    units: str | None = None,
    time_step: float | None = None,
    variable: str | None = None,
    dry: float | None = None,
) -> xr.DataArray:
    """Frames `([sequence,] time, channel, y, x)`, lazy, float32, in physical units, with NaN where there is no data.

    `path` is a file, a folder, a glob pattern, or a list of files. `units` states the units of the values and
    `time_step` the minutes between frames where the files do not; `variable` names one of several; `dry` is the value
    that means "observed, and nothing there" where it is not the usual one (0, or -32 dBZ).

    Several files are joined along time. A file that is incomplete is left out and reported in `attrs["repairs"]`, unless
    it is the only one. Single frames take their time from their name: a date and time (`20150515_1545`, UTC), else the
    last number in the name as the number of the frame.

    Raises `DataError` naming file, variable and remedy.
    """
    options = Options(units=units, time_step=time_step, variable=variable, dry=dry)
    files = _files(path)
    arrays, repairs, failures = {}, [], []
    for file in files:
        try:
            arrays[file] = reader_of(file).read(file, options)
        except Unreadable as error:
            failures.append(error)
    if not arrays:
        raise failures[0]
    _check_shapes(arrays)
    parts = {file: _frames(array, file, options, alone=len(files) == 1) for file, array in arrays.items()}
    if failures:
        repairs.append(f"{len(failures)} of {len(files)} files could not be read and were left out: "
                       + "; ".join(str(error).splitlines()[0] for error in failures[:5]))  # fmt: skip
    frames = _join(parts)
    frames.attrs["repairs"] = [*repairs, *frames.attrs["repairs"]]
    if time_step is not None:
        frames = _with_step(frames, time_step)
    return order_times(frames, where=str(path))


def _files(path: str | Path | Sequence[str | Path]) -> list[Path]:
    """The files to read, in the natural order of their names."""
    if not isinstance(path, str | Path):
        return [file for one in path for file in _files(one)]
    where = Path(path)
    if where.is_file() or (where.is_dir() and any(reader.recognises(where) for reader in READERS)):
        return [where]
    if where.is_dir():
        inside = sorted((file for file in where.iterdir() if not file.name.startswith(".")), key=_natural)
        files = [file for file in inside if any(reader.recognises(file) for reader in READERS)]
        if not files:
            raise DataError(
                f"nothing in this folder is understood ({len(inside)} entries)",
                where=where,
                remedy=f"understood are {'; '.join(what for reader in READERS for what in reader.RECOGNISES)}",
            )
        return files
    matches = sorted(map(Path, glob.glob(str(path))), key=_natural)
    if not matches:
        raise DataError("no such file or folder", where=where)
    return [file for match in matches for file in _files(match)]


def _natural(file: Path) -> list[tuple[int, str]]:
    """frame_2 before frame_10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", file.name)]


def _check_shapes(arrays: dict[Path, xr.DataArray]) -> None:
    """Raise `DataError` where a file has frames of another shape than the first."""
    (first, one), *others = arrays.items()
    for file, array in others:
        if array.shape[-2:] != one.shape[-2:]:
            raise DataError(
                f"frames of {array.shape[-2]} x {array.shape[-1]}, but {first.name} has {one.shape[-2]} x {one.shape[-1]}",
                where=file,
                remedy="open archives on different grids one by one",
            )


def _frames(array: xr.DataArray, file: Path, options: Options, *, alone: bool) -> xr.DataArray:
    """What a reader returned, as Frames with a time coordinate: dates, or the numbers of the frames."""
    frames = build(array, where=str(file), units=options.units or array.attrs.get("units"), dry=options.dry)
    if "time" in frames.coords:
        return frames
    count = frames.sizes["time"]
    if count == 1 and not alone:
        return frames.assign_coords(time=[_time_in(file.stem)])
    return frames.assign_coords(time=np.arange(count))


def _time_in(name: str) -> np.datetime64 | int:
    """A date and time in a file's name, else its last number."""
    if match := _STAMP.search(name):
        try:
            return np.datetime64(pd.Timestamp(*(int(part or 0) for part in match.groups())), "ns")
        except ValueError:
            pass
    numbers = re.findall(r"\d+", name)
    return int(numbers[-1]) if numbers else 0


def _join(parts: dict[Path, xr.DataArray]) -> xr.DataArray:
    """Several Frames along time, each frame with the file it came from in the coordinate `source`."""
    name, first = next(iter(parts.items()))
    for file, part in parts.items():
        if part.shape[-3:] != first.shape[-3:] or not same_grid(first, part):
            raise DataError(
                f"frames of (channel, y, x) = {part.shape[-3:]} on another grid than {name.name}, "
                f"which has {first.shape[-3:]}",
                where=file,
                remedy="open archives on different grids one by one",
            )
        if part.attrs["quantity"] != first.attrs["quantity"] or ("sequence" in part.dims and len(parts) > 1):
            raise DataError(
                f"{part.attrs['quantity']} with dims {part.dims} cannot follow {first.attrs['quantity']} "
                f"with dims {first.dims}",
                where=file,
            )
        if part["time"].dtype.kind != first["time"].dtype.kind:
            raise DataError(f"its time is of another kind than that of {name.name}", where=file)
    labelled = [part.assign_coords(source=("time", [str(file)] * part.sizes["time"])) for file, part in parts.items()]
    numbers = np.concatenate([part["time"].values for part in labelled])
    if numbers.dtype.kind != "M" and len(np.unique(numbers)) < len(numbers):
        labelled = _renumber(labelled)
    if len(parts) == 1:
        return labelled[0]
    joined = xr.concat(labelled, "time", coords="minimal", compat="override", join="override", combine_attrs="override")
    joined.attrs = {**first.attrs, "repairs": [repair for part in parts.values() for repair in part.attrs["repairs"]]}
    return joined


def _renumber(parts: list[xr.DataArray]) -> list[xr.DataArray]:
    """Frames without clock whose numbers collide are counted through, a gap between files."""
    counted, start = [], 0
    for part in parts:
        counted.append(part.assign_coords(time=np.arange(start, start + part.sizes["time"])))
        start += part.sizes["time"] + 1
    return counted


def _with_step(frames: xr.DataArray, minutes: float) -> xr.DataArray:
    """Frames without clock at a stated step, counted from the beginning of 1970."""
    if frames["time"].dtype.kind == "M":
        return frames
    if minutes <= 0:
        raise DataError(f"a time step of {minutes} minutes", remedy="it must be greater than 0")
    step = np.timedelta64(round(minutes * 60e9), "ns")
    frames = frames.assign_coords(time=np.datetime64(0, "ns") + frames["time"].values * step)
    frames.attrs["repairs"] = [*frames.attrs["repairs"], f"times are counted at the stated step of {minutes:g} minutes"]
    return frames
