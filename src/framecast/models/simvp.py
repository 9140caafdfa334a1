"""SimVP and TAU: convolutional networks that predict all frames of the horizon in one pass.

Zhangyang Gao, Cheng Tan, Lirong Wu, Stan Z. Li: "SimVP: Simpler yet Better Video Prediction", CVPR 2022, equations 1-4,
with its inception translator (IncepU); Cheng Tan, Zhangyang Gao, Siyuan Li, Stan Z. Li: "SimVP: Towards Simple yet Powerful
Spatiotemporal Predictive Learning", 2022, with gated spatiotemporal attention (gSTA); Cheng Tan et al.: "Temporal Attention
Unit: Towards Efficient Spatiotemporal Predictive Learning", CVPR 2023, equations 1-8. A frame is encoded by itself; the
channels of all T frames together are translated; each of the T frames that come out is decoded by itself:

    Z_t = Encoder(X_t)         Y_1..T = Translator([Z_1, ..., Z_T])         X~_{T+t} = Decoder(Y_t + first layer of X_t)
    gSTA block:   x <- x + l_1 Attn(BN(x))         Attn: sigma(g) . f of large depthwise convolutions, between 1x1
                  x <- x + l_2 MLP(BN(x))
    TAU block:    the same, with Attn: SE(x) . DW(x) . x, over channels and over space
    IncepU block: the sum of grouped 3x3, 5x5, 7x7 and 11x11 convolutions of a 1x1, with skips from down to up

TAU adds alpha KL(softmax(dX~ / tau) || softmax(dX / tau)) over the differences of neighbouring frames (equation 8).

Deviations, as in the OpenSTL code (docs/specification.md, section 7): an inner shortcut in Attn. T frames come out where T went
in; a shorter horizon is cut, a longer one feeds them back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from framecast.errors import ConfigError
from framecast.models.parts.recurrent import check_no_actions, check_sides, without_inputs
from framecast.models.parts.sizes import check_sizes
from framecast.types import FrameShape, Prediction, config

LAYER_SCALE = 1e-2
FIRST_DROP = 1e-2
"""Stochastic depth of the first block of the released code, whatever that of the last."""
KERNELS = (3, 5, 7, 11)
GROUPS = 8
TEMPERATURE = 0.1


class Spatial(nn.Module):
    """A convolution, GroupNorm, SiLU; halves the resolution with `down`, doubles it with `up`."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, down: bool = False, up: bool = False) -> None:
        super().__init__()
        stride = 2 if down else 1
        self.conv = nn.Conv2d(inputs, 4 * outputs if up else outputs, kernel, stride, padding=kernel // 2)
        self.shuffle = nn.PixelShuffle(2) if up else nn.Identity()
        self.norm = nn.GroupNorm(2, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """`x (N, inputs, h, w)`."""
        return functional.silu(self.norm(self.shuffle(self.conv(x))))


class Gated(nn.Module):
    """sigma(g) . f of a depthwise 5x5, a depthwise 7x7 with dilation 3, and a 1x1 to f and g."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.near = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.far = nn.Conv2d(width, width, 7, padding=9, dilation=3, groups=width)
        self.split = nn.Conv2d(width, 2 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`x (B, width, h, w)`."""
        f, g = torch.chunk(self.split(self.far(self.near(x))), 2, dim=1)
        gated: Tensor = torch.sigmoid(g) * f
        return gated


class TemporalAttention(nn.Module):
    """Channels weighed by their means (time lies in them), times a large depthwise convolution, times x."""

    def __init__(self, width: int) -> None:
        super().__init__()
        narrow = max(width // max(width // 16, 4), 1)
        self.near = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.far = nn.Conv2d(width, width, 7, padding=9, dilation=3, groups=width)
        self.mix = nn.Conv2d(width, width, 1)
        self.squeeze = nn.Sequential(
            nn.Linear(width, narrow, bias=False), nn.ReLU(), nn.Linear(narrow, width, bias=False), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """`x (B, width, h, w)`."""
        weight = self.squeeze(x.mean((2, 3)))[..., None, None]
        attended: Tensor = weight * self.mix(self.far(self.near(x))) * x
        return attended


class Attention(nn.Module):
    """1x1, GELU, `inner`, 1x1, and x."""

    def __init__(self, width: int, inner: nn.Module) -> None:
        super().__init__()
        self.before = nn.Conv2d(width, width, 1)
        self.inner = inner
        self.after = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`x (B, width, h, w)`."""
        attended: Tensor = self.after(self.inner(functional.gelu(self.before(x))))
        return attended + x


class MLP(nn.Module):
    """1x1 to a wider map, depthwise 3x3, GELU, 1x1."""

    def __init__(self, width: int, ratio: float) -> None:
        super().__init__()
        wide = int(width * ratio)
        self.widen = nn.Conv2d(width, wide, 1)
        self.depthwise = nn.Conv2d(wide, wide, 3, padding=1, groups=wide)
        self.narrow = nn.Conv2d(wide, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`x (B, width, h, w)`."""
        mixed: Tensor = self.narrow(functional.gelu(self.depthwise(self.widen(x))))
        return mixed


class MetaBlock(nn.Module):
    """Attention and MLP at `width`, each left out of a sample with probability `drop`, then a 1x1 where `outputs` differs."""

    def __init__(self, width: int, outputs: int, inner: nn.Module, ratio: float, drop: float) -> None:
        super().__init__()
        self.drop = drop
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.attention = Attention(width, inner)
        self.mlp = MLP(width, ratio)
        self.scale1 = nn.Parameter(torch.full((width,), LAYER_SCALE))
        self.scale2 = nn.Parameter(torch.full((width,), LAYER_SCALE))
        self.reduce = nn.Conv2d(width, outputs, 1) if outputs != width else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """`x (B, width, h, w)`."""
        x = x + self._dropped(self.scale1[:, None, None] * self.attention(self.norm1(x)))
        x = x + self._dropped(self.scale2[:, None, None] * self.mlp(self.norm2(x)))
        reduced: Tensor = self.reduce(x)
        return reduced

    def _dropped(self, branch: Tensor) -> Tensor:
        """Stochastic depth: zeros for some samples, the others divided by the probability to stay."""
        if not self.training or self.drop == 0:
            return branch
        mask = torch.bernoulli(branch.new_full((len(branch), 1, 1, 1), 1 - self.drop))
        return branch * mask / (1 - self.drop)


class Inception(nn.Module):
    """The sum of grouped convolutions of four kernel sizes of a 1x1."""

    def __init__(self, inputs: int, inner: int, outputs: int) -> None:
        super().__init__()
        groups = GROUPS if inner % GROUPS == 0 else 1
        self.first = nn.Conv2d(inputs, inner, 1)
        self.convs = nn.ModuleList(
            nn.Conv2d(inner, outputs, kernel, padding=kernel // 2, groups=groups) for kernel in KERNELS
        )
        self.norms = nn.ModuleList(nn.GroupNorm(groups, outputs) for _ in KERNELS)

    def forward(self, x: Tensor) -> Tensor:
        """`x (B, inputs, h, w)`."""
        x = self.first(x)
        terms = [functional.leaky_relu(norm(conv(x)), 0.2) for conv, norm in zip(self.convs, self.norms, strict=True)]
        return torch.stack(terms).sum(0)


class InceptionU(nn.Module):
    """Inception blocks down and up, with skips."""

    def __init__(self, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        inner = width // 2
        self.down = nn.ModuleList(Inception(channels if n == 0 else width, inner, width) for n in range(blocks))
        self.up = nn.ModuleList(
            Inception(width if n == 0 else 2 * width, inner, channels if n == blocks - 1 else width)
            for n in range(blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        """`x (B, channels, h, w)`."""
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)
        for n, block in enumerate(self.up):
            x = block(x if n == 0 else torch.cat([x, skips[-1 - n]], dim=1))
        return x


class OneShot(nn.Module):
    """Encoder, translator and decoder, with TAU's additional loss where `settings` give it a weight."""

    def __init__(
        self,
        settings: _OneShotConfig,
        channels: int,
        context: int,
        translator: nn.Module,
        inputs: int = 0,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.context = context
        self.divergence = settings.divergence
        width = settings.spatial
        halved = [n % 2 == 1 for n in range(settings.layers)]
        self.encoder = nn.ModuleList(
            Spatial(channels if n == 0 else width, width, settings.kernel, down=down) for n, down in enumerate(halved)
        )
        self.translator = translator
        decoder = settings.decoder_kernel or settings.kernel
        self.decoder = nn.ModuleList(Spatial(width, width, decoder, up=up) for up in reversed(halved))
        self.readout = nn.Conv2d(width, channels, 1)

    def forward(self, frames: Tensor, teacher: Tensor, actions: Tensor | None = None) -> Prediction:
        """The frames after the first `context` of `frames (B, T or fewer, C, H, W)`; the mask tells how many."""
        horizon = teacher.shape[1] + 1 - self.context
        predicted = self.forecast(frames[:, : self.context], horizon)
        truth = without_inputs(frames[:, -horizon:], self.inputs)
        if not self.divergence or not self.training or truth.shape != predicted.shape or horizon < 2:
            return Prediction(predicted, {})
        return Prediction(predicted, {"divergence": self.divergence * differential_divergence(predicted, truth)})

    def forecast(self, context: Tensor, horizon: int, actions: Tensor | None = None) -> Tensor:
        """`context (B, T, C, H, W)` -> the `horizon` frames after it, `(B, horizon, C, H, W)`. Raises `ConfigError` for
        fewer frames than the model was built for; of more it takes the last."""
        if context.shape[1] < self.context:
            raise ConfigError(f"{context.shape[1]} frames of context, this model was built for {self.context}")
        last, parts = context[:, -self.context :], []
        fixed_channels = last[:, -1:, last.shape[2] - self.inputs :].expand(-1, self.context, -1, -1, -1)
        for _ in range(-(-horizon // self.context)):
            parts.append(without_inputs(self._next(last), self.inputs))
            last = torch.cat([parts[-1], fixed_channels], dim=2) if self.inputs else parts[-1]
        return torch.cat(parts, dim=1)[:, :horizon]

    def _next(self, frames: Tensor) -> Tensor:
        """T frames to the T after them."""
        batch = len(frames)
        skip = x = self.encoder[0](frames.flatten(0, 1))
        for layer in self.encoder[1:]:
            x = layer(x)
        translated = self.translator(x.reshape(batch, -1, *x.shape[-2:])).reshape(x.shape)
        for layer in self.decoder[:-1]:
            translated = layer(translated)
        predicted: Tensor = self.readout(self.decoder[-1](translated + skip))
        return predicted.reshape(frames.shape)


def differential_divergence(predicted: Tensor, truth: Tensor) -> Tensor:
    """The divergence between how `predicted` and `truth (B, S, C, H, W)` change from frame to frame: scalar."""
    moved, should = (functional.log_softmax(x.diff(dim=1).flatten(2) / TEMPERATURE, dim=-1) for x in (predicted, truth))
    return (moved.exp() * (moved - should)).mean()


@config
class _OneShotConfig(ABC):
    """`spatial` channels and `layers` in encoder and decoder with convolutions of `kernel` (`decoder_kernel`, if the decoder has
    another), `hidden` channels and `blocks` in the translator; `divergence` is the weight alpha of TAU's additional loss.

    `drop_path` is the stochastic depth of training, for blocks with attention: in the n-th of N blocks each of the two branches
    is left out of a sample with a probability that goes linearly from 0.01 in the first to `drop_path` in the last, as in the
    released code, where 0 still means 0.01 in the first block. None is without."""

    name: str
    spatial: int = 64
    hidden: int = 512
    layers: int = 4
    blocks: int = 8
    mlp_ratio: float = 8.0
    divergence: float = 0.0
    kernel: int = 3
    decoder_kernel: int | None = None
    drop_path: float | None = None

    @abstractmethod
    def translator(self, channels: int) -> nn.Module:
        """The translator of `channels`, those of all frames together."""

    @property
    def tied_to_size(self) -> bool:
        """Any size works."""
        return False

    @property
    def multiple(self) -> int:
        """Every second layer halves the resolution."""
        return int(2 ** (self.layers // 2))

    def __post_init__(self) -> None:
        check_sizes(self)
        if self.spatial % 2:
            raise ConfigError(f"{self.spatial} channels are not even", where="model.spatial")
        if self.layers % 2 or self.blocks < 2:
            raise ConfigError("an even number of layers and at least two blocks", where="model.layers")
        if self.decoder_kernel is not None and self.decoder_kernel % 2 == 0:
            raise ConfigError(f"kernel {self.decoder_kernel} is not an odd number", where="model.decoder_kernel")
        if self.drop_path is not None and not 0 <= self.drop_path < 1:
            raise ConfigError(f"drop_path {self.drop_path} is no probability below 1", where="model.drop_path")

    def check(self, shape: FrameShape) -> None:
        """Raise `ConfigError` if this cannot be built for `shape`."""
        check_sides(shape, self.multiple, self.name)
        check_no_actions(shape, self.name)

    def build(self, shape: FrameShape) -> OneShot:
        """A forecaster with new weights for frames of `shape`."""
        self.check(shape)
        translator = self.translator(shape.context * self.spatial)
        return OneShot(self, shape.channels, shape.context, translator, shape.inputs)

    def _blocks(self, channels: int, inner: type[Gated] | type[TemporalAttention]) -> nn.Sequential:
        widths = [channels, *[self.hidden] * (self.blocks - 1), channels]
        rates = [0.0] * self.blocks
        if self.drop_path is not None:
            rates = torch.linspace(FIRST_DROP, self.drop_path, self.blocks, device="cpu").tolist()
        return nn.Sequential(
            *(
                MetaBlock(width, outputs, inner(width), self.mlp_ratio, rate)
                for (width, outputs), rate in zip(pairwise(widths), rates, strict=True)
            )
        )


@config
class SimVP(_OneShotConfig):
    """With the `translator` gSTA or IncepU."""

    name: Literal["simvp"] = "simvp"
    kind: Literal["gsta", "incepu"] = "gsta"

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(spatial=4, hidden=16, layers=2, blocks=2, mlp_ratio=2.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind == "incepu" and self.drop_path is not None:
            raise ConfigError("the inception translator has no stochastic depth", where="model.drop_path")
        if self.kind == "incepu" and (self.hidden < 2 or (self._grouped and self.hidden % GROUPS)):
            raise ConfigError(f"{self.hidden} channels are no multiple of {GROUPS}", where="model.hidden")

    @property
    def _grouped(self) -> bool:
        """Whether the inception blocks have groups: only where half of `hidden` can be split into them."""
        return self.hidden // 2 % GROUPS == 0

    def check(self, shape: FrameShape) -> None:
        """Raise `ConfigError` if this cannot be built for `shape`."""
        super().check(shape)
        channels = shape.context * self.spatial
        if self.kind == "incepu" and self._grouped and channels % GROUPS:
            raise ConfigError(
                f"{shape.context} frames of {self.spatial} channels are no multiple of {GROUPS}", where="model.spatial"
            )

    def translator(self, channels: int) -> nn.Module:
        """gSTA or IncepU."""
        if self.kind == "incepu":
            return InceptionU(channels, self.hidden, self.blocks)
        return self._blocks(channels, Gated)


@config
class TAU(_OneShotConfig):
    """With temporal attention, and the additional loss."""

    name: Literal["tau"] = "tau"
    divergence: float = 0.1

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(spatial=4, hidden=16, layers=2, blocks=2, mlp_ratio=2.0)

    def translator(self, channels: int) -> nn.Module:
        """Blocks with temporal attention."""
        return self._blocks(channels, TemporalAttention)
