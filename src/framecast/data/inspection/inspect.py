"""Inspection: what is in the data, before an hour of training is spent on it.

Frames are read once, a piece at a time, so memory does not grow with the archive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from framecast.checks import check_counts, check_fraction, replace_fields, takes_fields_of
from framecast.data.archives.joining import first_of
from framecast.data.archives.opening import open as open_frames
from framecast.data.frames import action_names, check_frames, stamp
from framecast.data.inspection.survey import Survey, survey
from framecast.data.quantities import REFLECTIVITY, Quantity, quantity_of
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.data.windows.index import list_windows, regular, time_step
from framecast.data.windows.splits import NONE, ByBlocks, Split
from framecast.errors import ArgumentError, DataError, format_keyword

_NO_RAIN, _NO_ECHO = 8.0, 3.0
"""mm/h that half of the rain, and dBZ that half of the echoes, hardly ever exceed and fall short of."""
_USUAL = 0.9
"""Share of the greatest area with data below which a frame deserves a look."""


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
    leaks: int
    """Frames in the test or validation part that are equal, or nearly, to one in another part."""
    times: np.ndarray
    """Time stamps or numbers of the frames."""
    coverage: np.ndarray
    """Share of the pixels of each frame that have data `(sequence, time)`."""

    @property
    def facts(self) -> dict[str, str]:
        """Name and value of what describes the data."""
        seen, unit = self.survey, self.quantity.units
        pixels = prod(self.sizes.values())
        facts = {
            "variable": f"{self.name}: {self.quantity.title} in {unit}, dry is {self.quantity.dry:g}",
            "size": ", ".join(f"{size} {dim}" for dim, size in self.sizes.items()),
            **self.axes,
            "in memory": f"{bytes_in_words(4 * pixels)} as float32",
            "range": f"{seen.lowest:g} to {seen.highest:g} {unit}" if seen.observed else "no value at all",
            "no data": f"{seen.missing / max(seen.pixels, 1):.2%} of the pixels",
        }
        if self.on_disk is not None:
            facts["on disk"] = f"{bytes_in_words(self.on_disk)} in {self.files} file(s)"
        if np.isfinite(self.quantity.wet) and seen.observed:
            facts["wet"] = (
                f"{seen.wet / seen.observed:.2%} of the observed pixels ({self.quantity.wet:g} {unit} or more), "
                f"{seen.driest:.2%} to {seen.wettest:.2%} a frame"
            )
        context, horizon = self.window
        facts[f"windows of {context} + {horizon} frames"] = f"{self.windows:,}" if self.windows else "none"
        return facts

    @property
    def problems(self) -> tuple[str, ...]:
        """What would spoil training; all of it is among the concerns too."""
        leaks = f"{self.leaks} frame(s) held out for validation and test are in the training part too, or nearly"
        return (
            *([self.no_windows] if self.no_windows else []),
            *([leaks] if self.leaks else []),
            *_not_what_it_says(self.survey),
        )

    @property
    def concerns(self) -> tuple[str, ...]:
        """What was repaired, what is missing, what is suspicious; first what would spoil training."""
        gaps = [f"{len(self.gaps)} gap(s) in time: {first_of(self.gaps)}"] if self.gaps else []
        refused = [f"{count} window starts refused: {reason}" for reason, count in self.refused.items()]
        return (
            *self.problems,
            *self.repairs,
            *gaps,
            *_missing(self.survey),
            *self._dropped_out(),
            *_alike(self.survey),
            *_range(self.survey),
            *refused,
        )

    def _dropped_out(self) -> list[str]:
        """Frames in which less is seen than usually: radars that are gone."""
        usual = float(self.coverage.max(initial=0.0))
        few = (self.coverage > 0) & (self.coverage < _USUAL * usual)
        if not few.any():
            return []
        labels = [stamp(self.times[place]) for place in np.flatnonzero(few.any(axis=0))]
        least = float(self.coverage[few].min() / usual)
        return [
            f"{few.sum()} frame(s) with data on less than {_USUAL:.0%} of the usual area, {least:.0%} at the least (a radar "
            f"that dropped out?): {first_of(labels)}"
        ]

    def __str__(self) -> str:
        width = max(map(len, self.facts))
        lines = [f"{name:<{width}}  {value}" for name, value in self.facts.items()]
        return "\n".join([*lines, *(f"! {concern}" for concern in self.concerns)])


@takes_fields_of(ReadOptions)
def inspect(
    data: xr.DataArray | str | Path | Sequence[str | Path],
    *,
    context: int = 10,
    horizon: int = 10,
    stride: int = 1,
    min_valid: float = 0.5,
    split: Split | None = None,
    options: ReadOptions = DEFAULT,
    **stated: Any,
) -> Inspection:
    """Look at opened Frames, or at what `framecast.open` takes, read as `options` or keywords state. Raises `DataError` where
    it cannot be opened, and `ArgumentError` for windows that cannot be, and for options of frames that are open already.

    `context`, `horizon`, `stride` and `min_valid` are those of the windows to count, `split` the rule by which frames are
    held out (by blocks of time unless stated).
    """
    check_counts(context=context, horizon=horizon, stride=stride)
    check_fraction(min_valid, "min_valid")
    options = replace_fields(options, stated)
    if isinstance(data, str | Path | list | tuple):
        frames = open_frames(data, options)
    else:
        frames = check_frames(data)
        for name in options.stated:
            raise ArgumentError(
                "given for frames that are open already", parameter=name, remedy=f"framecast.open(path, {name}=...)"
            )
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
        quantity=quantity_of(frames),
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
        leaks=_leaks(frames, split or ByBlocks(), context + horizon, found),
        times=frames["time"].values,
        coverage=covered.values.reshape(-1, frames.sizes["time"]),
    )


def _leaks(frames: xr.DataArray, rule: Split, length: int, found: Survey) -> int:
    """Of the pairs of frames that are alike, how many lie in two parts."""
    if not found.pairs:
        return 0
    labels = rule.labels([frames], length)[0]
    parts = [(labels[one], labels[other]) for one, other in found.pairs]
    return sum(one != other and NONE not in (one, other) for one, other in parts)


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
    if numbers := len(action_names(frames)):
        axes["actions"] = f"{numbers} number(s) a frame, for a model that takes them: data.actions=true"
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
    said = [f"{len(seen.empty)} frame(s) without any data: {first_of(seen.empty)}"] if seen.empty else []
    for count, what in (
        (seen.infinite, "infinite"),
        (seen.below, f"below {seen.quantity.lowest:g} {seen.quantity.units}"),
    ):
        if count:
            said.append(f"{count} pixel(s) are {what}, which cannot be and count as no data")
    return said


def _not_what_it_says(seen: Survey) -> list[str]:
    """Values that are not in the units they claim."""
    quantity = seen.quantity
    if not seen.observed:
        return ["there is not a single value"]
    said = []
    if seen.below > 0.01 * seen.pixels:
        said.append(f"{seen.below / seen.pixels:.1%} of the values cannot be {quantity.title}: state the units")
    least, most = quantity.usual
    if quantity.bounded and (seen.lowest < least or seen.highest > most):
        hint = ": state units 0-255" if seen.lowest >= 0 and seen.highest <= 255 else ""
        said.append(f"values from {seen.lowest:g} to {seen.highest:g}, where {least:g} to {most:g} is expected{hint}")
    middle = seen.quantile(0.5)
    if quantity.rain == "rate" and seen.wet and middle > _NO_RAIN and seen.highest <= REFLECTIVITY.plausible:
        said.append(f"half of the rain is above {middle:.3g} mm/h: is it reflectivity in dBZ?")
    if quantity.rain == "reflectivity" and seen.lowest >= 0 and middle < _NO_ECHO:
        said.append(f"half of the values are below {middle:.3g} dBZ and none below 0: is it rain in mm/h?")
    return said


def _alike(seen: Survey) -> list[str]:
    said = []
    for frames, what in (
        (seen.stuck, "equal to the one before (stuck?)"),
        (seen.repeated, "equal to an earlier one (archived twice?)"),
        (seen.alike, "nearly equal to an earlier one"),
    ):
        if frames:
            said.append(f"{len(frames)} frame(s) {what}: {first_of(frames)}")
    return said


def _range(seen: Survey) -> list[str]:
    quantity = seen.quantity
    if not seen.observed:
        return []
    said = []
    if not quantity.bounded and seen.highest > quantity.plausible:
        said.append(f"the highest value, {seen.highest:g} {quantity.units}, is implausible")
    if quantity.rain == "reflectivity" and not seen.dry:
        said.append(
            f"no pixel holds the dry value, {quantity.dry:g} dBZ; the lowest is {seen.lowest:g}: "
            f"if it means no echo, state it: {format_keyword('dry', round(seen.lowest, 2))}"
        )
    if np.isfinite(quantity.wet) and not seen.wet:
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
