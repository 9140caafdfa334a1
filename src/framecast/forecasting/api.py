"""The public function `framecast.forecast`: from the files of an archive to a forecast by a trained model or a baseline, in one
call, with a fallback ladder if that is wanted.

It opens a model folder and data, and writes a file only if `out` is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from framecast.checks import as_numbers, as_path, as_tuple, check_kind, refuses_arrays
from framecast.colours import check_palette
from framecast.data.archives.opening import OpenResult, open_all, open_like_all
from framecast.data.archives.outputs import check_output
from framecast.data.coverage import coverage, describe_impossible
from framecast.data.frames import check_frames, describe_source, stamp
from framecast.data.lazy import in_own_threads
from framecast.data.quantities import quantity_of
from framecast.data.readers.numpy_files import array_of
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.data.scale import scale_of
from framecast.data.windows.inputs import with_paths
from framecast.errors import ArgumentError, DataError
from framecast.forecasting.baseline_forecaster import HORIZON, BaselineForecaster
from framecast.forecasting.calibration import describe_limits
from framecast.forecasting.labels import Forecast
from framecast.forecasting.ladder import FALLBACKS, Ladder, age_of
from framecast.forecasting.loading import load_any
from framecast.forecasting.outcome import record, rung_name
from framecast.forecasting.targets import check_target
from framecast.forecasting.times import Duration, as_duration, in_words, present
from framecast.forecasting.trained_model import TrainedModel
from framecast.forecasting.write import write

Data = str | Path | Sequence[str | Path] | xr.DataArray


@in_own_threads()
@refuses_arrays
def forecast(
    run: str | Path,
    data: Data,
    horizon: int | None = None,
    *,
    out: str | Path | None = None,
    options: ReadOptions = DEFAULT,
    actions: np.ndarray | str | Path | None = None,
    inputs: Sequence[str] = (),
    device: str | None = None,
    tile: int | None = None,
    overlap: int = 64,
    members: int | None = None,
    seed: int = 0,
    rates: Sequence[float] | None = None,
    quantiles: Sequence[float] = (),
    overwrite: bool = False,
    palette: str | None = None,
    fallback: bool | Sequence[str | Path] = False,
    max_age: Duration | None = None,
) -> Forecast:
    """Forecast the `horizon` frames after the newest ones of `data`, by default as many as in training, with the model of a run,
    of a model folder, or one that comes with framecast, by its name: "radar"; or with a baseline by its name: "extrapolation".

    `data` are opened Frames or what `framecast.open` takes; they are read as in training, except for the `options` that are
    stated. With `out` the Forecast is also written, see `framecast.write`; `overwrite` replaces an existing file,
    `palette` are the colours of a film. `actions
    (context + horizon - 1, or one more, A)`, an array or a .npy file, are for an action-conditioned model. `inputs` are the
    present paths of the model's extra inputs, in the order of training. For `device`, `tile`, `overlap`, `members` and `seed` see
    `framecast.load`.

    With `fallback=True`, whatever is wrong with the frames or the model leads to the next of extrapolation_probability,
    extrapolation and persistence that can forecast; with a list of baselines or folders of models, the best first, to the next
    of these. A newest frame older than `max_age`, such as "15min", is not forecast from.

    Returns the Forecast `(init_time, lead_time, channel, y, x)`; of a model that predicts distributions a Dataset of it and of
    the probabilities at `rates` in mm/h, by default those of the event scores, and the rates at `quantiles` between 0 and 1. Its
    attributes `repairs` and `warnings`, if any, have one line for each repair on reading and for each implausible value in the
    newest frames; `framecast_rung`, `framecast_newest_frame`, `framecast_age_seconds` and `framecast_reasons` say how it was
    made.

    Raises `DataError` if the data cannot be read or do not fit the model, are older than `max_age`, or no rung can forecast from
    them, `ConfigError` if the arguments are invalid, and `RunError` if there is no trained model or `out` cannot be written.
    """
    check_kind(ReadOptions, options=options)
    oldest = None if max_age is None else as_duration(max_age, "max_age")
    # Check the target first, since a forecast can take minutes.
    target = None if out is None else as_path(out, "the path of a file to write", "out")
    if target is not None:
        check_target(target, overwrite=overwrite)
    levels = _Levels(_ascending(rates), _between(quantiles))
    if palette is not None:
        check_palette(palette)
    values = array_of(Path(actions)) if isinstance(actions, str | Path) else actions
    sources = [*as_tuple(inputs, "inputs"), *([actions] if isinstance(actions, str | Path) else [])]
    loading: dict[str, Any] = {"tile": tile, "overlap": overlap, "members": members, "seed": seed}

    def check_sources(frames: xr.DataArray) -> None:
        if target is not None:
            check_output(target, [frames], None if isinstance(data, xr.DataArray) else data, sources)

    if fallback is False:
        model = load_any(run, device, **loading)
        _check_levels(levels, model)
        frames = model.fit(_open(data, options, model).frames)
        check_sources(frames)
        result, context = _forecast(model, frames, horizon, values, inputs, levels, rung_name(run), oldest)
    else:
        ladder = Ladder([run, *(FALLBACKS if fallback is True else as_tuple(fallback, "fallback"))], device, **loading)
        opened = _open(data, options, ladder.trained, lenient=True)
        check_sources(opened.frames)
        result, context = _climb(ladder, opened, horizon, values, inputs, levels, oldest)
    # Write the forecast, with the frames before it where it is an animation.
    if target is not None:
        before = context if "sequence" not in context.dims else None
        write(result, target, overwrite=overwrite, context=before, palette=palette)
    return result


class _Levels(NamedTuple):
    """Where a distribution is evaluated: `rates` in mm/h, by default those of the event scores, and `quantiles`."""

    rates: tuple[float, ...] | None
    quantiles: tuple[float, ...]


def _open(
    data: Data, options: ReadOptions, model: TrainedModel | BaselineForecaster | None, *, lenient: bool = False
) -> OpenResult:
    """The frames of `data`, read as in the training of the model. If `lenient`, files that do not fit the others are left out."""
    if isinstance(data, xr.DataArray):
        return OpenResult(check_frames(data), {}, None)
    before = model.card.read_options if isinstance(model, TrainedModel) else DEFAULT
    try:
        return open_like_all(data, options, before, chunked=False)
    except DataError:
        if not lenient:
            raise
        return open_all(data, options.with_defaults(before), lenient=True, chunked=False)


def _forecast(
    model: TrainedModel | BaselineForecaster,
    frames: xr.DataArray,
    horizon: int | None,
    actions: np.ndarray | None,
    inputs: Sequence[str],
    levels: _Levels,
    name: str,
    oldest: np.timedelta64 | None,
) -> tuple[Forecast, xr.DataArray]:
    """The forecast of a model from the newest of `frames`, and these."""
    newest = frames.isel(time=slice(-model.context, None))
    time = newest["time"].values[-1]
    age = age_of(time, present())
    if oldest is not None and age is not None and age > (limit := float(oldest / np.timedelta64(1, "s"))):
        raise DataError(
            f"the newest frame, of {stamp(time)}, is {in_words(age)} old, at most {in_words(limit)} are allowed",
            where=describe_source(newest.isel(time=[-1])),
            remedy="look why no newer frame has arrived, or allow an older one",
            parameter="max_age",
        )
    paths = _paths(model, inputs)
    result = model.forecast(frames, model.horizon if horizon is None else horizon, actions, paths, **levels._asdict())
    warnings = list(describe_impossible(coverage(newest), quantity_of(newest)))
    if model.has_distribution and (note := scale_of(frames).note):
        warnings.append(note)
    if isinstance(model, TrainedModel) and model.has_distribution:
        measured = str(frames.attrs.get("converted_from", frames.attrs["quantity"]))
        warnings += describe_limits(model.card.calibration, levels.rates or quantity_of(frames).thresholds, measured)
    _note(result, frames, warnings)
    init = result["init_time"].values[0]
    weights = model.weights_sha256 if isinstance(model, TrainedModel) else ""
    record(result, name, init, age_of(init, present()), context=newest, weights=weights)
    return result, newest


def _climb(
    ladder: Ladder,
    opened: OpenResult,
    horizon: int | None,
    actions: np.ndarray | None,
    inputs: Sequence[str],
    levels: _Levels,
    oldest: np.timedelta64 | None,
) -> tuple[Forecast, xr.DataArray]:
    """The forecast of a ladder, and the frames that it used. Raises `DataError` if no rung can forecast."""
    model = ladder.trained
    steps = horizon if horizon is not None else HORIZON if model is None else model.horizon
    outcome = ladder.forecast(
        opened.frames,
        steps,
        now=present(),
        max_age=oldest,
        actions=actions,
        inputs=None if model is None else _paths(model, inputs),
        **levels._asdict(),
        unread=opened.left_out,
    )
    if outcome.forecast is None or outcome.context is None:
        raise DataError(
            f"nothing can be forecast: {'; '.join(outcome.reasons)}",
            where=describe_source(opened.frames),
            remedy="look at the newest frames",
        )
    _note(outcome.forecast, opened.frames, ())
    return outcome.forecast, outcome.context


def _note(result: Forecast, frames: xr.DataArray, warnings: Sequence[str]) -> None:
    """Note the repairs of the frames and the warnings in the attributes of a forecast."""
    warnings = [*str(result.attrs.get("warnings", "")).splitlines(), *warnings]
    for name, texts in (("repairs", frames.attrs.get("repairs", ())), ("warnings", warnings)):
        if texts:
            result.attrs[name] = "\n".join(texts)


def _paths(model: TrainedModel | BaselineForecaster, inputs: Sequence[str]) -> Any:
    """The extra inputs of a model at their present paths."""
    paths = as_tuple(inputs, "inputs")
    return with_paths(model.card.inputs, paths) if isinstance(model, TrainedModel) else paths


def _ascending(rates: Sequence[float] | None) -> tuple[float, ...] | None:
    """The `rates` of probabilities. Raises `ArgumentError` unless they are rising rates."""
    if rates is None:
        return None
    chosen = as_numbers(rates, "rates")
    if not chosen or not all(low < high for low, high in zip((0.0, *chosen), (*chosen, math.inf), strict=True)):
        raise ArgumentError(f"{list(chosen)} given, expected rising rain rates in mm/h, above 0", parameter="rates")
    return chosen


def _between(quantiles: Sequence[float]) -> tuple[float, ...]:
    """The `quantiles`. Raises `ArgumentError` unless they rise between 0 and 1."""
    chosen = as_numbers(quantiles, "quantiles")
    if not all(low < high for low, high in zip((0.0, *chosen), (*chosen, 1.0), strict=True)):
        raise ArgumentError(f"{list(chosen)} given, expected rising numbers between 0 and 1", parameter="quantiles")
    return chosen


def _check_levels(levels: _Levels, model: TrainedModel | BaselineForecaster) -> None:
    """Raise `ArgumentError` for rates or quantiles of a model of values."""
    if (levels.rates is not None or levels.quantiles) and not model.has_distribution:
        trained = isinstance(model, TrainedModel)
        remedy = "train with head.name=exceedance" if trained else "forecast extrapolation_probability"
        raise ArgumentError(
            f"{model.name} predicts values, which have no probabilities",
            parameter="rates" if levels.rates is not None else "quantiles",
            remedy=f"leave them out, or {remedy}",
        )
