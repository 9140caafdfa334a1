"""MotionRNN: a MotionGRU between the layers and a Motion Highway past them, around any cell with an output gate.

Haixu Wu, Zhiyu Yao, Jianmin Wang, Mingsheng Long: "MotionRNN: A Flexible Model for Video Prediction with
Spacetime-Varying Motions", CVPR 2021. MotionGRU, equations 2-4, with E = Enc(H), F the motion filter (an offset for each
of the 9 taps of a 3x3 kernel) and D the trending momentum:

    u  = sigma(W_u * [E, F])      r = sigma(W_r * [E, F])      z = tanh(W_z * [E, r . F])
    F~ = u . z + (1 - u) . F                                   transient variation
    D' = D + alpha (F - D)                                     trending momentum
    F' = F~ + D'
    E' = W_warp * (m . Warp(E, F'))                            m = sigma(W_m * E), one weight a tap
    g  = sigma(W_g * [Dec(E'), H])
    X  = g . Dec(E') + (1 - g) . H

Motion Highway, equation 1: H^l = Block(...) + (1 - o^l) . H^{l-1}.

Deviations (docs/specification.md): `form` says whose equations. With `code`, those of the released code: W_u, W_r, W_z are 3x3,
begin at zero and have biases (MO1); the roles of g (MO2), its kernel (MO3); X replaces H, so the recurrence of the layer sees
it (MO4); the highway carries the output of the block below before its MotionGRU, and a projection of the frame into the first
layer (MO5); the momentum follows the summed filter (MO6); the mask weighs the samples of each tap, which a 3x3 convolution
mixes (MO10). With `paper`, equations 1-4 as printed: 1x1 gates, X = g . H_{t-1} + (1 - g) . Dec(E'), which the layer above
reads and the recurrence does not; no projection of the frame; F' is used to warp alone; E' is the mean over taps of m . Warp(E,
F'), as nothing is printed to mix them. Equation 1 gives H_{t-1} to MotionGRU, equations 2 and 4 and the text H_t, which is
taken. States begin at zero, where the code draws them at random at every forward, also in tests (MO8): `start` is for that.
Loss and length of training (MO7) are settings, hooks without effect (MO9) are left out.

The paper says neither how the ablations of table 3 are built nor how E3D-LSTM is wrapped. Here, without momentum F' = F~;
without transient variation F~ = tanh(W_z * [E, 0]), a filter of the present alone. For cells with a depth axis, Enc
collapses it and Dec restores it. In MIM, a layer's difference is that between its block's output and the state that
MotionGRU left behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from framecast.errors import ConfigError
from framecast.models.convlstm import ConvLSTM
from framecast.models.e3dlstm import DEPTH, E3DLSTM, FrameHead
from framecast.models.mim import MIM
from framecast.models.parts.decoupling import Decoupling
from framecast.models.parts.layers import SameConv
from framecast.models.parts.protocols import Cell
from framecast.models.parts.recurrent import Patches, Recurrent, check_divisible, head
from framecast.models.parts.sizes import check_sizes
from framecast.models.parts.stack import Stack, StackState
from framecast.models.predrnn import PredRNN, PredRNNV2
from framecast.ops import bilinear_sample, pixel_coordinates
from framecast.types import FrameShape, Stepped, config

TAPS = 9
Form = Literal["code", "paper"]


class Motion(NamedTuple):
    """`filter` F and `trend` D, both `(B, 18, h/2, w/2)`: 9 row offsets, then 9 column offsets, in pixels."""

    filter: Tensor
    trend: Tensor


class MotionGRU(nn.Module):
    """The motion between two layers of `hidden` channels. `depth` is that of cells with a depth axis, else 0."""

    probe = "motion"

    def __init__(
        self,
        hidden: int,
        kernel: int,
        *,
        alpha: float,
        transient: bool,
        momentum: bool,
        depth: int = 0,
        form: Form = "code",
    ) -> None:
        super().__init__()
        width = hidden // 4
        self.printed = form == "paper"
        mixing, side = (1, 1) if self.printed else (kernel, 3)
        self.alpha = alpha
        self.transient = transient
        self.momentum = momentum
        self.encode: nn.Module = nn.Conv2d(hidden, width, kernel, stride=2, padding=kernel // 2)
        self.decode: nn.Module = nn.ConvTranspose2d(width, hidden, 4, stride=2, padding=1)
        self.gate: nn.Module = SameConv(2 * hidden, hidden, mixing)
        if depth:
            flat, padding = (1, 2, 2), (0, kernel // 2, kernel // 2)
            self.encode = nn.Conv3d(hidden, width, (depth, kernel, kernel), stride=flat, padding=padding)
            self.decode = nn.ConvTranspose3d(width, hidden, (depth, 4, 4), stride=flat, padding=(0, 1, 1))
            inside = (0, mixing // 2, mixing // 2)
            self.gate = nn.Conv3d(2 * hidden, hidden, (1, mixing, mixing), padding=inside)
        if transient:
            self.update = _from_zero(nn.Conv2d(width + 2 * TAPS, 2 * TAPS, side, padding=side // 2))
            self.reset = _from_zero(nn.Conv2d(width + 2 * TAPS, 2 * TAPS, side, padding=side // 2))
        inputs = width + (2 * TAPS if transient else 0)
        self.output = _from_zero(nn.Conv2d(inputs, 2 * TAPS, side, padding=side // 2))
        self.mask = _from_zero(nn.Conv2d(width, TAPS, 3, padding=1))
        if not self.printed:
            self.mix = nn.Conv2d(width, width, 3, stride=3, bias=False)
        self._depth = depth

    def start(self, hidden: Tensor) -> Motion:
        """No motion, for `hidden (B, D, [depth,] h, w)`."""
        height, width = hidden.shape[-2:]
        zero = hidden.new_zeros(hidden.shape[0], 2 * TAPS, height // 2, width // 2)
        return Motion(zero, zero)

    def forward(self, hidden: Tensor, motion: Motion, previous: Tensor) -> tuple[Tensor, Motion]:
        """`hidden (B, D, [depth,] h, w)`, and the `previous` one of its layer -> the same, moved, and the motion."""
        encoded = self.encode(hidden).squeeze(2) if self._depth else self.encode(hidden)
        after = self._after(encoded, motion)
        summed = self.printed and self.momentum
        moved = self.warp(encoded, after.filter + after.trend if summed else after.filter)
        decoded = self.decode(moved[:, :, None] if self._depth else moved)
        g = torch.sigmoid(self.gate(torch.cat([decoded, hidden], dim=1)))
        return (g * previous + (1 - g) * decoded) if self.printed else (g * decoded + (1 - g) * hidden), after

    def observe(self, inputs: tuple[Any, ...], output: tuple[Tensor, Motion]) -> Motion:
        """The motion F' and D' of equation 3, for diagnosis; the state of the printed form holds F~ in place of F'."""
        motion = output[1]
        summed = self.printed and self.momentum
        return motion._replace(filter=motion.filter + motion.trend) if summed else motion

    def _after(self, encoded: Tensor, motion: Motion) -> Motion:
        previous = motion.filter
        if self.transient:
            joint = torch.cat([encoded, previous], dim=1)
            u, r = torch.sigmoid(self.update(joint)), torch.sigmoid(self.reset(joint))
            z = torch.tanh(self.output(torch.cat([encoded, r * previous], dim=1)))
            transient = u * z + (1 - u) * previous
        else:
            transient = torch.tanh(self.output(encoded))
        if not self.momentum:
            return Motion(transient, motion.trend)
        trend = motion.trend + self.alpha * (previous - motion.trend)
        return Motion(transient if self.printed else transient + trend, trend)

    def warp(self, encoded: Tensor, offsets: Tensor) -> Tensor:
        """A 3x3 convolution whose taps are moved by `offsets (B, 18, h, w)` and weighted: `encoded (B, q, h, w)`."""
        taps = deformed_taps(encoded, offsets) * torch.sigmoid(self.mask(encoded))[:, None]
        return taps.mean(2) if self.printed else torch.einsum("bqnhw,oqn->bohw", taps, self.mix.weight.flatten(2))


def deformed_taps(values: Tensor, offsets: Tensor) -> Tensor:
    """Sample `values (B, q, h, w)` at the 9 taps of each pixel, moved by `offsets (B, 18, h, w)`, bilinear, 0 outside: `(B, q,
    9, h, w)`."""
    rows, columns = pixel_coordinates(values)
    taps = torch.arange(-1, 2, device=rows.device, dtype=rows.dtype)
    y = rows + taps.repeat_interleave(3)[:, None, None] + offsets[:, :TAPS]
    x = columns + taps.repeat(3)[:, None, None] + offsets[:, TAPS:]
    samples = bilinear_sample(values, y.flatten(1, 2), x.flatten(1, 2))
    return samples.reshape(*samples.shape[:2], TAPS, *values.shape[-2:])


def _from_zero(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(layer.weight)
    return layer


class MotionState(NamedTuple):
    """The states of the cells with their memory, and the motion above each layer but the last, None at the start."""

    stack: StackState
    motions: tuple[Motion | None, ...]


class MotionStack(Stack):
    """A stack of cells with a MotionGRU above each but the last (`units` may be empty) and a Motion Highway: from the frame on,
    with `project`, a 1x1 convolution of it to the width of the first layer, or from the first layer on, with `highway`."""

    def __init__(
        self,
        cells: Sequence[Cell],
        head: nn.Module,
        decoupling: Decoupling | None,
        units: Sequence[MotionGRU],
        project: nn.Module | None,
        *,
        start: Literal["zeros", "xavier"] = "zeros",
        form: Form = "code",
        highway: bool = False,
    ) -> None:
        super().__init__(cells, head, decoupling)
        self.random = start == "xavier"
        self.replaces = form == "code"
        self.highway = highway
        self.units: Any = nn.ModuleList(units)
        self.project = project

    def start(self, like: Tensor) -> MotionState:  # type: ignore[override]
        """The state before the first frame, for inputs like `like (B, C, h, w)`: zeros, or with `start="xavier"` one
        draw each for H and C, for F and D, and for M."""
        stack = super().start(like)
        if not self.random:
            return MotionState(stack, (None,) * len(self.units))
        drawn = [nn.init.xavier_normal_(torch.empty_like(cell.hidden)) for cell in stack.cells]
        motions = [unit.start(hidden).filter for unit, hidden in zip(self.units, drawn, strict=False)]
        return MotionState(
            StackState(
                tuple(type(cell)(hidden, hidden) for cell, hidden in zip(stack.cells, drawn, strict=True)),
                nn.init.xavier_normal_(torch.empty_like(drawn[0])),
            ),
            tuple(Motion(*[nn.init.xavier_normal_(torch.empty_like(motion))] * 2) for motion in motions),
        )

    def step(self, x: Tensor, state: MotionState, action: Tensor | None = None) -> Stepped:  # type: ignore[override]
        """`x (B, C, h, w)`: the frame at t; returns the prediction of the frame at t + 1."""
        if action is not None:
            raise ValueError("MotionRNN takes no actions")
        memory, steps, motions = state.stack.memory, [], []
        highway = None if self.project is None else self.project(x)
        hidden = x
        for layer, (cell, before) in enumerate(zip(self.cells, state.stack.cells, strict=True)):
            step = cell(hidden, before, memory)
            hidden, memory = step.hidden, step.memory
            if highway is not None:
                hidden = hidden + (1 - step.output_gate) * highway
            if highway is not None or self.highway:
                highway = hidden
            own = hidden
            if layer < len(self.units):
                motion = state.motions[layer] or self.units[layer].start(hidden)
                hidden, motion = self.units[layer](hidden, motion, before.hidden)
                motions.append(motion)
            state_hidden = hidden if self.replaces else own
            steps.append(step._replace(hidden=hidden, state=step.state._replace(hidden=state_hidden)))
        after = StackState(tuple(step.state for step in steps), memory)
        return Stepped(self.head(hidden), MotionState(after, tuple(motions)), self.decoupling_terms(steps))


Start = Literal["zeros", "xavier"]
Backbone = ConvLSTM | PredRNN | PredRNNV2 | MIM | E3DLSTM


@config
class MotionRNN:
    """MotionRNN around `backbone`. `highway`, `motion`, `transient` and `momentum` are the parts of table 3; `alpha` is
    the step of the momentum, `kernel` that of the encoder and, with `form="code"`, the gate (that of the backbone where it is
    None). `form` says whose equations it has."""

    name: Literal["motionrnn"] = "motionrnn"
    backbone: Backbone = PredRNN(hidden=(64, 64, 64, 64))
    highway: bool = True
    motion: bool = True
    transient: bool = True
    momentum: bool = True
    alpha: float = 0.5
    kernel: int | None = None
    start: Start = "zeros"
    form: Form = "code"

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(backbone=PredRNN(hidden=(8, 8), kernel=3, patch=2))

    @property
    def tied_to_size(self) -> bool:
        """As its backbone."""
        return self.backbone.tied_to_size

    @property
    def multiple(self) -> int:
        """The motion has half the resolution of the map."""
        return self.backbone.patch * (2 if self.motion else 1)

    def __post_init__(self) -> None:
        check_sizes(self)
        hidden = self.backbone.hidden
        if len(set(hidden)) > 1 and self.highway:
            raise ConfigError(
                f"hidden sizes {list(hidden)} differ, but one highway leads past all layers", where="model"
            )
        if self.motion and min(hidden) < 4:
            raise ConfigError(f"hidden sizes {list(hidden)}: motion needs at least 4 channels", where="model.backbone")
        if self.motion and not (self.transient or self.momentum):
            raise ConfigError(
                "motion without transient variation and momentum is none", where="model", remedy="model.motion=false"
            )
        if self.start == "xavier" and not isinstance(self.backbone, PredRNN):
            raise ConfigError("states are drawn at random around PredRNN only", where="model.start")

    def check(self, shape: FrameShape) -> None:
        """Raise `ConfigError` if this cannot be built for `shape`."""
        self.backbone.check(shape)
        check_divisible(shape.height, shape.width, self.multiple)

    def build(self, shape: FrameShape) -> Recurrent:
        """A forecaster with new weights for frames of `shape`."""
        self.check(shape)
        backbone = self.backbone
        channels = backbone.patch**2 * shape.channels
        depth = DEPTH if isinstance(backbone, E3DLSTM) else 0
        units = [
            MotionGRU(
                width,
                self.kernel or backbone.kernel,
                alpha=self.alpha,
                transient=self.transient,
                momentum=self.momentum,
                depth=depth,
                form=self.form,
            )
            for width in backbone.hidden[:-1]
        ]
        project: nn.Module | None = None
        if self.highway and self.form == "code":
            project = nn.Conv2d(channels, backbone.hidden[0], 1, bias=False)
            if depth:
                project = nn.Sequential(project, nn.Unflatten(1, (backbone.hidden[0], 1)))
        core = MotionStack(
            backbone.cells(channels, (shape.height // backbone.patch, shape.width // backbone.patch)),
            FrameHead(backbone.hidden[-1], channels) if depth else head(backbone.hidden[-1], channels),
            backbone.decoupling_loss(),
            units if self.motion else [],
            project,
            start=self.start,
            form=self.form,
            highway=self.highway,
        )
        tied_to = (shape.height, shape.width) if self.tied_to_size else None
        return Recurrent(core, Patches(backbone.patch), tied_to=tied_to, segment=backbone.segment, inputs=shape.inputs)
