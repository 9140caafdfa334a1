"""Heads: what a model predicts of each pixel, one value or a distribution. Any model of the catalogue that forecasts frames works
under any head; designs of two stages and autoencoders predict values only.

Under the head `exceedance` a model predicts the probabilities that a ladder of rates q_1 < ... < q_K is exceeded. It works on
frames whose channels are the values, encoded by the same ladder,

    e_k = clip((x - x_{k-1}) / (x_k - x_{k-1}), 0, 1),    x the scaled value, x_k that of rate q_k, x_0 that of a dry pixel,

and on planes that say what is known and how long a step and how wide a pixel is. With f_l (B, D, H, W) what it predicts of the
frame at lead time l, and m_l its minutes,

    logit P(R_l >= q_k) = prior_k(m_l) + sum_d A_kd(m_l) f_ld + a_k(m_l),

made monotone in k. The prior is extrapolation as a probability (`parts.exceedance`). A and a are interpolated between knots of
lead time as its weights are, and zero at the start, so that an untrained model equals the prior. After training the areas of rain
are held at those of extrapolation while lead times are short (`parts.rain_area`).

The expectation of e_k under a distribution is the mean of its probabilities at rungs k - 1 and k. With the other planes of the
newest frame, this is what a model that predicts frame by frame (`Autoregressive`) is fed in place of a frame that is not observed
yet, at any lead time. A network of one pass (SimVP, TAU, U-Net) is fed no expectation: f at the last lead time of its training
holds beyond it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from framecast.errors import ConfigError
from framecast.models.parts.capabilities import AutoencoderConfig, Autoregressive, two_stages
from framecast.models.parts.exceedance import (
    DRY,
    KNOTS,
    LADDER,
    ExtrapolationPrior,
    descending,
    interpolation_weights,
)
from framecast.models.parts.protocols import ModelConfig
from framecast.models.parts.rain_area import counting_stride, hold_area
from framecast.models.parts.rollout import Feedback
from framecast.ops import free_running
from framecast.types import FrameShape, Prediction, config

CONDITIONS = 3
"""The last planes of the input of a model with the head `exceedance`: where pixels are known (1) or not (0), the minutes of a
step, and the kilometres of a pixel."""
FINEST = 1.0
"""The finest pixels in km that a network of one pass reads in a forecast: hardly any composite to train on has finer ones."""


@config
class Values:
    """One value a pixel, in the scaling of the data."""

    name: Literal["values"] = "values"

    @property
    def rates(self) -> tuple[float, ...]:
        """No rates."""
        return ()

    @property
    def conditions(self) -> int:
        """The number of planes of conditions that the network reads."""
        return 0

    def shape(self, shape: FrameShape) -> FrameShape:
        """The shape for which the model is built, for frames of `shape`."""
        return shape

    def build(self, model: ModelConfig, shape: FrameShape, levels: tuple[float, ...]) -> Any:
        """The network of `model`."""
        return model.build(shape)

    def check(self, model: ModelConfig) -> None:
        """Any model predicts values."""


@config
class Exceedance:
    """Probabilities that the `rates` (mm/h, ascending) are exceeded. It needs frames of rain."""

    name: Literal["exceedance"] = "exceedance"
    rates: tuple[float, ...] = LADDER

    def __post_init__(self) -> None:
        steps = zip((DRY, *self.rates), self.rates, strict=False)
        if len(self.rates) < 2 or not all(low < high for low, high in steps):
            raise ConfigError(
                f"{list(self.rates)} given, expected two or more rising rates in mm/h, above {DRY:g}",
                where="head.rates",
            )

    @property
    def conditions(self) -> int:
        """The number of planes of conditions that the network reads."""
        return CONDITIONS

    def shape(self, shape: FrameShape) -> FrameShape:
        """The shape for which the model is built: its channels are the rungs of the ladder, the extra inputs and the
        conditions, all of which it may predict."""
        return shape._replace(channels=len(self.rates) + shape.inputs + CONDITIONS, inputs=0)

    def check(self, model: ModelConfig) -> None:
        """Raise `ConfigError` for a model that does not predict in the space of frames."""
        if two_stages(model) is not None:
            reason = f"{model.name} predicts in a space of its own, in which there are no rates"
            raise ConfigError(reason, where="head.name", remedy="use head.name=values, or a model of one stage")
        if isinstance(model, AutoencoderConfig):
            reason = f"{model.name} reconstructs frames and forecasts nothing"
            raise ConfigError(reason, where="head.name", remedy="use head.name=values, or a model that forecasts")

    def build(self, model: ModelConfig, shape: FrameShape, levels: tuple[float, ...]) -> ExceedanceNetwork:
        """The network of `model` under this head. `levels` are the `rates` as scaled values, after that of a dry pixel. Raises
        `ConfigError` as `check` does, and unless the frames have one channel."""
        if shape.predicted != 1:
            raise ConfigError(f"frames of {shape.predicted} channels have no distribution of one rate", where="head")
        self.check(model)
        network = model.build(self.shape(shape))
        return ExceedanceNetwork(network, self.rates, levels, shape, None if model.tied_to_size else model.multiple)


Head = Values | Exceedance
VALUES = Values()


class ExceedanceNetwork(nn.Module):
    """A network under the head `exceedance`: frames `(B, T, 1 + E + 3, H, W)`, scaled values, extra inputs and conditions, to the
    logits `(B, L, K, H, W)` of the rates at L lead times after the context.

    `pixel` is the size of a pixel in km; None for that of the conditions. A graph that is exported has a fixed one, since its
    neighbourhoods follow from it."""

    def __init__(
        self, network: Any, rates: tuple[float, ...], levels: tuple[float, ...], shape: FrameShape, multiple: int | None
    ) -> None:
        super().__init__()
        self.network = network
        self.multiple = multiple
        self.pixel: float | None = None
        self.context, self.horizon = shape.context, shape.horizon
        self.prior = ExtrapolationPrior(rates)
        channels = len(rates) + shape.inputs + CONDITIONS
        self.readout = nn.Parameter(torch.zeros(len(KNOTS), len(rates), channels))
        self.bias = nn.Parameter(torch.zeros(len(KNOTS), len(rates)))
        self.levels: Tensor
        self.log_rates: Tensor
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        self.register_buffer("log_rates", torch.tensor((DRY, *rates)).log(), persistent=False)

    @property
    def rungs(self) -> int:
        """The number of rates."""
        return len(self.log_rates) - 1

    def forward(self, frames: Tensor, teacher: Tensor, actions: Tensor | None = None) -> Prediction:
        """The logits at the lead times of the window, and in place of the frames as target whether they exceed the rates."""
        horizon = teacher.shape[1] + 1 - self.context
        logits, losses = self._predict(frames, horizon, teacher, actions)
        target = None
        if frames.shape[1] == self.context + horizon:
            target = self.events(frames[:, self.context :, :1])
        return Prediction(logits, losses, target)

    def forecast(self, context: Tensor, horizon: int, actions: Tensor | None = None) -> Tensor:
        """The logits `(B, horizon, K, H, W)` after `context (B, T, 1 + E + 3, H, W)`."""
        return self._predict(context, horizon, None, actions)[0]

    def events(self, frames: Tensor) -> Tensor:
        """Whether `frames (B, S, 1, H, W)` are at or above the rates, `(B, S, K, H, W)`, 0 or 1."""
        return (frames >= self.levels[1:].reshape(-1, 1, 1)).to(frames.dtype)

    def expected(self, logits: Tensor) -> Tensor:
        """The scaled values `(B, S, 1, H, W)` for pictures of a distribution: for each rung its probability times the step from
        the rung below."""
        steps = self.levels.diff().reshape(-1, 1, 1)
        return (torch.sigmoid(logits) * steps).sum(2, keepdim=True) + self.levels[0]

    @torch.no_grad()
    def reweight(self, trust: Tensor) -> None:
        """Multiply all that was learnt of each rate, by the prior and by the network, by factors `(K,)`: with 0 the logits are
        those of an untrained model."""
        self.prior.reweight(trust)
        self.readout.mul_(trust[:, None])
        self.bias.mul_(trust)

    def unrecordable(self) -> str:
        """Why a training step cannot be recorded as a CUDA graph."""
        return "neighbourhoods follow the size of the pixels, which a recorded step cannot read (head)"

    def _predict(
        self, frames: Tensor, horizon: int, teacher: Tensor | None, actions: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        newest = frames[:, self.context - 1]
        step = newest[:, -2].amax((1, 2))
        kilometres = newest[:, -1].amax((1, 2)).tolist() if self.pixel is None else [self.pixel] * len(frames)
        minutes = step[:, None] * torch.arange(1, horizon + 1, device=frames.device)
        known = newest[:, -3] > 0.5
        features = self.prior.features(self._log_rate(newest[:, 0]), known, kilometres)
        prior = self.prior(features, minutes)
        time = interpolation_weights(minutes)
        readout = torch.einsum("bln,nkd->blkd", time, self.readout)
        bias = torch.einsum("bln,nk->blk", time, self.bias)[..., None, None]

        def logits_of(output: Tensor, leads: slice) -> Tensor:
            own = (readout[:, leads] @ output.flatten(3)).reshape(prior[:, leads].shape)
            return descending(own.add_(prior[:, leads]).add_(bias[:, leads]))

        encoded = self._encode(frames)
        if isinstance(self.network, Autoregressive):
            feedback = self._feedback(encoded, logits_of)
            if teacher is None:
                teacher = free_running(len(frames), self.context, horizon)
            predicted = self.network(encoded, teacher, actions, feedback=feedback)
            output, losses = predicted.frames[:, -horizon:], predicted.losses
        elif teacher is not None:
            predicted = self.network(encoded, teacher, actions)
            output, losses = predicted.frames[:, -horizon:], predicted.losses
        else:
            output, losses = self._forecast(encoded, min(horizon, self.horizon), kilometres, actions), {}
        if output.shape[1] < horizon:  # what a network of one pass says of its last lead time holds beyond it
            output = torch.cat([output, output[:, -1:].expand(-1, horizon - output.shape[1], -1, -1, -1)], dim=1)
        logits = logits_of(output, slice(None))
        if not self.training:
            stride = counting_stride(*known.shape[1:])
            extrapolated = self.prior(features[..., ::stride, ::stride], minutes, learnt=False)
            logits = hold_area(logits, descending(extrapolated), known, minutes, kilometres)
        return logits, losses

    def _forecast(self, encoded: Tensor, horizon: int, kilometres: Sequence[float], actions: Tensor | None) -> Tensor:
        """What a network of one pass predicts, `(B, horizon, D, H, W)`: of pixels finer than `FINEST`, with means of blocks of
        pixels in place of what it was not trained on."""
        context = encoded[:, : self.context]
        factor = int(FINEST / min(kilometres))
        if factor < 2 or self.multiple is None:
            own: Tensor = self.network.forecast(context, horizon, actions)
            return own
        height, width = context.shape[-2:]
        side = factor * self.multiple
        padded = functional.pad(context.flatten(0, 1), (0, -width % side, 0, -height % side), mode="replicate")
        means = functional.avg_pool2d(padded, factor)
        means[:, -1] += math.log(factor)
        output = self.network.forecast(means.reshape(*context.shape[:3], *means.shape[-2:]), horizon, actions)
        fine = functional.interpolate(output.flatten(0, 1), scale_factor=factor, mode="bilinear", align_corners=False)
        return fine[..., :height, :width].reshape(*output.shape[:3], height, width)

    def _feedback(self, encoded: Tensor, logits_of: Any) -> Feedback:
        """The function that gives what is fed back after the prediction of frame t + 1: the expectation of its encoding."""
        fixed = encoded[:, self.context - 1, self.rungs :]

        def feedback(output: Tensor, t: int) -> Tensor:
            lead = t + 1 - self.context
            if lead < 0:
                return output
            probability = torch.sigmoid(logits_of(output[:, None], slice(lead, lead + 1)))[:, 0]
            expected = torch.cat([probability[:, :1], (probability[:, :-1] + probability[:, 1:]) / 2], dim=1)
            return torch.cat([expected, fixed], dim=1)

        return feedback

    def _log_rate(self, values: Tensor) -> Tensor:
        """The logarithms of the rates of scaled `values (...)`, linear between the levels of the ladder."""
        upper = torch.bucketize(values.contiguous(), self.levels).clamp(1, len(self.levels) - 1)
        low, high = self.levels[upper - 1], self.levels[upper]
        share = ((values - low) / (high - low)).clamp(min=0)
        return self.log_rates[upper - 1] + share * (self.log_rates[upper] - self.log_rates[upper - 1])

    def _encode(self, frames: Tensor) -> Tensor:
        """The frames `(B, T, D, H, W)` that the network reads: the ladder, extra inputs, and conditions."""
        low, high = (each.reshape(-1, 1, 1) for each in (self.levels[:-1], self.levels[1:]))
        ladder = (frames[:, :, :1] - low).div_(high - low).clamp_(0, 1)
        scale = frames[:, :, -2:].clamp(min=1e-3)
        conditions = torch.cat([(scale[:, :, :1] / 5).log(), scale[:, :, 1:].log()], dim=2)
        return torch.cat([ladder, frames[:, :, 1:-2], conditions], dim=2)
