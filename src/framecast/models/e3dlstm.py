"""E3D-LSTM: Eidetic 3D LSTM, cells with 3D convolutions and attention to past cell states.

Yunbo Wang, Lu Jiang, Ming-Hsuan Yang, Li-Jia Li, Mingsheng Long, Li Fei-Fei: "Eidetic 3D LSTM: A Model for Video
Prediction and Beyond", ICLR 2019. The frames of the last two steps are one input; all maps have a depth of 2 and all
convolutions are three-dimensional. Cell, equations 1-5, with C_1..C_t the cell states so far:

    r  = sigma(W_xr * X + W_hr * H)        Recall = softmax(r C_1:t^T) C_1:t
    i  = sigma(W_xi * X + W_hi * H)        C' = LayerNorm(C + Recall) + i . g
    g  = tanh(W_xg * X + W_hg * H)         M' = f' . tanh(W_m * M) + i' . g'
    i' = sigma(W'_xi * X + W'_mi * M)      o  = W_xo * X + W_ho * H + W_co * C' + W_mo * M'
    f' = sigma(W'_xf * X + W'_mf * M + 1)  H' = sigma(tanh(o)) . tanh(W_1x1 * [C', M'])
    g' = tanh(W'_xg * X + W'_mg * M)

Deviations, as in the released code (docs/specification.md, section 1.8): each convolution reduces the depth to 1, which is then
copied to 2; a cell hands on the memory it was given, so M stays zero for ever (row E1: `update_memory` hands on M'); the
recall reads places and channels in the order in which they lie in storage (row E2: with `recall="pixels"` each token is
the channels of one place). Every cell keeps its history, so a step costs more the longer the sequence is.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from framecast.models.parts.protocols import Cell, Core
from framecast.models.parts.recurrent import RecurrentConfig
from framecast.models.parts.stack import Stack
from framecast.models.predrnn import FORGET_BIAS
from framecast.ops.gates import cell_update
from framecast.types import Step, config

DEPTH = 2
Recall = Literal["storage", "pixels"]


class State(NamedTuple):
    """`hidden` and `cell (B, D, 2, h, w)`, the `history` of cell states as tokens `(B, 2 h w, D)` each, and in the
    bottom layer the `frame` before."""

    hidden: Tensor
    cell: Tensor
    history: tuple[Tensor, ...]
    frame: Tensor | None


class DepthConv(nn.Module):
    """A convolution over both frames and a k x k neighbourhood, its one plane copied to both, and an optional norm of both
    planes, which have weights of their own, as in the released code."""

    def __init__(self, inputs: int, outputs: int, kernel: int, norm: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv3d(
            inputs, outputs, (DEPTH, kernel, kernel), padding=(0, kernel // 2, kernel // 2), bias=False
        )
        self.norm = nn.Identity() if norm is None else nn.LayerNorm([outputs, DEPTH, *norm])

    def forward(self, x: Tensor) -> Tensor:
        """`x (B, inputs, 2, h, w)` -> `(B, outputs, 2, h, w)`."""
        normed: Tensor = self.norm(self.conv(x).expand(-1, -1, DEPTH, -1, -1))
        return normed

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        """Version 0.1 normalised the one plane before it was copied: the same function with equal weights for both planes."""
        for name in (f"{prefix}norm.weight", f"{prefix}norm.bias"):
            if name in state and state[name].shape[1] == 1:
                state[name] = state[name].expand(-1, DEPTH, -1, -1).contiguous()
        super()._load_from_state_dict(state, prefix, *rest)


class E3DCell(nn.Module):
    """One layer. The `bottom` one has frames as input and keeps the last one in its state."""

    def __init__(
        self,
        inputs: int,
        hidden: int,
        kernel: int,
        grid: tuple[int, int],
        norm: tuple[int, int] | None = None,
        *,
        bottom: bool,
        update_memory: bool,
        recall: Recall,
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.bottom = bottom
        self.update_memory = update_memory
        self.recall = recall
        self.conv_x = DepthConv(inputs, 7 * hidden, kernel, norm)
        self.conv_h = DepthConv(hidden, 4 * hidden, kernel, norm)
        self.conv_m = DepthConv(hidden, 4 * hidden, kernel, norm)
        self.conv_co = DepthConv(hidden, hidden, kernel, norm)
        self.conv_mo = DepthConv(hidden, hidden, kernel, norm)
        self.norm_c = nn.LayerNorm([hidden, DEPTH, *grid])
        self.conv_last = nn.Conv3d(2 * hidden, hidden, 1, bias=False)

    def start(self, like: Tensor) -> State:
        """Zeros `(B, D, 2, h, w)` for frames like `like (B, C, h, w)`."""
        zero = self._zero(like)
        return State(zero, zero, (), torch.zeros_like(like) if self.bottom else None)

    def forward(self, x: Tensor, state: State, memory: Tensor | None) -> Step:
        """`x (B, C, h, w)` in the bottom layer, `(B, D, 2, h, w)` above; `memory (B, D, 2, h, w)`, zeros where None."""
        h, c, history, frame = state
        m = self._zero(x) if memory is None else memory
        if self.bottom:
            frame, x = x, torch.stack([x if frame is None else frame, x], dim=2)
        ix, gx, rx, ox, imx, gmx, fmx = torch.chunk(self.conv_x(x), 7, dim=1)
        ih, gh, rh, oh = torch.chunk(self.conv_h(h), 4, dim=1)
        im, fm, gm, mm = torch.chunk(self.conv_m(m), 4, dim=1)

        history = (*history, self._tokens(c))
        dc = torch.sigmoid(ix + ih) * torch.tanh(gx + gh)
        c = self.norm_c(c + self._recalled(torch.sigmoid(rx + rh), torch.cat(history, dim=1))) + dc
        updated, _ = cell_update(imx + im, fmx + fm, gmx + gm, torch.tanh(mm), FORGET_BIAS)

        o = torch.sigmoid(torch.tanh(ox + oh + self.conv_co(c) + self.conv_mo(updated)))
        h = o * torch.tanh(self.conv_last(torch.cat([c, updated], dim=1)))
        return Step(h, State(h, c, history, frame), updated if self.update_memory else m, output_gate=o)

    def _zero(self, like: Tensor) -> Tensor:
        return like.new_zeros(like.shape[0], self.hidden, DEPTH, *like.shape[-2:])

    def _tokens(self, values: Tensor) -> Tensor:
        """`(B, D, 2, h, w)` -> `(B, 2 h w, D)`."""
        if self.recall == "pixels":
            return values.flatten(2).transpose(1, 2)
        return values.reshape(len(values), -1, self.hidden)

    def _recalled(self, gate: Tensor, history: Tensor) -> Tensor:
        attention = torch.softmax(self._tokens(gate) @ history.transpose(1, 2), dim=-1) @ history
        if self.recall == "pixels":
            attention = attention.transpose(1, 2)
        return attention.reshape(gate.shape)


class FrameHead(nn.Module):
    """Both planes of the top hidden state to one frame."""

    def __init__(self, hidden: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(hidden, channels, (DEPTH, 1, 1), stride=(DEPTH, 1, 1), bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """`hidden (B, D, 2, h, w)` -> `(B, C, h, w)`."""
        frame: Tensor = self.conv(hidden).squeeze(2)
        return frame


@config
class E3DLSTM(RecurrentConfig):
    """Eidetic layers of one width."""

    name: Literal["e3dlstm"] = "e3dlstm"
    hidden: tuple[int, ...] = (64, 64, 64, 64)
    update_memory: bool = False
    recall: Recall = "storage"

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(hidden=(4, 4), kernel=3, patch=4, update_memory=True)

    @property
    def tied_to_size(self) -> bool:
        """The LayerNorm of C has one weight a place."""
        return True

    def cells(self, channels: int, grid: tuple[int, int]) -> list[Cell]:
        """The layers."""
        return [
            E3DCell(
                channels if layer == 0 else width,
                width,
                self.kernel,
                grid,
                self.norm(grid),
                bottom=layer == 0,
                update_memory=self.update_memory,
                recall=self.recall,
            )
            for layer, width in enumerate(self.hidden)
        ]

    def core(self, channels: int, grid: tuple[int, int]) -> Core:
        """The cells in a stack, with a head over both planes."""
        return Stack(self.cells(channels, grid), FrameHead(self.hidden[-1], channels))
