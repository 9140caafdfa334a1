"""Imports checkpoints of published implementations as framecast models.

It reads the weights without running code in the checkpoint, translates their names by the rows of `reference.REFERENCES`, and
saves them as a model folder. The caller states what the checkpoint does not contain: frame size, patch, lengths.
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
"""The models of each published repository, as names of `reference.REFERENCES`."""

_DEFAULTS: dict[str, Any] = {
    "alpha": 0.5,
    "decouple_beta": 0.1,
    "dcb_iterations": 5,
    "n_heads": 1,
    "res_on_conv": 1,
}
"""Settings that the weights do not contain, with the values of the published scripts."""


@dataclass(frozen=True)
class ImportResult:
    """An imported model, the name of its reference, and the keys of the checkpoint that the reference never uses."""

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
) -> ImportResult:
    """Import a checkpoint of `source`, one of `SOURCES`, for frames of `shape`; with `out`, save the model in that new folder.

    `settings` are those of the published code that the weights do not contain (`alpha`, `n_heads`, ...), if they differ from the
    published scripts. Raises `ArgumentError` for an unknown source and if `out` exists, and `DataError` if no model of the source
    fits, with the missing and unknown keys.
    """
    # check the arguments, and read the weights
    if source not in SOURCES:
        raise ArgumentError(f"unknown source {source!r}", parameter="source", remedy=f"one of: {', '.join(SOURCES)}")
    if out is not None and Path(out).exists():
        raise ArgumentError(f"{out} exists already", parameter="out", remedy="name another folder")
    weights = read_weights(Path(path))
    # try the models of the source in turn
    failures = []
    for name in SOURCES[source]:
        meta = {"model": name, "config": {**_DEFAULTS, "patch_size": patch, **(settings or {})}}
        try:
            model = reference.load(meta, weights, shape).eval()
        except (FramecastError, KeyError, IndexError, ZeroDivisionError) as error:
            failures.append(f"{name}: {error.what if isinstance(error, FramecastError) else f'no {error}'}")
            continue
        # the first that fits
        used = reference.names(meta, weights)
        card = ModelCard(reference.config_of(meta, weights), Unit(), INTENSITY, shape, None)
        if out is not None:
            save(Path(out), model, card)
        return ImportResult(name, model, card, tuple(key for key in weights if key not in used))
    raise DataError(
        f"fits no model of {source}; " + "; ".join(failures),
        where=path,
        remedy="check the source, the shape of the frames and the patch size",
    )
