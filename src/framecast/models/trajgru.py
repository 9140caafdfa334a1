"""TrajGRU: a convolutional GRU whose recurrent connections follow learned flows.

Xingjian Shi, Zhihan Gao, Leonard Lausen, Hao Wang, Dit-Yan Yeung, Wai-kin Wong, Wang-chun Woo: "Deep Learning for
Precipitation Nowcasting: A Benchmark and A New Model", NeurIPS 2017, equations 2-4. A GRU whose recurrent connections
follow the motion: L flows are found from X and H, and H is looked up where each says it came from.

    U_1..L = W_u * act(W_xu * X + W_hu * H)
    z  = sigma(W_xz * X + sum over l of W_hz^l warp(H, U_l))
    r  = sigma(W_xr * X + sum over l of W_hr^l warp(H, U_l))
    n  = act(W_xn * X + r . sum over l of W_hn^l warp(H, U_l))
    H' = (1 - z) . n + z . H

with act a leaky ReLU of slope 0.2. Deviations (docs/specification.md, section 1.9): as in the authors' code, H is looked up at
minus the flow, bilinear, 0 outside. The paper puts its layers into an encoder and a forecaster at three resolutions; what
the papers that compare with it used is unknown, so here they are a stack on patches like its neighbours.
"""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from framecast.errors import ConfigError
from framecast.models.parts.layers import SameConv
from framecast.models.parts.protocols import Cell
from framecast.models.parts.recurrent import RecurrentConfig, zeros
from framecast.ops import bilinear_sample, pixel_coordinates
from framecast.types import Step, config

SLOPE = 0.2
FLOW_CHANNELS = 32


class State(NamedTuple):
    """`hidden (B, D, h, w)`."""

    hidden: Tensor


class TrajGRUCell(nn.Module):
    """One layer with `links` flows."""

    def __init__(self, inputs: int, hidden: int, kernel: int, links: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.links = links
        self.conv_x = SameConv(inputs, 3 * hidden, kernel)
        self.flow_x = nn.Conv2d(inputs, FLOW_CHANNELS, 5, padding=2)
        self.flow_h = nn.Conv2d(hidden, FLOW_CHANNELS, 5, padding=2)
        self.flows = nn.Conv2d(FLOW_CHANNELS, 2 * links, 5, padding=2)
        self.conv_h = nn.Conv2d(links * hidden, 3 * hidden, 1)

    def start(self, like: Tensor) -> State:
        """Zeros `(B, D, h, w)` for inputs like `like (B, C, h, w)`."""
        return State(zeros(like, self.hidden))

    def forward(self, x: Tensor, state: State, memory: Tensor | None) -> Step:
        """`x (B, C, h, w)`; the memory is passed on untouched."""
        h = state.hidden
        flows = self.flows(functional.leaky_relu(self.flow_x(x) + self.flow_h(h), SLOPE))
        followed = torch.cat([warp(h, flow) for flow in torch.chunk(flows, self.links, dim=1)], dim=1)
        rx, zx, nx = torch.chunk(self.conv_x(x), 3, dim=1)
        rh, zh, nh = torch.chunk(self.conv_h(followed), 3, dim=1)
        z = torch.sigmoid(zx + zh)
        n = functional.leaky_relu(nx + torch.sigmoid(rx + rh) * nh, SLOPE)
        h = z * h + (1 - z) * n
        return Step(h, State(h), memory)


def warp(values: Tensor, flow: Tensor) -> Tensor:
    """Sample `values (B, D, h, w)` at minus `flow (B, 2, h, w)`, in pixels, columns first: `(B, D, h, w)`."""
    rows, columns = pixel_coordinates(flow)
    return bilinear_sample(values, rows - flow[:, 1], columns - flow[:, 0])


@config
class TrajGRU(RecurrentConfig):
    """Layers with `links` flows each; they may differ in width."""

    equal_layers: ClassVar[bool] = False
    name: Literal["trajgru"] = "trajgru"
    hidden: tuple[int, ...] = (64, 64, 64)
    kernel: int = 3
    links: int = 13

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(hidden=(6, 4), patch=2, links=2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layer_norm:
            raise ConfigError("it has no LayerNorm", where="model.layer_norm")

    def cells(self, channels: int, grid: tuple[int, int]) -> list[Cell]:
        """The layers."""
        return [
            TrajGRUCell(inputs, hidden, self.kernel, self.links)
            for inputs, hidden in zip((channels, *self.hidden), self.hidden, strict=False)
        ]
