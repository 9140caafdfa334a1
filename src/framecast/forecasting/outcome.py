"""What a forecast was made by and from: the record in its attributes, and the outcome of a fallback ladder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from stat import S_ISREG
from typing import Any

import numpy as np
import xarray as xr

from framecast.data.archives.outputs import source_files
from framecast.data.frames import stamp
from framecast.data.identity import identify_files
from framecast.data.quantities import QUANTITIES
from framecast.errors import DataError
from framecast.forecasting.labels import Forecast, values_of
from framecast.forecasting.times import in_words
from framecast.reading.paths import status

_DIGESTED = 64 * 2**20
"""Bytes of input files whose digests are computed."""
_SHOWN = 4
"""The lead times whose largest values are shown."""


@dataclass(frozen=True)
class Outcome:
    """What a ladder made: the `forecast`, None on the rung "nothing"; the name of the `rung`; the `reasons`, one sentence each
    that begins with the name of a fault; the time of the `newest` frame used, and its `age` in seconds, None where either is not
    known; and the `largest` value at each lead time, in the units of the forecast."""

    forecast: Forecast | None
    rung: str
    reasons: tuple[str, ...]
    newest: np.datetime64 | int | None = None
    age: float | None = None
    largest: tuple[float, ...] = ()
    faults: tuple[str, ...] = ()
    """The names of the faults, one for each reason."""
    context: xr.DataArray | None = None
    """The frames that the forecast was made from, in a row on the clock, loaded; None without usable frames."""


def rung_name(run: str | Path) -> str:
    """The name of a trained model or baseline as a rung: its own, or that of its folder; of a run for its best or last model."""
    path = Path(run)
    return path.parent.name if path.name in ("best", "last") and path.parent.name else path.name or str(run)


def record(
    forecast: Forecast,
    rung: str,
    newest: Any,
    age: float | None,
    *,
    context: xr.DataArray,
    weights: str = "",
    reasons: Sequence[str] = (),
) -> None:
    """Record in the attributes of a forecast by which rung, with which `weights` (their SHA-256), from which newest frame and
    which files of the `context`, and for which reasons it was made."""
    attributes: dict[str, Any] = {"framecast_rung": rung}
    if newest is not None:
        attributes["framecast_newest_frame"] = (
            f"{np.datetime_as_string(newest, unit='s')}Z" if isinstance(newest, np.datetime64) else int(newest)
        )
    if age is not None:
        attributes["framecast_age_seconds"] = round(age, 1)
    if files := input_files(context):
        attributes["framecast_input_files"] = "\n".join(files)
    if weights:
        attributes["framecast_weights_sha256"] = weights
    for part in (forecast, values_of(forecast)):
        part.attrs.update(attributes)
    record_reasons(forecast, reasons)


def record_reasons(forecast: Forecast, reasons: Sequence[str]) -> None:
    """Record in the attributes of a forecast all reasons for what it is, in the place of earlier ones."""
    for part in (forecast, values_of(forecast)):
        if reasons:
            part.attrs["framecast_reasons"] = "\n".join(reasons)


def input_files(context: xr.DataArray) -> list[str]:
    """The files of the frames of a context, one line each: the name, and the SHA-256 of files that together are not large."""
    files = sorted(source_files(context))
    sizes = [
        entry.st_size for file in files if "://" not in file and (entry := status(file)) and S_ISREG(entry.st_mode)
    ]
    digests = {}
    if len(sizes) == len(files) and sum(sizes) <= _DIGESTED:
        with suppress(DataError):  # a file that is gone by now has its name only
            digests = {each.path: each.sha256 for each in identify_files(files)}
    return [
        f"{PurePath(file).name} sha256:{digests[file]}" if file in digests else PurePath(file).name for file in files
    ]


def describe(forecast: Forecast) -> list[str]:
    """What a person must know of a forecast, in lines: what made it from when and how old that is, its lead times, its largest
    values, and the reasons for a fallback."""
    values = values_of(forecast)
    newest, age = values["init_time"].values[0], forecast.attrs.get("framecast_age_seconds")
    old = "" if age is None else f", {in_words(age)} old" if age >= 0 else f", {in_words(-age)} in the future"
    leads = values["lead_time"].values
    clock = leads.dtype.kind == "m"
    minutes = leads / np.timedelta64(60, "s") if clock else leads
    largest = largest_values(forecast)
    chosen = np.unique(np.linspace(0, len(leads) - 1, min(len(leads), _SHOWN)).round().astype(int))
    shown = ", ".join(f"{largest[number]:.3g} at +{minutes[number]:g}" for number in chosen)
    label = QUANTITIES[values.attrs["quantity"]].label
    return [
        f"{forecast.attrs['framecast_rung']}: from {stamp(newest)}{old}",
        f"lead times: {len(leads)}, {minutes[0]:g} to {minutes[-1]:g} {'minutes' if clock else 'frames'}",
        f"largest values{f' in {label}' if label else ''}: {shown} {'minutes' if clock else 'frames'}",
        *str(forecast.attrs.get("framecast_reasons", "")).splitlines(),
    ]


def largest_values(forecast: Forecast) -> tuple[float, ...]:
    """The largest value at each lead time; NaN where a lead time has none."""
    values = values_of(forecast)
    return tuple(map(float, values.max([dim for dim in values.dims if dim != "lead_time"]).values))
