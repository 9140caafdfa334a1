"""MAU: a cell that weighs its own past by attention before it moves on.

Zheng Chang, Xinfeng Zhang, Shanshe Wang, Siwei Ma, Yan Ye, Xiang Xinguang, Wen Gao: "MAU: A Motion-Aware Unit for Video
Prediction and Beyond", NeurIPS 2021, section 3. With T the temporal state of a layer, S the spatial state that rises from
layer to layer, and T_j, S_j those of the `steps` time steps before:

    a_j    = softmax over j of <S_j, W_q * S> / sqrt(D h w)          the attention module
    T_att  = sum_j a_j T_j
    U_f    = sigma(W_f * T)
    T_ami  = U_f . T + (1 - U_f) . T_att                             the augmented motion information
    U_t, U_s = sigma(W_tu * T_ami), sigma(W_su * S)                  the fusion module
    T'     = U_t . (W_tt * T_ami) + (1 - U_t) . (W_st * S)
    S'     = U_s . (W_ss * S) + (1 - U_s) . (W_ts * T_ami) + gamma S

with * a convolution, and gamma 1 with `residual`, else 0. An encoder halves the frame, a decoder doubles it again and, with
`recall`, adds what the encoder had at that resolution. As in the published code there are zeros before the first frame, and they
are attended to. Deviations: `layer_norm` after each convolution of a cell is off by default, since it ties the model to a size.
"""

from __future__ import annotations

from math import log2, sqrt
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from framecast.errors import ConfigError
from framecast.models.parts.layers import GateConv
from framecast.models.parts.recurrent import FrameConfig, zeros
from framecast.types import FrameShape, Stepped, config

SLOPE = 0.2


class State(NamedTuple):
    """The temporal state of a layer and those `past` it, oldest first, `(B, D, h, w)` and `(B, steps, D, h, w)`; and the spatial
    states that came with them."""

    temporal: Tensor
    past: Tensor
    spatial: Tensor


class MAUCell(nn.Module):
    """One layer of `hidden` channels that looks `steps` back; `norm` is the `(h, w)` of LayerNorm."""

    def __init__(
        self, hidden: int, kernel: int, steps: int, norm: tuple[int, int] | None = None, *, residual: bool
    ) -> None:
        super().__init__()
        self.hidden, self.steps, self.residual = hidden, steps, residual
        self.query = GateConv(hidden, hidden, kernel, norm, bias=True)
        self.forget = GateConv(hidden, hidden, kernel, norm, bias=True)
        self.of_temporal = GateConv(hidden, 3 * hidden, kernel, norm, bias=True)
        self.of_spatial = GateConv(hidden, 3 * hidden, kernel, norm, bias=True)

    def start(self, like: Tensor) -> State:
        """Zeros, for maps like `like (B, D, h, w)`."""
        past = zeros(like, self.hidden)[:, None].expand(-1, self.steps, -1, -1, -1)
        return State(zeros(like, self.hidden), past, past)

    def forward(self, s: Tensor, state: State) -> tuple[Tensor, State]:
        """`s (B, D, h, w)`, the spatial state from below; returns that for above."""
        score = (state.spatial * self.query(s)[:, None]).sum((2, 3, 4)) / sqrt(s[0].numel())
        attended = (score.softmax(1)[:, :, None, None, None] * state.past).sum(1)
        keep = torch.sigmoid(self.forget(state.temporal))
        motion = keep * state.temporal + (1 - keep) * attended
        t_update, t_own, t_other = self.of_temporal(motion).chunk(3, dim=1)
        s_update, s_own, s_other = self.of_spatial(s).chunk(3, dim=1)
        t_update, s_update = torch.sigmoid(t_update), torch.sigmoid(s_update)
        temporal = t_update * t_own + (1 - t_update) * s_other
        above = s_update * s_own + (1 - s_update) * t_other
        after = State(temporal, _append(state.past, temporal), _append(state.spatial, s))
        return above + s if self.residual else above, after


def _append(past: Tensor, newest: Tensor) -> Tensor:
    return torch.cat([past[:, 1:], newest[:, None]], dim=1)


class MAUCore(nn.Module):
    """Encoder, layers of cells, decoder."""

    def __init__(self, settings: MAU, channels: int, norm: tuple[int, int] | None) -> None:
        super().__init__()
        halvings, width = int(log2(settings.reduction)), settings.hidden
        self.recall = settings.recall
        self.encoders = nn.ModuleList(
            [nn.Conv2d(channels, width, 1), *(nn.Conv2d(width, width, 3, 2, padding=1) for _ in range(halvings))]
        )
        self.cells: Any = nn.ModuleList(
            MAUCell(width, settings.kernel, settings.steps, norm, residual=settings.residual)
            for _ in range(settings.layers)
        )
        self.decoders = nn.ModuleList(
            nn.ConvTranspose2d(width, width, 3, 2, padding=1, output_padding=1) for _ in range(halvings)
        )
        self.head = nn.Conv2d(width, channels, 1)

    def start(self, like: Tensor) -> tuple[State, ...]:
        """Zeros, for frames like `like (B, C, H, W)`."""
        stride = 2 ** len(self.decoders)
        return tuple(cell.start(like[..., ::stride, ::stride]) for cell in self.cells)

    def step(self, x: Tensor, state: tuple[State, ...], action: Tensor | None = None) -> Stepped:
        """`x (B, C, H, W)`: the frame at t; returns the prediction of the frame at t + 1."""
        if action is not None:
            raise ValueError("MAU takes no actions")
        encoded: list[Tensor] = []
        for encoder in self.encoders:
            encoded.append(functional.leaky_relu(encoder(encoded[-1] if encoded else x), SLOPE))
        s, after = encoded[-1], []
        for cell, before in zip(self.cells, state, strict=True):
            s, new = cell(s, before)
            after.append(new)
        for number, decoder in enumerate(self.decoders):
            s = decoder(s)
            if number + 1 < len(self.decoders):
                s = functional.leaky_relu(s, SLOPE)
            if self.recall:
                s = s + encoded[-2 - number]
        return Stepped(self.head(s), tuple(after), {})


@config
class MAU(FrameConfig):
    """`layers` of `hidden` channels at a `reduction` of the frame, `kernel` of the cells, which look `steps` back. `recall` adds
    the maps of the encoder in the decoder; `residual` hands the spatial state on beside its update. `layer_norm` ties the model
    to one frame size. `segment`, see `rollout`."""

    name: Literal["mau"] = "mau"
    hidden: int = 64
    layers: int = 4
    kernel: int = 5
    steps: int = 5
    reduction: int = 4
    recall: bool = True
    residual: bool = True
    layer_norm: bool = False

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(hidden=6, layers=2, kernel=3, steps=2, reduction=2)

    @property
    def tied_to_size(self) -> bool:
        """LayerNorm has one weight a pixel."""
        return self.layer_norm

    @property
    def multiple(self) -> int:
        """The encoder reduces the frame."""
        return self.reduction

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reduction & (self.reduction - 1):
            raise ConfigError(f"reduction {self.reduction} is not a power of two", where="model.reduction")

    def core(self, shape: FrameShape) -> MAUCore:
        """One step, from frame to frame."""
        norm = (shape.height // self.reduction, shape.width // self.reduction) if self.layer_norm else None
        return MAUCore(self, shape.channels, norm)
