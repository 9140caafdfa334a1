"""The fallback ladder: forecasters, the best first, of which the first that can forecast does, with the reasons.

A ladder never raises for what is wrong with frames or with a forecaster: each fault leads to a stated rung
(`framecast.forecasting.faults`), the last of which is "nothing". It sees the frames up to a time only, never the future."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from framecast.checks import as_tuple, check_counts, check_seed, describe
from framecast.data.archives.joining import first_names
from framecast.data.conversion import as_rain_rate
from framecast.data.frames import describe_source, same_grid, stamp
from framecast.data.orientation import turned_like
from framecast.data.quantities import RAIN_RATE, quantity_of
from framecast.data.readers.file_names import time_in_name
from framecast.data.windows.inputs import Input
from framecast.errors import ArgumentError, FramecastError, ResourceError, counted, input_error, shorten
from framecast.forecasting import baselines
from framecast.forecasting.baseline_forecaster import BaselineForecaster, forecast_in_a_row
from framecast.forecasting.faults import Reason, reason
from framecast.forecasting.labels import Forecast, check_horizon, check_sequence
from framecast.forecasting.loading import is_baseline, load_any
from framecast.forecasting.outcome import Outcome, largest_values, record, rung_name
from framecast.forecasting.plausibility import find_fault
from framecast.forecasting.protocol import Forecaster
from framecast.forecasting.times import Duration, Time, as_duration, as_time, in_words
from framecast.forecasting.trained_model import TrainedModel
from framecast.forecasting.usable_frames import Step, UsableFrames, find_usable

FALLBACKS = ("extrapolation_probability", "extrapolation", "persistence")
"""The rungs below a trained model."""
NOTHING = "nothing"
"""The last rung of every ladder: no forecast."""
Rung = TrainedModel | BaselineForecaster | Forecaster
"""What makes a forecast, once it is loaded."""
LATE = 2
"""The age in time steps from which the newest frame is late."""


class Ladder:
    """Rungs in their order, the best first: names of baselines, trained models or their names and folders, and `Forecaster`s.
    What is named is loaded at its first use, with the options of `framecast.load` where they concern it, and kept.

    Raises `ArgumentError` for no rungs, or one that is none of these.
    """

    def __init__(
        self,
        rungs: Sequence[str | Path | Rung],
        device: str | None = None,
        *,
        tile: int | None = None,
        overlap: int = 64,
        members: int | None = None,
        seed: int = 0,
    ) -> None:
        chosen = as_tuple(rungs, "fallback")
        if not chosen:
            raise ArgumentError("no rungs", parameter="fallback", example=",".join(FALLBACKS))
        check_counts(tile=tile, members=members)
        check_seed(seed)
        self._members = members
        self._options: dict[str, Any] = {"device": device, "tile": tile, "overlap": overlap, "seed": seed}
        self._rungs: dict[str, str | Path | Rung] = {_name_of(rung): rung for rung in chosen}

    @property
    def rungs(self) -> tuple[str, ...]:
        """The names of the rungs, and "nothing"."""
        return (*self._rungs, NOTHING)

    def forecast(
        self,
        frames: xr.DataArray | None,
        horizon: int,
        *,
        now: Time | None = None,
        max_age: Duration | None = None,
        step: Step | None = None,
        quantity: str | None = None,
        grid: xr.DataArray | None = None,
        actions: np.ndarray | None = None,
        inputs: Sequence[Input] | None = None,
        rates: Sequence[float] | None = None,
        quantiles: Sequence[float] = (),
        leave_out: Mapping[str, str] | None = None,
        unread: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Forecast the `horizon` frames after the newest usable one of `frames`, with the first rung that can.

        `now` (UTC) is the present: frames after it are not used, and the age of the newest is counted to it. Above `max_age`
        there is no forecast. `step` is the time between frames, by default the most common one, and of a single frame that of
        the first trained model; `quantity` and `grid` are what is expected, by default the quantity of that model and any grid.
        `actions` and `inputs` are for the trained models, `rates` for probabilities, and `quantiles` of the rain rate.
        `leave_out` names rungs that are not used, with the reason; `unread` are files that could not be opened, with the reason.

        Raises `DataError` if `frames` are not Frames of one sequence, and `ArgumentError` for an invalid horizon.
        """
        check_horizon(horizon)
        present = None if now is None else as_time(now, "now")
        oldest = None if max_age is None else as_duration(max_age, "max_age")
        noted: list[Reason] = []
        # The frames: what can be used of them, and how old it is.
        if frames is None or not frames.size:
            return _nothing([*_unread(unread or {}), reason("no_frames", "none given")])
        loaded = {name: self._load(name) for name in self._rungs}
        model = next((rung for rung in loaded.values() if isinstance(rung, TrainedModel)), None)
        if quantity is None and model is not None:
            quantity = model.card.quantity.name
        expected = _expected(check_sequence(frames), quantity, grid, noted)
        if expected is None:
            return _nothing(noted)
        past = _until(expected, present, noted)
        if not past.sizes["time"]:
            return _nothing([*noted, reason("no_frames", f"none before {stamp(present)}")])  # type: ignore[arg-type]
        needs = [rung.context_length for rung in loaded.values() if not isinstance(rung, Reason)]
        if step is None and model is not None and model.card.step_seconds is not None and past.sizes["time"] == 1:
            step = np.timedelta64(round(model.card.step_seconds * 1e9), "ns")
        usable = find_usable(past, max([1, *needs]), step=step)
        noted += [*_unread(unread or {}, usable), *usable.reasons]
        age = age_of(usable.newest, present)
        if usable.frames is None or _too_old(age, usable.step, oldest, noted):
            return _nothing(noted, usable.newest, age)
        # The rungs.
        for name, rung in loaded.items():
            if leave_out and name in leave_out:
                noted.append(reason("left_out", f"{name}: {leave_out[name]}"))
            elif isinstance(rung, Reason):
                noted.append(rung)
            elif usable.count < rung.context_length:
                many = f"{name} needs {rung.context_length} frames in a row, {usable.count} can be used"
                noted.append(reason("too_few", many))
            else:
                result = _try(rung, usable.frames, horizon, actions, inputs, rates, quantiles)
                if not isinstance(result, Reason):
                    weights = rung.weights_sha256 if isinstance(rung, TrainedModel) else ""
                    return _outcome(result, name, noted, usable, age, weights)
                noted.append(result)
        return _nothing(noted, usable.newest, age)

    def _load(self, name: str) -> Rung | Reason:
        """The rung of a name, or why it cannot be loaded."""
        rung = self._rungs[name]
        if isinstance(rung, str | Path):
            try:
                rung = self._load_named(rung)
            except Exception as error:  # a rung that cannot be loaded must not end the ladder
                return _failure(name, error)
            self._rungs[name] = rung
        return rung

    def _load_named(self, name: str | Path) -> Rung:
        if not is_baseline(name):
            return load_any(name, members=self._members, **self._options)
        members = self._members if baselines.find(str(name)).ensemble else None
        return BaselineForecaster(str(name), members=members, seed=self._options["seed"])

    @property
    def trained(self) -> TrainedModel | None:
        """The first trained model that can be loaded; None without one."""
        loaded = (self._load(name) for name in self._rungs)
        return next((rung for rung in loaded if isinstance(rung, TrainedModel)), None)


def _name_of(rung: Any) -> str:
    """The name of a rung. Raises `ArgumentError` for what is none."""
    if isinstance(rung, str | Path):
        return rung_name(rung)
    if isinstance(rung, Rung):
        return rung.name
    raise ArgumentError(
        f"{describe(rung)} given, expected a name, a model or a forecaster", parameter="fallback", example="persistence"
    )


def _try(
    rung: Rung,
    frames: xr.DataArray,
    horizon: int,
    actions: np.ndarray | None,
    inputs: Sequence[Input] | None,
    rates: Sequence[float] | None,
    quantiles: Sequence[float],
) -> Forecast | Reason:
    """The forecast of a rung, or why there is none."""
    try:
        if isinstance(rung, TrainedModel):
            forecast = rung(frames, horizon, actions, inputs, rates=rates, quantiles=quantiles)
        elif isinstance(rung, BaselineForecaster):
            forecast = rung.forecast(frames, horizon, rates=rates, quantiles=quantiles)
        else:
            forecast = forecast_in_a_row(rung, frames, horizon, rung.context_length, rates, quantiles)
        fault = find_fault(forecast, frames)
    except Exception as error:  # whatever a model raises, a simpler rung may still forecast
        return _failure(rung.name, error)
    return forecast if fault is None else fault._replace(particulars=f"{rung.name}: {fault.particulars}")


def _failure(name: str, error: Exception) -> Reason:
    """The reason for a rung that raised an error."""
    known = input_error(error) or error
    text = known.what if isinstance(known, FramecastError) else f"{type(known).__name__}: {known}"
    return reason("out_of_memory" if isinstance(known, ResourceError) else "failed", f"{name}: {shorten(text, 400)}")


def _expected(
    frames: xr.DataArray, quantity: str | None, grid: xr.DataArray | None, noted: list[Reason]
) -> xr.DataArray | None:
    """The frames in the expected quantity, on the expected grid; None if they are not."""
    own = quantity_of(frames)
    if grid is not None and not same_grid(turned_like(frames, grid), grid):
        sizes = " x ".join(str(frames.sizes[axis]) for axis in ("y", "x"))
        noted.append(reason("other_grid", f"{sizes} pixels in {describe_source(frames)}"))
        return None
    if quantity is None or quantity == own.name:
        return frames
    if quantity == RAIN_RATE.name and own.precipitation:
        noted.append(reason("converted", f"{own.title} to {RAIN_RATE.title}"))
        return as_rain_rate(frames)
    noted.append(reason("other_quantity", f"{own.heading}, expected {quantity.replace('_', ' ')}"))
    return None


def _until(frames: xr.DataArray, present: np.datetime64 | None, noted: list[Reason]) -> xr.DataArray:
    """The frames up to the present."""
    times = frames["time"].values
    if present is None or times.dtype.kind != "M":
        return frames
    past = times <= present
    if not past.all():
        first = stamp(times[~past][0])
        noted.append(
            reason("future", f"{counted(int((~past).sum()), 'frame')} from {first} on, after {stamp(present)}")
        )
    return frames.isel(time=slice(int(past.sum())))


def age_of(newest: np.datetime64 | int | None, present: np.datetime64 | None) -> float | None:
    """The age in seconds at the present of the newest frame; None without a clock."""
    if present is None or not isinstance(newest, np.datetime64):
        return None
    return float((present - newest) / np.timedelta64(1, "s"))


def _too_old(age: float | None, step: Any, oldest: np.timedelta64 | None, noted: list[Reason]) -> bool:
    """Whether a frame of this age is too old; notes that, or that it is late."""
    if age is None:
        return False
    if oldest is not None and age > (limit := float(oldest / np.timedelta64(1, "s"))):
        noted.append(reason("too_old", f"the newest frame is {in_words(age)} old, at most {in_words(limit)} allowed"))
        return True
    if isinstance(step, np.timedelta64) and age >= LATE * float(step / np.timedelta64(1, "s")):
        noted.append(reason("late", f"the newest frame is {in_words(age)} old"))
    return False


def _nothing(noted: Sequence[Reason], newest: Any = None, age: float | None = None) -> Outcome:
    """The outcome without a forecast."""
    return Outcome(None, NOTHING, tuple(map(str, noted)), newest, age, (), tuple(each.fault.name for each in noted))


def _outcome(
    forecast: Forecast, rung: str, noted: Sequence[Reason], usable: UsableFrames, age: float | None, weights: str
) -> Outcome:
    """The outcome with a forecast, whose attributes say how it was made."""
    reasons, faults = tuple(map(str, noted)), tuple(each.fault.name for each in noted)
    assert usable.frames is not None
    record(forecast, rung, usable.newest, age, context=usable.frames, weights=weights, reasons=reasons)
    return Outcome(forecast, rung, reasons, usable.newest, age, largest_values(forecast), faults, context=usable.frames)


def _unread(files: Mapping[str, str], usable: UsableFrames | None = None) -> list[Reason]:
    """The files that could not be opened, but for those whose names tell that they are older than the frames used."""
    first: Any = None if usable is None or usable.frames is None else usable.frames["time"].values[0]
    chosen = []
    for file, why in files.items():
        time = time_in_name(Path(file).stem)
        if time is None or not isinstance(first, np.datetime64) or time >= first:
            chosen.append(f"{Path(file).name} cannot be read ({why})")
    return [reason("damaged", first_names(chosen))] if chosen else []
