"""`framecast.verify`: score any forecasters (models, baselines, own code) on frames, without a run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from framecast.checks import (
    as_tuple,
    check_counts,
    check_kind,
    describe,
    refuses_arrays,
    replace_fields,
    takes_fields_of,
)
from framecast.data.archives.opening import open as open_frames
from framecast.data.archives.outputs import source_files
from framecast.data.frames import action_names
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.data.scaling import default_scaling
from framecast.data.windows.sources import DataSplits, WindowSource
from framecast.errors import ArgumentError
from framecast.forecasting.baselines import BaselineData, assumptions, build_all
from framecast.forecasting.labels import RECENT
from framecast.forecasting.protocol import Forecaster
from framecast.forecasting.trained_model import TrainedModel
from framecast.progress import Progress, no_progress
from framecast.verification.perceptual_weights import PerceptualWeights
from framecast.verification.result import Verification
from framecast.verification.run import assemble, make_plan, score
from framecast.verification.settings import EvaluationSettings
from framecast.verification.windows import FramesLike, all_windows, leave_out_training, model_notes, pixel_size

NO_BASELINES = EvaluationSettings(baselines=())


@takes_fields_of(EvaluationSettings)
@refuses_arrays
def verify(
    forecasters: Mapping[str, Forecaster] | Sequence[Forecaster],
    data: FramesLike | WindowSource,
    settings: EvaluationSettings = NO_BASELINES,
    *,
    context: int | None = None,
    step: np.timedelta64 | None = None,
    options: ReadOptions = DEFAULT,
    batch_size: int = 4,
    examples: int = 4,
    progress: Progress | None = None,
    **stated: Any,
) -> Verification:
    """Forecast every window of `data` with every forecaster, and score the forecasts; baselines only if `settings` name some.

    `forecasters` are objects with the method of `framecast.Forecaster`, by name or in a list; the report is about the first.
    `data` are open Frames or what `framecast.open` takes, read with `options`. Windows have `context` frames (by default the
    longest that a forecaster needs, at least 4) and `horizon` more, and start `stride` frames apart. `data` may also be a
    source of windows, which has its own lengths. `step` is the time between frames, by default that of the data; `examples` is
    the number of cases stored for figures. `progress` is called with the numbers of cases done and of all cases.

    Windows with a frame on which a loaded model was trained are left out. Raises `DataError` if the data have no window, and
    `ConfigError` for invalid arguments.
    """
    check_kind(EvaluationSettings, settings=settings)
    check_kind(ReadOptions, options=options)
    check_counts(context=context, batch_size=batch_size, examples=examples or None)
    if step is not None:
        check_kind(np.timedelta64, step=step)
    settings = replace_fields(settings, stated)
    by_name = _by_name(forecasters)
    if settings.inputs:
        raise ArgumentError("forecasters get no extra inputs here", parameter="inputs", remedy="leave them out")
    # windows: of frames, or a source of windows
    if isinstance(data, str | Path | xr.DataArray | Sequence):
        least = max([RECENT, *(each.context_length for each in by_name.values())])
        sources = _windows(data, options, context or least, settings)
    elif isinstance(data, np.ndarray):
        raise ArgumentError("an array given, expected labelled frames, or their paths", parameter="data")
    elif context is None and settings.horizon is None and settings.stride is None:
        sources = DataSplits(None, None, data, default_scaling(data.quantity), None, ())
    else:
        raise ArgumentError(
            "a source of windows has its own lengths",
            parameter="horizon",
            remedy="leave context, horizon and stride out",
        )
    source, step = sources.held_out(), sources.step if step is None else step
    # forecasters: those given, then baselines
    models = {name: each for name, each in by_name.items() if isinstance(each, TrainedModel)}
    folders = [each.folder for each in models.values() if each.folder is not None]
    if sources.tables and folders:
        sources = leave_out_training(sources, folders)
        source = sources.held_out()
    for name in settings.baselines:
        if name in by_name:
            raise ArgumentError(f"{name!r} names a forecaster and a baseline", parameter="baselines")
    baseline_data = BaselineData(source.quantity, step, sources.frames, lambda: sources)
    baselines = build_all(settings.baselines, baseline_data)
    by_name |= baselines
    if not by_name:
        raise ArgumentError("no forecaster given", parameter="forecasters")
    weights = PerceptualWeights.of(settings)
    plan = make_plan(source, settings, batch_size=batch_size, examples=examples, where=sources.where)
    result = assemble([score(plan, by_name, source, progress or no_progress, weights.networks())], plan, source, step)
    repairs = [*sources.repairs, *model_notes(models, sources.frames), *assumptions(baselines, baseline_data)]
    result.sums.encoding["sources"] = source_files(*sources.frames)
    result.sums.attrs |= pixel_size(sources.frames) | weights.describe()
    result.sums.attrs |= {"repairs": "\n".join(repairs), "warnings": "\n".join(sources.warnings)}
    return result


def _by_name(forecasters: Mapping[str, Forecaster] | Sequence[Forecaster]) -> dict[str, Forecaster]:
    """Forecasters by their names. Raises `ArgumentError` for two of one name, and for what is no forecaster."""
    listed = list(forecasters.values()) if isinstance(forecasters, Mapping) else as_tuple(forecasters, "forecasters")
    for each in listed:
        if not isinstance(each, Forecaster):
            raise ArgumentError(
                f"{describe(each)} given, expected a name, a context_length and a method forecast(context, horizon)",
                parameter="forecasters",
            )
    if isinstance(forecasters, Mapping):
        return dict(forecasters)
    by_name = {each.name: each for each in forecasters}
    if len(by_name) < len(forecasters):
        raise ArgumentError(
            "two forecasters have one name", parameter="forecasters", remedy="give them by name: {name: ...}"
        )
    return by_name


def _windows(data: FramesLike, options: ReadOptions, context: int, settings: EvaluationSettings) -> DataSplits:
    """All windows of some frames. Raises `DataError`, and `ArgumentError` without a horizon."""
    if settings.horizon is None:
        raise ArgumentError("no horizon given, expected how many frames to forecast", parameter="horizon", example=12)
    frames = data if isinstance(data, xr.DataArray) else open_frames(data, options)
    return all_windows(
        frames, context, settings.horizon, stride=settings.stride or 1, actions=bool(action_names(frames))
    )
