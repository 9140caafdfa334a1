"""PredRNN-V2 as a reader of the paper would write it at first: every convolution by itself, every gate by itself.

This is what the speed of framecast is measured against (training.py, forecasting.py); it shares no code with it but the names of
its weights, so that both can be given the same ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Conv(nn.Module):
    """A convolution without bias, under the name it has in framecast."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Cell(nn.Module):
    """Equation 4."""

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


class PlainPredRNNV2(nn.Module):
    """Equations 2 to 5, with teacher forcing as `rollout` has it."""

    def __init__(self, channels: int, hidden: tuple[int, ...], kernel: int, patch: int, decoupling: float) -> None:
        super().__init__()
        self.patch, self.weight = patch, decoupling
        pixels = patch**2 * channels
        self.cells = nn.ModuleList(
            Cell(inputs, width, kernel) for inputs, width in zip((pixels, *hidden), hidden, strict=False)
        )
        self.head = nn.Conv2d(hidden[-1], pixels, 1, bias=False)
        self.adapter = nn.Conv2d(hidden[0], hidden[0], 1, bias=False)

    def forward(self, frames: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """`frames (B, S, C, H, W)`, `teacher (B, T - 1)` -> the frames at 1..T-1, and the decoupling loss."""
        batch, available, channels, height, width = frames.shape
        p = self.patch
        x = frames.reshape(batch, available, channels, height // p, p, width // p, p)
        x = x.permute(0, 1, 4, 6, 2, 3, 5).reshape(batch, available, -1, height // p, width // p)
        zero = x.new_zeros(batch, self.head.in_channels, height // p, width // p)
        h, c, m = [zero] * len(self.cells), [zero] * len(self.cells), zero
        outputs, losses = [], []
        for t in range(teacher.shape[1]):
            seen = outputs[-1] if t >= available else x[:, t]
            if 0 < t < available:
                seen = torch.where(teacher[:, t, None, None, None], x[:, t], outputs[-1])
            for layer, cell in enumerate(self.cells):
                h[layer], c[layer], m, dc, dm = cell(seen, h[layer], c[layer], m)
                seen = h[layer]
                if self.training:
                    one = functional.normalize(self.adapter(dc).flatten(2), dim=2)
                    other = functional.normalize(self.adapter(dm).flatten(2), dim=2)
                    losses.append(functional.cosine_similarity(one, other, dim=2).abs().mean())
            outputs.append(self.head(seen))
        y = torch.stack(outputs, dim=1)
        y = y.reshape(batch, -1, p, p, channels, height // p, width // p).permute(0, 1, 4, 5, 2, 6, 3)
        loss = self.weight * torch.stack(losses).mean() if losses else x.new_zeros(())
        return y.reshape(batch, -1, channels, height, width), loss


def shared_weights(plain: PlainPredRNNV2, model: nn.Module) -> None:
    """Give the plain form the weights of framecast's."""
    names = {"core.": "", "decoupling.adapter": "adapter"}
    weights = {}
    for name, weight in model.state_dict().items():
        for ours, its in names.items():
            name = name.replace(ours, its)
        weights[name] = weight
    plain.load_state_dict(weights)
