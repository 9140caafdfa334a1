"""Collects the forecasts of files: of a file, a folder or a glob pattern, by initial time. Reads headers only."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from framecast.checks import as_path, as_tuple
from framecast.data.archives.joining import first_names
from framecast.data.readers import netcdf, zarr_store
from framecast.errors import DataError, counted
from framecast.forecasting.open import open_forecast
from framecast.progress import advance
from framecast.reading.paths import is_folder
from framecast.verification.given_parts import GivenForecast, split_times

Paths = str | Path | Sequence[str | Path]
"""A file, a folder or a glob pattern of forecasts, or several."""


@dataclass(frozen=True)
class ForecastFiles:
    """The forecasts of one source: by initial time, the `files` that they lie in, and `notes` on what was left out."""

    name: str
    forecasts: dict[np.datetime64, GivenForecast]
    files: tuple[str, ...]
    notes: list[str] = field(default_factory=list)

    @property
    def leads(self) -> np.ndarray:
        """The lead times of any of the forecasts, ascending."""
        return np.unique(np.concatenate([each.leads for each in self.forecasts.values()]))

    @property
    def rates(self) -> tuple[float, ...] | None:
        """The rates in mm/h at which most of the forecasts state probabilities; None if they state none."""
        (rates, _), *_ = Counter(each.rates for each in self.forecasts.values()).most_common(1)
        return rates


def collect(name: str, paths: Paths, *, variable: str | None = None, units: str | None = None) -> ForecastFiles:
    """The forecasts of `paths`; `variable` and `units` are those of `framecast.open_forecast`.

    Of a folder or pattern, files that are no forecasts are left out, which the notes say. Several files may hold the lead times
    of one initial time, or its probabilities at several thresholds; of values that two of them hold the first count. Raises
    `DataError` if there is no forecast, and if probabilities of one initial time do not fit to each other.
    """
    files = list_files(paths)
    forecasts: dict[np.datetime64, GivenForecast] = {}
    failures: list[DataError] = []
    used, repeated = [], 0
    for number, file in enumerate(files):
        advance("opening files", number, len(files))
        try:
            opened = split_times(open_forecast(file, variable=variable, units=units), str(file))
        except DataError as error:
            if error.parameter in ("units", "variable"):
                error.parameter = f"forecast_{error.parameter}"
            if len(files) == 1:
                raise
            failures.append(error)
            continue
        used.append(str(file))
        for each in opened:
            before = forecasts.get(each.init_time)
            repeated += before is not None and not before.adds_frames(each.first)
            joined = each if before is None else before.joined(each.first)
            if joined is not None:
                forecasts[each.init_time] = joined
    advance("opening files", len(files), len(files))
    if not forecasts:
        raise failures[0]
    notes, label = [], name or str(paths)
    if failures:
        what = first_names([f"{error.where}: {error.what}" for error in failures])
        notes.append(f"{label}: {len(failures)} of {len(files)} files hold no forecast that is understood: {what}")
    if repeated:
        notes.append(
            f"{label}: {counted(repeated, 'forecast has', 'forecasts have')} an initial time of another file and lead times that "
            "it has too: of these the first file counts"
        )
    return ForecastFiles(name, dict(sorted(forecasts.items())), tuple(used), notes)


def list_files(paths: Paths) -> list[Path]:
    """The files and Zarr stores of `paths`, in order of name. Raises `DataError` without any."""
    if not isinstance(paths, str | Path):
        return [file for path in as_tuple(paths, "forecasts") for file in list_files(path)]
    path = as_path(paths, "a file, folder or glob pattern of forecasts", "forecasts")
    if zarr_store.recognises(path) or not (is_folder(path) or glob.has_magic(str(path))):
        return [path]
    entries = path.rglob("*") if is_folder(path) else map(Path, glob.glob(str(path), recursive=True))
    ordered = sorted(entries)
    stores = {entry for entry in ordered if entry.is_dir() and zarr_store.recognises(entry)}
    files = [
        entry
        for entry in ordered
        if entry in stores or (netcdf.recognises(entry) and not stores.intersection(entry.parents))
    ]
    if not files:
        raise DataError("holds no NetCDF and no Zarr store", where=path, remedy="give forecasts as .nc or .zarr")
    return files
