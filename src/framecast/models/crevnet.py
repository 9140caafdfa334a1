"""CrevNet: a reversible encoder that loses nothing, and a predictor that works on one half of its maps at a time.

Wei Yu, Yichao Lu, Steve Easterbrook, Sanja Fidler: "Efficient and Information-Preserving Future Frame Prediction and Beyond",
ICLR 2020, section 3. Pixels become channels (2 x 2 of them four), the channels are cut into the halves x1 and x2, and each block
adds to one half a function F of the other, so that it is undone by subtraction:

    encoder   (x1, x2) <- (x2, x1 + F(x2))                            section 3.1, with 2 x 2 pixels to channels between stages
    decoder   (x1, x2) <- (x2 - F(x1), x1)

The reversible predictive module changes the halves in turn, layer by layer, each with a recurrent cell:

    h'   = Cell(x1, h)                                                section 3.2
    g    = sigma(attention(h'))
    x2'  = (1 - g) . x2 + g . h'

The cell is an ST-LSTM, with a memory m that goes through all layers and on to the next step,

    i, f, g = W * [x, h, c]         c' = sigma(f) . c + sigma(i) . tanh(g)
    i, f, g = W' * [x, m, c']       m' = sigma(f) . m + sigma(i) . tanh(g)
    h' = sigma(W_o * [x, h, c', m']) . tanh(W_1x1 * [c', m'])

or a ConvLSTM. With `group` above 1 so many frames are encoded together and convolutions are three-dimensional. Deviations: of a
predicted group the newest frame alone is returned, trained and fed back; frames before the first are zeros; norms are GroupNorm
also for groups, where the code for Moving MNIST has BatchNorm; the attention has the three convolutions of the later code (paper:
two).
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Self

import torch
from einops import rearrange
from torch import Tensor, nn

from framecast.models.parts.layers import SameConv
from framecast.models.parts.recurrent import FrameConfig
from framecast.ops.gates import cell_update, hidden_output
from framecast.types import FrameShape, Stepped, config

KERNEL = 3
Halves = tuple[Tensor, Tensor]


class State(NamedTuple):
    """The `frames (B, group - 1, C, H, W)` before, `hidden` and `cell` of each layer, and the `memory`, maps `(B, D, [group,]
    h, w)`."""

    frames: Tensor
    layers: tuple[Halves, ...]
    memory: Tensor


def shrink(x: Tensor) -> Tensor:
    """`(B, C, ..., h, w)` -> `(B, 4 C, ..., h / 2, w / 2)`, pixels to channels."""
    return rearrange(x, "b c ... (h p) (w q) -> b (p q c) ... h w", p=2, q=2)


def grow(x: Tensor) -> Tensor:
    """The inverse of `shrink`."""
    return rearrange(x, "b (p q c) ... h w -> b c ... (h p) (w q)", p=2, q=2)


def convolution(
    inputs: int, outputs: int, kernel: int, *, deep: bool, stride: int = 1, bias: bool = False
) -> nn.Module:
    """A convolution over `kernel` pixels, with `deep` over as many frames too."""
    if deep:
        return nn.Conv3d(inputs, outputs, kernel, (1, stride, stride), padding=kernel // 2, bias=bias)
    if stride == 1:
        return SameConv(inputs, outputs, kernel, bias=bias)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=bias)


class Coupling(nn.Module):
    """A reversible block of halves of `channels`; with `shrinks` it also turns pixels to channels. F has a `bottleneck` times
    narrower middle."""

    def __init__(self, channels: int, bottleneck: int, *, shrinks: bool, first: bool, deep: bool) -> None:
        super().__init__()
        self.shrinks = shrinks
        outputs = 4 * channels if shrinks else channels
        middle = max(outputs // bottleneck, 1)
        start = [] if first else [nn.GroupNorm(1, channels), nn.ReLU()]
        self.added = nn.Sequential(
            *start,
            convolution(channels, middle, KERNEL, deep=deep, stride=2 if shrinks else 1),
            nn.GroupNorm(1, middle),
            nn.ReLU(),
            convolution(middle, middle, KERNEL, deep=deep),
            nn.GroupNorm(1, middle),
            nn.ReLU(),
            convolution(middle, outputs, KERNEL, deep=deep),
        )

    def forward(self, x: Halves) -> Halves:
        """Two halves `(B, C, ..., h, w)` to two."""
        first, second = x
        added = self.added(second)
        if self.shrinks:
            first, second = shrink(first), shrink(second)
        return second, first + added

    def inverse(self, x: Halves) -> Halves:
        """The halves that `forward` makes `x` of."""
        second, first = x
        if self.shrinks:
            second = grow(second)
        first = first - self.added(second)
        return (grow(first) if self.shrinks else first), second


class ReversibleAutoencoder(nn.Module):
    """Stages of `blocks` couplings for frames of `channels`; every stage but the first halves the maps once more."""

    def __init__(self, channels: int, blocks: tuple[int, ...], bottleneck: int, *, deep: bool) -> None:
        super().__init__()
        half = 2 * channels
        self.blocks = nn.ModuleList()
        for stage, count in enumerate(blocks):
            for number in range(count):
                shrinks = stage > 0 and number == 0
                first = stage == 0 and number == 0
                self.blocks.append(Coupling(half, bottleneck, shrinks=shrinks, first=first, deep=deep))
                half *= 4 if shrinks else 1
        self.width = half

    def encode(self, frames: Tensor) -> Halves:
        """`frames (B, C, [group,] H, W)` -> two halves `(B, width, [group,] h, w)`, which together are as many numbers."""
        first, second = shrink(frames).chunk(2, dim=1)
        for block in self.blocks:
            first, second = block((first, second))
        return first, second

    def decode(self, halves: Halves) -> Tensor:
        """The inverse of `encode`."""
        for block in reversed(self.blocks):
            assert isinstance(block, Coupling)
            halves = block.inverse(halves)
        return grow(torch.cat(halves, dim=1))


class STLSTMCell(nn.Module):
    """A cell of `width` channels in, in its states, and out, whose memory passes through all layers."""

    def __init__(self, width: int, *, deep: bool) -> None:
        super().__init__()
        self.to_cell = convolution(3 * width, 3 * width, KERNEL, deep=deep, bias=True)
        self.to_memory = convolution(3 * width, 3 * width, KERNEL, deep=deep, bias=True)
        self.to_output = convolution(4 * width, width, KERNEL, deep=deep, bias=True)
        self.mix = convolution(2 * width, width, 1, deep=deep, bias=True)

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The next `hidden`, `cell` and `memory`."""
        i, f, g = self.to_cell(torch.cat([x, hidden, cell], dim=1)).chunk(3, dim=1)
        cell, _ = cell_update(i, f, g, cell)
        i, f, g = self.to_memory(torch.cat([x, memory, cell], dim=1)).chunk(3, dim=1)
        memory, _ = cell_update(i, f, g, memory)
        output = self.to_output(torch.cat([x, hidden, cell, memory], dim=1))
        hidden, _ = hidden_output(output, self.mix(torch.cat([cell, memory], dim=1)))
        return hidden, cell, memory


class ConvLSTMCell(nn.Module):
    """A cell of `width` channels in, in its states, and out; the memory passes untouched."""

    def __init__(self, width: int, *, deep: bool) -> None:
        super().__init__()
        self.to_gates = convolution(2 * width, 4 * width, KERNEL, deep=deep, bias=True)

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The next `hidden`, `cell` and `memory`."""
        i, f, g, o = self.to_gates(torch.cat([x, hidden], dim=1)).chunk(4, dim=1)
        cell, _ = cell_update(i, f, g, cell)
        hidden, _ = hidden_output(o, cell)
        return hidden, cell, memory


def attention(width: int, *, deep: bool) -> nn.Sequential:
    """The weights of a new half, before their sigmoid."""
    return nn.Sequential(
        convolution(width, width, 1, deep=deep, bias=True),
        nn.GroupNorm(1, width),
        nn.ReLU(),
        convolution(width, width, KERNEL, deep=deep, bias=True),
        nn.GroupNorm(1, width),
        nn.ReLU(),
        convolution(width, width, 1, deep=deep, bias=True),
    )


class CrevNetCore(nn.Module):
    """One step, from frame to frame."""

    def __init__(self, settings: CrevNet, channels: int) -> None:
        super().__init__()
        self.group, self.reduction = settings.group, settings.multiple
        deep = settings.group > 1
        self.autoencoder = ReversibleAutoencoder(channels, settings.blocks, settings.bottleneck, deep=deep)
        width = self.autoencoder.width
        cell = STLSTMCell if settings.cell == "st_lstm" else ConvLSTMCell
        self.cells = nn.ModuleList(cell(width, deep=deep) for _ in range(settings.layers))
        self.attention = nn.ModuleList(attention(width, deep=deep) for _ in range(settings.layers))

    def start(self, like: Tensor) -> State:
        """Zeros, for frames like `like (B, C, H, W)`."""
        batch, channels, height, width = like.shape
        depth = () if self.group == 1 else (self.group,)
        maps = like.new_zeros(batch, self.autoencoder.width, *depth, height // self.reduction, width // self.reduction)
        before = like.new_zeros(batch, self.group - 1, channels, height, width)
        return State(before, tuple((maps, maps) for _ in self.cells), maps)

    def step(self, x: Tensor, state: State, action: Tensor | None = None) -> Stepped:
        """`x (B, C, H, W)`: the frame at t; returns the prediction of the frame at t + 1."""
        if action is not None:
            raise ValueError("CrevNet takes no actions")
        frames = torch.cat([state.frames, x[:, None]], dim=1)
        first, second = self.autoencoder.encode(x if self.group == 1 else frames.transpose(1, 2))
        memory, layers = state.memory, []
        for cell, attend, (hidden, carried) in zip(self.cells, self.attention, state.layers, strict=True):
            hidden, carried, memory = cell(first, hidden, carried, memory)
            layers.append((hidden, carried))
            weight = torch.sigmoid(attend(hidden))
            first, second = (1 - weight) * second + weight * hidden, first
        decoded = self.autoencoder.decode((first, second))
        newest = decoded if self.group == 1 else decoded[:, :, -1]
        return Stepped(newest, State(frames[:, 1:], tuple(layers), memory), {})


@config
class CrevNet(FrameConfig):
    """Stages of `blocks` couplings, the first at half the size of the frame, each other at half of the one before, with F
    `bottleneck` times narrower in its middle; `layers` of the predictor, whose channels follow from those of the frames: twice as
    many, and four times as many with each stage after the first. `group` frames are encoded together. `segment`, see
    `rollout`."""

    name: Literal["crevnet"] = "crevnet"
    blocks: tuple[int, ...] = (4, 5, 3)
    bottleneck: int = 2
    layers: int = 8
    cell: Literal["st_lstm", "convlstm"] = "st_lstm"
    group: int = 3

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(blocks=(1, 1), layers=2, group=1)

    @property
    def multiple(self) -> int:
        """Each stage halves the frame."""
        return int(2 ** len(self.blocks))

    def core(self, shape: FrameShape) -> CrevNetCore:
        """One step, from frame to frame."""
        return CrevNetCore(self, shape.channels)
