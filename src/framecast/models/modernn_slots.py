"""ModeRNN: dynamic slots.

Zhiyu Yao, Yunbo Wang, Haixu Wu, Jianmin Wang, Mingsheng Long: "ModeRNN: Harnessing Spatiotemporal Mode Collapse in
Unsupervised Predictive Learning", 2022. A ModeCell has a slot bus B in place of a cell state. With I = [X, H]:

    slot'_n = softmax(Q_n K_n^T / sqrt(d)) V_n         Q = W_Q * B, K = W_K * I, V = W_V * I, split into N heads    (3)
    slot_n  = max(0, W_n * slot'_n)                                                                                 (4)
    w_n     = sigma(FC_n(FC(context of I)))            n = 0 .. N                                                   (5)
    F       = w_0 I + sum over n of w_n slot_n                                                                      (6)
    g, i, f, o from F and I                            B' = f . B + i . g        H' = o . tanh(B')                  (7)

`form` says whose equations (docs/specification.md, section 10):

    paper   equations 3-7 as printed: F once, with a scalar weight a slot from the mean of I, and a 3x3 convolution on
            [F, I] for the four gates; W_Q, W_K, W_V are two separable convolutions; d is the width of a key
    code    the released code: two fusions, one gives i and f, the other o and g, each a sum of 3x3 convolutions of the
            slots and of I (MD1) with a weight a channel from an attention pooling of I (MD2), under a LayerNorm;
            one separable convolution with BatchNorm (MD5); d is the number of hidden channels (MD6)

Deviations of both: the bus has as many channels as H (MD4: equation 7 leaves no choice). It starts at zero as in the code;
`start="gaussian"` learns a mean and a deviation for each channel and draws from them in training (MD3). The rate and the length
of training (MD7) are settings. The ablations of tables IV and VI: without `attention` the slots are split off V; without
`binding` they are split off I and share one convolution; without `slot_ffn` they share that convolution; without `fusion` all
weights are 1; without `shortcut` there is no w_0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Self

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from framecast.errors import ConfigError
from framecast.models.parts.layers import MapNorm, SameConv
from framecast.models.parts.protocols import Cell, Core
from framecast.models.parts.recurrent import RecurrentConfig, head, zeros
from framecast.models.parts.stack import Stack
from framecast.ops.attention import attend
from framecast.ops.convolution import convolve_each
from framecast.ops.gates import cell_update, hidden_output
from framecast.ops.slots import fuse
from framecast.types import Step, config

Form = Literal["code", "paper"]
NARROWEST = 32
"""The least width of the bottleneck of the weights."""


class State(NamedTuple):
    """`hidden` and `bus`, both `(B, D, h, w)`."""

    hidden: Tensor
    bus: Tensor


class Separable(nn.Module):
    """Depthwise 3x3, BatchNorm, 1x1."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs)
        self.norm = nn.BatchNorm2d(inputs)
        self.pointwise = SameConv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`x (B, inputs, h, w)` -> `(B, outputs, h, w)`."""
        projected: Tensor = self.pointwise(self.norm(self.depthwise(x)))
        return projected


class Binding(nn.Module):
    """Slots from the bus and from I: equation 3."""

    probe = "slots"

    def __init__(self, hidden: int, slots: int, *, form: Form, separable: bool, attention: bool) -> None:
        super().__init__()
        self.slots = slots
        self.attention = attention
        self.scale = (hidden if form == "code" else 2 * hidden // slots) ** -0.5

        def projection(inputs: int) -> nn.Module:
            if not separable:
                return SameConv(inputs, 2 * hidden, 3)
            first = Separable(inputs, 2 * hidden)
            return first if form == "code" else nn.Sequential(first, Separable(2 * hidden, 2 * hidden))

        if attention:
            self.to_q, self.to_k = projection(hidden), projection(2 * hidden)
        self.to_v = projection(2 * hidden)

    def forward(self, bus: Tensor, features: Tensor) -> list[Tensor]:
        """`bus (B, D, h, w)`, `features (B, 2D, h, w)` -> N slots `(B, 2D / N, h, w)`."""
        v = self.to_v(features)
        if not self.attention:
            return list(torch.chunk(v, self.slots, dim=1))
        return attend(self.to_q(bus), self.to_k(features), v, heads=self.slots, scale=self.scale)

    def observe(self, inputs: tuple[Any, ...], output: list[Tensor]) -> list[Tensor]:
        """The slots, for diagnosis."""
        return output


class Pooling(nn.Module):
    """What I is about, `(B, d)`: an attention pooling and a bottleneck (the released code)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.mask = nn.Conv2d(channels, 1, 1)
        last = SameConv(width, width, 1)
        for weight in last.parameters():
            nn.init.zeros_(weight)
        self.bottleneck = nn.Sequential(SameConv(channels, width, 1), nn.LayerNorm([width, 1, 1]), nn.ReLU(), last)

    def forward(self, features: Tensor) -> Tensor:
        """`features (B, channels, h, w)` -> `(B, d)` between 0 and 1."""
        pixels = rearrange(features, "b c h w -> b (h w) c")
        attention = torch.softmax(functional.linear(pixels, self.mask.weight.flatten(1), self.mask.bias), dim=1)
        pooled = rearrange(attention.mT @ pixels, "b 1 c -> b c 1 1")
        return torch.sigmoid(self.bottleneck(pooled)).flatten(1)


class Mean(nn.Module):
    """What I is about, `(B, d)`: its mean and one linear layer (equation 5)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, width)

    def forward(self, features: Tensor) -> Tensor:
        """`features (B, channels, h, w)` -> `(B, d)`."""
        context: Tensor = self.linear(features.mean((2, 3)))
        return context


class Fusion(nn.Module):
    """The weighted sum of slots and shortcut: equations 4-6. `isolated`: each slot has a convolution of its own."""

    probe = "slot_weights"

    def __init__(self, hidden: int, slots: int, *, form: Form, isolated: bool, adaptive: bool, shortcut: bool) -> None:
        super().__init__()
        both = 2 * hidden
        self.count = slots
        self.slots = nn.ModuleList(SameConv(both // slots, both, 3) for _ in range(slots if isolated else 1))
        self.shortcut: nn.Module | None = None
        if shortcut:
            self.shortcut = SameConv(both, both, 3) if form == "code" else nn.Identity()
        self.context: nn.Module | None = None
        if adaptive:
            width, weights = (max(hidden, NARROWEST), both) if form == "code" else (hidden, 1)
            self.context = Pooling(both, width) if form == "code" else Mean(both, width)
            self.weigh = nn.ModuleList(nn.Linear(width, weights) for _ in range(slots))
            self.weigh_shortcut = nn.Linear(width, weights) if shortcut else None

    @property
    def layers(self) -> list[nn.Module]:
        """The layer of each slot, and last, with a shortcut, that of I."""
        slots = [self.slots[n % len(self.slots)] for n in range(self.count)]
        return slots if self.shortcut is None else [*slots, self.shortcut]

    def forward(self, maps: Sequence[Tensor], features: Tensor) -> Tensor:
        """The outputs of the `layers` without their biases, `(B, 2D, h, w)` each, and `features (B, 2D, h, w)` -> `(B, 2D, h,
        w)`."""
        biases = [getattr(layer, "bias", None) for layer in self.layers]
        weights = (
            features.new_ones(len(maps), *features.shape[:2]) if self.context is None else self.importance(features)
        )
        return fuse(maps, biases, weights, rectified=self.count)

    def observe(self, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        """The weights of slots and shortcut, mean over channels, for diagnosis: `(B, N + 1)`, `(B, N)` without
        shortcut; None if slots have no weights."""
        return None if self.context is None else self.importance(inputs[1]).mean(2).T

    def importance(self, features: Tensor) -> Tensor:
        """The weight of each slot, then of the shortcut: `(N or N + 1, B, 2D)` between 0 and 1."""
        assert self.context is not None
        context = self.context(features)
        linear = [*self.weigh, *([] if self.weigh_shortcut is None else [self.weigh_shortcut])]
        weight, bias = (torch.cat([getattr(layer, name) for layer in linear]) for name in ("weight", "bias"))
        weights = rearrange(torch.sigmoid(functional.linear(context, weight, bias)), "b (n c) -> n b c", n=len(linear))
        return weights.expand(-1, -1, features.shape[1])


def fuse_all(fusions: Sequence[Fusion], slots: list[Tensor], features: Tensor) -> list[Tensor]:
    """Apply the `fusions` to N `slots (B, 2D / N, h, w)` and `features (B, 2D, h, w)`: `(B, 2D, h, w)` each. All their
    convolutions are computed together."""
    inputs = [*slots, features]  # I is left out where there is no shortcut
    uses = [[*zip(inputs, fusion.layers, strict=False)] for fusion in fusions]
    pairs = [(x, layer.weight) for use in uses for x, layer in use if isinstance(layer, SameConv)]
    results = iter(convolve_each(pairs))
    maps = [[next(results) if isinstance(layer, SameConv) else x for x, layer in use] for use in uses]
    return [fusion(each, features) for fusion, each in zip(fusions, maps, strict=True)]


class FusedGates(nn.Module):
    """The gates of the released code: two fusions, each under a LayerNorm."""

    def __init__(self, hidden: int, slots: int, norm: tuple[int, int], **parts: bool) -> None:
        super().__init__()
        self.fuse_og = Fusion(hidden, slots, form="code", **parts)
        self.fuse_if = Fusion(hidden, slots, form="code", **parts)
        self.norm_og = MapNorm([2 * hidden, *norm])
        self.norm_if = MapNorm([2 * hidden, *norm])

    def forward(self, slots: list[Tensor], features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Slots and I -> i, f, g, o `(B, D, h, w)` before their nonlinearity."""
        one, other = fuse_all([self.fuse_og, self.fuse_if], slots, features)
        o, g = torch.chunk(self.norm_og(one), 2, dim=1)
        i, f = torch.chunk(self.norm_if(other), 2, dim=1)
        return i, f, g, o


class GatesOfFusion(nn.Module):
    """The gates of equation 7: a convolution on the fused slots and I."""

    def __init__(self, hidden: int, slots: int, **parts: bool) -> None:
        super().__init__()
        self.fuse = Fusion(hidden, slots, form="paper", **parts)
        self.conv = SameConv(4 * hidden, 4 * hidden, 3)

    def forward(self, slots: list[Tensor], features: Tensor) -> tuple[Tensor, ...]:
        """Slots and I -> i, f, g, o `(B, D, h, w)` before their nonlinearity."""
        return torch.chunk(self.conv(torch.cat([*fuse_all([self.fuse], slots, features), features], dim=1)), 4, dim=1)


class ModeCell(nn.Module):
    """One layer, from `hidden` to `hidden` channels."""

    def __init__(self, hidden: int, binding: Binding | None, gates: nn.Module, slots: int, *, gaussian: bool) -> None:
        super().__init__()
        self.hidden = hidden
        self.slots = slots
        self.binding = binding
        self.gates = gates
        if gaussian:
            self.mean = nn.Parameter(torch.zeros(hidden, 1, 1))
            self.log_sigma = nn.Parameter(torch.zeros(hidden, 1, 1))
        self.gaussian = gaussian

    def start(self, like: Tensor) -> State:
        """A zero H and the start of the bus, `(B, D, h, w)` for inputs like `like (B, C, h, w)`."""
        bus = zeros(like, self.hidden)
        if self.gaussian:
            bus = bus + self.mean
            if self.training:
                bus = bus + self.log_sigma.exp() * torch.randn_like(bus)
        return State(zeros(like, self.hidden), bus)

    def forward(self, x: Tensor, state: State, memory: Tensor | None) -> Step:
        """`x (B, D, h, w)`; the memory is passed on untouched."""
        return self.advance(torch.cat([x, state.hidden], dim=1), state, memory)

    def advance(self, features: Tensor, state: State, memory: Tensor | None) -> Step:
        """`forward` with I given as `features (B, 2D, h, w)`."""
        if self.binding is None:
            slots = list(torch.chunk(features, self.slots, dim=1))
        else:
            slots = self.binding(state.bus, features)
        i, f, g, o = self.gates(slots, features)
        bus, _ = cell_update(i, f, g, state.bus)
        h, o = hidden_output(o, bus)
        return Step(h, State(h, bus), memory, output_gate=o)


@config
class ModeRNN(RecurrentConfig):
    """ModeCells of one width with `slots` slots. The docstring of the module describes the other settings."""

    fixed_kernel: ClassVar[bool] = True
    """Whether `kernel` is that of the cells, which is 3."""

    name: Literal["modernn_slots"] = "modernn_slots"
    hidden: tuple[int, ...] = (64, 64, 64, 64)
    kernel: int = 3
    layer_norm: bool = True
    slots: int = 4
    form: Form = "code"
    start: Literal["zeros", "gaussian"] = "zeros"
    binding: bool = True
    attention: bool = True
    slot_ffn: bool = True
    fusion: bool = True
    shortcut: bool = True

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(hidden=(4, 4), patch=4, slots=2)

    @property
    def tied_to_size(self) -> bool:
        """The LayerNorms of the released code have one weight a pixel."""
        return self.form == "code"

    def __post_init__(self) -> None:
        super().__post_init__()
        if 2 * self.hidden[0] % self.slots:
            raise ConfigError(
                f"{2 * self.hidden[0]} channels cannot be split into {self.slots} slots",
                where="model.slots",
                remedy="choose a number of slots that divides twice the hidden size",
            )
        if self.form == "code" and not self.layer_norm:
            raise ConfigError("its LayerNorms are part of the released form", where="model.layer_norm")
        if self.fixed_kernel and self.kernel != 3:
            raise ConfigError(f"kernel {self.kernel}: its convolutions are 3x3", where="model.kernel")

    def cells(self, channels: int, grid: tuple[int, int]) -> list[Cell]:
        """The layers."""
        return [self.cell(width, grid, separable=True) for width in self.hidden]

    def cell(self, width: int, grid: tuple[int, int], *, separable: bool) -> ModeCell:
        """One layer; its projections are separable convolutions, or plain ones."""
        parts = {
            "isolated": self.slot_ffn and self.binding,
            "adaptive": self.fusion,
            "shortcut": self.shortcut,
        }
        binding = None
        if self.binding:
            binding = Binding(width, self.slots, form=self.form, separable=separable, attention=self.attention)
        gates: nn.Module
        if self.form == "code":
            gates = FusedGates(width, self.slots, grid, **parts)
        else:
            gates = GatesOfFusion(width, self.slots, **parts)
        return ModeCell(width, binding, gates, self.slots, gaussian=self.start == "gaussian")

    def core(self, channels: int, grid: tuple[int, int]) -> Core:
        """The cells between two 1x1 convolutions."""
        width = self.hidden[0]
        return Stack(self.cells(channels, grid), head(width, channels), embed=nn.Conv2d(channels, width, 1, bias=False))
