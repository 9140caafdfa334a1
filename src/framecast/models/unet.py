"""U-Net: a convolutional network over several resolutions that predicts all frames of the horizon in one pass.

Olaf Ronneberger, Philipp Fischer, Thomas Brox: "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015,
figure 1 (it has no equations; the numbering below is ours); as a forecaster of radar frames as in Georgy Ayzel, Tobias Scheffer,
Maik Heistermann: "RainNet v1.0: a convolutional neural network for radar-based precipitation nowcasting", Geoscientific Model
Development 2020. The channels of the T context frames together go down through N resolutions and up again:

    D_1 = Block([X_1, ..., X_T])          D_n = Block(pool(D_n-1))                   equation 1, down
    U_N = D_N                             U_n = Block([up(U_n+1), D_n])              equation 2, up, with skips
    X~_{T+l} = X_T + (W U_1)_l            l = 1 ... horizon                          equation 3, 1x1 readout

Block is twice 3x3 convolution and activation. There is no norm, as in both papers, unless `norm` is group: GroupNorm after each
convolution, with which deep blocks under a head learn where they stand still without. Deviations: no dropout; SiLU for ReLU;
frames are continued by their edge where the 2015 paper crops and RainNet pads by zeros; average pooling and bilinear
interpolation for max pooling and transposed convolution (RainNet: nearest neighbour); all lead times at once, where RainNet
predicts one and feeds it back; the readout is added to the newest frame (`residual: false` reads out the frame itself).
"""

from __future__ import annotations

from itertools import pairwise
from math import gcd
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from framecast.errors import ConfigError
from framecast.models.parts.layers import SameConv
from framecast.models.parts.recurrent import check_no_actions, without_inputs
from framecast.models.parts.sizes import check_sizes
from framecast.ops.convolution import convolve, uses_winograd
from framecast.types import FrameShape, Prediction, config

GROUPS = 8
"""Groups of GroupNorm, fewer where the channels are no multiple."""
Norm = Literal["none", "group"]


class EdgeConv(nn.Conv2d):
    """A 3x3 convolution of a map that is continued by its edge, with the initial weights of He et al. (2015)."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, bias=bias)

    def reset_parameters(self) -> None:
        """New weights that keep the variance of the map, and biases of 0."""
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """`x (B, inputs, h, w)` -> `(B, outputs, h, w)`."""
        padded = functional.pad(x, (1, 1, 1, 1), mode="replicate")
        if uses_winograd(padded, self.weight):  # pads by zeros again, so that the outermost pixels are cut off
            return convolve(padded, self.weight, self.bias)[..., 1:-1, 1:-1]
        return super().forward(padded)


class Block(nn.Sequential):
    """Twice: 3x3 convolution, GroupNorm if `norm` is group, SiLU."""

    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        layers: list[nn.Module] = []
        for width in (inputs, outputs):
            layers.append(EdgeConv(width, outputs, bias=norm == "none"))
            if norm == "group":
                layers.append(nn.GroupNorm(gcd(GROUPS, outputs), outputs))
            layers.append(nn.SiLU())
        super().__init__(*layers)


class UNetForecaster(nn.Module):
    """Blocks down and up. `predicted` of the `channels` of a frame are forecast, `horizon` frames in one pass."""

    def __init__(
        self,
        channels: int,
        predicted: int,
        context: int,
        horizon: int,
        hidden: tuple[int, ...],
        *,
        residual: bool,
        norm: Norm,
    ) -> None:
        super().__init__()
        self.inputs = channels - predicted
        self.context = context
        self.horizon = horizon
        self.residual = residual
        self.down = nn.ModuleList(Block(below, above, norm) for below, above in pairwise((context * channels, *hidden)))
        self.up = nn.ModuleList(Block(below + above, below, norm) for below, above in reversed([*pairwise(hidden)]))
        self.readout = SameConv(hidden[0], horizon * predicted, 1)

    def forward(self, frames: Tensor, teacher: Tensor, actions: Tensor | None = None) -> Prediction:
        """The frames after the first `context` of `frames (B, T or fewer, C, H, W)`; the mask tells how many."""
        horizon = teacher.shape[1] + 1 - self.context
        return Prediction(self.forecast(frames[:, : self.context], horizon), {})

    def forecast(self, context: Tensor, horizon: int, actions: Tensor | None = None) -> Tensor:
        """`context (B, T, C, H, W)` -> the `horizon` frames after it, `(B, horizon, C, H, W)`. Raises `ConfigError` for
        fewer frames than the model was built for; of more it takes the last. Beyond the horizon it was built for, it reads
        its own forecasts as context."""
        if context.shape[1] < self.context:
            raise ConfigError(f"{context.shape[1]} frames of context, this model was built for {self.context}")
        last = context[:, -self.context :]
        fixed_channels = last[:, -1:, last.shape[2] - self.inputs :].expand(-1, self.horizon, -1, -1, -1)
        parts = [self._next(last)]
        while len(parts) * self.horizon < horizon:
            newest = torch.cat([parts[-1], fixed_channels], dim=2) if self.inputs else parts[-1]
            last = torch.cat([last, newest], dim=1)[:, -self.context :]
            parts.append(self._next(last))
        return torch.cat(parts, dim=1)[:, :horizon]

    def _next(self, frames: Tensor) -> Tensor:
        """The context `(B, T, C, H, W)` to the frames after it, `(B, horizon, C, H, W)`, without the inputs."""
        x = frames.flatten(1, 2).contiguous(memory_format=torch.channels_last)
        skips: list[Tensor] = []
        for block in self.down:
            x = block(functional.avg_pool2d(x, 2) if skips else x)
            skips.append(x)
        for block, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = block(torch.cat([x, skip], dim=1))
        newest = without_inputs(frames[:, -1:], self.inputs)
        readout: Tensor = self.readout(x).reshape(len(frames), self.horizon, *newest.shape[2:])
        return newest + readout if self.residual else readout


@config
class UNet:
    """`hidden` are the channels at each resolution, the finest first; `residual` adds the readout to the newest frame.
    `norm` group normalises after each convolution; batches that are dry throughout then have no finite gradient."""

    name: Literal["unet"] = "unet"
    hidden: tuple[int, ...] = (16, 32, 64, 96)
    residual: bool = True
    norm: Norm = "none"

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(hidden=(4, 8, 8))

    @property
    def tied_to_size(self) -> bool:
        """Any size works."""
        return False

    @property
    def multiple(self) -> int:
        """Every resolution after the first halves the frame."""
        return int(2 ** (len(self.hidden) - 1))

    def __post_init__(self) -> None:
        check_sizes(self)

    def check(self, shape: FrameShape) -> None:
        """Raise `ConfigError` if this cannot be built for `shape`."""
        multiple, height, width = self.multiple, shape.height, shape.width
        if height % multiple or width % multiple:
            raise ConfigError(
                f"frames of {height} x {width} cannot be halved {len(self.hidden) - 1} times",
                where="model.hidden",
                remedy=f"choose fewer resolutions, or crop to {height // multiple * multiple} x {width // multiple * multiple}",
            )
        check_no_actions(shape, self.name)

    def build(self, shape: FrameShape) -> UNetForecaster:
        """A forecaster with new weights for frames of `shape`."""
        self.check(shape)
        return UNetForecaster(
            shape.channels,
            shape.predicted,
            shape.context,
            shape.horizon,
            self.hidden,
            residual=self.residual,
            norm=self.norm,
        )
