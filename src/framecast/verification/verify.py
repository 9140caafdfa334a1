"""Verifying forecasters of any kind on frames: models, baselines and code of others, without a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from framecast.checks import replace_fields, takes_fields_of
from framecast.data.archives.opening import open as open_frames
from framecast.data.frames import action_names
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.data.scaling import default_scaling
from framecast.data.windows.sources import DataSplits, WindowSource
from framecast.errors import ArgumentError
from framecast.forecasting.baselines import BaselineData, build
from framecast.forecasting.labels import RECENT
from framecast.forecasting.protocol import Forecaster
from framecast.progress import Progress, no_progress
from framecast.verification.perceptual_weights import Weights
from framecast.verification.result import Verification
from framecast.verification.run import assemble, plan, score
from framecast.verification.settings import EvaluationSettings
from framecast.verification.windows import FramesLike, all_windows

NO_BASELINES = EvaluationSettings(baselines=())


@takes_fields_of(EvaluationSettings)
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
    """Forecast every window of `data` with every forecaster, and score them; no baselines unless `settings` name some.

    `forecasters` are anything with `framecast.Forecaster`'s method, by name or in a list; the first is judged. `data` are
    opened Frames or what `framecast.open` takes, read as `options` state: windows of `context` frames (the most that a
    forecaster needs, and at least 4, unless stated) and `horizon` more, `stride` frames apart. It may also be a source of
    windows, which has lengths of its own. `step` is the time between frames, that of the frames unless stated; `examples`
    cases are kept to look at. `progress` is called with the number of cases done and that of all cases.

    Raises `DataError` for data without a window, and `ConfigError` for arguments that cannot work.
    """
    settings = replace_fields(settings, stated)
    by_name = dict(forecasters if isinstance(forecasters, Mapping) else _by_name(forecasters))
    if settings.inputs:
        raise ArgumentError("forecasters are given no extra inputs here", parameter="inputs", remedy="leave them out")
    if isinstance(data, str | Path | xr.DataArray | Sequence):
        least = max([RECENT, *(each.context_length for each in by_name.values())])
        sources = _windows(data, options, context or least, settings)
    elif context is None and settings.horizon is None and settings.stride is None:
        sources = DataSplits(None, None, data, default_scaling(data.quantity), None, ())
    else:
        raise ArgumentError(
            "a source of windows has lengths of its own",
            parameter="horizon",
            remedy="leave context, horizon and stride out",
        )
    source, step = sources.held_out(), sources.step if step is None else step
    for name in settings.baselines:
        if name in by_name:
            raise ArgumentError(f"{name!r} names a forecaster and a baseline", parameter="baselines")
        by_name[name] = build(name, BaselineData(source.quantity, step, sources.frames, lambda: sources))
    if not by_name:
        raise ArgumentError("no forecaster given", parameter="forecasters")
    weights = Weights(settings.lpips, settings.fvd, settings.convention)
    todo = plan(source, settings, batch_size=batch_size, examples=examples, where=sources.where)
    result = assemble([score(todo, by_name, source, progress or no_progress, weights.networks())], todo, source, step)
    result.sums.attrs |= weights.described() | {"repairs": "\n".join(sources.repairs)}
    return result


def _by_name(forecasters: Sequence[Forecaster]) -> dict[str, Forecaster]:
    """Forecasters by their names. Raises `ArgumentError` for two of one name."""
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
