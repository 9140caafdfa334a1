"""Inspection: what is in the data, before an hour of training is spent on it.

Frames are read once, a piece at a time, so memory does not grow with the archive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import xarray as xr

from framecast.data.frames import stamp
from framecast.data.opening import open as open_frames
from framecast.data.quantities import Quantity, of
from framecast.data.survey import WET, Survey, survey
from framecast.data.windows import list_windows, regular, time_step
from framecast.errors import DataError

_NAMED = 5
"""How many frames or gaps a concern names."""


@dataclass(frozen=True)
class Inspection:
    """What was found in an archive. `facts` describe the data, `concerns` are what would spoil training or deserves a
    look; both are words, made from the numbers beside them. `print(inspection)` shows both."""

    name: str
    quantity: Quantity
    sizes: dict[str, int]
    axes: dict[str, str]
    """Coordinates in words: time, step, y, x, projection."""
    files: int
    on_disk: int | None
    """Bytes of the files; None where they are not there (any more)."""
    survey: Survey
    gaps: tuple[str, ...]
    window: tuple[int, int]
    """Context and horizon of the windows that were counted."""
    windows: int
    refused: dict[str, int]
    """How many window starts were refused, by reason."""
    no_windows: str | None
    """Why there is not a single window."""
    repairs: tuple[str, ...]

    @property
    def facts(self) -> dict[str, str]:
        """Name and value of what describes the data."""
        seen, unit = self.survey, self.quantity.units
        pixels = prod(self.sizes.values())
        facts = {
            "variable": f"{self.name}: {self.quantity.name.replace('_', ' ')} in {unit}, dry is {self.quantity.dry:g}",
            "size": ", ".join(f"{size} {dim}" for dim, size in self.sizes.items()),
            **self.axes,
            "in memory": f"{bytes_in_words(4 * pixels)} as float32",
            "range": f"{seen.lowest:g} to {seen.highest:g} {unit}" if seen.observed else "no value at all",
            "no data": f"{seen.missing / max(seen.pixels, 1):.2%} of the pixels",
        }
        if self.on_disk is not None:
            facts["on disk"] = f"{bytes_in_words(self.on_disk)} in {self.files} file(s)"
        if self.quantity.name in WET and seen.observed:
            facts["wet"] = (
                f"{seen.wet / seen.observed:.2%} of the observed pixels ({WET[self.quantity.name]:g} {unit} or more), "
                f"{seen.driest:.2%} to {seen.wettest:.2%} a frame"
            )
        context, horizon = self.window
        facts[f"windows of {context} + {horizon} frames"] = f"{self.windows:,}" if self.windows else "none"
        return facts

    @property
    def concerns(self) -> tuple[str, ...]:
        """What was repaired, what is missing, what is suspicious."""
        gaps = [f"{len(self.gaps)} gap(s) in time: {_some(self.gaps)}"] if self.gaps else []
        refused = [f"{count} window starts refused: {reason}" for reason, count in self.refused.items()]
        none = [self.no_windows] if self.no_windows else []
        return (
            *self.repairs,
            *gaps,
            *_missing(self.survey),
            *_alike(self.survey),
            *_range(self.survey),
            *refused,
            *none,
        )

    def __str__(self) -> str:
        width = max(map(len, self.facts))
        lines = [f"{name:<{width}}  {value}" for name, value in self.facts.items()]
        return "\n".join([*lines, *(f"! {concern}" for concern in self.concerns)])


def inspect(
    data: xr.DataArray | str | Path | Sequence[str | Path],
    *,
    context: int = 10,
    horizon: int = 10,
    stride: int = 1,
    min_valid: float = 0.5,
    units: str | None = None,
    time_step: float | None = None,
    variable: str | None = None,
    dry: float | None = None,
) -> Inspection:
    """Look at opened Frames, or at what `framecast.open` takes. Raises `DataError` where it cannot be opened.

    `context`, `horizon`, `stride` and `min_valid` are those of the windows to count.
    """
    if isinstance(data, xr.DataArray):
        frames = data
    else:
        frames = open_frames(data, units=units, time_step=time_step, variable=variable, dry=dry)
    found, covered = survey(frames)
    windows, refused, none = 0, {}, None
    try:
        listed = list_windows(
            [frames], context=context, horizon=horizon, stride=stride, min_valid=min_valid, covered=[covered]
        )
        windows, refused = len(listed), listed.refused
    except DataError as error:
        none = error.what
    files = sorted({str(file) for file in frames["source"].values}) if "source" in frames.coords else []
    return Inspection(
        name=str(frames.name),
        quantity=of(frames),
        sizes={str(dim): size for dim, size in frames.sizes.items()},
        axes=_axes(frames),
        files=len(files),
        on_disk=_bytes([Path(file) for file in files]),
        survey=found,
        gaps=_gaps(frames),
        window=(context, horizon),
        windows=windows,
        refused=refused,
        no_windows=none,
        repairs=tuple(frames.attrs.get("repairs", ())),
    )


def _axes(frames: xr.DataArray) -> dict[str, str]:
    times, axes = frames["time"].values, {}
    clock = times.dtype.kind == "M"
    axes["time"] = f"{stamp(times[0])} to {stamp(times[-1])}" if clock else "frames without clock"
    step = time_step(frames) if len(times) > 1 else 0
    if isinstance(step, np.timedelta64):
        axes["step"] = f"{step / np.timedelta64(1, 'm'):g} minutes"
    for axis in ("y", "x"):
        if axis in frames.coords and frames.sizes[axis] > 1:
            values, unit = frames[axis].values, frames[axis].attrs.get("units", "")
            axes[axis] = f"{values[0]:g} to {values[-1]:g} {unit}, every {values[1] - values[0]:g}"
    if "crs" in frames.coords:
        axes["projection"] = str(frames["crs"].attrs.get("grid_mapping_name", "stated, without a name"))
    return axes


def _gaps(frames: xr.DataArray) -> tuple[str, ...]:
    """Each gap by the frames on its sides."""
    times = frames["time"].values
    if len(times) < 2:
        return ()
    return tuple(f"{stamp(times[k])} - {stamp(times[k + 1])}" for k in np.flatnonzero(~regular(frames)))


def _missing(seen: Survey) -> list[str]:
    said = [f"{len(seen.empty)} frame(s) without any data: {_some(seen.empty)}"] if seen.empty else []
    for count, what in (
        (seen.infinite, "infinite"),
        (seen.below, f"below {seen.quantity.lowest:g} {seen.quantity.units}"),
    ):
        if count:
            said.append(f"{count} pixel(s) are {what}, which cannot be and count as no data")
    if seen.below > 0.01 * seen.pixels:
        said.append(
            f"so many values cannot be: are they {seen.quantity.name.replace('_', ' ')} at all? State the units"
        )
    return said


def _alike(seen: Survey) -> list[str]:
    said = []
    for frames, what in ((seen.stuck, "the one before (stuck?)"), (seen.repeated, "an earlier one (archived twice?)")):
        if frames:
            said.append(f"{len(frames)} frame(s) equal to {what}: {_some(frames)}")
    return said


def _range(seen: Survey) -> list[str]:
    quantity = seen.quantity
    if not seen.observed:
        return ["there is not a single value"]
    said = []
    if quantity.name == "intensity" and (seen.lowest < 0 or seen.highest > quantity.plausible):
        hint = ": state units 0-255" if seen.lowest >= 0 and seen.highest <= 255 else ""
        said.append(f"intensities from {seen.lowest:g} to {seen.highest:g}, where 0 to 1 is expected{hint}")
    elif seen.highest > quantity.plausible:
        said.append(f"the highest value, {seen.highest:g} {quantity.units}, is implausible")
    if quantity.name == "reflectivity" and not seen.dry:
        said.append(
            f"no pixel holds the dry value, {quantity.dry:g} dBZ; the lowest is {seen.lowest:g}: "
            "if it means no echo, state it (in Python: dry=...)"
        )
    if quantity.name in WET and not seen.wet:
        said.append("no wet pixel at all: event scores will be undefined")
    return said


def _bytes(files: list[Path]) -> int | None:
    """What the files take on disk; a Zarr store is a folder."""
    inside = [part for file in files for part in (file.rglob("*") if file.is_dir() else [file])]
    if not files or not all(file.exists() for file in files):
        return None
    return sum(part.stat().st_size for part in inside if part.is_file())


def bytes_in_words(size: float) -> str:
    """A number of bytes as people read it."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:,.4g} GiB"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
