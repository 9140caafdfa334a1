"""Checks that frames, contexts, actions and extra inputs fit a trained model, by its card."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from framecast.checkpoints.model_folder import ModelCard
from framecast.checks import describe
from framecast.data.frames import check_frames, describe_source
from framecast.data.quantities import quantity_of
from framecast.data.windows.index import time_step
from framecast.errors import ConfigError, DataError
from framecast.forecasting.protocol import Context


def check_frames_fit(card: ModelCard, frames: xr.DataArray) -> None:
    """Raise `DataError` for what are no Frames, and for frames of another quantity, number of channels or time step."""
    check_frames(frames)
    quantity, where = quantity_of(frames), describe_source(frames)
    if quantity.name != card.quantity.name:
        raise DataError(
            f"{quantity.name} in {quantity.units}, but the model was trained on {card.quantity.name}",
            where=where,
            remedy=f"give frames of {card.quantity.name}, or train a model on these",
        )
    if frames.sizes["channel"] != card.shape.predicted:
        raise DataError(
            f"{frames.sizes['channel']} channel(s), but the model was trained on {card.shape.predicted}",
            where=where,
            remedy="give frames with as many channels, or train a model on these",
        )
    step = time_step(frames) if frames.sizes["time"] > 1 else None
    if card.step_seconds is None or not isinstance(step, np.timedelta64):
        return
    seconds = float(step / np.timedelta64(1, "s"))
    if abs(seconds - card.step_seconds) > 0.1 * card.step_seconds:
        raise DataError(
            f"a time step of {seconds / 60:g} minutes, but the model was trained on {card.step_seconds / 60:g}",
            where=where,
            remedy="bring the frames to that step, or train on data with this one",
        )


def check_actions(card: ModelCard, actions: Any, horizon: int) -> None:
    """Raise `DataError` for actions of a single forecast, `(T + horizon - 1, or one more, A)`, that do not fit."""
    numbers, steps, name = card.shape.actions, card.shape.context + horizon - 1, card.model.name
    if not numbers:
        if actions is not None:
            raise DataError(f"{name} takes no actions, and some were given", remedy="leave them out")
        return
    # One more, that of the last frame, changes nothing; more than that are actions of other frames.
    array = isinstance(actions, np.ndarray) and actions.dtype.kind in "fiub"
    if not array or actions.ndim != 2 or actions.shape[1] != numbers or len(actions) - steps not in (0, 1):
        given = f"an array of shape {actions.shape}" if array else _described(actions)
        raise DataError(
            f"{name} needs the actions of {steps} steps, {numbers} numbers each; found {given}",
            remedy="give a row for each step, from the first frame that the model sees to the last but one that is forecast",
            parameter="actions",
            example="ARRAY",
        )
    if not np.isfinite(actions[:steps]).all():
        missing = np.flatnonzero(~np.isfinite(actions[:steps]).all(1))[0]
        raise DataError(f"the action of step {missing} is not a number", remedy="give 0 where nothing is done")


def check_context(card: ModelCard, context: Context, horizon: int) -> None:
    """Raise `DataError` for a context that a model cannot begin with, and `ConfigError` where its extra inputs are missing."""
    _check_frames_array(card, context.frames)
    if card.shape.actions:
        _check_actions_array(card, context, horizon)
    if card.shape.inputs:
        _check_inputs_array(card, context)


def _check_frames_array(card: ModelCard, frames: Any) -> None:
    remedy = "give float32 in physical units, (B, T, C, H, W), NaN where there is no data"
    if not isinstance(frames, np.ndarray) or frames.dtype.kind != "f":
        raise DataError(
            f"{_described(frames)} given, expected an array of floating-point numbers", where="context", remedy=remedy
        )
    length, channels = card.shape.context, card.shape.predicted
    whole = frames.ndim == 5 and frames.size > 0
    if not whole or frames.shape[1] < length or frames.shape[2] != channels:
        raise DataError(
            f"an array of shape {frames.shape}, expected {length} frames or more of {channels} channel(s)",
            where="context",
            remedy=remedy,
        )
    if np.isinf(frames).any():
        raise DataError("infinite values", where="context", remedy=remedy)


def _check_actions_array(card: ModelCard, context: Context, horizon: int) -> None:
    expected = (len(context.frames), context.length + horizon - 1, card.shape.actions)
    actions: Any = context.actions
    array = isinstance(actions, np.ndarray) and actions.dtype.kind in "fiub"
    if not array or actions.ndim != 3 or actions.shape[::2] != expected[::2] or actions.shape[1] < expected[1]:
        given = f"an array of shape {actions.shape}" if array else _described(actions)
        raise DataError(f"{given} given, expected {expected}, or more steps", where="actions")


def _check_inputs_array(card: ModelCard, context: Context) -> None:
    if context.inputs is None:
        raise ConfigError(
            f"{card.model.name} sees {card.shape.inputs} inputs in addition to the frames, and none are given"
        )
    expected = (*context.frames.shape[:2], card.shape.inputs, *context.frames.shape[3:])
    if context.inputs.shape != expected:
        raise DataError(
            f"an array of shape {context.inputs.shape}, expected {expected}",
            where="inputs",
            remedy="give the extra inputs of each frame of the context, of the same size",
        )


def _described(given: Any) -> str:
    """What is no array of numbers, for messages."""
    if isinstance(given, np.ndarray):
        return f"an array of {given.dtype}"
    return "none" if given is None else describe(given)
