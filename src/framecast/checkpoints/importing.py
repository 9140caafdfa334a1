"""Imports checkpoints of published implementations as framecast models.

It reads the weights without running code in the checkpoint, translates their names by the rows of `reference.REFERENCES`, and
saves them as a model folder. The caller states what the checkpoint does not contain: frame size, patch, lengths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from framecast.checkpoints.model_folder import ModelCard, save
from framecast.checkpoints.published import reference
from framecast.checkpoints.published.weights import read_weights
from framecast.checks import refuses_arrays
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
        "tau",
    ),
}
"""The models of each published repository, as names of `reference.REFERENCES`."""

_DEFAULTS: dict[str, dict[str, Any]] = {
    "predrnn_v2": {"decouple_beta": 0.1},
    "predrnn_action": {"decouple_beta": 0.1, "res_on_conv": 1},
    "motionrnn_predrnn": {"alpha": 0.5},
    "modernn_slots_action": {"res_on_conv": 1},
    "modernn_dcb": {"dcb_iterations": 5},
    "tctn": {"n_heads": 1},
    "tau": {"alpha": 0.1},
}
"""Settings that the weights of a reference do not contain, with the values of the published scripts."""
PATCH = 4
"""The patch of the published scripts. A wrong one does not fit the weights, but for those of `WITHOUT_PATCH`."""
WITHOUT_PATCH = ("phydnet",)
"""References whose weights have the same shapes for every patch: it must be given."""


@dataclass(frozen=True)
class ImportResult:
    """An imported model, the name of its reference, and the keys of the checkpoint that the reference never uses. `assumed` are
    the settings that no weight contains and that were not given, with the values of the published scripts."""

    reference: str
    model: nn.Module
    card: ModelCard
    unused: tuple[str, ...]
    assumed: dict[str, Any] = field(default_factory=dict)


@refuses_arrays
def import_checkpoint(
    path: str | Path,
    source: str,
    shape: FrameShape,
    *,
    patch: int | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
) -> ImportResult:
    """Import a checkpoint of `source`, one of `SOURCES`, for frames of `shape`; with `out`, save the model in that new folder.

    `settings` are those of the published code that the weights do not contain (`alpha`, `n_heads`, ...), if they differ from the
    published scripts. `patch` is that of the published code, 4 by default; PhyDNet needs it, as its weights do not tell it.
    Raises `ArgumentError` for an unknown source or setting, for a missing patch and if `out` exists, and `DataError` if no model
    of the source fits, with the missing and unknown keys.
    """
    # check the arguments, and read the weights
    if source not in SOURCES:
        raise ArgumentError(f"unknown source {source!r}", parameter="source", remedy=f"one of: {', '.join(SOURCES)}")
    if out is not None and Path(out).exists():
        raise ArgumentError(f"{out} exists already", parameter="out", remedy="name another folder")
    given = dict(settings or {})
    known = {key: None for name in SOURCES[source] for key in _DEFAULTS.get(name, {})}
    if unknown := [key for key in given if key not in known]:
        raise ArgumentError(
            f"{source} has no setting {unknown[0]!r} that weights do not contain",
            parameter="settings",
            remedy=f"settings of it: {', '.join(known) or 'none'}",
        )
    weights = read_weights(Path(path))
    # try the models of the source in turn
    failures = []
    for name in SOURCES[source]:
        defaults = _DEFAULTS.get(name, {})
        meta = {"model": name, "config": {"patch_size": patch or PATCH, **defaults, **given}}
        try:
            model = reference.load(meta, weights, shape).eval()
        except (FramecastError, KeyError, IndexError, ZeroDivisionError) as error:
            failures.append(f"{name}: {error.what if isinstance(error, FramecastError) else f'no {error}'}")
            continue
        # the first that fits
        if name in WITHOUT_PATCH and patch is None:
            raise ArgumentError(
                f"the weights of {name} fit every patch", parameter="patch", remedy="give that of the training: 2 or 4"
            )
        assumed = {key: value for key, value in defaults.items() if key not in given}
        used = reference.names(meta, weights)
        card = ModelCard(reference.config_of(meta, weights), Unit(), INTENSITY, shape, None)
        if out is not None:
            save(Path(out), model, card)
        return ImportResult(name, model, card, tuple(key for key in weights if key not in used), assumed)
    raise DataError(
        f"fits no model of {source}; " + "; ".join(failures),
        where=path,
        remedy="check the source, the shape of the frames and the patch size",
    )
