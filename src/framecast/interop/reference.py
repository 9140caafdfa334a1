"""Runs of the published implementations, reproduced: their weights under our names, their arrays in their layout.

`load(meta, weights)` builds our model with the weights of a reference, `run(model, meta, arrays)` feeds it the arrays
of a parity file and returns `y` and `loss` as the file holds them. Each reference is one row of `REFERENCES`: how its
sizes are read off its weights, and how its names are translated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn

from framecast.errors import DataError
from framecast.models import ConvLSTM, PredRNN, PredRNNV2
from framecast.models.core import ModelConfig
from framecast.ops import from_patches, to_patches
from framecast.types import FrameShape

Meta = Mapping[str, Any]
Weights = Mapping[str, Tensor]


class Reference(NamedTuple):
    """How one published implementation leads to ours."""

    config: Callable[[Meta, Weights], ModelConfig]
    """Our config, from the reference's settings and the shapes of its weights."""
    names: tuple[tuple[str, str], ...]
    """Regular expressions from its state-dict keys to ours; the first that matches a whole key holds."""
    unused: tuple[str, ...] = ()
    """Keys of weights that the reference owns and never uses."""


_CELLS = (
    (r"cell_list\.(\d+)\.(conv_[xhmo])\.0\.(weight|bias)", r"core.cells.\1.\2.conv.\3"),
    (r"cell_list\.(\d+)\.(conv_[xhmo])\.1\.(weight|bias)", r"core.cells.\1.\2.norm.\3"),
    (r"cell_list\.(\d+)\.conv_last\.weight", r"core.cells.\1.conv_last.weight"),
    (r"conv_last\.weight", r"core.head.weight"),
    (r"adapter\.weight", r"core.decoupling.adapter.weight"),
)


def _stack_sizes(meta: Meta, weights: Weights) -> dict[str, Any]:
    """The sizes of a stack of cells, read off its weights."""
    widths = {}
    for key, weight in weights.items():
        if cell := re.fullmatch(r"cell_list\.(\d+)\.conv_h\.0\.weight", key):
            widths[int(cell[1])] = weight.shape[1]
    return {
        "hidden": tuple(widths[layer] for layer in sorted(widths)),
        "kernel": weights["cell_list.0.conv_h.0.weight"].shape[-1],
        "patch": meta["config"]["patch_size"],
        "layer_norm": "cell_list.0.conv_h.1.weight" in weights,
    }


REFERENCES: dict[str, Reference] = {
    "convlstm": Reference(
        lambda meta, weights: ConvLSTM(**_stack_sizes(meta, weights)),
        _CELLS,
        unused=(r"cell_list\.\d+\.conv_o\..*", r"cell_list\.\d+\.conv_last\.weight"),
    ),
    "predrnn": Reference(lambda meta, weights: PredRNN(**_stack_sizes(meta, weights)), _CELLS),
    "predrnn_v2": Reference(
        lambda meta, weights: PredRNNV2(**_stack_sizes(meta, weights), decoupling=meta["config"]["decouple_beta"]),
        _CELLS,
    ),
}


def names(meta: Meta, weights: Weights) -> dict[str, str]:
    """Our parameter name for each key of the reference that is used.

    Raises `DataError` for a model or a key that is not known.
    """
    reference = _reference(meta)
    translated, unknown = {}, []
    for key in weights:
        if any(re.fullmatch(pattern, key) for pattern in reference.unused):
            continue
        for pattern, ours in reference.names:
            if match := re.fullmatch(pattern, key):
                translated[key] = match.expand(ours)
                break
        else:
            unknown.append(key)
    if unknown:
        raise DataError(f"weights of {meta['model']} with unknown names: {', '.join(unknown)}")
    return translated


def load(meta: Meta, weights: Weights) -> nn.Module:
    """Our model with the weights of a reference, in training mode.

    `meta` is the description in a parity file (`model`, `config`), `weights` the reference's state dict. Raises
    `DataError` where a weight is unknown, missing or of another shape.
    """
    config = _reference(meta).config(meta, weights)
    model: nn.Module = config.build(_shape(meta, weights))
    state = {ours: weights[theirs] for theirs, ours in names(meta, weights).items()}
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise DataError(f"weights of {meta['model']} do not fit: {error}") from error
    return model.train()


def run(model: nn.Module, meta: Meta, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`y (B, T-1, h, w, p*p*C)`, the predictions still in patches, and `loss`, a scalar with gradients.

    `arrays` are those of the file under their names there: `x (B, T, H, W, C)` (or `x_patch`) and `mask`.
    """
    patch = meta["config"]["patch_size"]
    if "x" in arrays:
        frames = rearrange(arrays["x"], "b t h w c -> b t c h w")
    else:
        frames = from_patches(rearrange(arrays["x_patch"], "b t h w c -> b t c h w"), patch)
    prediction = model(frames, teacher_mask(meta, arrays["mask"]))
    loss = ((prediction.frames - frames[:, 1:]) ** 2).mean() + sum(prediction.losses.values())
    return {"y": rearrange(to_patches(prediction.frames, patch), "b t c h w -> b t h w c"), "loss": loss}


def teacher_mask(meta: Meta, mask: Tensor) -> Tensor:
    """The reference's `mask (B, steps, ...)` as a teacher mask `(B, T-1)`: ordinary sampling masks the steps after the
    context, reverse sampling every step but the first (spec/models.md, section 0)."""
    settings = meta["config"]
    flips = mask.flatten(2)[:, :, 0] > 0.5
    if settings["reverse_scheduled_sampling"]:
        always = 1
    else:
        always = settings.get("input_length", settings.get("pre_seq_length"))
    return torch.cat([flips.new_ones(len(flips), always), flips], dim=1)


def _reference(meta: Meta) -> Reference:
    if meta["model"] not in REFERENCES:
        raise DataError(
            f"no published implementation called {meta['model']!r} is known", remedy=f"known: {', '.join(REFERENCES)}"
        )
    return REFERENCES[meta["model"]]


def _shape(meta: Meta, weights: Weights) -> FrameShape:
    """The frames a reference was built for; where LayerNorm ties it to a size, its weights tell the size."""
    settings = meta["config"]
    patch = settings["patch_size"]
    channels = weights["conv_last.weight"].shape[0] // patch**2
    if "in_shape" in settings:
        height, width = settings["in_shape"][-2:]
        context, horizon = settings["pre_seq_length"], settings["aft_seq_length"]
    else:
        height = width = settings["img_width"]
        context = settings["input_length"]
        horizon = settings["total_length"] - context
    return FrameShape(channels, height, width, context, horizon)
