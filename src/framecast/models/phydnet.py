"""PhyDNet: a cell of partial derivatives, and a ConvLSTM for the residual dynamics.

Vincent Le Guen, Nicolas Thome: "Disentangling Physical Dynamics from Unknown Factors for Unsupervised Video Prediction",
CVPR 2020. In the space of an encoder E, a physical cell with state h and a ConvLSTM each follow a part of the frame; their
sum is decoded. Physical cell, equations 3-5:

    h~ = h + sum over i, j < k of c_ij d^{i+j} h / dx^i dy^j        prediction, by convolutions
    K  = sigma(W_x * E(X) + W_h * h~)                               correction, a gain as of a Kalman filter
    h' = h~ + K . (E(X) - h~)

so that the convolutions are partial derivatives, their moments are held to what those of derivatives are, equation 7:

    L_moment = sum over channels of |M(w) - one-hot(i, j)|^2

Deviations, as in the OpenSTL code: the gain sees h, not h~; a GroupNorm between the derivatives and their coefficients; the
moment loss is a sum over channels of means. There the frame loss is a sum over steps, here it is a mean over them, so the weight
of the moment loss is one over the number of steps unless `moments` gives it.
"""

from __future__ import annotations

from math import factorial
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from framecast.errors import ConfigError
from framecast.models.parts.layers import SameConv
from framecast.models.parts.recurrent import FrameConfig, zeros
from framecast.ops.gates import cell_update, hidden_output
from framecast.types import FrameShape, Stepped, config

SLOPE = 0.2
GROUPS = 16
DERIVATIVE_GROUPS = 7
"""Groups of the norm of the derivatives; if their number is not a multiple, as many groups as the kernel is wide."""
Decoder = Literal["published", "early"]


class ConvState(NamedTuple):
    """`hidden` and `cell` of a ConvLSTM layer, `(B, D, h, w)`."""

    hidden: Tensor
    cell: Tensor


class State(NamedTuple):
    """The `physical` state h `(B, D, h, w)` and those of the ConvLSTM layers."""

    physical: Tensor
    layers: tuple[ConvState, ...]


class Block(nn.Module):
    """3x3, GroupNorm, leaky ReLU; with `up` a transposed convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, *, up: bool = False) -> None:
        super().__init__()
        self.conv: nn.Module
        if up:
            self.conv = nn.ConvTranspose2d(inputs, outputs, 3, stride, padding=1, output_padding=stride - 1)
        else:
            self.conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1)
        self.norm = nn.GroupNorm(GROUPS, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """`x (B, inputs, h, w)`."""
        return functional.leaky_relu(self.norm(self.conv(x)), SLOPE)


class PhysicalCell(nn.Module):
    """Prediction by the first `derivatives` of k x k, in the order of rows, corrected by the observed frame."""

    basis: Tensor

    def __init__(self, hidden: int, kernel: int, derivatives: int) -> None:
        super().__init__()
        self.derivatives = nn.Conv2d(hidden, derivatives, kernel, padding=kernel // 2)
        self.norm = nn.GroupNorm(_derivative_groups(kernel, derivatives), derivatives)
        self.coefficients = nn.Conv2d(derivatives, hidden, 1)
        self.gain = SameConv(2 * hidden, hidden, 3)
        places = torch.arange(kernel, dtype=torch.float64) - kernel // 2
        basis = torch.stack([places**order / factorial(order) for order in range(kernel)])
        self.register_buffer("basis", basis.float(), persistent=False)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """`x, h (B, D, h, w)` -> the next h."""
        predicted = h + self.coefficients(self.norm(self.derivatives(h)))
        gain = torch.sigmoid(self.gain(x, h))
        corrected: Tensor = predicted + gain * (x - predicted)
        return corrected

    def moment_loss(self) -> Tensor:
        """Distance of the moments of the filters from those of derivatives: scalar."""
        weight = self.derivatives.weight
        moments = self.basis @ weight @ self.basis.T
        count, _, order, _ = weight.shape
        identity = torch.eye(order**2, device=weight.device, dtype=weight.dtype)[:count].reshape(-1, 1, order, order)
        return ((moments - identity) ** 2).mean((0, 2, 3)).sum()


def _derivative_groups(kernel: int, derivatives: int) -> int:
    return DERIVATIVE_GROUPS if derivatives % DERIVATIVE_GROUPS == 0 else kernel


class ConvLSTMLayer(nn.Module):
    """A ConvLSTM with one convolution with biases."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.conv = SameConv(inputs + hidden, 4 * hidden, 3)

    def forward(self, x: Tensor, state: ConvState) -> ConvState:
        """`x (B, inputs, h, w)`."""
        i, f, o, g = torch.chunk(self.conv(x, state.hidden), 4, dim=1)
        cell, _ = cell_update(i, f, g, state.cell)
        hidden, _ = hidden_output(o, cell)
        return ConvState(hidden, cell)


class PhyDNetCore(nn.Module):
    """One step, from frame to frame. `moments` is the weight of the moment loss."""

    def __init__(self, settings: PhyDNet, channels: int, moments: float) -> None:
        super().__init__()
        width, hidden, layers = settings.width, settings.hidden, settings.layers
        inner = settings.reduction // 2
        # Strides of the decoder, and width of that of the ConvLSTM.
        first, last, residual = (2, inner, layers[-1]) if settings.decoder == "published" else (inner, 2, hidden)
        self.moments = moments
        self.encoder = nn.Sequential(Block(channels, width, 2), Block(width, width), Block(width, 2 * width, inner))
        self.to_physical = nn.Sequential(Block(2 * width, hidden), Block(hidden, hidden))
        self.to_residual = nn.Sequential(Block(2 * width, hidden), Block(hidden, hidden))
        self.physical = PhysicalCell(hidden, settings.kernel, settings.derivatives or settings.kernel**2)
        self.residual = nn.ModuleList(
            ConvLSTMLayer(inputs, size) for inputs, size in zip((hidden, *layers), layers, strict=False)
        )
        self.from_physical = nn.Sequential(Block(hidden, hidden, up=True), Block(hidden, 2 * width, up=True))
        self.from_residual = nn.Sequential(Block(layers[-1], residual, up=True), Block(residual, 2 * width, up=True))
        self.decoder = nn.Sequential(
            Block(2 * width, width, first, up=True),
            Block(width, width, up=True),
            nn.ConvTranspose2d(width, channels, 3, last, padding=1, output_padding=last - 1),
        )
        self._sizes = hidden, layers, settings.reduction

    def start(self, like: Tensor) -> State:
        """Zeros, for frames like `like (B, C, H, W)`."""
        hidden, layers, reduction = self._sizes
        small = like[..., ::reduction, ::reduction]
        return State(zeros(small, hidden), tuple(ConvState(zeros(small, size), zeros(small, size)) for size in layers))

    def step(self, x: Tensor, state: State, action: Tensor | None = None) -> Stepped:
        """`x (B, C, H, W)`: the frame at t; returns the prediction of the frame at t + 1."""
        if action is not None:
            raise ValueError("PhyDNet takes no actions")
        encoded = self.encoder(x)
        physical = self.physical(self.to_physical(encoded), state.physical)
        below, layers = self.to_residual(encoded), []
        for layer, before in zip(self.residual, state.layers, strict=True):
            layers.append(layer(below, before))
            below = layers[-1].hidden
        frame = torch.sigmoid(self.decoder(self.from_physical(physical) + self.from_residual(below)))
        losses = {"moments": self.moments * self.physical.moment_loss()} if self.training and self.moments else {}
        return Stepped(frame, State(physical, tuple(layers)), losses)


@config
class PhyDNet(FrameConfig):
    """`width` channels in the encoder, `hidden` in the physical cell, `layers` of the parallel ConvLSTM, `kernel` of the
    derivatives, which are those of order below it in both directions, or the first `derivatives` of them, a multiple of 7 or
    of the kernel. `moments` is the weight of the moment loss, by default one over the number of predicted steps.
    `decoder="early"` is that of framecast 0.1, which with `reduction=2` is not the published one. `segment`, see `rollout`."""

    name: Literal["phydnet"] = "phydnet"
    width: int = 32
    hidden: int = 64
    layers: tuple[int, ...] = (128, 128, 64)
    kernel: int = 7
    reduction: Literal[2, 4] = 4
    derivatives: int | None = None
    moments: float | None = None
    decoder: Decoder = "published"

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(width=16, hidden=16, layers=(16,), kernel=3)

    @property
    def multiple(self) -> int:
        """The encoder reduces the frame."""
        return self.reduction

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % GROUPS or self.hidden % GROUPS:
            raise ConfigError(f"width {self.width} and hidden {self.hidden} are multiples of {GROUPS}", where="model")
        if self.decoder == "published" and self.layers[-1] % GROUPS:
            raise ConfigError(
                f"the last of the layers {list(self.layers)} is a multiple of {GROUPS}", where="model.layers"
            )
        if self.reduction not in (2, 4):
            raise ConfigError(f"reduction {self.reduction} is neither 2 nor 4", where="model.reduction")
        if self.kernel < 3:
            raise ConfigError(f"kernel {self.kernel} is not an odd number from 3 on", where="model.kernel")
        count = self.derivatives or self.kernel**2
        if count > self.kernel**2 or count % _derivative_groups(self.kernel, count):
            factors = " or ".join(map(str, sorted({self.kernel, DERIVATIVE_GROUPS})))
            raise ConfigError(
                f"{count} derivatives are no multiple of {factors} up to {self.kernel**2}",
                where="model.derivatives",
                remedy=f"leave it out for all {self.kernel**2} of the kernel",
            )

    def core(self, shape: FrameShape) -> PhyDNetCore:
        """One step, from frame to frame."""
        steps = shape.context + shape.horizon - 1
        return PhyDNetCore(self, shape.channels, 1 / steps if self.moments is None else self.moments)
