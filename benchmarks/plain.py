"""Plain implementations of PredRNN-V2 and ModeRNN, written from the papers: every convolution and every gate on its own.

They are the reference for the speed of framecast (training.py, forecasting.py, gpu.py). They share no code with framecast, only
the names of weights, so that both can have the same weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional


class Conv(nn.Module):
    """A convolution without bias, with the weight name of framecast."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(x)
        return result


class Cell(nn.Module):
    """The cell of PredRNN-V2, equation 4."""

    def __init__(self, inputs: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.conv_x = Conv(inputs, 7 * hidden, kernel)
        self.conv_h = Conv(hidden, 4 * hidden, kernel)
        self.conv_m = Conv(hidden, 3 * hidden, kernel)
        self.conv_o = Conv(2 * hidden, hidden, kernel)
        self.conv_last = nn.Conv2d(2 * hidden, hidden, 1, bias=False)

    def forward(self, x: Tensor, h: Tensor, c: Tensor, m: Tensor) -> tuple[Tensor, ...]:
        ix, fx, gx, imx, fmx, gmx, ox = torch.chunk(self.conv_x(x), 7, dim=1)
        ih, fh, gh, oh = torch.chunk(self.conv_h(h), 4, dim=1)
        im, fm, gm = torch.chunk(self.conv_m(m), 3, dim=1)
        i = torch.sigmoid(ix + ih)
        f = torch.sigmoid(fx + fh + 1.0)
        g = torch.tanh(gx + gh)
        dc = i * g
        c = f * c + dc
        i = torch.sigmoid(imx + im)
        f = torch.sigmoid(fmx + fm + 1.0)
        g = torch.tanh(gmx + gm)
        dm = i * g
        m = f * m + dm
        both = torch.cat([c, m], dim=1)
        o = torch.sigmoid(ox + oh + self.conv_o(both))
        return o * torch.tanh(self.conv_last(both)), c, m, dc, dm


class Rollout(nn.Module, ABC):
    """A network on patches of frames, rolled out over time with the teacher forcing of `framecast.models.parts.rollout`."""

    def __init__(self, channels: int, hidden: tuple[int, ...], patch: int) -> None:
        super().__init__()
        self.patch, self.pixels = patch, patch**2 * channels
        self.head = nn.Conv2d(hidden[-1], self.pixels, 1, bias=False)

    @abstractmethod
    def start(self, zero: Tensor) -> None:
        """Set the state to zero, with maps like `zero (B, D, h, w)`."""

    @abstractmethod
    def step(self, inputs: Tensor) -> Tensor:
        """One time step: the hidden state of the top layer."""

    def loss(self) -> Tensor | float:
        """The auxiliary loss."""
        return 0.0

    def forward(self, frames: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor | float]:
        """`frames (B, S, C, H, W)`, `teacher (B, T - 1)` -> the frames at 1..T-1, and the auxiliary loss."""
        batch, available, channels, height, width = frames.shape
        p = self.patch
        x = frames.reshape(batch, available, channels, height // p, p, width // p, p)
        x = x.permute(0, 1, 4, 6, 2, 3, 5).reshape(batch, available, -1, height // p, width // p)
        self.start(x.new_zeros(batch, self.head.in_channels, height // p, width // p))
        outputs: list[Tensor] = []
        for t in range(teacher.shape[1]):
            inputs = outputs[-1] if t >= available else x[:, t]
            if 0 < t < available:
                inputs = torch.where(teacher[:, t, None, None, None], x[:, t], outputs[-1])
            outputs.append(self.head(self.step(inputs)))
        y = torch.stack(outputs, dim=1)
        y = y.reshape(batch, -1, p, p, channels, height // p, width // p).permute(0, 1, 4, 5, 2, 6, 3)
        return y.reshape(batch, -1, channels, height, width), self.loss()


class PlainPredRNNV2(Rollout):
    """PredRNN-V2, equations 2 to 5."""

    def __init__(self, channels: int, hidden: tuple[int, ...], kernel: int, patch: int, decoupling: float) -> None:
        super().__init__(channels, hidden, patch)
        self.weight = decoupling
        self.cells = nn.ModuleList(
            Cell(inputs, width, kernel) for inputs, width in zip((self.pixels, *hidden), hidden, strict=False)
        )
        self.adapter = nn.Conv2d(hidden[0], hidden[0], 1, bias=False)

    def start(self, zero: Tensor) -> None:
        self.h, self.c, self.m = [zero] * len(self.cells), [zero] * len(self.cells), zero
        self.losses: list[Tensor] = []

    def step(self, inputs: Tensor) -> Tensor:
        for layer, cell in enumerate(self.cells):
            self.h[layer], self.c[layer], self.m, dc, dm = cell(inputs, self.h[layer], self.c[layer], self.m)
            inputs = self.h[layer]
            if self.training:
                one = functional.normalize(self.adapter(dc).flatten(2), dim=2)
                other = functional.normalize(self.adapter(dm).flatten(2), dim=2)
                self.losses.append(functional.cosine_similarity(one, other, dim=2).abs().mean())
        return inputs

    def loss(self) -> Tensor | float:
        return self.weight * torch.stack(self.losses).mean() if self.losses else 0.0


class Projection(nn.Module):
    """A separable convolution with BatchNorm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs)
        self.norm = nn.BatchNorm2d(inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.pointwise(self.norm(self.depthwise(x)))
        return result


class Binding(nn.Module):
    """The slot attention of ModeRNN, equation 3, with the scale of the released code."""

    def __init__(self, hidden: int, slots: int) -> None:
        super().__init__()
        self.slots = slots
        self.to_q, self.to_k = Projection(hidden, 2 * hidden), Projection(2 * hidden, 2 * hidden)
        self.to_v = Projection(2 * hidden, 2 * hidden)

    def forward(self, bus: Tensor, inputs: Tensor) -> list[Tensor]:
        q, k, v = (
            values.reshape(len(values), self.slots, -1, values.shape[-2] * values.shape[-1])
            for values in (self.to_q(bus), self.to_k(inputs), self.to_v(inputs))
        )
        attention = torch.softmax(q.transpose(2, 3) @ k / bus.shape[1] ** 0.5, dim=-1)
        bound = (attention @ v.transpose(2, 3)).transpose(2, 3)
        return [bound[:, n].reshape(len(bus), -1, *bus.shape[2:]) for n in range(self.slots)]


class Pooling(nn.Module):
    """The attention pooling of the released code."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.mask = nn.Conv2d(channels, 1, 1)
        self.bottleneck = nn.Sequential(
            nn.Conv2d(channels, width, 1), nn.LayerNorm([width, 1, 1]), nn.ReLU(), nn.Conv2d(width, width, 1)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        attention = torch.softmax(self.mask(inputs).flatten(2), dim=2)
        pooled = (inputs.flatten(2) @ attention.transpose(1, 2))[..., None]
        return torch.sigmoid(self.bottleneck(pooled)).flatten(1)


class Fusion(nn.Module):
    """The fusion of slots, equations 4 to 6, with one weight per channel as in the released code."""

    def __init__(self, hidden: int, slots: int) -> None:
        super().__init__()
        both = 2 * hidden
        self.slots = nn.ModuleList(nn.Conv2d(both // slots, both, 3, padding=1) for _ in range(slots))
        self.shortcut = nn.Conv2d(both, both, 3, padding=1)
        self.context = Pooling(both, hidden)
        self.weigh = nn.ModuleList(nn.Linear(hidden, both) for _ in range(slots))
        self.weigh_shortcut = nn.Linear(hidden, both)

    def forward(self, slots: list[Tensor], inputs: Tensor) -> Tensor:
        terms = [torch.relu(layer(slot)) for layer, slot in zip(self.slots, slots, strict=True)]
        terms.append(self.shortcut(inputs))
        context = self.context(inputs)
        weights = [torch.sigmoid(layer(context)) for layer in (*self.weigh, self.weigh_shortcut)]
        return reduce(torch.add, (term * weight[..., None, None] for term, weight in zip(terms, weights, strict=True)))


class FusedGates(nn.Module):
    """The gates, equation 7, as in the released code."""

    def __init__(self, hidden: int, slots: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.fuse_og, self.fuse_if = Fusion(hidden, slots), Fusion(hidden, slots)
        self.norm_og, self.norm_if = nn.LayerNorm([2 * hidden, *grid]), nn.LayerNorm([2 * hidden, *grid])

    def forward(self, slots: list[Tensor], inputs: Tensor) -> tuple[Tensor, ...]:
        o, g = torch.chunk(self.norm_og(self.fuse_og(slots, inputs)), 2, dim=1)
        i, f = torch.chunk(self.norm_if(self.fuse_if(slots, inputs)), 2, dim=1)
        return torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)


class ModeCell(nn.Module):
    """One layer of ModeRNN."""

    def __init__(self, hidden: int, slots: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.binding, self.gates = Binding(hidden, slots), FusedGates(hidden, slots, grid)

    def forward(self, x: Tensor, h: Tensor, bus: Tensor) -> tuple[Tensor, Tensor]:
        inputs = torch.cat([x, h], dim=1)
        i, f, g, o = self.gates(self.binding(bus, inputs), inputs)
        bus = f * bus + i * g
        return o * torch.tanh(bus), bus


class PlainModeRNN(Rollout):
    """ModeRNN, equations 3 to 7, in the form of the released code."""

    def __init__(self, channels: int, hidden: tuple[int, ...], patch: int, slots: int, grid: tuple[int, int]) -> None:
        super().__init__(channels, hidden, patch)
        self.embed = nn.Conv2d(self.pixels, hidden[0], 1, bias=False)
        self.cells = nn.ModuleList(ModeCell(width, slots, grid) for width in hidden)

    def start(self, zero: Tensor) -> None:
        self.h, self.bus = [zero] * len(self.cells), [zero] * len(self.cells)

    def step(self, inputs: Tensor) -> Tensor:
        inputs = self.embed(inputs)
        for layer, cell in enumerate(self.cells):
            inputs, self.bus[layer] = cell(inputs, self.h[layer], self.bus[layer])
            self.h[layer] = inputs
        return inputs


def copy_weights(plain: Rollout, model: nn.Module) -> None:
    """Copy the weights of a framecast model to the plain one."""
    names = {"core.": "", "decoupling.adapter": "adapter"}
    weights = {}
    for name, weight in model.state_dict().items():
        for ours, plain_name in names.items():
            name = name.replace(ours, plain_name)
        weights[name] = weight
    plain.load_state_dict(weights)
