"""Loads a trained model and forecasts from new frames: `framecast.load` and the class `TrainedModel`.

A forecast takes physical values in and out: scaling, padding, tiles and the device are handled here. This module reads a model
folder; it writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
import xarray as xr
from torch.nn import functional

from framecast.checkpoints.model_folder import ModelCard, find
from framecast.checkpoints.model_folder import load as load_saved
from framecast.checks import as_path, check_counts
from framecast.data.windows.inputs import Input, fields
from framecast.errors import ConfigError, RunError
from framecast.forecasting.labels import check_horizon, forecast_frames
from framecast.forecasting.model_checks import check_actions, check_context, check_frames_fit
from framecast.forecasting.protocol import Context, check_length
from framecast.forecasting.tiling import check_overlap, forecast_tiles
from framecast.ops.convolution import Transforms, share_transforms


class TrainedModel:
    """A trained model with its model card; a `Forecaster`.

    A forecast is NaN where no context frame has data, since it has no basis there. Elsewhere a missing pixel of the context is
    passed to the model as dry. Frames whose sides are not multiples of the model's patch are padded at the bottom and the right
    with their border, and the forecast is cropped.

    With `tile`, larger frames are forecast in square tiles of that side which overlap by `overlap` pixels, see `tiling`. This
    needs the memory of one tile, and allows a model of one frame size to forecast larger frames. Raises `ConfigError` if the
    overlap is as large as a tile.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        card: ModelCard,
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
            check_overlap(tile, overlap, self._alignment)

    @property
    def name(self) -> str:
        """The name of the model."""
        return self.card.model.name

    @property
    def context(self) -> int:
        """The number of context frames of the model."""
        return self.card.shape.context

    @property
    def context_length(self) -> int:
        """The same as `context`; the name is that of the interface `Forecaster`."""
        return self.card.shape.context

    @property
    def inputs(self) -> int:
        """The number of extra inputs."""
        return self.card.shape.inputs

    @property
    def _alignment(self) -> int | None:
        """Tiles start at multiples of this; None for a model of one frame size, whose tiles start anywhere."""
        model = self.card.model
        return None if model.tied_to_size else model.multiple

    @overload
    def forecast(
        self,
        frames: xr.DataArray,
        horizon: int,
        actions: np.ndarray | None = None,
        inputs: Sequence[Input] | None = None,
    ) -> xr.DataArray: ...

    @overload
    def forecast(self, frames: Context, horizon: int) -> np.ndarray: ...

    def forecast(
        self,
        frames: xr.DataArray | Context,
        horizon: int,
        actions: np.ndarray | None = None,
        inputs: Sequence[Input] | None = None,
    ) -> xr.DataArray | np.ndarray:
        """Forecast `horizon` frames: from labelled frames a labelled Forecast, see `__call__`; from a `Context` of arrays an
        array `(1, B, L, C, H, W)`, as a `Forecaster` does.

        A `Context` holds its own `actions (B, T + L - 1 or more, A)` and extra `inputs (B, T, E, H, W)`. Raises `ConfigError`
        if the context is too short, the model does not support the frame size, or extra inputs are missing, `DataError` if the
        context has another shape or type, and `RunError` if the forecast is not finite where there are data.
        """
        if isinstance(frames, Context):
            return self._forecast_cases(frames, horizon)[None]
        return self(frames, horizon, actions, inputs)

    def __call__(
        self,
        frames: xr.DataArray,
        horizon: int,
        actions: np.ndarray | None = None,
        inputs: Sequence[Input] | None = None,
    ) -> xr.DataArray:
        """Forecast from the newest of `frames`: a Forecast `(init_time, lead_time, channel, y, x)`.

        `horizon` may exceed the horizon of training. `actions (context + horizon - 1, or one more, A)` start at the first context
        frame; they are for an action-conditioned model. `inputs` describe the files of the extra inputs, by default those of
        training. Raises `DataError` if the quantity, the number of channels or the time step differ from training, or if the
        actions do not fit, and `ConfigError` if the model does not support the frame size.
        """
        self.check(frames)
        check_horizon(horizon)
        check_actions(self.card, actions, horizon)
        extra = self._read_inputs(frames, self.card.inputs if inputs is None else inputs) if self.inputs else None
        return forecast_frames(self, frames, horizon, context=self.context, actions=actions, inputs=extra)

    def check(self, frames: xr.DataArray) -> None:
        """Raise `DataError` if `frames` are not Frames, or do not fit the model."""
        check_frames_fit(self.card, frames)

    def _read_inputs(self, frames: xr.DataArray, inputs: Sequence[Input]) -> np.ndarray:
        """Read the extra inputs `(T, E, H, W)` of the context frames."""
        times = frames["time"].values[-self.context :]
        return np.stack([field.read(times, self.context) for field in fields(inputs, [frames])[0]], axis=1)

    @torch.no_grad()
    def _forecast_cases(self, context: Context, horizon: int) -> np.ndarray:
        """Forecast each case, `(B, L, C, H, W)`, in tiles if the frames are larger than a tile."""
        check_horizon(horizon)
        check_context(self.card, context, horizon)
        check_length(self, context.length)
        unused = context.length - self.context
        contexts, actions = context.frames[:, unused:], None
        if self.card.shape.actions and context.actions is not None:
            actions = context.actions[:, unused:]
        if self.inputs and context.inputs is not None:
            contexts = np.concatenate([contexts, context.inputs[:, unused:].astype(contexts.dtype)], axis=2)
        if self.tile is None or max(contexts.shape[-2:]) <= self.tile:
            return self._forecast_untiled(contexts, horizon, actions)
        return forecast_tiles(
            lambda part: self._forecast_untiled(part, horizon, actions),
            contexts,
            self.tile,
            self.overlap,
            self._alignment,
        )

    def _forecast_untiled(self, contexts: np.ndarray, horizon: int, actions: np.ndarray | None) -> np.ndarray:
        """Forecast without tiles, `(B, L, C, H, W)`; the last channels of `contexts` are the extra inputs."""
        # Scale and pad.
        contexts, inputs = np.split(contexts, [self.card.shape.predicted], axis=2)
        frames = torch.from_numpy(self.card.scaling.forward(contexts, self.card.quantity))
        scaled = torch.cat([frames, torch.from_numpy(inputs)], dim=2).to(self.device)
        height, width = contexts.shape[-2:]
        multiple = self.card.model.multiple
        padding = (0, -width % multiple, 0, -height % multiple)
        if any(padding):
            padded = functional.pad(scaled.flatten(0, 1), padding, mode="replicate")
            scaled = padded.reshape(*scaled.shape[:3], *padded.shape[-2:])
        # Forecast, crop, and convert back to physical units; NaN where the context has no data.
        action_tensor = (
            None if actions is None else torch.from_numpy(np.array(actions, dtype=np.float32)).to(self.device)
        )
        with share_transforms(self._transforms):
            forecast = self.model.forecast(scaled.float(), horizon, action_tensor)[..., :height, :width].float().cpu()
        physical = self.card.scaling.inverse(forecast, self.card.quantity).numpy()
        no_basis = np.isnan(contexts).all(axis=1, keepdims=True)
        if not (np.isfinite(physical) | no_basis).all():
            raise RunError(
                f"the forecast of {self.name} is not finite where there are data: its weights have diverged",
                remedy="train it again, with a smaller optimiser.learning_rate or with optimiser.clip",
            )
        return np.where(no_basis, np.float32(np.nan), physical)


def load(folder: str | Path, device: str | None = None, *, tile: int | None = None, overlap: int = 64) -> TrainedModel:
    """Load a trained model from a model folder, or from the folder of a run (its best model, else its last).

    `device` is the GPU by default, if there is one. With `tile`, frames larger than so many pixels are forecast in square tiles
    which share `overlap` pixels, see `TrainedModel`. Raises `RunError` if there is no complete model, and `ConfigError` if the
    device does not exist, `tile` < 1, or `overlap` is as large as `tile`.
    """
    check_counts(tile=tile)
    model, card = load_saved(find(as_path(folder, "the folder of a run, or of a saved model", "folder")))
    return TrainedModel(model, card, _device(device), tile=tile, overlap=overlap)


def _device(name: str | None) -> torch.device:
    """The device `name`, by default the GPU if there is one. Raises `ConfigError` if this machine does not have it."""
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ConfigError(
            f"device {name!r} cannot be used ({str(error).splitlines()[0]})", remedy="device='cpu'"
        ) from error
    return device
