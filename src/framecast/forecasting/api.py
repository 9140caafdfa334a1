"""One call from files to a forecast: a trained model on the newest frames of an archive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from framecast.checks import as_path, check_kind
from framecast.data.archives.opening import open_like
from framecast.data.frames import check_frames, coverage, describe_impossible
from framecast.data.quantities import quantity_of
from framecast.data.readers.numpy_files import array_of
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.data.windows.inputs import with_paths
from framecast.forecasting.trained_model import load
from framecast.forecasting.write import check_target, write


def forecast(
    run: str | Path,
    data: str | Path | Sequence[str | Path] | xr.DataArray,
    horizon: int,
    *,
    out: str | Path | None = None,
    options: ReadOptions = DEFAULT,
    actions: np.ndarray | str | Path | None = None,
    inputs: Sequence[str] = (),
    device: str | None = None,
    tile: int | None = None,
    overlap: int = 64,
    overwrite: bool = False,
) -> xr.DataArray:
    """The Forecast of the `horizon` frames after the newest of `data`, by the model of a run or of a model folder.

    `data` are opened Frames or what `framecast.open` takes, read as in training where `options` state nothing else. With `out`
    it is written there, see `framecast.write`. `actions (context + horizon - 1, or one more, A)` are those of a model with
    actions, an array or a .npy file. `inputs` are where the files of its extra inputs are now, in the order of training. For
    `device`, `tile` and `overlap` see `framecast.load`. The attributes `repairs` and `warnings` of the Forecast, where there
    are any, have one line for each thing that was repaired while reading and for each that is doubtful in the newest frames.

    Raises `DataError` for data that cannot be read or do not fit the model, `ConfigError` for arguments that cannot work, and
    `RunError` where there is no trained model or `out` cannot be written.
    """
    check_kind(ReadOptions, options=options)
    target = None if out is None else as_path(out, "the path of a file to write")
    if target is not None:
        check_target(target, overwrite=overwrite)
    model = load(run, device, tile=tile, overlap=overlap)
    frames = check_frames(data) if isinstance(data, xr.DataArray) else open_like(data, options, model.card.read_options)
    newest = frames.isel(time=slice(-model.context, None))
    moves = array_of(Path(actions)) if isinstance(actions, str | Path) else actions
    result = model.forecast(frames, horizon, moves, with_paths(model.card.inputs, inputs))
    for name, texts in (
        ("repairs", frames.attrs.get("repairs", ())),
        ("warnings", describe_impossible(coverage(newest), quantity_of(newest))),
    ):
        if texts:
            result.attrs[name] = "\n".join(texts)
    if target is not None:
        write(result, target, overwrite=overwrite, context=newest if "sequence" not in frames.dims else None)
    return result
