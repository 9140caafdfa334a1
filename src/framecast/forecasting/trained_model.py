"""A trained model as a source of forecasts: on new Frames, without their future."""

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
from framecast.forecasting.labels import check_horizon, run
from framecast.forecasting.model_checks import check_actions, check_context, check_frames_fit
from framecast.forecasting.protocol import Context
from framecast.forecasting.tiling import check_overlap, tiled
from framecast.ops.convolution import Transforms, share_transforms


class TrainedModel:
    """A trained model and its card; a forecaster.

    A forecast is NaN where no frame of the context has data: there it has no basis. Elsewhere a missing pixel of the
    context was shown to the model as dry. Frames whose sides are no multiple of what the model needs are continued at
    the bottom and the right by their border, and the forecast is cut back. With `tile`, larger frames are forecast in tiles
    of so many pixels that share `overlap` of them, see `tiling`: in the memory of a tile, and also by a model that works
    for one size only. Raises `ConfigError` for an overlap as large as a tile.
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
            check_overlap(tile, overlap, self._aligned)

    @property
    def name(self) -> str:
        """The name of the model."""
        return self.card.model.name

    @property
    def context(self) -> int:
        """How many frames a forecast begins with."""
        return self.card.shape.context

    @property
    def context_length(self) -> int:
        """The same, by its name as a `Forecaster`."""
        return self.card.shape.context

    @property
    def inputs(self) -> int:
        """The number of extra inputs."""
        return self.card.shape.inputs

    @property
    def _aligned(self) -> int | None:
        """Where tiles may begin: at multiples of this, anywhere where None, since all have one size."""
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
        """Frames with labels give a Forecast with labels (`__call__`); a `Context` of arrays gives an array `(1, B, L, C, H, W)`,
        which makes this a `Forecaster`.

        Of arrays, `actions (B, T + L - 1 or more, A)` and extra `inputs (B, T, E, H, W)` are those of the context. Raises
        `ConfigError` for a size that the model cannot take, and where extra inputs are missing, `DataError` for a context of
        another shape or kind, and `RunError` for a model whose forecast is not finite where there are data.
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
        """The Forecast `(init_time, lead_time, channel, y, x)` after the newest frames of `frames`.

        `horizon` may be longer than the model was trained for. `actions (context + horizon - 1, or one more, A)` are those of
        a model with actions, from the first of the frames it sees on. `inputs` say where the files of its extra inputs are;
        without it they are where they were in training. Raises `DataError` for frames of another quantity, number of channels
        or time step than the model was trained on, for actions that are missing, too many, not numbers, of another
        number or not taken, and `ConfigError` for a size it cannot take.
        """
        self.check(frames)
        check_horizon(horizon)
        check_actions(self.card, actions, horizon)
        extra = self._read_inputs(frames, self.card.inputs if inputs is None else inputs) if self.inputs else None
        return run(self, frames, horizon, context=self.context, actions=actions, inputs=extra)

    def check(self, frames: xr.DataArray) -> None:
        """Raise `DataError` for what are no Frames, and for frames that the model was not made for."""
        check_frames_fit(self.card, frames)

    def _read_inputs(self, frames: xr.DataArray, inputs: Sequence[Input]) -> np.ndarray:
        """The extra inputs of the newest frames `(T, E, H, W)`."""
        times = frames["time"].values[-self.context :]
        return np.stack([field.read(times, self.context) for field in fields(inputs, [frames])[0]], axis=1)

    @torch.no_grad()
    def _forecast_cases(self, context: Context, horizon: int) -> np.ndarray:
        """The forecast of each case `(B, L, C, H, W)`, in tiles where frames are larger than those."""
        check_horizon(horizon)
        check_context(self.card, context, horizon)
        unused = context.length - self.context
        contexts, actions = context.frames[:, unused:], None
        if self.card.shape.actions and context.actions is not None:
            actions = context.actions[:, unused:]
        if self.inputs and context.inputs is not None:
            contexts = np.concatenate([contexts, context.inputs[:, unused:].astype(contexts.dtype)], axis=2)
        if self.tile is None or max(contexts.shape[-2:]) <= self.tile:
            return self._whole(contexts, horizon, actions)
        return tiled(lambda part: self._whole(part, horizon, actions), contexts, self.tile, self.overlap, self._aligned)

    def _whole(self, contexts: np.ndarray, horizon: int, actions: np.ndarray | None) -> np.ndarray:
        """The forecast of whole frames; the last channels of `contexts` are the extra inputs."""
        contexts, inputs = np.split(contexts, [self.card.shape.predicted], axis=2)
        frames = torch.from_numpy(self.card.scaling.forward(contexts, self.card.quantity))
        scaled = torch.cat([frames, torch.from_numpy(inputs)], dim=2).to(self.device)
        height, width = contexts.shape[-2:]
        multiple = self.card.model.multiple
        missing = (0, -width % multiple, 0, -height % multiple)
        if any(missing):
            padded = functional.pad(scaled.flatten(0, 1), missing, mode="replicate")
            scaled = padded.reshape(*scaled.shape[:3], *padded.shape[-2:])
        moves = None if actions is None else torch.from_numpy(np.array(actions, dtype=np.float32)).to(self.device)
        with share_transforms(self._transforms):
            forecast = self.model.forecast(scaled.float(), horizon, moves)[..., :height, :width].float().cpu()
        physical = self.card.scaling.inverse(forecast, self.card.quantity).numpy()
        without_basis = np.isnan(contexts).all(axis=1, keepdims=True)
        if not (np.isfinite(physical) | without_basis).all():
            raise RunError(
                f"{self.name} forecasts values that are not finite where there are data: its weights are spoilt",
                remedy="train it again, with a smaller optimiser.learning_rate or with optimiser.clip",
            )
        return np.where(without_basis, np.float32(np.nan), physical)


def load(folder: str | Path, device: str | None = None, *, tile: int | None = None, overlap: int = 64) -> TrainedModel:
    """The trained model in `folder`: that of a saved model, or the best (else the last) of a run.

    `device` is the GPU where there is one; for `tile` and `overlap` see `TrainedModel`. Raises `RunError` where there is no whole
    model, and `ConfigError` for a device that this machine does not have, a tile that is no size, or an overlap as large.
    """
    check_counts(tile=tile)
    model, card = load_saved(find(as_path(folder, "the folder of a run, or of a saved model")))
    return TrainedModel(model, card, _device(device), tile=tile, overlap=overlap)


def _device(name: str | None) -> torch.device:
    """A device of this machine: the GPU where there is one, unless stated. Raises `ConfigError`."""
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ConfigError(
            f"device {name!r} cannot be used ({str(error).splitlines()[0]})", remedy="device='cpu'"
        ) from error
    return device
