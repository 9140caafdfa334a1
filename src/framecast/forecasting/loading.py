"""Loads a forecaster by its name or its folder: a trained model, or a baseline (`framecast.load`)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, overload

from framecast.checks import as_path, check_counts, check_seed, refuses_arrays
from framecast.errors import ArgumentError, RunError
from framecast.forecasting import baselines
from framecast.forecasting.baseline_forecaster import BaselineForecaster
from framecast.forecasting.trained_model import TrainedModel
from framecast.forecasting.trained_model import load as load_model
from framecast.reading.paths import status

BaselineName = Literal["persistence", "extrapolation", "extrapolation_probability", "steps", "linda"]


@overload
def load(  # type: ignore[overload-overlap]  # the name of a baseline is also a str
    folder: BaselineName, device: str | None = ..., *, members: int | None = ..., seed: int = ...
) -> BaselineForecaster: ...


@overload
def load(
    folder: str | Path,
    device: str | None = ...,
    *,
    tile: int | None = ...,
    overlap: int = ...,
    members: int | None = ...,
    seed: int = ...,
) -> TrainedModel: ...


@refuses_arrays
def load(
    folder: str | Path,
    device: str | None = None,
    *,
    tile: int | None = None,
    overlap: int = 64,
    members: int | None = None,
    seed: int = 0,
) -> TrainedModel | BaselineForecaster:
    """Load a trained model from a model folder, or from the folder of a run (its best model, else its last); or one that comes
    with framecast by its name, "radar"; or a baseline by its name, such as "extrapolation". A folder of that name goes first.

    `device` is the GPU by default, if there is one. With `tile`, frames larger than so many pixels are forecast in square tiles
    which share `overlap` pixels; with `members`, forecasts are ensembles whose noise has that `seed`; see `TrainedModel` and
    `BaselineForecaster`.

    Raises `RunError` if there is no complete model, and `ConfigError` if the device does not exist, `tile` or `members` < 1,
    `overlap` is as large as `tile`, or there are no members to draw.
    """
    return load_any(folder, device, tile=tile, overlap=overlap, members=members, seed=seed)


def load_any(
    folder: str | Path,
    device: str | None = None,
    *,
    tile: int | None = None,
    overlap: int = 64,
    members: int | None = None,
    seed: int = 0,
) -> TrainedModel | BaselineForecaster:
    """The same for a name that is not known before."""
    path = as_path(folder, "the folder of a run, or of a saved model", "folder")
    if not is_baseline(path):
        try:
            return load_model(path, device, tile=tile, overlap=overlap, members=members, seed=seed)
        except RunError as error:
            if status(path) is not None:
                raise
            remedy = f"{error.remedy}; or a baseline: {', '.join(baselines.names())}"
            raise RunError(error.what, where=error.where, remedy=remedy) from error
    check_counts(members=members)
    check_seed(seed)
    if tile is not None:
        raise ArgumentError(f"{path} is not computed in tiles", parameter="tile", remedy="leave it out")
    return BaselineForecaster(str(path), members=members, seed=seed)


def is_baseline(name: str | Path) -> bool:
    """Whether this is the name of a baseline, and no folder of that name stands here."""
    return str(name) in baselines.names() and status(Path(name)) is None
