"""The type of a row of `reference.REFERENCES`, which describes one published implementation, and name patterns that rows
share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from framecast.models.parts.protocols import ModelConfig

Meta = Mapping[str, Any]

Weights = Mapping[str, Tensor]

Name = str | Callable[[re.Match[str]], str]
"""Our name for a key: a template for `re.Match.expand`, or a function if layers are counted differently."""


class Layout(NamedTuple):
    """The layout of the arrays of a published implementation, as einops patterns."""

    frames: str = "b t h w c"
    y: str = "b t h w c"
    channels: str = "row col c"
    """The order of the channels of a patch."""
    first: int = 0
    """Number of first predictions that it drops."""


class Reference(NamedTuple):
    """One published implementation, and its translation to our model."""

    config: Callable[[Meta, Weights], ModelConfig]
    """Our config, from the reference's settings and the shapes of its weights."""
    names: tuple[tuple[str, Name], ...]
    """Regular expressions from its state-dict keys to ours; the first full match applies."""
    unused: tuple[str, ...] = ()
    """Keys of weights that the reference has and never uses."""
    loss: Callable[[Tensor], Tensor] = lambda error: (error**2).mean()
    """Its frame loss, a function of the errors."""
    state: Callable[[Any, Mapping[str, Tensor]], Any] = lambda model, initial: None
    """The initial state, from the arrays `init/...` of a file; None for that of the model."""
    layout: Layout = Layout()
    forecasts: bool = False
    """Whether `y` is a forecast of the frames after `x`, not in patches, while the loss is that of a teacher-forced pass."""
    terms: bool = False
    """Whether its loss has the terms of training in evaluation mode too."""
    free: bool = False
    """Whether its files also hold `y_free`, the prediction without teacher forcing."""
    patches: Mapping[str, int] = {}
    """Weights and the dimension that holds the channels of patches, if `layout.channels` differs from ours."""


ADAPTER = (r"adapter\.weight", r"core.decoupling.adapter.weight")
HEAD = (r"conv_last\.weight", r"core.head.weight")
CELLS: tuple[tuple[str, Name], ...] = (
    (r"cell_list\.(\d+)\.(conv_[xhmoa])\.0\.(weight|bias)", r"core.cells.\1.\2.conv.\3"),
    (r"cell_list\.(\d+)\.(conv_[xhmoa])\.1\.(weight|bias)", r"core.cells.\1.\2.norm.\3"),
    (r"cell_list\.(\d+)\.conv_last\.(weight|bias)", r"core.cells.\1.conv_last.\2"),
    HEAD,
    ADAPTER,
)
ENCODERS: tuple[tuple[str, Name], ...] = (
    (r"conv_input(\d)\.weight", r"core.encode\1.weight"),
    (r"action_conv_input(\d)\.weight", r"core.action\1.weight"),
    (r"deconv_output(\d)\.weight", r"core.decode\1.weight"),
)
PARTS = {"0": "conv", "1": "norm"}


def stack_sizes(meta: Meta, weights: Weights, cells: str = "cell_list", conv: str = "conv_h.0") -> dict[str, Any]:
    """The sizes of a stack of cells, from the weights of the convolution on H, `cells.<layer>.conv.weight`."""
    pattern = rf"{cells}\.(\d+)\.{re.escape(conv)}\.weight"
    by_layer = {int(match[1]): weight for key, weight in weights.items() if (match := re.fullmatch(pattern, key))}
    return {
        "hidden": tuple(by_layer[layer].shape[1] for layer in sorted(by_layer)),
        "kernel": by_layer[0].shape[-1],
        "patch": meta["config"]["patch_size"],
        "layer_norm": any(re.fullmatch(rf"{cells}\.0\.conv_h\.1\.weight", key) for key in weights),
    }


def widths(weights: Weights, pattern: str, gates: int = 1) -> tuple[int, ...]:
    """The first dimension of the weights that match `pattern`, by layer, divided by the number of `gates`."""
    by_layer = {int(match[1]): weight for key, weight in weights.items() if (match := re.fullmatch(pattern, key))}
    return tuple(by_layer[layer].shape[0] // gates for layer in sorted(by_layer))


def layers(weights: Weights, pattern: str) -> int:
    """Number of layers that have a weight that matches `pattern`."""
    return len({match[1] for key in weights if (match := re.fullmatch(pattern, key))})
