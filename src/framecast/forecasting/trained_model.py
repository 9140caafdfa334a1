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
from torch import Tensor
from torch.nn import functional

from framecast.checkpoints.model_folder import PACKAGED, WEIGHTS, ModelCard, describe_last, find
from framecast.checkpoints.model_folder import load as load_saved
from framecast.checks import as_path, check_counts, check_seed, describe
from framecast.data.identity import identify_files
from framecast.data.motion.advection import motion_of
from framecast.data.motion.coordinates import Lagrangian, carry_cases, carry_forecast, origins_of
from framecast.data.motion.optical_flow import context_motion
from framecast.data.scale import ASSUMED, Scale
from framecast.data.windows.inputs import Input, fields
from framecast.data.windows.presentation import condition_planes
from framecast.errors import ArgumentError, ConfigError, RunError
from framecast.forecasting.ensembles import latent_noise
from framecast.forecasting.from_logits import forecasts_from_logits
from framecast.forecasting.labels import Forecast, check_horizon, forecast_frames, values_of
from framecast.forecasting.model_checks import check_actions, check_context, describe_pixels, fit_frames
from framecast.forecasting.model_facts import as_html, as_text, model_facts
from framecast.forecasting.protocol import Context, Forecasts, check_length, prepare
from framecast.forecasting.tiling import check_overlap, forecast_tiles
from framecast.forecasting.turning import other_order, turn, turn_back
from framecast.models.parts.capabilities import sampling
from framecast.ops.convolution import Transforms, share_transforms

LEAST_LOGIT = -7.0
"""The logit of pixels without basis where their neighbours are interpolated."""


class TrainedModel:
    """A trained model with its model card; a `Forecaster`.

    A forecast is NaN where it has no basis: where no context frame has data, or the newest one of a model whose head predicts
    distributions; and in Lagrangian coordinates what comes from outside the observed area. Elsewhere a missing pixel of the
    context is passed to the model as dry. Frames whose sides are not multiples of the model's patch are padded at the bottom and
    the right with their border, and the forecast is cropped. Frames whose rows run the other way than in training are turned, and
    their forecast is turned back.

    With `tile`, larger frames are forecast in square tiles of that side which overlap by `overlap` pixels, see `tiling`. This
    needs the memory of one tile, and allows a model of one frame size to forecast larger frames. With `members`, a model that
    predicts distributions returns so many members that follow them, see `ensembles`, in place of the mean, and a model that draws
    samples (`models.parts.capabilities.Sampling`) so many samples; `seed` is that of their noise. Raises `ConfigError` if the
    overlap is as large as a tile, or if another model is asked for members.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        card: ModelCard,
        device: str | torch.device = "cpu",
        *,
        tile: int | None = None,
        overlap: int = 64,
        members: int | None = None,
        seed: int = 0,
        folder: Path | None = None,
        note: str = "",
    ) -> None:
        self.model: Any = model.to(device).eval()
        self.folder, self._note = folder, note
        self.weights_sha256 = "" if folder is None else identify_files([str(folder / WEIGHTS)])[0].sha256
        self.card = card
        self.device = torch.device(device)
        self.tile = tile
        self.overlap = overlap
        self.members = members
        self.seed = seed
        self._transforms: Transforms = {}
        if tile is not None:
            check_overlap(tile, overlap, self._alignment)
        if members and not self.draws_members:
            raise ArgumentError(
                f"{self.name} predicts values, from which no members can be drawn",
                parameter="members",
                remedy="leave it out, or train with head.name=exceedance, or a model that draws samples (model.name=svg)",
            )

    def __repr__(self) -> str:
        return as_text(f"TrainedModel {self.name}", self._facts)

    def _repr_html_(self) -> str:
        return as_html(f"TrainedModel {self.name}", self._facts)

    @property
    def _facts(self) -> dict[str, str]:
        weights = sum(weight.numel() for weight in self.model.parameters())
        return model_facts(self.card, weights, str(self.device), self.members, self.folder)

    @property
    def name(self) -> str:
        """The name of the model; of one that comes with framecast its own: "radar"."""
        if self.folder is not None and self.folder.parent == PACKAGED:
            return self.folder.name
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
    def horizon(self) -> int:
        """The number of frames that are forecast, unless stated: that of training."""
        return self.card.shape.horizon

    @property
    def has_distribution(self) -> bool:
        """Whether its forecasts have probabilities."""
        return bool(self.card.head.rates)

    @property
    def draws_members(self) -> bool:
        """Whether members can be drawn: from its distributions, or as its samples."""
        return self.has_distribution or sampling(self.model) is not None

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
        *,
        rates: Sequence[float] | None = None,
        quantiles: Sequence[float] = (),
    ) -> Forecast: ...

    @overload
    def forecast(self, frames: Context, horizon: int) -> np.ndarray | Forecasts: ...

    def forecast(
        self,
        frames: xr.DataArray | Context,
        horizon: int,
        actions: np.ndarray | None = None,
        inputs: Sequence[Input] | None = None,
        *,
        rates: Sequence[float] | None = None,
        quantiles: Sequence[float] = (),
    ) -> Forecast | np.ndarray | Forecasts:
        """Forecast `horizon` frames: from labelled frames a labelled Forecast, see `__call__`; from a `Context` of arrays an
        array `(1, B, L, C, H, W)`, as a `Forecaster` does, or `Forecasts` if the model predicts distributions.

        A `Context` holds its own `actions (B, T + L - 1 or more, A)` and extra `inputs (B, T, E, H, W)`. Raises `ConfigError`
        if the context is too short, the model does not support the frame size, or extra inputs are missing, `DataError` if the
        context has another shape or type, and `RunError` if the forecast is not finite where there are data.
        """
        if isinstance(frames, Context):
            turned = other_order(frames, self.card.row_order, self.card.column_order)
            if turned.any():
                forecasts = turn_back(self._forecast_cases(turn(frames, turned), horizon), turned)
            else:
                forecasts = self._forecast_cases(frames, horizon)
            return forecasts if forecasts.distribution is not None else forecasts.values
        return self(frames, horizon, actions, inputs, rates=rates, quantiles=quantiles)

    def __call__(
        self,
        frames: xr.DataArray,
        horizon: int,
        actions: np.ndarray | None = None,
        inputs: Sequence[Input] | None = None,
        *,
        rates: Sequence[float] | None = None,
        quantiles: Sequence[float] = (),
    ) -> Forecast:
        """Forecast from the newest of `frames`: a Forecast `(init_time, lead_time, channel, y, x)`, or a Dataset with
        probabilities at `rates` in mm/h, and rates at `quantiles`, if the model predicts distributions, see `labels`.

        `horizon` may exceed the horizon of training. `actions (context + horizon - 1, or one more, A)` start at the first context
        frame; they are for an action-conditioned model. `inputs` describe the files of the extra inputs, by default those of
        training. Raises `DataError` if the quantity, the number of channels or the time step differ from training, or if the
        actions do not fit, and `ConfigError` if the model does not support the frame size.
        """
        frames = self.fit(frames)
        check_horizon(horizon)
        check_actions(self.card, actions, horizon)
        extra = self._read_inputs(frames, self.card.inputs if inputs is None else inputs) if self.inputs else None
        result = forecast_frames(
            self,
            frames,
            horizon,
            context=self.context,
            actions=actions,
            inputs=extra,
            rates=rates,
            quantiles=quantiles,
        )
        if self.card.training_data_sha256:
            for part in (result, values_of(result)):
                part.attrs["training_data_sha256"] = self.card.training_data_sha256
        if notes := self.notes([frames]):
            result.attrs["warnings"] = "\n".join(notes)
        return result

    def notes(self, frames: Sequence[xr.DataArray] = ()) -> list[str]:
        """What a person must know of forecasts from archives: that the weights are not the best ones, and that the pixels are of
        another size than in training."""
        return [text for text in (self._note, describe_pixels(self.card, frames)) if text]

    def fit(self, frames: xr.DataArray) -> xr.DataArray:
        """The `frames` in the quantity of the model: reflectivity is converted for a model of rain rates. Raises `DataError` if
        they are not Frames, or do not fit the model."""
        return fit_frames(self.card, frames)

    def _read_inputs(self, frames: xr.DataArray, inputs: Sequence[Input]) -> np.ndarray:
        """Read the extra inputs `(T, E, H, W)` of the context frames."""
        times = frames["time"].values[-self.context :]
        return np.stack([field.read(times, self.context) for field in fields(inputs, [frames])[0]], axis=1)

    @torch.no_grad()
    def _forecast_cases(self, context: Context, horizon: int) -> Forecasts:
        """Forecast each case, in tiles if the frames are larger than a tile."""
        # The newest frames of the context.
        check_horizon(horizon)
        check_context(self.card, context, horizon)
        check_length(self, context.length)
        context = prepare(context, horizon, self.members)
        unused = context.length - self.context
        frames, actions, inputs = context.frames[:, unused:], None, None
        if self.card.shape.actions and context.actions is not None:
            actions = context.actions[:, unused:]
        if self.inputs and context.inputs is not None:
            inputs = context.inputs[:, unused:].astype(frames.dtype)
        scales = context.scales or (self._training_scale,) * len(frames)
        moving, rates = isinstance(self.card.coordinates, Lagrangian), self.card.head.rates
        origins = [self._origins(case, horizon) for case in frames] if moving or (rates and self.members) else []
        carried = frames
        if moving:
            carried, inputs = carry_cases(frames, inputs, origins, self.card.quantity.dry)

        def run(noise: Tensor | None = None) -> Tensor:
            """From the coordinates of the model back to the ground."""
            outputs = self._run(carried, inputs, scales, horizon, actions, noise)
            if not moving:
                return outputs
            fill = LEAST_LOGIT if rates else self.card.quantity.dry
            cases = zip(outputs, origins, strict=True)
            return torch.stack([carry_forecast(output, path[:horizon], fill) for output, path in cases])

        if rates:
            drawn = (self.members, self.seed) if self.members else None
            return forecasts_from_logits(run(), rates, self.card.quantity, frames, origins, scales, drawn)
        if not self.members:
            return Forecasts(run().numpy()[None])
        size = frames.shape[1] + horizon - 1, self.model.noise_size
        noise = (latent_noise(self.seed, member, frames[:, -1], size) for member in range(self.members))
        return Forecasts(np.stack([run(each).numpy() for each in noise]))

    def _origins(self, frames: np.ndarray, horizon: int) -> list[Tensor]:
        """Where each pixel was one and more steps before, for a context `(T, C, H, W)` and as many lead times."""
        motion = motion_of(context_motion(frames, self.card.quantity))
        height, width = frames.shape[-2:]
        return origins_of(motion, height, width, max(horizon, len(frames) - 1))

    @property
    def _training_scale(self) -> Scale:
        """The scale of the training data, for a context that does not state its own."""
        minutes = ASSUMED.minutes if self.card.step_seconds is None else self.card.step_seconds / 60
        return ASSUMED._replace(minutes=minutes)

    def _run(
        self,
        frames: np.ndarray,
        inputs: np.ndarray | None,
        scales: Sequence[Scale],
        horizon: int,
        actions: np.ndarray | None,
        noise: Tensor | None,
    ) -> Tensor:
        """The output of the network for contexts `(B, T, C, H, W)` in its coordinates, `(B, L, K or C, H, W)`: logits, or values
        in physical units; NaN without basis. With `noise`, a sample."""
        parts = [frames] if inputs is None else [frames, inputs]
        if self.card.head.conditions:
            parts.append(_conditions(frames, scales))
        contexts = np.concatenate(parts, axis=2)
        if self.tile is None or max(contexts.shape[-2:]) <= self.tile:
            return torch.from_numpy(self._run_untiled(contexts, horizon, actions, noise))
        return torch.from_numpy(
            forecast_tiles(
                lambda part: self._run_untiled(part, horizon, actions, noise),
                contexts,
                self.tile,
                self.overlap,
                self._alignment,
            )
        )

    def _run_untiled(
        self, contexts: np.ndarray, horizon: int, actions: np.ndarray | None, noise: Tensor | None
    ) -> np.ndarray:
        """The same without tiles; the last channels of `contexts` are the extra inputs and the conditions."""
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
        # Forecast and crop; values back to physical units; NaN where the context has no data.
        action_tensor = (
            None if actions is None else torch.from_numpy(np.array(actions, dtype=np.float32)).to(self.device)
        )
        with share_transforms(self._transforms):
            if noise is None:
                output = self.model.forecast(scaled.float(), horizon, action_tensor)
            else:
                output = self.model.sample(scaled.float(), horizon, noise.to(self.device), action_tensor)
        output = output[..., :height, :width].float().cpu()
        if self.card.head.rates:
            result, no_basis = output.numpy(), np.isnan(contexts[:, -1:])
        else:
            result = self.card.scaling.inverse(output, self.card.quantity).numpy()
            no_basis = np.isnan(contexts).all(axis=1, keepdims=True)
        if not (np.isfinite(result) | no_basis).all():
            raise RunError(
                f"the forecast of {self.name} is not finite where there are data: its weights have diverged",
                remedy="train it again, with a smaller optimiser.learning_rate or with optimiser.clip",
            )
        np.copyto(result, np.float32(np.nan), where=no_basis)
        return np.asarray(result)


def _conditions(frames: np.ndarray, scales: Sequence[Scale]) -> np.ndarray:
    """The planes of conditions `(B, T, 3, H, W)` of contexts `(B, T, C, H, W)`."""
    known = np.isfinite(frames).all(axis=2, keepdims=True)
    return np.stack([condition_planes(case, 0, scale) for case, scale in zip(known, scales, strict=True)])


def load(
    folder: str | Path,
    device: str | None = None,
    *,
    tile: int | None = None,
    overlap: int = 64,
    members: int | None = None,
    seed: int = 0,
) -> TrainedModel:
    """Load a trained model from a model folder, or from the folder of a run (its best model, else its last).

    `device` is the GPU by default, if there is one. With `tile`, frames larger than so many pixels are forecast in square tiles
    which share `overlap` pixels; with `members`, forecasts are ensembles whose noise has that `seed`; see `TrainedModel`.

    Raises `RunError` if there is no complete model, and `ConfigError` if the device does not exist, `tile` or `members` < 1,
    `overlap` is as large as `tile`, or the model has no members to draw.
    """
    check_counts(tile=tile, members=members)
    check_seed(seed)
    given = as_path(folder, "the folder of a run, or of a saved model", "folder")
    path, note = find(given), describe_last(given)
    model, card = load_saved(path)
    return TrainedModel(
        model, card, find_device(device), tile=tile, overlap=overlap, members=members, seed=seed, folder=path, note=note
    )


def find_device(name: str | None) -> torch.device:
    """The device `name`, by default the GPU if there is one. Raises `ConfigError` if this machine does not have it."""
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ConfigError(
            f"device {describe(name)} cannot be used ({str(error).splitlines()[0]})", remedy="device='cpu'"
        ) from error
    return device
