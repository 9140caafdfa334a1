"""LMC-Memory: a ConvLSTM that is reminded of long motions by the beginning of one.

Sangmin Lee, Hak Gu Kim, Dae Hwi Choi, Hyung-Il Kim, Yong Man Ro: "Video Prediction Recalling Long-term Motion Context via Memory
Alignment Learning", CVPR 2021, section 3. An encoder of motion, three-dimensional convolutions on differences of frames, asks a
memory of slots m_i at each place of a coarse map; what it recalls is embedded in the space of the predictor, which weighs it
channel by channel at every step. With q the query, E and D encoder and decoder of frames:

    q    = Motion(x_2 - x_1, x_3 - x_2, ...)
    a    = softmax over i of <q, m_i> / (|q| |m_i|)
    f    = Embed(sum over i of a_i m_i)
    h, c = ConvLSTMs(E(x_t))
    w    = sigma(W_2 relu(W_1 mean over places of [c, f]))
    x^   = D([h, w . f])

Memory alignment: in the first phase of training one encoder of motion sees the long sequence, also its future, and the slots
learn; in the second another encoder learns to ask the slots, which stay as they are, from the context alone. A forecast has
the second. Deviations: the phases share each batch, half of whose sequences are in the first and half in the second, where the
published code makes one step of the optimiser with each; the long sequence is the window; an encoder of motion halves time only
while more than one step of it is left, so that short contexts work.
"""

from __future__ import annotations

from math import log2
from typing import Any, ClassVar, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from framecast.errors import ConfigError
from framecast.models.parts.recurrent import FrameConfig, Recurrent, zeros
from framecast.models.parts.rollout import Feedback
from framecast.models.phydnet import ConvLSTMLayer, ConvState
from framecast.ops import free_running
from framecast.types import FrameShape, Prediction, Stepped, config

SQUEEZE = 8
"""The hidden layer of the weights is so many times narrower than the predictor."""


class State(NamedTuple):
    """The states of the ConvLSTM `layers`, and what was `recalled (B, D, h, w)`, the same at all steps."""

    layers: tuple[ConvState, ...]
    recalled: Tensor


class MotionEncoder(nn.Module):
    """Differences of frames to queries: two levels for each of `halvings`, each half the size of the one before."""

    def __init__(self, channels: int, width: int, halvings: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        for level in range(2 * halvings):
            layers: list[nn.Module] = []
            for _ in range(1 if level < halvings else 2):
                layers += [nn.Conv3d(channels, width * 2**level, 3, padding=1), nn.ReLU()]
                channels = width * 2**level
            self.levels.append(nn.Sequential(*layers))

    def forward(self, frames: Tensor) -> Tensor:
        """`frames (B, T, C, H, W)` -> `(B, slot size, h, w)`."""
        x = frames.diff(dim=1).transpose(1, 2)
        for number, level in enumerate(self.levels):
            depth = 2 if number > 0 and x.shape[2] > 1 else 1
            x = functional.max_pool3d(level(x), (depth, 2, 2))
        return x.mean(2)


class Memory(nn.Module):
    """`slots`, the two encoders of motion that ask them, and the embedding of what they answer."""

    def __init__(self, channels: int, width: int, halvings: int, slots: int) -> None:
        super().__init__()
        size = width * 2 ** (2 * halvings - 1)
        self.of_long = MotionEncoder(channels, width, halvings)
        self.of_short = MotionEncoder(channels, width, halvings)
        self.slots = nn.Parameter(torch.randn(slots, size))
        layers: list[nn.Module] = []
        for _ in range(halvings):
            layers += [nn.ConvTranspose2d(size, size // 2, 3, 2, padding=1, output_padding=1), nn.ReLU()]
            size //= 2
        self.embed = nn.Sequential(*layers)

    def align(self, long: Tensor) -> Tensor:
        """The first phase: what a long sequence `(B, T, C, H, W)` recalls, `(B, D, h, w)`; the slots learn."""
        return self._recall(self.of_long(long), self.slots)

    def forward(self, short: Tensor) -> Tensor:
        """The second phase, and a forecast: what a context recalls; the slots stay as they are."""
        return self._recall(self.of_short(short), self.slots.detach())

    def _recall(self, query: Tensor, slots: Tensor) -> Tensor:
        address = torch.einsum("bchw,nc->bnhw", functional.normalize(query), functional.normalize(slots)).softmax(1)
        recalled: Tensor = self.embed(torch.einsum("bnhw,nc->bchw", address, slots))
        return recalled


def _frame_encoder(channels: int, width: int, halvings: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for level in range(halvings):
        outputs = width * 2**level
        layers += [nn.Conv2d(channels, outputs, 3, 2, padding=1), nn.ELU()]
        layers += [nn.Conv2d(outputs, outputs, 3, padding=1), nn.ELU()]
        channels = outputs
    return nn.Sequential(*layers)


def _frame_decoder(channels: int, width: int, halvings: int) -> nn.Sequential:
    hidden = width * 2 ** (halvings - 1)
    layers: list[nn.Module] = [nn.ConvTranspose2d(2 * hidden, hidden, 3, padding=1), nn.ELU()]
    for level in reversed(range(1, halvings)):
        outputs = width * 2 ** (level - 1)
        layers += [nn.ConvTranspose2d(2 * outputs, outputs, 3, 2, padding=1, output_padding=1), nn.ELU()]
        layers += [nn.ConvTranspose2d(outputs, outputs, 3, padding=1), nn.ELU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, channels, 3, 2, padding=1, output_padding=1))


class LMCCore(nn.Module):
    """One step, from frame to frame."""

    def __init__(self, settings: LMC, channels: int) -> None:
        super().__init__()
        halvings = int(log2(settings.reduction))
        hidden = settings.width * 2 ** (halvings - 1)
        self.hidden, self.reduction, self.sigmoid = hidden, settings.reduction, settings.sigmoid
        self.memory = Memory(channels, settings.width, halvings, settings.slots)
        self.encoder = _frame_encoder(channels, settings.width, halvings)
        self.layers = nn.ModuleList(ConvLSTMLayer(hidden, hidden) for _ in range(settings.layers))
        narrow = max(hidden // SQUEEZE, 1)
        self.weigh = nn.Sequential(nn.Linear(2 * hidden, narrow), nn.ReLU(), nn.Linear(narrow, hidden), nn.Sigmoid())
        self.decoder = _frame_decoder(channels, settings.width, halvings)

    def start(self, like: Tensor) -> State:
        """Zeros, and nothing recalled, for frames like `like (B, C, H, W)`."""
        nothing = zeros(like[..., :: self.reduction, :: self.reduction], self.hidden)
        return State(tuple(ConvState(nothing, nothing) for _ in self.layers), nothing)

    def step(self, x: Tensor, state: State, action: Tensor | None = None) -> Stepped:
        """`x (B, C, H, W)`: the frame at t; returns the prediction of the frame at t + 1."""
        if action is not None:
            raise ValueError("LMC takes no actions")
        below, layers = self.encoder(x), []
        for layer, before in zip(self.layers, state.layers, strict=True):
            layers.append(layer(below, before))
            below = layers[-1].hidden
        means = torch.cat([layers[-1].cell, state.recalled], dim=1).mean((2, 3))
        weights = self.weigh(means)[:, :, None, None]
        frame = self.decoder(torch.cat([below, weights * state.recalled], dim=1))
        return Stepped(torch.sigmoid(frame) if self.sigmoid else frame, state._replace(layers=tuple(layers)), {})


class LMCNetwork(nn.Module):
    """A forecaster that recalls once, from the context, and then predicts step by step."""

    accepts_feedback: ClassVar[Literal[True]] = True

    def __init__(self, recurrent: Recurrent, context: int) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.context = context

    def forward(
        self, frames: Tensor, teacher: Tensor, actions: Tensor | None = None, *, feedback: Feedback | None = None
    ) -> Prediction:
        """Predict the frames at 1..T-1: `frames (B, T or fewer, C, H, W)`, `teacher (B, T - 1)` bool, `feedback` as of
        `Recurrent`. In training the first half of the batch recalls by all of its frames. Raises `ConfigError` for a batch of
        one sequence in training."""
        core: Any = self.recurrent.core
        if self.training:
            if len(frames) < 2:
                remedy = "2 or more, of which half are in each phase"
                raise ConfigError("a batch of one sequence", where="training.batch_size", remedy=remedy)
            half = len(frames) // 2
            parts = [core.memory.align(frames[:half]), core.memory(frames[half:, : self.context])]
            recalled = torch.cat(parts)
        else:
            recalled = core.memory(frames[:, : self.context])
        state = core.start(frames[:, 0])._replace(recalled=recalled)
        predicted: Prediction = self.recurrent(frames, teacher, state=state, feedback=feedback)
        return predicted

    def forecast(self, context: Tensor, horizon: int, actions: Tensor | None = None) -> Tensor:
        """`context (B, T, C, H, W)` -> the `horizon` frames after it, `(B, horizon, C, H, W)`."""
        return self.forward(context, free_running(len(context), context.shape[1], horizon)).frames[:, -horizon:]


@config
class LMC(FrameConfig):
    """`layers` of ConvLSTM at a `reduction` of the frame, of `width` channels at half its size and twice as many each time it is
    halved again; a memory of so many `slots`. `sigmoid` bounds the frames. `segment`, see `rollout`."""

    name: Literal["lmc"] = "lmc"
    width: int = 64
    layers: int = 4
    reduction: int = 4
    slots: int = 100
    sigmoid: bool = False

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(width=4, layers=2, reduction=2, slots=5)

    @property
    def multiple(self) -> int:
        """The encoder of motion reduces the frame twice as often."""
        return self.reduction**2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reduction not in (2, 4, 8):
            raise ConfigError(f"reduction {self.reduction} is not 2, 4 or 8", where="model.reduction")

    def check(self, shape: FrameShape) -> None:
        """Raise `ConfigError` if this cannot be built for `shape`."""
        super().check(shape)
        if shape.context < 2:
            raise ConfigError(
                "a context of one frame has no motion", where="data.context", remedy="a context of 2 frames or more"
            )

    def core(self, shape: FrameShape) -> LMCCore:
        """One step, from frame to frame."""
        return LMCCore(self, shape.channels)

    def build(self, shape: FrameShape) -> LMCNetwork:
        """A forecaster with new weights for frames of `shape`. Raises `ConfigError` as `check` does."""
        return LMCNetwork(self.recurrent(shape), shape.context)
