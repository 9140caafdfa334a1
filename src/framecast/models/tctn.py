"""TCTN: a 3D convolutional transformer with causal attention over time.

Ziao Yang, Xiangrui Yang, Qifeng Lin: "TCTN: A 3D-Temporal Convolutional Transformer Network for Spatiotemporal Predictive
Learning", 2021; as the predictor of the modular design in "Modular design with VQ-VAE", equations 8-10. All convolutions
are 3x3x3 and look back in time only; attention runs over time, apart for each place. A layer, with P the code of the
position:

    q, k, v = W_qkv * GN(x)          A = softmax over earlier frames((q + P)(k + P)^T / sqrt(d)) v
    x <- x + W_out * A               x <- x + W_2 * LReLU(W_1 * GN(x))

and before the first, f0 = LReLU(W_e * X), x = f0 + LReLU(W_f * f0).

Deviations (docs/specification.md, row TC1): with `form="code"`, as in the released code, P is 0.5 [sin | cos] and is added to q
and k in every layer, and the norms come first. With `form="paper"`, equations 8-10: P has sines and cosines in turn and is
added to the embedding, once; Q, K, V come from LN(E), the attention A has no W_out, S = E + LN(A), and the layer gives W_1 *
(LReLU(W_2 * LN(S))) without a residual. LN is then over all channels and pixels of a frame, with a weight a channel, so that no
form is tied to a size. The norms of that code run over all frames together, so that in training a frame sees later ones; here
`norm="per_frame"` normalises each frame by itself, which makes the model causal and lets a forecast keep the keys, the values
and what the convolutions need of the past, so that a new frame costs one frame. `norm="reference"` is that of the code: every
new frame computes the whole past again, and a forecast reports its last pass. Dropout, of which the paper says nothing, drops
feature maps, and of the attention the maps of a key frame in a head.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NamedTuple, Self

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from framecast.errors import ConfigError
from framecast.models.parts.recurrent import Patches, check_divisible, check_no_actions, without_inputs
from framecast.models.parts.rollout import Feedback, feeds
from framecast.models.parts.sizes import check_sizes
from framecast.ops import free_running
from framecast.types import FrameShape, Prediction, config

Norm = Literal["per_frame", "reference"]
SLOPE = 0.2
Form = Literal["code", "paper"]
REACH = 2
"""How many earlier frames a convolution looks at."""


class LayerState(NamedTuple):
    """The past of a layer: the last inputs of its four convolutions `(B, ., 2, h, w)`, and all keys and values `(B, D, t, h,
    w)`."""

    qkv: Tensor
    out: Tensor
    wide: Tensor
    narrow: Tensor
    keys: Tensor
    values: Tensor


class CausalConv(nn.Module):
    """3x3x3, with the two frames before in place of the two after."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, 3, padding=(0, 1, 1))

    def start(self, like: Tensor) -> Tensor:
        """No past: zeros `(B, inputs, 2, h, w)`, for maps like `like (B, ., h, w)`."""
        return like.new_zeros(like.shape[0], self.conv.in_channels, REACH, *like.shape[-2:])

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """`x (B, inputs, S, h, w)`, the next S frames -> `(B, outputs, S, h, w)` and what to keep."""
        window = torch.cat([past, x], dim=2)
        return self.conv(window), window[:, :, -REACH:]


class FrameNorm(nn.Module):
    """GroupNorm with one group, over each frame by itself or over all together."""

    def __init__(self, width: int, norm: Norm) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.apart = norm == "per_frame"

    def forward(self, x: Tensor) -> Tensor:
        """`x (B, D, S, h, w)`."""
        if not self.apart:
            together: Tensor = self.norm(x)
            return together
        frames = x.transpose(1, 2)
        apart: Tensor = self.norm(frames.flatten(0, 1))
        return apart.reshape(frames.shape).transpose(1, 2)


class Layer(nn.Module):
    """Attention and feed-forward, each behind a norm."""

    def __init__(self, width: int, heads: int, dropout: float, norm: Norm) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = FrameNorm(width, norm), FrameNorm(width, norm)
        self.qkv = CausalConv(width, 3 * width)
        self.out = CausalConv(width, width)
        self.wide = CausalConv(width, 3 * width)
        self.narrow = CausalConv(3 * width, width)
        self.drop = nn.Dropout3d(dropout)

    def start(self, like: Tensor) -> LayerState:
        """No past."""
        qkv, out, wide, narrow = (conv.start(like) for conv in (self.qkv, self.out, self.wide, self.narrow))
        nothing = like.new_zeros(like.shape[0], self.out.conv.in_channels, 0, *like.shape[-2:])
        return LayerState(qkv, out, wide, narrow, nothing, nothing)

    def forward(self, x: Tensor, position: Tensor | None, state: LayerState) -> tuple[Tensor, LayerState]:
        """`x (B, D, S, h, w)`, the next S frames, whose `position` is `(D, S, 1, 1)`."""
        assert position is not None
        gates, qkv = self.qkv(self.norm1(x), state.qkv)
        q, k, v = torch.chunk(gates, 3, dim=1)
        keys, values = torch.cat([state.keys, k + position], dim=2), torch.cat([state.values, v], dim=2)
        attended, out = self.out(self._attention(q + position, keys, values), state.out)
        x = x + self.drop(attended)
        hidden, wide = self.wide(self.norm2(x), state.wide)
        fed, narrow = self.narrow(self.drop(functional.leaky_relu(hidden, SLOPE)), state.narrow)
        return x + self.drop(fed), LayerState(qkv, out, wide, narrow, keys, values)

    def _attention(self, q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """`q (B, D, S, h, w)`, the last S of the `keys` and `values (B, D, t, h, w)` -> `(B, D, S, h, w)`."""
        new, total = q.shape[2], keys.shape[2]
        q, keys, values = (rearrange(x, "b (n d) t h w -> b n d t h w", n=self.heads) for x in (q, keys, values))
        scores = torch.einsum("bndshw,bndthw->bnsthw", q, keys) / q.shape[2] ** 0.5
        later = torch.ones(new, total, dtype=torch.bool, device=q.device).triu(total - new + 1)
        weights = torch.softmax(scores.masked_fill(later[:, :, None, None], -torch.inf), dim=3)
        return torch.einsum("bnsthw,bndthw->bndshw", self._drop_keys(weights), values).flatten(1, 2)

    def _drop_keys(self, weights: Tensor) -> Tensor:
        """Dropout of whole maps of the attention `weights (B, n, S, t, h, w)`: a key frame of a head, for all queries and
        pixels. The weights that are left are not normalised again."""
        maps: Tensor = self.drop(rearrange(weights, "b n s t h w -> b (n t) s h w"))
        return rearrange(maps, "b (n t) s h w -> b n s t h w", n=self.heads)


class PrintedLayer(Layer):
    """A layer as it is printed: a norm of the attention, which no convolution follows, and no residual around the
    feed-forward."""

    def __init__(self, width: int, heads: int, dropout: float, norm: Norm) -> None:
        super().__init__(width, heads, dropout, norm)
        del self.out
        self.norm0 = FrameNorm(width, norm)

    def start(self, like: Tensor) -> LayerState:
        """No past."""
        qkv, wide, narrow = (conv.start(like) for conv in (self.qkv, self.wide, self.narrow))
        nothing = like.new_zeros(like.shape[0], self.narrow.conv.out_channels, 0, *like.shape[-2:])
        return LayerState(qkv, nothing, wide, narrow, nothing, nothing)

    def forward(self, x: Tensor, position: Tensor | None, state: LayerState) -> tuple[Tensor, LayerState]:
        """`x (B, D, S, h, w)`, the next S frames, whose positions are in them."""
        gates, qkv = self.qkv(self.norm0(x), state.qkv)
        q, k, v = torch.chunk(gates, 3, dim=1)
        keys, values = torch.cat([state.keys, k], dim=2), torch.cat([state.values, v], dim=2)
        x = x + self.drop(self.norm1(self._attention(q, keys, values)))
        hidden, wide = self.wide(self.norm2(x), state.wide)
        fed, narrow = self.narrow(self.drop(functional.leaky_relu(hidden, SLOPE)), state.narrow)
        return fed, LayerState(qkv, state.out, wide, narrow, keys, values)


class State(NamedTuple):
    """The number of frames so far, and the states of the layers."""

    length: int
    layers: tuple[LayerState, ...]


class Decoder(nn.Module):
    """Embedding, layers and head: from the frames so far to the frame after each."""

    def __init__(
        self, channels: int, width: int, layers: int, heads: int, dropout: float, norm: Norm, form: Form
    ) -> None:
        super().__init__()
        self.width = width
        self.printed = form == "paper"
        layer = PrintedLayer if self.printed else Layer
        self.embed0 = nn.Conv3d(channels, width, (1, 7, 7), padding=(0, 3, 3))
        self.embed1 = nn.Conv3d(width, width, (1, 5, 5), padding=(0, 2, 2))
        self.layers = nn.ModuleList(layer(width, heads, dropout, norm) for _ in range(layers))
        self.norm = FrameNorm(width, norm)
        self.head = nn.Conv3d(width, channels, 1, bias=False)
        self.drop = nn.Dropout3d(dropout)

    def start(self, like: Tensor) -> State:
        """Before the first frame, for maps like `like (B, C, h, w)`."""
        return State(0, tuple(layer.start(like) for layer in self.layers))  # type: ignore[operator]

    def forward(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """The next `frames (B, S, C, h, w)` -> the prediction after each, of the same shape, and the next state."""
        f0 = functional.leaky_relu(self.embed0(frames.transpose(1, 2)), SLOPE)
        x = self.drop(f0 + functional.leaky_relu(self.embed1(f0), SLOPE))
        code = printed_position_code if self.printed else position_code
        position = code(state.length, frames.shape[1], self.width, x.device).to(x)[:, :, None, None]
        x = x + position if self.printed else x
        states = []
        for layer, before in zip(self.layers, state.layers, strict=True):
            x, after = layer(x, position, before)
            states.append(after)
        predicted: Tensor = self.head(self.norm(x)).transpose(1, 2)
        return predicted, State(state.length + frames.shape[1], tuple(states))


def position_code(first: int, count: int, width: int, device: torch.device | None = None) -> Tensor:
    """Of frames `first`, `first + 1`, ...: `(width, count)`."""
    frame = torch.arange(first, first + count, device=device)
    angle = frame / 10_000.0 ** (torch.arange(0, width, 2, device=device)[:, None] / width)
    return 0.5 * torch.cat([angle.sin(), angle[: width // 2].cos()])


def printed_position_code(first: int, count: int, width: int, device: torch.device | None = None) -> Tensor:
    """That of equation 8, sines and cosines in turn: `(width, count)`."""
    frame, channel = torch.arange(first, first + count, device=device), torch.arange(width, device=device)[:, None]
    angle = frame / 10_000.0 ** ((channel - channel % 2) / width)
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos())


class TCTNForecaster(nn.Module):
    """Observed frames are processed in one pass; predictions are fed back one at a time."""

    accepts_feedback: ClassVar[Literal[True]] = True

    def __init__(self, decoder: Decoder, codec: Patches, norm: Norm, inputs: int = 0) -> None:
        super().__init__()
        self.inputs = inputs
        self.decoder = decoder
        self.codec = codec
        self.causal = norm == "per_frame"

    def forward(
        self, frames: Tensor, teacher: Tensor, actions: Tensor | None = None, *, feedback: Feedback | None = None
    ) -> Prediction:
        """Predict the frames at 1..T-1: `frames (B, T or fewer, C, H, W)`, `teacher (B, T - 1)` bool, `feedback` as of
        `Recurrent`."""
        encoded = self.codec.encode(frames)
        feed = feeds(teacher, encoded.shape[1])
        observed_steps = next((t for t, fed in enumerate(feed) if fed != "truth"), len(feed))
        teacher = teacher.to(frames.device)
        prefix = encoded[:, :observed_steps]
        predicted, state = self.decoder(prefix, self.decoder.start(encoded[:, 0]))
        fixed_channels, fed = self.codec.last(self.inputs, encoded), prefix[:, -1:]
        for t in range(observed_steps, len(feed)):
            last = predicted[:, -1:]
            if fixed_channels is not None:
                last = torch.where(fixed_channels[:, None, None], fed, last)
            if feedback is not None:
                last = self.codec.encode(feedback(self.codec.decode(last)[:, 0], t - 1)[:, None])
            if feed[t] != "prediction":
                last = torch.where(teacher[:, t, None, None, None, None], encoded[:, t : t + 1], last)
            fed = last
            if self.causal:
                newest, state = self.decoder(last, state)
                predicted = torch.cat([predicted, newest], dim=1)
            else:
                prefix = torch.cat([prefix, last], dim=1)
                predicted, _ = self.decoder(prefix, self.decoder.start(encoded[:, 0]))
        return Prediction(without_inputs(self.codec.decode(predicted), self.inputs), {})

    def forecast(self, context: Tensor, horizon: int, actions: Tensor | None = None) -> Tensor:
        """`context (B, T, C, H, W)` -> the `horizon` frames after it, `(B, horizon, C, H, W)`."""
        teacher = free_running(context.shape[0], context.shape[1], horizon)
        return self.forward(context, teacher, actions).frames[:, -horizon:]

    def start(self, like: Tensor) -> State:
        """The state before the first frame, for frames like `like (B, C, H, W)`."""
        return self.decoder.start(self.codec.encode(like[:, None])[:, 0])

    def step(self, frame: Tensor, state: State, action: Tensor | None = None) -> tuple[Tensor, Any]:
        """One frame in `(B, C, H, W)`, the prediction of the next one out, with the next state. Raises `ConfigError` for a
        model that is not causal."""
        if not self.causal:
            raise ConfigError("norms over all frames know no single step", remedy="train with model.norm=per_frame")
        predicted, after = self.decoder(self.codec.encode(frame[:, None]), state)
        return without_inputs(self.codec.decode(predicted), self.inputs)[:, 0], after


@config
class TCTN:
    """`layers` layers of `hidden` channels with `heads` heads. `form` says whose equations they have."""

    name: Literal["tctn"] = "tctn"
    hidden: int = 128
    layers: int = 6
    heads: int = 1
    patch: int = 4
    dropout: float = 0.1
    norm: Norm = "per_frame"
    form: Form = "code"

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(hidden=8, layers=2, heads=2, patch=2, dropout=0.0)

    @property
    def tied_to_size(self) -> bool:
        """Any size works."""
        return False

    @property
    def multiple(self) -> int:
        """Frames are cut into patches."""
        return self.patch

    def __post_init__(self) -> None:
        check_sizes(self)
        if self.hidden % self.heads:
            raise ConfigError(f"{self.hidden} channels cannot be split into {self.heads} heads", where="model.hidden")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout {self.dropout} is no probability below 1", where="model.dropout")

    def check(self, shape: FrameShape) -> None:
        """Raise `ConfigError` if this cannot be built for `shape`."""
        check_divisible(shape.height, shape.width, self.patch)
        check_no_actions(shape, self.name)

    def decoder(self, channels: int) -> Decoder:
        """The network between frames in the space of a codec with `channels`."""
        return Decoder(channels, self.hidden, self.layers, self.heads, self.dropout, self.norm, self.form)

    def build(self, shape: FrameShape) -> TCTNForecaster:
        """A forecaster with new weights for frames of `shape`."""
        self.check(shape)
        return TCTNForecaster(
            self.decoder(self.patch**2 * shape.channels), Patches(self.patch), self.norm, shape.inputs
        )
