"""The public function `framecast.forecast`: from the files of an archive to a forecast by a trained model, in one call.

It opens a model folder and data, and writes a file only if `out` is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from framecast.checks import as_path, as_tuple, check_kind
from framecast.data.archives.opening import open_like
from framecast.data.archives.outputs import check_output
from framecast.data.frames import check_frames, coverage, describe_impossible
from framecast.data.quantities import quantity_of
from framecast.data.readers.numpy_files import array_of
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.data.scale import scale_of
from framecast.data.windows.inputs import with_paths
from framecast.errors import ArgumentError
from framecast.forecasting.calibration import describe_limits
from framecast.forecasting.labels import Forecast
from framecast.forecasting.trained_model import TrainedModel, load
from framecast.forecasting.write import check_target, write


def forecast(
    run: str | Path,
    data: str | Path | Sequence[str | Path] | xr.DataArray,
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
    overwrite: bool = False,
) -> Forecast:
    """Forecast the `horizon` frames after the newest ones of `data`, by default as many as in training, with the model of a run,
    of a model folder, or one that comes with framecast, by its name: "radar".

    `data` are opened Frames or what `framecast.open` takes; they are read as in training, except for the `options` that are
    stated. With `out` the Forecast is also written, see `framecast.write`; `overwrite` replaces an existing file. `actions
    (context + horizon - 1, or one more, A)`, an array or a .npy file, are for an action-conditioned model. `inputs` are the
    present paths of the model's extra inputs, in the order of training. For `device`, `tile`, `overlap`, `members` and `seed` see
    `framecast.load`.

    Returns the Forecast `(init_time, lead_time, channel, y, x)`; of a model that predicts distributions a Dataset of it and of
    the probabilities at `rates` in mm/h, by default those of the event scores. Its attributes `repairs` and `warnings`, if any,
    have one line for each repair on reading and for each implausible value in the newest frames.

    Raises `DataError` if the data cannot be read or do not fit the model, `ConfigError` if the arguments are invalid, and
    `RunError` if there is no trained model or `out` cannot be written.
    """
    check_kind(ReadOptions, options=options)
    # Check the target first, since a forecast can take minutes.
    target = None if out is None else as_path(out, "the path of a file to write", "out")
    if target is not None:
        check_target(target, overwrite=overwrite)
    # Open the model and the data, forecast, and note what a reader of the forecast must know.
    model = load(run, device, tile=tile, overlap=overlap, members=members, seed=seed)
    frames = check_frames(data) if isinstance(data, xr.DataArray) else open_like(data, options, model.card.read_options)
    frames = model.fit(frames)
    newest = frames.isel(time=slice(-model.context, None))
    if target is not None:
        opened = None if isinstance(data, xr.DataArray) else data
        check_output(target, [frames], opened, [*inputs, *([actions] if isinstance(actions, str | Path) else [])])
    values = array_of(Path(actions)) if isinstance(actions, str | Path) else actions
    paths = with_paths(model.card.inputs, as_tuple(inputs, "inputs"))
    horizon = model.card.shape.horizon if horizon is None else horizon
    result = model.forecast(frames, horizon, values, paths, rates=_rates(rates, model))
    warnings = list(describe_impossible(coverage(newest), quantity_of(newest)))
    if model.card.head.rates:
        measured = str(frames.attrs.get("converted_from", frames.attrs["quantity"]))
        shown = rates or quantity_of(frames).thresholds
        if note := scale_of(frames).note:
            warnings.append(note)
        warnings += describe_limits(model.card.calibration, shown, measured)
    for name, texts in (("repairs", frames.attrs.get("repairs", ())), ("warnings", warnings)):
        if texts:
            result.attrs[name] = "\n".join(texts)
    if target is not None:
        write(result, target, overwrite=overwrite, context=newest if "sequence" not in frames.dims else None)
    return result


def _rates(rates: Sequence[float] | None, model: TrainedModel) -> tuple[float, ...] | None:
    """The `rates` of probabilities. Raises `ArgumentError` unless they are rising rates, and for a model of values."""
    if rates is None:
        return None
    chosen = tuple(float(rate) for rate in as_tuple(rates, "rates"))
    if not model.card.head.rates:
        raise ArgumentError(
            f"{model.name} predicts values, which have no probabilities",
            parameter="rates",
            remedy="leave the rates out, or train with head.name=exceedance",
        )
    if not chosen or not all(low < high for low, high in zip((0.0, *chosen), (*chosen, math.inf), strict=True)):
        raise ArgumentError(f"{list(chosen)} given, expected rising rain rates in mm/h, above 0", parameter="rates")
    return chosen
