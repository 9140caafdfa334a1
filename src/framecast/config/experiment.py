"""An experiment: data, model, curriculum, loss, optimiser and training, read from a recipe.

A recipe is a YAML file with a `base` and `rows` that differ from it; `recipes/radar.yaml#predrnn_v2` names a row. Single
settings are changed by `key=value`, `model.hidden=[64,64]`. How they become configs is told in `settings`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from shlex import quote
from typing import Any, Literal, get_args

import yaml

from framecast.checks import several
from framecast.config.parsing import check_keys, merged, nearest, parse, schema_of
from framecast.curriculum import Curriculum, NoSampling
from framecast.data.datasets import Data
from framecast.errors import ConfigError
from framecast.losses import L2, Loss
from framecast.models import Model
from framecast.types import config


@config
class Optimiser:
    """AdamW (Adam where `weight_decay` is 0). `clip` is the largest norm of the gradient. `schedule` leads from
    `learning_rate` to 0 (cosine) or up to it within `warmup` iterations and down again (one_cycle); a `warmup` rises
    linearly before any of them."""

    learning_rate: float = 3e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    clip: float | None = None
    schedule: Literal["constant", "cosine", "one_cycle"] = "constant"
    warmup: int = 0

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise ConfigError(f"{self.learning_rate} must be greater than 0", where="optimiser.learning_rate")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"{list(self.betas)} must be at least 0 and below 1", where="optimiser.betas")
        if self.clip is not None and not self.clip > 0:
            raise ConfigError(
                f"{self.clip} must be greater than 0", where="optimiser.clip", remedy="null clips nothing"
            )
        for name in ("weight_decay", "warmup"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{getattr(self, name)} must be at least 0", where=f"optimiser.{name}")


@config
class Training:
    """How long, how often, on what. `iterations`, `log_every`, `validate_every` and `checkpoint_every` count iterations; with
    `reverse_time` each of them makes a second optimiser step on the reversed sequence. `workers` threads load windows. `ema` is
    the decay of an average of the weights that is then validated and saved. After `max_skipped` losses in a row that are not
    finite, training stops. `accelerator` to `strategy` go to Lightning Fabric as they are. With `graph`, a step on a GPU is
    recorded once and played back, which takes from it the time of starting thousands of small operations. With `deterministic`,
    GPUs use only algorithms that give the same result every time, or training stops with their name. `mlflow` is the address of
    an MLflow server (its tracking URI) that is sent the curves as well."""

    iterations: int = 80_000
    batch_size: int = 8
    seed: int = 0
    workers: int = 2
    reverse_time: bool = False
    ema: float | None = None
    max_skipped: int = 10
    log_every: int = 20
    validate_every: int = 1_000
    validation_windows: int = 64
    checkpoint_every: int = 500
    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    compile: bool = False
    graph: bool = False
    deterministic: bool = False
    mlflow: str | None = None

    def __post_init__(self) -> None:
        for name in ("iterations", "batch_size", "max_skipped", "log_every", "validate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{getattr(self, name)} must be at least 1", where=f"training.{name}")
        for name in ("seed", "workers", "validation_windows"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{getattr(self, name)} must be at least 0", where=f"training.{name}")
        if self.ema is not None and not 0 < self.ema < 1:
            raise ConfigError(f"{self.ema} must lie between 0 and 1", where="training.ema")


@config
class Experiment:
    """Everything that decides the result of a training run."""

    data: Data
    model: Model
    curriculum: Curriculum = NoSampling()
    loss: Loss = L2()
    optimiser: Optimiser = Optimiser()
    training: Training = Training()


def read(recipe: str | Path, overrides: Sequence[str] = (), *, path: str | None = None) -> Experiment:
    """The experiment that `recipe` ("file.yaml" or "file.yaml#row") and `overrides` ("key=value") describe; `path` is where
    its data are, whatever those say.

    Raises `ConfigError` naming the file, the key and what was expected.
    """
    name, _, row = str(recipe).partition("#")
    settings = _settings(Path(name), row)
    for override in sorted(
        map(str, several(overrides, "settings")), key=lambda text: not text.partition("=")[0].endswith(".name")
    ):
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise ConfigError(f"{override!r} is not of the form key=value", where="command line")
        inside = text.startswith(("{", "["))
        quoted = """such as test: ["*2017*"]""" if inside else quote(f"{key}={json.dumps(text)}")
        nested: Any = _yaml(text, f"command line, {key}", f"quote a path or a word for YAML too: {quoted}")
        for part in reversed(key.split(".")):
            nested = {part: nested}
        settings = merged(settings, nested)
    if path is not None:
        _check_has_path(settings.get("data"), str(recipe))
        settings = merged(settings, {"data": {"path": path}})
    experiment: Experiment = parse(Experiment, settings, where=str(recipe))
    return experiment


def _check_has_path(data: Any, where: str) -> None:
    """Raise `ConfigError` for the settings of data that are generated."""
    name = data.get("name") if isinstance(data, Mapping) else None
    if any(kind.name == name and "path" not in {each.name for each in fields(kind)} for kind in get_args(Data)):
        raise ConfigError(
            f"{name} is generated and takes no other data",
            where=where,
            remedy="add the setting data.name=archive, for frames that framecast.open reads",
        )


def rows(file: str | Path) -> list[str]:
    """The names of the rows of a recipe. Raises `ConfigError`."""
    return list(_content(Path(file)).get("rows") or {})


def printed(file: str | Path, row: str) -> dict[str, Any]:
    """The scores that are printed for a row, their `convention`, and the `horizon` they are over where that is not the
    one of training; nothing where none are printed. Raises `ConfigError`."""
    return dict((_content(Path(file)).get("rows") or {}).get(row, {}).get("paper") or {})


def _content(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read ({error})", where=file, remedy="give the path of a recipe") from error
    content = _yaml(text, str(file))
    if not isinstance(content, dict):
        raise ConfigError("is not a recipe", where=file, remedy="expected keys base and rows, or data, model, ...")
    return content


def _settings(file: Path, row: str) -> dict[str, Any]:
    """The settings of a row of a recipe, or of a plain experiment file."""
    content = _content(file)
    if "base" not in content:
        if row:
            raise ConfigError(f"has no rows, so no row {row!r}", where=file)
        return content
    check_keys(content, ("base", "rows", "title", "source"), str(file))
    known = content.get("rows") or {}
    if not isinstance(known, dict) or not all(isinstance(each or {}, dict) for each in known.values()):
        raise ConfigError("rows are not settings by name", where=file, remedy="rows: {NAME: {KEY: VALUE, ...}, ...}")
    if not row and len(known) == 1:
        row = next(iter(known))
    if row and row not in known:
        raise ConfigError(f"no row {row!r}{nearest(row, known)}", where=file, remedy=f"rows: {', '.join(known)}")
    difference = {key: value for key, value in (known.get(row) or {}).items() if key != "paper"}
    settings: dict[str, Any] = merged(content["base"], difference)
    return settings


def _yaml(text: str, where: str, remedy: str | None = None) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"is not YAML: {error}", where=where, remedy=remedy) from error


def schema() -> dict[str, Any]:
    """The JSON schema of an experiment, for editors."""
    return schema_of(Experiment)
