"""Checkpoints of published implementations as framecast models.

Their weights are read without running any code in them, translated by the rows of `reference.REFERENCES`, and saved as a
model of ours with its card. What is in neither the checkpoint nor its weights (frame size, patch, lengths) has to be said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from framecast.checkpoints.model_folder import ModelCard, save
from framecast.checkpoints.published import reference
from framecast.checkpoints.published.weights import read_weights
from framecast.data.quantities import INTENSITY
from framecast.data.scaling import Unit
from framecast.errors import ArgumentError, DataError, FramecastError
from framecast.types import FrameShape

SOURCES: dict[str, tuple[str, ...]] = {
    "thuml-predrnn": ("predrnn", "predrnn_v2", "predrnn_action"),
    "thuml-motionrnn": ("motionrnn_predrnn",),
    "thuml-modernn": ("modernn_slots", "modernn_slots_action"),
    "czh98-modernn": ("modernn_dcb",),
    "tctn": ("tctn",),
    "openstl": (
        "convlstm",
        "predrnn",
        "predrnn_v2",
        "predrnnpp",
        "mim",
        "e3dlstm",
        "phydnet",
        "simvp",
    ),
}
"""What a repository publishes, by the names of `reference.REFERENCES`."""

_DEFAULTS: dict[str, Any] = {
    "alpha": 0.5,
    "decouple_beta": 0.1,
    "dcb_iterations": 5,
    "n_heads": 1,
    "res_on_conv": 1,
}
"""Settings that are in no weight, and how the published scripts have them."""


@dataclass(frozen=True)
class Imported:
    """What became of a checkpoint: the reference it is of, and the keys that it has and the reference never uses."""

    reference: str
    model: nn.Module
    card: ModelCard
    unused: tuple[str, ...]


def import_checkpoint(
    path: str | Path,
    source: str,
    shape: FrameShape,
    *,
    patch: int = 4,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
) -> Imported:
    """The model in a checkpoint of `source`, one of `SOURCES`, for frames of `shape`; with `out` it is saved as that new folder.

    `settings` are those of the published code that are in no weight (`alpha`, `n_heads`, ...), where they are not the usual
    ones. Raises `ArgumentError` for an unknown source and an `out` that exists, and `DataError` where no model of it fits, with
    the keys that are missing or unknown.
    """
    if source not in SOURCES:
        raise ArgumentError(f"unknown source {source!r}", parameter="source", remedy=f"one of: {', '.join(SOURCES)}")
    if out is not None and Path(out).exists():
        raise ArgumentError(f"{out} exists already", parameter="out", remedy="name another folder")
    weights = read_weights(Path(path))
    failures = []
    for name in SOURCES[source]:
        meta = {"model": name, "config": {**_DEFAULTS, "patch_size": patch, **(settings or {})}}
        try:
            model = reference.load(meta, weights, shape).eval()
        except (FramecastError, KeyError, IndexError, ZeroDivisionError) as error:
            failures.append(f"{name}: {error.what if isinstance(error, FramecastError) else f'no {error}'}")
            continue
        used = reference.names(meta, weights)
        card = ModelCard(reference.config_of(meta, weights), Unit(), INTENSITY, shape, None)
        if out is not None:
            save(Path(out), model, card)
        return Imported(name, model, card, tuple(key for key in weights if key not in used))
    raise DataError(
        f"fits no model of {source}; " + "; ".join(failures),
        where=path,
        remedy="check the source, the shape of the frames and the patch size",
    )
