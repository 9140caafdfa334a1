"""Checks that frames, contexts, actions and extra inputs fit a trained model, as described by its model card.

The checks read arrays and the card; they change nothing and open no file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

from framecast.checkpoints.model_folder import ModelCard
from framecast.checks import describe
from framecast.data.conversion import as_rain_rate
from framecast.data.frames import check_frames, describe_source
from framecast.data.quantities import quantity_of
from framecast.data.scale import scale_of
from framecast.data.windows.index import time_step
from framecast.errors import ConfigError, DataError, counted
from framecast.forecasting.protocol import Context

LOWER, UPPER = 0.9, 1.1
"""How far a time step or a pixel size may be from those of training, as factors, and count as the same."""


def fit_frames(card: ModelCard, frames: xr.DataArray) -> xr.DataArray:
    """The `frames` as the model reads them: reflectivity as rain rate for a model of rain rates, which its repairs then say.

    Raises `DataError` if they are not Frames, or have another quantity, number of channels or time step than in training."""
    check_frames(frames)
    quantity, where = quantity_of(frames), describe_source(frames)
    if quantity.rain == "reflectivity" and card.quantity.rain == "rate":
        frames = as_rain_rate(frames)
        quantity = quantity_of(frames)
    if quantity.name != card.quantity.name:
        raise DataError(
            f"{quantity.heading}, but the model was trained on {card.quantity.heading}",
            where=where,
            remedy=f"use frames of {card.quantity.title}, or train a model on these frames",
        )
    if frames.sizes["channel"] != card.shape.predicted:
        raise DataError(
            f"{counted(frames.sizes['channel'], 'channel')}, but the model was trained on {card.shape.predicted}",
            where=where,
            remedy="use frames with that number of channels, or train a model on these frames",
        )
    step = time_step(frames) if frames.sizes["time"] > 1 else None
    if card.step_seconds is None or not isinstance(step, np.timedelta64):
        return frames
    seconds = float(step / np.timedelta64(1, "s"))
    shortest, longest = card.step_range or (card.step_seconds, card.step_seconds)
    if not LOWER * shortest <= seconds <= UPPER * longest:
        trained = f"{shortest / 60:g}" + (f" to {longest / 60:g}" if longest > shortest else "")
        raise DataError(
            f"a time step of {seconds / 60:g} minutes, but the model was trained on {trained}",
            where=where,
            remedy="resample the frames to that time step, or train a model on these frames",
        )
    return frames


def describe_pixels(card: ModelCard, frames: Iterable[xr.DataArray]) -> str:
    """How the pixels of archives differ in size from those of training; empty if they do not, as far as both are known, or if the
    model reads their size."""
    if card.head.conditions or card.kilometres is None:
        return ""
    finest, coarsest = card.kilometres
    sides = [scale.kilometres for scale in map(scale_of, frames) if "pixel size" not in scale.assumed]
    others = {f"{side:.3g}": None for side in sides if not LOWER * finest <= side <= UPPER * coarsest}
    if not others:
        return ""
    trained = f"{finest:.3g}" + (f" to {coarsest:.3g}" if coarsest > finest else "")
    return (
        f"pixels of {' and '.join(others)} km, but the model was trained on pixels of {trained} km and does not read their size: "
        "motion and structures are of other sizes, in pixels, than it has learnt"
    )


def check_actions(card: ModelCard, actions: Any, horizon: int) -> None:
    """Raise `DataError` if the actions of a single forecast are not `(T + horizon - 1, or one more, A)` finite numbers."""
    numbers, steps, name = card.shape.actions, card.shape.context + horizon - 1, card.model.name
    if not numbers:
        if actions is not None:
            raise DataError(f"{name} takes no actions, but actions were given", remedy="omit the actions")
        return
    # The action of the last forecast frame has no effect, and may be there; a longer array belongs to other frames.
    array = isinstance(actions, np.ndarray) and actions.dtype.kind in "fiub"
    if not array or actions.ndim != 2 or actions.shape[1] != numbers or len(actions) - steps not in (0, 1):
        actual = f"an array of shape {actions.shape}" if array else _describe_array(actions)
        raise DataError(
            f"{name} needs the actions of {steps} steps, {numbers} numbers each; found {actual}",
            remedy="give one row for each step, from the first context frame to the last forecast frame but one",
            parameter="actions",
            example="ARRAY",
        )
    if not np.isfinite(actions[:steps]).all():
        missing = np.flatnonzero(~np.isfinite(actions[:steps]).all(1))[0]
        raise DataError(f"the action of step {missing} is not a number", remedy="use 0 for no action")


def check_context(card: ModelCard, context: Context, horizon: int) -> None:
    """Raise `DataError` if a context has another shape or type than the model needs, `ConfigError` if extra inputs are
    missing."""
    _check_frames_array(card, context.frames)
    if card.shape.actions:
        _check_actions_array(card, context, horizon)
    if card.shape.inputs:
        _check_inputs_array(card, context)


def _check_frames_array(card: ModelCard, frames: Any) -> None:
    """Raise `DataError` unless `frames` are a float array `(B, T, C, H, W)` of the model's length and channels, without
    infinity."""
    remedy = "use float32 in physical units, (B, T, C, H, W), NaN for no data"
    if not isinstance(frames, np.ndarray) or frames.dtype.kind != "f":
        raise DataError(
            f"{_describe_array(frames)} given, expected an array of floating-point numbers",
            where="context",
            remedy=remedy,
        )
    channels = card.shape.predicted
    if frames.ndim != 5 or not frames.size or frames.shape[2] != channels:
        raise DataError(
            f"an array of shape {frames.shape}, expected (B, T, C, H, W) with {counted(channels, 'channel')}",
            where="context",
            remedy=remedy,
        )
    if np.isinf(frames).any():
        raise DataError("infinite values", where="context", remedy=remedy)


def _check_actions_array(card: ModelCard, context: Context, horizon: int) -> None:
    """Raise `DataError` unless the actions are numbers `(B, T + L - 1 or more, A)`."""
    expected = (len(context.frames), context.length + horizon - 1, card.shape.actions)
    actions: Any = context.actions
    array = isinstance(actions, np.ndarray) and actions.dtype.kind in "fiub"
    if not array or actions.ndim != 3 or actions.shape[::2] != expected[::2] or actions.shape[1] < expected[1]:
        actual = f"an array of shape {actions.shape}" if array else _describe_array(actions)
        raise DataError(f"{actual} given, expected {expected}, or more steps", where="actions")


def _check_inputs_array(card: ModelCard, context: Context) -> None:
    """Raise `ConfigError` if there are no extra inputs, and `DataError` unless they are `(B, T, E, H, W)`."""
    if context.inputs is None:
        raise ConfigError(f"{card.model.name} needs {card.shape.inputs} extra inputs of each frame, and none are given")
    expected = (*context.frames.shape[:2], card.shape.inputs, *context.frames.shape[3:])
    if context.inputs.shape != expected:
        raise DataError(
            f"an array of shape {context.inputs.shape}, expected {expected}",
            where="inputs",
            remedy="give the extra inputs of every context frame, of the size of the frames",
        )


def _describe_array(value: Any) -> str:
    """Describe a value that is not an array of numbers, for an error message."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}"
    return "none" if value is None else describe(value)
