"""Chooses the cases on which forecasts that were made before are scored, and says what is left out and why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from framecast.data.frames import describe_source, stamp
from framecast.errors import DataError
from framecast.verification.forecast_files import ForecastFiles
from framecast.verification.given_truth import Target, TruthWindows, steps_of
from framecast.verification.trained_on import overlap


class Cases(NamedTuple):
    """The windows to score; the lead times as `steps` of the truth for baselines, None without any; in `notes` what was left out
    and why, and in `warnings` what makes the scores too good."""

    source: TruthWindows
    steps: np.ndarray | None
    notes: list[str]
    warnings: list[str]


def choose_cases(
    sources: Sequence[ForecastFiles],
    target: Target,
    context: int,
    *,
    runs: Sequence[str | Path] = (),
    with_baselines: bool = True,
) -> Cases:
    """The initial times that all sources share, whose truth is there and was not trained on by one of the `runs`; and with
    baselines, whose past of `context` frames is there. Raises `DataError` if none is left."""
    notes = [note for source in sources for note in source.notes]
    windows = _with_truth(sources, _shared(sources, target, context, notes), notes)
    windows, warnings = _unseen(sources, runs, windows)
    steps = None
    if with_baselines:
        windows, steps = _with_past(windows, notes)
    return Cases(windows, steps, notes, warnings)


def _shared(sources: Sequence[ForecastFiles], target: Target, context: int, notes: list[str]) -> TruthWindows:
    """The windows of the initial times that all sources have."""
    complete = [_complete(source, target.rates, notes) for source in sources]
    shared = set.intersection(*complete)
    if not shared:
        names = " and ".join(source.name for source in sources)
        raise DataError(f"{names} share no initial time", where=sources[0].files[0], remedy="verify them one by one")
    for source, times in zip(sources, complete, strict=True):
        if more := len(times) - len(shared):
            notes.append(f"{source.name}: {count(more, 'forecast')} left out, whose initial times not all sources have")
    return TruthWindows(target, np.array(sorted(shared), dtype="datetime64[ns]"), context)


def _complete(source: ForecastFiles, rates: Sequence[float], notes: list[str]) -> set[np.datetime64]:
    """The initial times whose forecasts state all probabilities that are scored; all of them without probabilities. Raises
    `ArgumentError` if there is none."""
    if source.rates is None or not rates:
        return set(source.forecasts)
    lacking = [each for each in source.forecasts.values() if not each.states(rates)]
    if len(lacking) == len(source.forecasts):
        lacking[0].check_rates(rates)
    if lacking:
        stated = ", ".join(f"{rate:g}" for rate in rates)
        notes.append(
            f"{source.name}: {count(len(lacking), 'forecast')} left out, without one of the probabilities at {stated} mm/h"
        )
    return set(source.forecasts) - {each.init_time for each in lacking}


def _with_truth(sources: Sequence[ForecastFiles], windows: TruthWindows, notes: list[str]) -> TruthWindows:
    """The windows with a true frame at any lead time; `notes` count the frames that are not there."""
    known = np.asarray(windows.has_truth.any(1))
    if not known.any():
        _check_between(windows)
        spans = [
            " to ".join(np.datetime_as_string(times[[0, -1]], unit="m"))
            for times in (windows.inits, windows.clock.times)
        ]
        raise DataError(
            f"no frame of these forecasts ({spans[0]} UTC) is in the truth ({spans[1]} UTC)",
            where=describe_source(windows.target.frames),
            remedy="give the frames of these times",
            parameter="truth",
            example="PATH",
        )
    if missing := int((~known).sum()):
        notes.append(f"{count(missing, 'forecast')} left out, of which no frame is in the truth")
    windows = windows.restricted(known)
    gaps = ~windows.has_truth
    if gaps.any():
        notes.append(
            f"{count(int(gaps.sum()), 'frame')} of {count(int(gaps.any(1).sum()), 'forecast')} not in the truth: not scored"
        )
    for source in sources:
        lacking = [~np.isin(windows.target.leads, source.forecasts[time].leads) for time in windows.inits]
        if absent := int(np.sum(lacking)):
            notes.append(f"{source.name}: {count(absent, 'frame')} not among its forecasts: not scored for any source")
    return windows


def _check_between(windows: TruthWindows) -> None:
    """Raise `DataError` if the times of forecasts lie within those of the truth, between its frames."""
    leads, times = windows.target.leads, windows.clock.times
    wanted = windows.inits[:, None] + leads
    case, lead = np.unravel_index(int(((wanted > times[0]) & (wanted < times[-1])).argmax()), wanted.shape)
    time = wanted[case, lead]
    if not times[0] < time < times[-1]:
        return
    after = int(np.searchsorted(times, time))
    minutes, step = (each / np.timedelta64(60, "s") for each in (leads[lead], windows.clock.step))
    raise DataError(
        f"no frame of these forecasts is in the truth: the lead time of {minutes:g} minutes after {stamp(windows.inits[case])}, "
        f"{stamp(time)}, lies between its frames of {stamp(times[after - 1])} and {stamp(times[after])}",
        where=describe_source(windows.target.frames),
        remedy=f"give truth with frames at the times of the forecasts, or forecasts for its times, {step:g} minutes apart",
    )


def _unseen(
    sources: Sequence[ForecastFiles], runs: Sequence[str | Path], windows: TruthWindows
) -> tuple[TruthWindows, list[str]]:
    """The windows without frames on which a model was trained, as far as that is known, and warnings."""
    frames = windows.target.frames
    seen = overlap(sources, runs, frames)
    met = np.asarray((seen.trained[windows.places] & (windows.places >= 0)).any(1))
    if not met.any():
        return windows, seen.warnings
    what = f"a model was trained on {int(seen.trained.sum())} of these frames"
    if met.all():
        raise DataError(
            f"{what}, and all {len(met)} forecasts meet some of them",
            where=describe_source(frames),
            remedy="give truth on which it was not trained",
            parameter="truth",
            example="PATH",
        )
    warning = f"{what}: {int(met.sum())} of {len(met)} forecasts meet some of them and were left out"
    return windows.restricted(~met), [*seen.warnings, warning]


def _with_past(windows: TruthWindows, notes: list[str]) -> tuple[TruthWindows, np.ndarray | None]:
    """The windows from whose past baselines can be forecast, and the lead times in steps; all windows and None if there is
    none."""
    context = windows.shape.context
    steps = steps_of(windows.target.leads, windows.clock.step)
    if steps is None:
        notes.append("no baselines: the lead times are no multiples of the time step of the truth")
        return windows, None
    past = windows.has_context
    if not past.any():
        notes.append(f"no baselines: the truth has the {context} frames up to the initial time of no forecast")
        return windows, None
    if without := int((~past).sum()):
        notes.append(
            f"{count(without, 'forecast')} left out, since the truth lacks some of the {context} frames up to the initial time, "
            "from which baselines are made; without baselines they count"
        )
    return windows.restricted(past), steps


def count(number: int, noun: str) -> str:
    """A number of things in words."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
