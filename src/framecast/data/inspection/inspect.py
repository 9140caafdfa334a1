"""Inspect an archive before training: facts (`Inspection.facts`) and problems (`Inspection.concerns`) in words.

Frames are read once, a piece at a time, so memory does not grow with the archive.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import xarray as xr

from framecast.data.archives.joining import first_names
from framecast.data.frames import action_names, stamp
from framecast.data.inspection.survey import Survey, survey
from framecast.data.orientation import AS_STORED, CURVILINEAR, Orientation, orientation_of
from framecast.data.quantities import REFLECTIVITY, Quantity, quantity_of
from framecast.data.spacing import spacing
from framecast.data.windows.index import list_windows, regular_steps, time_step
from framecast.data.windows.splits import NONE, Split
from framecast.errors import DataError, counted, format_keyword

_NO_RAIN, _NO_ECHO = 8.0, 3.0
"""mm/h that half of the rain, and dBZ that half of the echoes, hardly ever exceed and fall short of."""
_USUAL = 0.9
"""Share of the greatest area with data below which a frame deserves a look."""


@dataclass(frozen=True)
class Inspection:
    """The result of an inspection. `facts` describe the data, `concerns` name what would spoil training or deserves a
    look; both are words, derived from the other fields. `print(inspection)` shows both."""

    name: str
    quantity: Quantity
    sizes: dict[str, int]
    axes: dict[str, str]
    """Coordinates in words: time, step, y, x, projection."""
    files: int
    on_disk: int | None
    """Bytes of the files; None if they do not exist any more."""
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
    orientation: Orientation = AS_STORED
    """How frames are turned to be drawn."""
    grid: xr.Dataset | None = None
    """The coordinates of rows and columns, and their projection."""

    @property
    def facts(self) -> dict[str, str]:
        """Names and values that describe the data."""
        counts, unit = self.survey, self.quantity.label
        pixels = prod(self.sizes.values())
        facts = {
            "variable": f"{self.name}: {self.quantity.title}{unit and f' in {unit}'}, dry is {self.quantity.dry:g}",
            "size": ", ".join(f"{size} {dim}" for dim, size in self.sizes.items()),
            **self.axes,
            "in memory": f"{bytes_in_words(4 * pixels)} as float32",
            "range": f"{counts.lowest:g} to {counts.highest:g} {unit}".rstrip()
            if counts.observed
            else "no value at all",
            "no data": f"{counts.missing / max(counts.pixels, 1):.2%} of the pixels",
        }
        if self.on_disk is not None:
            facts["on disk"] = f"{bytes_in_words(self.on_disk)} in {counted(self.files, 'file')}"
        if np.isfinite(self.quantity.wet) and counts.observed:
            facts["wet"] = (
                f"{counts.wet / counts.observed:.2%} of the observed pixels ({self.quantity.wet:g} {unit} or more), "
                f"{counts.driest:.2%} to {counts.wettest:.2%} a frame"
            )
        context, horizon = self.window
        facts[f"windows of {context} + {horizon} frames"] = f"{self.windows:,}" if self.windows else "none"
        return facts

    @property
    def problems(self) -> tuple[str, ...]:
        """What would spoil training; all of it is among the concerns too."""
        leaks = f"{counted(self.leaks, 'frame')} held out for validation and test, also in the training part or nearly"
        return (
            *([self.no_windows] if self.no_windows else []),
            *([leaks] if self.leaks else []),
            *_wrong_units(self.survey),
        )

    @property
    def concerns(self) -> tuple[str, ...]:
        """What was repaired, what is missing, what is suspicious; first what would spoil training."""
        gaps = [f"{counted(len(self.gaps), 'gap')} in time: {first_names(self.gaps)}"] if self.gaps else []
        refused = [f"{counted(count, 'window start')} refused: {reason}" for reason, count in self.refused.items()]
        return (
            *self.problems,
            *self.repairs,
            *gaps,
            *_missing_data(self.survey),
            *self._dropouts(),
            *_duplicates(self.survey),
            *_range(self.survey),
            *refused,
        )

    def _dropouts(self) -> list[str]:
        """Frames with less coverage than usual: radars that dropped out."""
        usual = float(self.coverage.max(initial=0.0))
        few = (self.coverage > 0) & (self.coverage < _USUAL * usual)
        if not few.any():
            return []
        labels = [stamp(self.times[place]) for place in np.flatnonzero(few.any(axis=0))]
        least = float(self.coverage[few].min() / usual)
        return [
            f"{counted(int(few.sum()), 'frame')} with data on less than {_USUAL:.0%} of the usual area, "
            f"{least:.0%} at the least (a radar that dropped out?): {first_names(labels)}"
        ]

    def __str__(self) -> str:
        width = max(map(len, self.facts))
        lines = [f"{name:<{width}}  {value}" for name, value in self.facts.items()]
        return "\n".join([*lines, *(f"! {concern}" for concern in self.concerns)])


def inspect_frames(
    frames: xr.DataArray, context: int, horizon: int, stride: int, min_valid: float, split: Split
) -> Inspection:
    """Inspect opened Frames: `framecast.inspect` without opening files and writing a page. It has the same arguments."""
    counts, shares = survey(frames)
    windows, refused, none = 0, {}, None
    try:
        window_list = list_windows(
            [frames], context=context, horizon=horizon, stride=stride, min_valid=min_valid, covered=[shares]
        )
        windows, refused = len(window_list), window_list.refused
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
        survey=counts,
        gaps=_gaps(frames),
        window=(context, horizon),
        windows=windows,
        refused=refused,
        no_windows=none,
        repairs=tuple(frames.attrs.get("repairs", ())),
        leaks=_leaks(frames, split, context + horizon, counts),
        times=frames["time"].values,
        coverage=shares.values.reshape(-1, frames.sizes["time"]),
        orientation=orientation_of(frames),
        grid=frames.coords.to_dataset()[[name for name in ("y", "x", "crs", *CURVILINEAR) if name in frames.coords]],
    )


def _leaks(frames: xr.DataArray, rule: Split, length: int, counts: Survey) -> int:
    """The number of pairs of similar frames that lie in different parts."""
    if not counts.pairs:
        return 0
    labels = rule.labels([frames], length)[0]
    parts = [(labels[first_label], labels[second_label]) for first_label, second_label in counts.pairs]
    return sum(
        first_label != second_label and NONE not in (first_label, second_label) for first_label, second_label in parts
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
            axes[axis] = f"{values[0]:g} to {values[-1]:g} {unit}, every {spacing(values):g}"
    if numbers := len(action_names(frames)):
        axes["actions"] = f"{counted(numbers, 'number')} a frame, for a model that takes them: data.actions=true"
    if "crs" in frames.coords:
        axes["projection"] = str(frames["crs"].attrs.get("grid_mapping_name", "stated, without a name"))
    return axes


def _gaps(frames: xr.DataArray) -> tuple[str, ...]:
    """Each gap by the frames on its sides: times without a frame on the clock."""
    times = frames["time"].values
    if len(times) < 2:
        return ()
    step = time_step(frames)
    gaps = ~regular_steps(frames) & (np.diff(times) / step >= 1.5)
    return tuple(f"{stamp(times[k])} - {stamp(times[k + 1])}" for k in np.flatnonzero(gaps))


def _missing_data(counts: Survey) -> list[str]:
    messages = (
        [f"{counted(len(counts.empty), 'frame')} without any data: {first_names(counts.empty)}"] if counts.empty else []
    )
    for count, what in (
        (counts.infinite, "infinite"),
        (counts.below, f"below {counts.quantity.lowest:g} {counts.quantity.label}"),
    ):
        if count:
            messages.append(f"{counted(count, 'pixel is', 'pixels are')} {what}, which cannot be: no data")
    if counts.outside:
        messages.append(
            f"{counted(counts.outside, 'pixel is', 'pixels are')} outside of the valid range that the file declares: no data"
        )
    return messages


def _wrong_units(counts: Survey) -> list[str]:
    """Signs that values are not in the stated units."""
    quantity = counts.quantity
    if not counts.observed:
        return ["there is not a single value"]
    messages = []
    if counts.below > 0.01 * counts.pixels:
        messages.append(f"{counts.below / counts.pixels:.1%} of the values cannot be {quantity.title}: state the units")
    least, most = quantity.usual
    if quantity.bounded and (counts.lowest < least or counts.highest > most):
        hint = ": state units 0-255" if counts.lowest >= 0 and counts.highest <= 255 else ""
        messages.append(
            f"values from {counts.lowest:g} to {counts.highest:g}, where {least:g} to {most:g} is expected{hint}"
        )
    middle = counts.quantile(0.5)
    if quantity.rain == "rate" and counts.wet and middle > _NO_RAIN and counts.highest <= REFLECTIVITY.plausible:
        messages.append(f"half of the rain is above {middle:.3g} mm/h: is it reflectivity in dBZ?")
    if quantity.rain == "reflectivity" and counts.lowest >= 0 and middle < _NO_ECHO:
        messages.append(f"half of the values are below {middle:.3g} dBZ and none below 0: is it rain in mm/h?")
    return messages


def _duplicates(counts: Survey) -> list[str]:
    messages = []
    for frames, what in (
        (counts.stuck, "equal to the one before (stuck?)"),
        (counts.repeated, "equal to an earlier one (archived twice?)"),
        (counts.alike, "nearly equal to an earlier one"),
    ):
        if frames:
            messages.append(f"{counted(len(frames), 'frame')} {what}: {first_names(frames)}")
    return messages


def _range(counts: Survey) -> list[str]:
    quantity = counts.quantity
    if not counts.observed:
        return []
    messages = []
    if not quantity.bounded and counts.highest > quantity.plausible:
        messages.append(f"the highest value, {counts.highest:g} {quantity.label}, is implausible")
    if quantity.rain is not None and not counts.dry:
        messages.append(_no_dry_pixel(counts))
    if np.isfinite(quantity.wet) and not counts.wet:
        messages.append("no wet pixel at all: event scores will be undefined")
    return messages


def _no_dry_pixel(counts: Survey) -> str:
    """What it may mean that no pixel holds the dry value."""
    quantity = counts.quantity
    what = f"no pixel holds the dry value, {quantity.dry:g} {quantity.label}; the lowest is {counts.lowest:g}: "
    if quantity.rain == "rate" and counts.missing and counts.lowest >= quantity.wet:
        return what + f"are dry pixels among the {counts.missing / counts.pixels:.0%} that are read as no data?"
    meaning = "no echo" if quantity.rain == "reflectivity" else "no rain"
    return what + f"if it means {meaning}, state it: {format_keyword('dry', float(f'{counts.lowest:.4g}'))}"


def _bytes(files: list[Path]) -> int | None:
    """Bytes of the files on disk; a Zarr store is a folder."""
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
