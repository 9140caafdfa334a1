"""SVG-LP: a frame predictor that is told, by a few random numbers a step, what cannot be foreseen.

Emily Denton, Rob Fergus: "Stochastic Video Generation with a Learned Prior", ICML 2018, section 3. E encodes a frame as a vector
and as maps of each resolution (the skips s), D decodes a vector with the skips of a frame of the context, and LSTM_p, LSTM_q and
LSTM_f carry the past of the prior, of the posterior and of the predictor:

    N(mu_p, sigma_p) = LSTM_p(E(x_(t-1)))                       the prior: what may come
    N(mu_q, sigma_q) = LSTM_q(E(x_t))                           the posterior: what came, in training and within the context
    z_t   = mu + sigma . epsilon
    x^_t  = D(tanh(LSTM_f(E(x_(t-1)), z_t)), s)
    loss  = sum over t of |x_t - x^_t|^2 + beta KL(N(mu_q, sigma_q) || N(mu_p, sigma_p))        equation 3

A forecast takes epsilon = 0, the means of the prior; `sample` takes it normal, for one member of an ensemble. Deviations: outside
of training the prediction of a frame never sees that frame: of the context it is decoded from z of the prior, while the state
goes on with z of the posterior. Statistics of BatchNorm are the running ones outside of training, where the published code takes
those of the batch, and convolutions before one have no biases. The published sums over t are means here, both alike.

With actions (`ActionSVG`), of which the paper has none, prior and predictor take [E(x_(t-1)), a_(t-1)] in place of E(x_(t-1)).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from framecast.errors import ConfigError
from framecast.models.parts.recurrent import FrameConfig, Recurrent, check_has_actions, check_sides, require_actions
from framecast.models.parts.rollout import Feedback
from framecast.ops import free_running
from framecast.types import FrameShape, Prediction, Stepped, config

SLOPE = 0.2
INITIAL = 0.02
"""The standard deviation of new weights of convolutions and linear layers, as of DCGAN."""
Encoding = Literal["dcgan", "vgg"]
LSTMState = tuple[tuple[Tensor, Tensor], ...]


class Gaussian(NamedTuple):
    """A normal distribution of independent numbers: `mean` and `log_variance`, both `(..., Z)`."""

    mean: Tensor
    log_variance: Tensor

    def at(self, noise: Tensor) -> Tensor:
        """The sample at `noise (..., Z)`, in standard deviations."""
        return self.mean + (0.5 * self.log_variance).exp() * noise


def divergence(one: Gaussian, other: Gaussian) -> Tensor:
    """KL(one || other) `(...)`."""
    ratio = one.log_variance - other.log_variance
    distance = (one.mean - other.mean) ** 2 / other.log_variance.exp()
    return 0.5 * (ratio.exp() + distance - 1 - ratio).sum(-1)


class State(NamedTuple):
    """After `step` steps: the states of the LSTMs, the `skips` of the decoder, and what is the same at all steps: the
    `posterior (B, S, Z)` of the S frames after the first, where these are `observed (B, S)`, and the `noise (B, T-1, Z)`."""

    step: int
    prior: LSTMState
    predictor: LSTMState
    skips: tuple[Tensor, ...]
    posterior: Gaussian
    observed: Tensor
    noise: Tensor


class Block(nn.Sequential):
    """A convolution of 3x3, or one of 4x4 that halves or with `up` doubles the map; BatchNorm, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, *, kind: Encoding, up: bool = False) -> None:
        kernel, stride = (3, 1) if kind == "vgg" else (4, 2)
        layer = nn.ConvTranspose2d if up and kind == "dcgan" else nn.Conv2d
        conv = layer(inputs, outputs, kernel, stride, padding=1, bias=False)
        super().__init__(conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(SLOPE))


class Encoder(nn.Module):
    """Frames to vectors of `features` numbers, by `widths` of levels, each half the size of the one before."""

    def __init__(
        self, channels: int, widths: tuple[int, ...], features: int, grid: tuple[int, int], kind: Encoding
    ) -> None:
        super().__init__()
        self.pools = kind == "vgg"
        self.levels = nn.ModuleList()
        for number, (inputs, width) in enumerate(pairwise((channels, *widths))):
            layers = 1 if kind == "dcgan" else 2 if number < 2 else 3
            more = (Block(width, width, kind=kind) for _ in range(layers - 1))
            self.levels.append(nn.Sequential(Block(inputs, width, kind=kind), *more))
        self.last = nn.Sequential(
            nn.Conv2d(widths[-1], features, grid, bias=False), nn.BatchNorm2d(features), nn.Tanh()
        )

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """`x (B, C, H, W)` -> the vector `(B, features)`, and the maps of the levels."""
        maps: list[Tensor] = []
        for level in self.levels:
            x = level(x)
            maps.append(x)
            if self.pools:
                x = functional.max_pool2d(x, 2)
        vector: Tensor = self.last(x)
        return vector.flatten(1), tuple(maps)


class Decoder(nn.Module):
    """The reverse of `Encoder`, which is given its maps."""

    def __init__(
        self, channels: int, widths: tuple[int, ...], features: int, grid: tuple[int, int], kind: Encoding
    ) -> None:
        super().__init__()
        self.grows = kind == "vgg"
        first = nn.ConvTranspose2d(features, widths[-1], grid, bias=False)
        self.first = nn.Sequential(first, nn.BatchNorm2d(widths[-1]), nn.LeakyReLU(SLOPE))
        self.levels = nn.ModuleList()
        for number in reversed(range(1, len(widths))):
            width, below = widths[number], widths[number - 1]
            inner = [] if kind == "dcgan" else [width] if number < 2 else [width, width]
            sizes = pairwise((2 * width, *inner, below))
            self.levels.append(nn.Sequential(*(Block(*pair, kind=kind, up=True) for pair in sizes)))
        last: list[nn.Module] = [nn.ConvTranspose2d(2 * widths[0], channels, 4, 2, padding=1)]
        if kind == "vgg":
            last = [Block(2 * widths[0], widths[0], kind=kind), nn.Conv2d(widths[0], channels, 3, padding=1)]
        self.levels.append(nn.Sequential(*last, nn.Sigmoid()))

    def forward(self, vector: Tensor, maps: tuple[Tensor, ...]) -> Tensor:
        """`vector (B, features)` and the maps of an encoder -> a frame `(B, C, H, W)`."""
        x: Tensor = self.first(vector[:, :, None, None])
        for level, skip in zip(self.levels, reversed(maps), strict=True):
            if self.grows:
                x = functional.interpolate(x, scale_factor=2.0)
            x = level(torch.cat([x, skip], dim=1))
        return x


class LSTM(nn.Module):
    """A linear layer, `layers` of LSTM and a linear readout, on vectors."""

    def __init__(self, inputs: int, hidden: int, layers: int, outputs: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.embed = nn.Linear(inputs, hidden)
        self.cells = nn.ModuleList(nn.LSTMCell(hidden, hidden) for _ in range(layers))
        self.head = nn.Linear(hidden, outputs)

    def start(self, like: Tensor) -> LSTMState:
        """Zeros, for a batch like `like (B, ...)`."""
        zeros = like.new_zeros(len(like), self.hidden)
        return tuple((zeros, zeros) for _ in self.cells)

    def forward(self, x: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """`x (B, inputs)` -> the output `(B, outputs)` and the next state."""
        x, after = self.embed(x), []
        for cell, before in zip(self.cells, state, strict=True):
            after.append(cell(x, before))
            x = after[-1][0]
        return self.head(x), tuple(after)


class SVGCore(nn.Module):
    """One step, from frame to frame."""

    def __init__(self, settings: SVG, shape: FrameShape) -> None:
        super().__init__()
        self.context, self.beta, self.follows = shape.context, settings.beta, settings.skip == "newest"
        hidden, features, latent = settings.hidden, settings.features, settings.latent
        grid = shape.height // settings.multiple, shape.width // settings.multiple
        widths = tuple(settings.width * 2 ** min(level, 3) for level in range(settings.levels))
        self.encoder = Encoder(shape.channels, widths, features, grid, settings.encoder)
        self.decoder = Decoder(shape.channels, widths, features, grid, settings.encoder)
        seen = features + shape.actions
        self.prior = LSTM(seen, hidden, 1, 2 * latent)
        self.posterior = LSTM(features, hidden, 1, 2 * latent)
        self.predictor = LSTM(seen + latent, hidden, settings.layers, features)
        self.apply(_initialise)

    def infer(self, frames: Tensor, observed: Tensor) -> Gaussian:
        """The posterior `(B, S, Z)` of `frames (B, S, C, H, W)`; it goes past those that are not `observed (B, S)`."""
        vectors = self.encoder(frames.flatten(0, 1))[0].unflatten(0, frames.shape[:2])
        vectors = torch.where(observed[..., None], vectors, 0.0)
        state, outputs = self.posterior.start(frames), []
        for t in range(frames.shape[1]):
            output, after = self.posterior(vectors[:, t], state)
            outputs.append(output)
            state = tuple(
                (torch.where(observed[:, t, None], h, old_h), torch.where(observed[:, t, None], c, old_c))
                for (h, c), (old_h, old_c) in zip(after, state, strict=True)
            )
        return Gaussian(*torch.stack(outputs, dim=1).chunk(2, dim=-1))

    def start(self, like: Tensor) -> State:
        """Before the first frame, without observed frames and noise, for frames like `like (B, C, H, W)`."""
        none = like.new_zeros(len(like), 0, self.prior.head.out_features // 2)
        observed = torch.zeros(len(like), 0, dtype=torch.bool, device=like.device)
        return State(0, self.prior.start(like), self.predictor.start(like), (), Gaussian(none, none), observed, none)

    def step(self, x: Tensor, state: State, action: Tensor | None = None) -> Stepped:
        """`x (B, C, H, W)`: the frame at t, and maybe the `action (B, A)`; returns the prediction of the frame at t + 1."""
        t, known, noise = state.step, state.observed.shape[1], state.noise[:, state.step]
        vector, skips = self.encoder(x)
        if action is not None:
            vector = torch.cat([vector, action.to(vector.dtype)], dim=1)
        if t >= self.context and not self.follows:
            skips = state.skips
        output, before = self.prior(vector, state.prior)
        prior = Gaussian(*output.chunk(2, dim=-1))
        foreseen = latent = prior.at(noise)
        losses: dict[str, Tensor] = {}
        if t < known:
            posterior = Gaussian(state.posterior.mean[:, t], state.posterior.log_variance[:, t])
            latent = torch.where(state.observed[:, t, None], posterior.at(noise), foreseen)
            if self.training:
                losses["divergence"] = self.beta * divergence(posterior, prior).mean()
        features, predictor = self.predictor(torch.cat([vector, latent], dim=1), state.predictor)
        if t < known and not self.training:
            features, _ = self.predictor(torch.cat([vector, foreseen], dim=1), state.predictor)
        frame = self.decoder(torch.tanh(features), skips)
        return Stepped(frame, state._replace(step=t + 1, prior=before, predictor=predictor, skips=skips), losses)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, INITIAL)
    elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, INITIAL)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class SVGNetwork(nn.Module):
    """A forecaster that also draws samples, each a function of noise."""

    accepts_feedback: ClassVar[Literal[True]] = True

    def __init__(self, recurrent: Recurrent, latent: int, takes_actions: bool) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.noise_size = latent
        self.takes_actions = takes_actions

    def forward(
        self, frames: Tensor, teacher: Tensor, actions: Tensor | None = None, *, feedback: Feedback | None = None
    ) -> Prediction:
        """Predict the frames at 1..T-1: `frames (B, T or fewer, C, H, W)`, `teacher (B, T - 1)` bool, `feedback` as of
        `Recurrent`. In training the latents follow the posterior of each frame, else their means. Raises `ConfigError` for a
        batch of one sequence in training."""
        if self.training and len(frames) < 2:
            raise ConfigError("BatchNorm needs batches of 2 or more", where="training.batch_size", remedy="use 2")
        shape = (*teacher.shape, self.noise_size)
        draw = torch.randn if self.training else torch.zeros
        noise = draw(shape, device=frames.device, dtype=frames.dtype)
        return self._predict(frames, teacher, noise, actions, feedback)

    def forecast(self, context: Tensor, horizon: int, actions: Tensor | None = None) -> Tensor:
        """`context (B, T, C, H, W)` -> the `horizon` frames after it, `(B, horizon, C, H, W)`, at the means of the latents."""
        return self.forward(context, free_running(len(context), context.shape[1], horizon), actions).frames[
            :, -horizon:
        ]

    def sample(self, context: Tensor, horizon: int, noise: Tensor, actions: Tensor | None = None) -> Tensor:
        """The same at the latents of normal `noise (B, T + horizon - 1, Z)`."""
        teacher = free_running(len(context), context.shape[1], horizon)
        return self._predict(context, teacher, noise, actions).frames[:, -horizon:]

    def _predict(
        self,
        frames: Tensor,
        teacher: Tensor,
        noise: Tensor,
        actions: Tensor | None,
        feedback: Feedback | None = None,
    ) -> Prediction:
        self.recurrent.check_size(frames)
        if self.takes_actions:
            require_actions(actions)
        core: Any = self.recurrent.core
        known = min(frames.shape[1] - 1, teacher.shape[1])
        mask = teacher.to(frames.device)
        if self.training:
            observed = torch.ones_like(mask)[:, :known]
        else:
            observed = torch.cat([mask[:, 1:], torch.zeros_like(mask[:, :1])], dim=1)[:, :known]
        state = core.start(frames[:, 0])._replace(noise=noise)
        if known:
            state = state._replace(posterior=core.infer(frames[:, 1 : known + 1], observed), observed=observed)
        predicted: Prediction = self.recurrent(frames, teacher, actions, state=state, feedback=feedback)
        return predicted


@config
class SVG(FrameConfig):
    """`encoder` is that of DCGAN, or of VGG: `levels` of `width` channels and twice as many from level to level up to the fourth,
    down to a vector of `features`. The predictor has `layers` of `hidden` units, prior and posterior one, of `latent` numbers a
    step; `beta` is the weight of the divergence of the two. `skip` says whose maps the decoder is given after the context: those
    of its last frame, or of the `newest`, predicted one. `segment`, see `rollout`."""

    name: Literal["svg"] = "svg"
    encoder: Encoding = "dcgan"
    width: int = 64
    levels: int = 4
    features: int = 128
    hidden: int = 256
    layers: int = 2
    latent: int = 10
    beta: float = 1e-4
    skip: Literal["context", "newest"] = "context"

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(width=4, levels=2, features=6, hidden=6, layers=1, latent=2)

    @property
    def tied_to_size(self) -> bool:
        """The vector of a frame has weights for each place of the smallest map."""
        return True

    @property
    def multiple(self) -> int:
        """Each level halves the frame."""
        return int(2**self.levels)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.levels > 10:
            raise ConfigError(f"{self.levels} levels given, expected at most 10", where="model.levels")
        if self.beta < 0:
            raise ConfigError(f"beta {self.beta:g} is below 0", where="model.beta")

    def core(self, shape: FrameShape) -> SVGCore:
        """One step, from frame to frame."""
        return SVGCore(self, shape)

    def build(self, shape: FrameShape) -> SVGNetwork:
        """A forecaster with new weights for frames of `shape`. Raises `ConfigError` as `check` does."""
        return SVGNetwork(self.recurrent(shape), self.latent, bool(shape.actions))


@config
class ActionSVG(SVG):
    """SVG with actions, which prior and predictor are given with the vector of each frame."""

    name: Literal["svg_action"] = "svg_action"  # type: ignore[assignment]

    def check(self, shape: FrameShape) -> None:
        """Raise `ConfigError` if this cannot be built for `shape`."""
        check_sides(shape, self.multiple, self.name)
        check_has_actions(shape, self.name)
