"""Reproduces runs of the published implementations, with their weights in our models and their arrays in their layout.

`load(meta, weights)` builds our model with the weights of a reference; `run(model, meta, arrays)` feeds it the arrays of a parity
file and returns `y` and `loss` in the layout of the file. Each reference is one row of `REFERENCES`, which derives the config
from the weights and translates their names. This module reads no files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from einops import rearrange
from torch import Tensor, nn

from framecast.checkpoints.published.modernn import MODERNN
from framecast.checkpoints.published.others import OTHERS
from framecast.checkpoints.published.recurrent import RECURRENT
from framecast.checkpoints.published.rows import Meta, Reference, Weights
from framecast.errors import DataError
from framecast.models.parts.protocols import ModelConfig
from framecast.ops import free_running
from framecast.types import FrameShape

REFERENCES: dict[str, Reference] = RECURRENT | MODERNN | OTHERS


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
                translated[key] = ours(match) if callable(ours) else match.expand(ours)
                break
        else:
            unknown.append(key)
    if unknown:
        raise DataError(f"weights of {meta['model']} with unknown names: {', '.join(unknown)}")
    return translated


def config_of(meta: Meta, weights: Weights) -> ModelConfig:
    """Our config for the weights of a reference."""
    return _reference(meta).config(meta, weights)


def load(meta: Meta, weights: Weights, shape: FrameShape | None = None) -> nn.Module:
    """Our model with the weights of a reference, in the mode of the reference run (`train_mode`, default training).

    `meta` is the description in a parity file (`model`, `config`), `weights` the reference's state dict, `shape` the frames if
    `meta` does not describe them. Raises `DataError` if a weight is unknown, missing or of another shape.
    """
    reference = _reference(meta)
    config = reference.config(meta, weights)
    model: nn.Module = config.build(shape or _shape(meta, weights))
    state = {ours: weights[theirs] for theirs, ours in names(meta, weights).items()}
    for theirs, dim in reference.patches.items():
        ours = names(meta, weights)[theirs]
        order = rearrange(
            torch.arange(weights[theirs].shape[dim]),
            f"({reference.layout.channels}) -> (row col c)",
            row=meta["config"]["patch_size"],
            col=meta["config"]["patch_size"],
        )
        state[ours] = weights[theirs].index_select(dim, order)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise DataError(f"weights of {meta['model']} do not fit: {error}") from error
    return model.train(meta["config"].get("train_mode", True))


def run(model: nn.Module, meta: Meta, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`y`, the predictions in patches and in the layout of the reference, and `loss`, a scalar with gradients; also `y_free` if
    the reference has it.

    `arrays` are those of the file under their names in it: `x (B, T, H, W, C)` (or `x_patch`) and `mask`.
    """
    # layouts
    reference = _reference(meta)
    patch = 1 if reference.forecasts else meta["config"].get("patch_size", 1)
    layout, sides = reference.layout, {"row": patch, "col": patch}
    theirs = layout.y.replace("c", f"({layout.channels})", 1)
    ours = "b t c (h row) (w col)"
    # inputs in our layout
    if "x" in arrays:
        frames = rearrange(arrays["x"], f"{layout.frames} -> b t c h w")
    else:
        patches = layout.frames.replace("c", f"({layout.channels})", 1)
        frames = rearrange(arrays["x_patch"], f"{patches} -> {ours}", **sides)
    if "target" in arrays:
        frames = torch.cat([frames, rearrange(arrays["target"], f"{layout.frames} -> b t c h w")], dim=1)
    initial = {key.removeprefix("init/"): array for key, array in arrays.items() if key.startswith("init/")}
    steps = frames.shape[1] - 1
    if "mask" in arrays:
        teacher = teacher_mask(arrays["mask"], steps)
    else:
        teacher = torch.ones(len(frames), steps, dtype=torch.bool)
    state = reference.state(model, initial)
    initial_state = {} if state is None else {"state": state}
    # run, and return the results in the layout of the reference
    if reference.terms:
        model.training = True  # this module's alone: its layers keep their mode
    prediction = model(frames, teacher, arrays.get("actions"), **initial_state)
    predicted = prediction.frames[:, layout.first :]
    loss = reference.loss(predicted - frames[:, -predicted.shape[1] :]) + sum(prediction.losses.values())
    if reference.forecasts:
        context = arrays["x"].shape[1]
        return {"y": model.forecast(frames[:, :context], steps + 1 - context), "loss": loss}  # type: ignore[operator]
    result = {"y": rearrange(predicted, f"{ours} -> {theirs}", **sides), "loss": loss}
    if reference.free:
        context = meta["config"]["input_length"]
        free = model(frames[:, :context], free_running(len(frames), context, steps + 1 - context)).frames
        result["y_free"] = rearrange(free, f"{ours} -> {theirs}", **sides)
    return result


def teacher_mask(mask: Tensor, steps: int) -> Tensor:
    """The reference's `mask (B, n, ...)`, n <= steps, as a teacher mask `(B, steps)`. It covers the last n steps: those after the
    context in scheduled sampling, all but the first in reverse scheduled sampling; the other steps are fed the observed frame
    (docs/specification.md, section 0)."""
    flips = mask.flatten(2)[:, :, 0] > 0.5
    return torch.cat([flips.new_ones(len(flips), steps - flips.shape[1]), flips], dim=1)


def _reference(meta: Meta) -> Reference:
    if meta["model"] not in REFERENCES:
        raise DataError(f"unknown published implementation {meta['model']!r}", remedy=f"known: {', '.join(REFERENCES)}")
    return REFERENCES[meta["model"]]


def _shape(meta: Meta, weights: Weights) -> FrameShape:
    """The shape of the frames of a reference, from the settings in a parity file."""
    settings = meta["config"]
    if "in_shape" in settings:
        context, channels, height, width = settings["in_shape"]
        return FrameShape(channels, height, width, context, settings.get("aft_seq_length", context))
    if "img" in settings:
        side, context = settings["img"], settings["pre_seq_length"]
        return FrameShape(settings["C"], side, side, context, settings["aft_seq_length"])
    if "seq_len" in settings:
        side = settings["image"]
        return FrameShape(settings["channels"], side, side, settings["seq_len"], settings["pre_len"])
    width, context = settings["img_width"], settings["input_length"]
    channels = settings.get("img_channel") or weights["conv_last.weight"].shape[0] // settings["patch_size"] ** 2
    return FrameShape(
        channels,
        settings.get("img_height", width),
        width,
        context,
        settings["total_length"] - context,
        settings.get("num_action_ch", 0) if "action_conv_input1.weight" in weights else 0,
    )
