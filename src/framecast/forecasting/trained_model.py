"""A trained model as a source of forecasts: on new Frames, without their future."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch.nn import functional

from framecast.checkpoints.model_folder import Card, find
from framecast.checkpoints.model_folder import load as load_saved
from framecast.checks import a_path, at_least_one, in_words
from framecast.data.frames import check_frames, named
from framecast.data.quantities import of
from framecast.data.windows.index import time_step
from framecast.data.windows.inputs import Input, fields
from framecast.errors import ArgumentError, ConfigError, DataError, RunError
from framecast.forecasting.labels import check_horizon, forecast_frames
from framecast.forecasting.tiling import check_overlap, tiled
from framecast.ops.convolution import Transforms, shared


class Trained:
    """A trained model with what its card says.

    A forecast is NaN where no frame of the context has data: there it has no basis. Elsewhere a missing pixel of the
    context was shown to the model as dry. Frames whose sides are no multiple of what the model needs are continued at
    the bottom and the right by their border, and the forecast is cut back. With `tile`, larger frames are forecast in tiles
    of so many pixels that share `overlap` of them, see `tiling`: in the memory of a tile, and also by a model that works
    for one size only. Raises `ConfigError` for an overlap as large as a tile.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        card: Card,
        device: str | torch.device = "cpu",
        *,
        tile: int | None = None,
        overlap: int = 64,
    ) -> None:
        self.model: Any = model.to(device).eval()
        self.card = card
        self.device = torch.device(device)
        self.tile = tile
        self.overlap = overlap
        self._transforms: Transforms = {}
        if tile is not None:
            check_overlap(tile, overlap, self._aligned)

    @property
    def name(self) -> str:
        """The name of the model."""
        return self.card.model.name

    @property
    def context(self) -> int:
        """How many frames a forecast begins with."""
        return self.card.shape.context

    def __call__(
        self,
        frames: xr.DataArray,
        horizon: int,
        actions: np.ndarray | None = None,
        inputs: Sequence[Input] | None = None,
    ) -> xr.DataArray:
        """The Forecast `(init_time, lead_time, channel, y, x)` after the newest frames of `frames`.

        `horizon` may be longer than the model was trained for. `actions (context + horizon - 1, or one more, A)` are those of
        a model with actions, from the first of the frames it sees on. `inputs` say where that lies what it sees beside the
        frames; where it lay in training, without. Raises `DataError` for frames of another quantity, number of channels or
        time step than the model was trained on, for actions that are missing, too many, not numbers, of another
        number or not taken, and `ConfigError` for a size it cannot take.
        """
        self.check(frames)
        check_horizon(horizon)
        self._check_actions(actions, horizon)
        taken = {} if actions is None else {"actions": actions}
        if self.inputs:
            taken["inputs"] = self._beside(frames, self.card.inputs if inputs is None else inputs)
        return forecast_frames(self, frames, self.context, horizon, **taken)

    forecast = __call__

    @property
    def _aligned(self) -> int | None:
        """Where tiles may begin: at multiples of this, anywhere where None, since all have one size."""
        model = self.card.model
        return None if model.tied_to_size else model.multiple

    @property
    def inputs(self) -> int:
        """How many inputs it sees beside the frames."""
        return self.card.shape.inputs

    def _beside(self, frames: xr.DataArray, inputs: Sequence[Input]) -> np.ndarray:
        """What is seen beside the newest frames `(T, E, H, W)`."""
        times = frames["time"].values[-self.context :]
        beside = fields(inputs, [frames])[0]
        return np.stack([field.read(times, self.context) for field in beside], axis=1)

    def forecast_array(
        self, context: np.ndarray, horizon: int, actions: np.ndarray | None = None, inputs: np.ndarray | None = None
    ) -> np.ndarray:
        """`context (T, C, H, W)` in physical units, NaN where there is no data -> `(horizon, C, H, W)`; `inputs (T, E, H, W)`,
        from 0 to 1, for a model that sees something beside the frames."""
        self._check_array(context, "TCHW")
        one = [None if part is None else np.asarray(part)[None] for part in (actions, inputs)]
        forecast: np.ndarray = self.forecast_arrays(context[None], horizon, *one)[0]
        return forecast

    @torch.no_grad()
    def forecast_arrays(
        self, contexts: np.ndarray, horizon: int, actions: np.ndarray | None = None, inputs: np.ndarray | None = None
    ) -> np.ndarray:
        """`contexts (B, T, C, H, W)` -> `(B, horizon, C, H, W)`, in physical units; `actions (B, T + horizon - 1 or more,
        A)` and `inputs (B, T, E, H, W)`, from 0 to 1, where the model has such. Raises `ConfigError` for a size that the
        model cannot take, and where its inputs are missing, `DataError` for contexts or actions of another shape or kind, and
        `RunError` for a model whose forecast is not finite where there are data."""
        self._check_array(contexts, "BTCHW")
        check_horizon(horizon)
        self._check_action_arrays(actions, len(contexts), contexts.shape[1] + horizon - 1)
        if self.inputs:
            if inputs is None:
                raise ConfigError(f"{self.name} sees {self.inputs} inputs beside the frames, and none are given")
            beside = (*contexts.shape[:2], self.inputs, *contexts.shape[3:])
            if inputs.shape != beside:
                raise DataError(
                    f"an array of shape {inputs.shape}, expected {beside}",
                    where="inputs",
                    remedy="give what the model sees beside each frame of the context, of the same size",
                )
            contexts = np.concatenate([contexts, inputs.astype(contexts.dtype)], axis=2)
        if self.tile is not None and max(contexts.shape[-2:]) > self.tile:
            return tiled(
                lambda part: self._at_once(part, horizon, actions), contexts, self.tile, self.overlap, self._aligned
            )
        return self._at_once(contexts, horizon, actions)

    def _check_array(self, context: Any, axes: str) -> None:
        """Raise `DataError` for what is no context with these axes."""
        remedy = f"give float32 in physical units, ({', '.join(axes)}), NaN where there is no data"
        if not isinstance(context, np.ndarray) or context.dtype.kind != "f":
            raise DataError(
                f"{_what(context)} given, expected an array of floating-point numbers", where="context", remedy=remedy
            )
        channels = self.card.shape.predicted
        whole = context.ndim == len(axes) and context.size > 0
        if not whole or context.shape[-4] < self.context or context.shape[-3] != channels:
            said = f"{self.context} frames or more of {channels} channel(s)"
            raise DataError(f"an array of shape {context.shape}, expected {said}", where="context", remedy=remedy)
        if np.isinf(context).any():
            raise DataError("infinite values", where="context", remedy=remedy)

    def _at_once(self, contexts: np.ndarray, horizon: int, actions: np.ndarray | None) -> np.ndarray:
        """The forecast of whole frames; the last channels of `contexts` are the inputs."""
        contexts, inputs = np.split(contexts, [self.card.shape.predicted], axis=2)
        frames = torch.from_numpy(self.card.scaling.forward(contexts, self.card.quantity))
        scaled = torch.cat([frames, torch.from_numpy(inputs)], dim=2).to(self.device)
        height, width = contexts.shape[-2:]
        multiple = self.card.model.multiple
        missing = (0, -width % multiple, 0, -height % multiple)
        if any(missing):
            padded = functional.pad(scaled.flatten(0, 1), missing, mode="replicate")
            scaled = padded.reshape(*scaled.shape[:3], *padded.shape[-2:])
        taken = None
        if self.card.shape.actions and actions is not None:
            taken = torch.from_numpy(np.array(actions, dtype=np.float32)).to(self.device)
        with shared(self._transforms):
            forecast = self.model.forecast(scaled.float(), horizon, taken)[..., :height, :width].float().cpu()
        physical = self.card.scaling.inverse(forecast, self.card.quantity).numpy()
        without_basis = np.isnan(contexts).all(axis=1, keepdims=True)
        if not (np.isfinite(physical) | without_basis).all():
            raise RunError(
                f"{self.name} forecasts values that are not finite where there are data: its weights are spoilt",
                remedy="train it again, with a smaller optimiser.learning_rate or with optimiser.clip",
            )
        return np.where(without_basis, np.float32(np.nan), physical)

    def _check_action_arrays(self, actions: Any, count: int, steps: int) -> None:
        """Raise `DataError` for what are no actions `(count, steps or more, A)`, where the model takes any."""
        numbers = self.card.shape.actions
        array = isinstance(actions, np.ndarray) and actions.dtype.kind in "fiub"
        fits = array and actions.ndim == 3 and actions.shape[::2] == (count, numbers) and actions.shape[1] >= steps
        if numbers and not fits:
            found = f"an array of shape {actions.shape}" if array else _what(actions)
            raise DataError(f"{found} given, expected {(count, steps, numbers)}, or more steps", where="actions")

    def _check_actions(self, actions: Any, horizon: int) -> None:
        """Raise `DataError` for actions that do not fit."""
        numbers, steps = self.card.shape.actions, self.context + horizon - 1
        if not numbers:
            if actions is not None:
                raise DataError(f"{self.name} takes no actions, and some were given", remedy="leave them out")
            return
        # One more, that of the last frame, changes nothing; more than that are actions of other frames.
        array = isinstance(actions, np.ndarray) and actions.dtype.kind in "fiub"
        if not array or actions.ndim != 2 or actions.shape[1] != numbers or len(actions) - steps not in (0, 1):
            found = f"found an array of shape {actions.shape}" if array else f"found {_what(actions)}"
            raise DataError(
                f"{self.name} needs the actions of {steps} steps, {numbers} numbers each; {found}",
                remedy="give a row for each step, from the first frame that the model sees to the last but one that is forecast",
                parameter="actions",
                example="ARRAY",
            )
        if not np.isfinite(actions[:steps]).all():
            missing = np.flatnonzero(~np.isfinite(actions[:steps]).all(1))[0]
            raise DataError(f"the action of step {missing} is not a number", remedy="give 0 where nothing is done")

    def check(self, frames: xr.DataArray) -> None:
        """Raise `DataError` for what are no Frames, and for frames that the model was not made for."""
        check_frames(frames)
        quantity, card, where = of(frames), self.card, named(frames)
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


def _what(given: Any) -> str:
    """What is no array of numbers, in words."""
    if isinstance(given, np.ndarray):
        return f"an array of {given.dtype}"
    return "none" if given is None else in_words(given)


def load(folder: str | Path, device: str | None = None, *, tile: int | None = None, overlap: int = 64) -> Trained:
    """The trained model in `folder`: that of a saved model, or the best (else the last) of a run.

    `device` is the GPU where there is one; for `tile` and `overlap` see `Trained`. Raises `RunError` where there is no whole
    model, and `ConfigError` for a device that is not there, no size of a tile, or an overlap as large.
    """
    at_least_one(tile=tile)
    model, card = load_saved(find(a_path(folder, "the folder of a run, or of a saved model")))
    return Trained(model, card, _device(device), tile=tile, overlap=overlap)


def _device(name: str | None) -> torch.device:
    """A device of this machine: the GPU where there is one, unless stated. Raises `ConfigError`."""
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ArgumentError(
            f"{name!r} cannot be used ({str(error).splitlines()[0]})", parameter="device", example="cpu"
        ) from error
    return device
