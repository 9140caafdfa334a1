"""An experiment: data, model, curriculum, loss, optimiser and training, read from a recipe.

A recipe is a YAML file with a `base` and `rows` that differ from it; `recipes/radar.yaml#predrnn_v2` names a row. Single
settings are changed by `key=value`, `model.hidden=[64,64]`. Every key is checked; every value is validated by pydantic,
which appears here and where saved models are read, and nowhere else. Where a setting is one of several kinds, its `name`
says which; giving another name starts from that kind's defaults.
"""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import importlib
import json
import re
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from framecast.checks import several
from framecast.curriculum import Curriculum, NoSampling
from framecast.data.config import Data
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


def read(recipe: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment that `recipe` ("file.yaml" or "file.yaml#row") and `overrides` ("key=value") describe.

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
        quoted = quote(f"{key}={json.dumps(text)}")
        nested: Any = _yaml(text, f"command line, {key}", f"quote a path or a word for YAML too: {quoted}")
        for part in reversed(key.split(".")):
            nested = {part: nested}
        settings = merged(settings, nested)
    experiment: Experiment = parse(Experiment, settings, where=str(recipe))
    return experiment


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
    _known(content, ("base", "rows", "title", "source"), str(file))
    known = content.get("rows") or {}
    if not isinstance(known, dict) or not all(isinstance(each or {}, dict) for each in known.values()):
        raise ConfigError("rows are not settings by name", where=file, remedy="rows: {NAME: {KEY: VALUE, ...}, ...}")
    if not row and len(known) == 1:
        row = next(iter(known))
    if row and row not in known:
        raise ConfigError(f"no row {row!r}{_nearest(row, known)}", where=file, remedy=f"rows: {', '.join(known)}")
    difference = {key: value for key, value in (known.get(row) or {}).items() if key != "paper"}
    settings: dict[str, Any] = merged(content["base"], difference)
    return settings


def _yaml(text: str, where: str, remedy: str | None = None) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"is not YAML: {error}", where=where, remedy=remedy) from error


def merged(base: Any, difference: Any) -> Any:
    """`base` with `difference` laid over it, mapping by mapping; another `name` starts from nothing."""
    if not isinstance(base, Mapping) or not isinstance(difference, Mapping):
        return difference
    if "name" in difference and difference["name"] != base.get("name", difference["name"]):
        return dict(difference)
    return {**base, **{key: merged(base.get(key), value) for key, value in difference.items()}}


def parse(kind: Any, value: Any, *, where: str, default: Any = dataclasses.MISSING) -> Any:
    """`value`, plain data, as `kind`: a config, one of several configs by `name`, or anything pydantic validates.

    `where` names the place for messages; `default` is what stands where the value is absent. Raises `ConfigError`.
    """
    options: list[Any] = [option for option in _options(kind) if dataclasses.is_dataclass(option)]
    if get_origin(kind) is tuple and dataclasses.is_dataclass(get_args(kind)[0]) and isinstance(value, list):
        return tuple(parse(get_args(kind)[0], each, where=f"{where}[{number}]") for number, each in enumerate(value))
    if not options or (value is None and types.NoneType in _options(kind)):
        return _leaf(kind, value, where, default)
    if not isinstance(value, Mapping):
        raise _not_settings(options, value, where)
    chosen = options[0] if len(options) == 1 else _by_name(options, value, where, default)
    hints = get_type_hints(chosen)
    fields = {field.name: field for field in dataclasses.fields(chosen)}
    _known(value, tuple(fields), where)
    missing = [name for name, field in fields.items() if field.default is dataclasses.MISSING and name not in value]
    if missing:
        raise ConfigError(f"{', '.join(missing)} must be given", where=where)
    read = {
        key: parse(hints[key], part, where=f"{where}, {key}" if ", " not in where else f"{where}.{key}",
                   default=fields[key].default)
        for key, part in value.items()
    }  # fmt: skip
    return chosen(**read)


def _options(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _by_name(options: list[Any], value: Mapping[str, Any], where: str, default: Any) -> Any:
    """The config whose `name` the value gives, or `package.module:Config` of an outsider's model."""
    names = {option.name: option for option in options}
    name = value.get("name", getattr(default, "name", None))
    if name in names:
        return names[name]
    if isinstance(name, str) and ":" in name and set(options) == set(get_args(Model)):
        return outsider(name, where)
    what = "name must be given" if name is None else f"name {name!r} is not known{_nearest(str(name), names)}"
    raise ConfigError(what, where=where, remedy=f"one of: {', '.join(names)}")


def outsider(name: str, where: str) -> Any:
    """The config class that "package.module:Config" names. Its field `name` must have that very text as default."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"model {name!r} cannot be imported ({error})", where=where) from error
    if not dataclasses.is_dataclass(found) or not hasattr(found, "build"):
        raise ConfigError(f"{name!r} is not a model's config", where=where, remedy="see docs/adding_a_model.md")
    return found


def _not_settings(options: list[Any], value: Any, where: str) -> ConfigError:
    """What to say of a value in place of the settings of a config, or of one of several: `loss=l1` for `loss.name=l1`."""
    names = [option.name for option in options if hasattr(option, "name")]
    what = f"{_shown(value)} given, expected settings, {{{'name: NAME, ' if names else ''}KEY: VALUE, ...}}"
    if value in names:
        return ConfigError(what, where=where, remedy=f"{_key(where)}.name={value}")
    if names:
        remedy = f"one by one: {_key(where)}.KEY=VALUE; name is one of: {', '.join(names)}"
    else:
        remedy = f"known: {', '.join(field.name for field in dataclasses.fields(options[0]))}"
    return ConfigError(what, where=where, remedy=remedy)


def _leaf(kind: Any, value: Any, where: str, default: Any) -> Any:
    try:
        return _validated(kind, value)
    except ValueError as error:
        key, spelt = _key(where), _spelt(kind, value, default)
        setting = f"{key.rpartition('.')[2]}: {spelt}" if "]" in key else f"{key}={spelt}"
        raise ConfigError(
            f"{_shown(value)} given, expected {_expected(kind)}",
            where=where,
            remedy=spelt and "such as " + (f"'{setting}'" if '"' in setting else setting),
        ) from error


def _validated(kind: Any, value: Any) -> Any:
    """Raises `ValueError`, also for a year in place of a date: pydantic takes it for seconds since 1970."""
    if "datetime" in str(kind) and isinstance(value, list) and any(str(each).isdecimal() for each in value):
        raise ValueError("a number is no date")
    return TypeAdapter(kind).validate_python(value)


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)


def _key(where: str) -> str:
    """The key in the name of a place, "recipe.yaml, data.size"."""
    return where.rpartition(", ")[2]


_WORDS = {
    bool: ("true or false", "of true and false"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "texts"),
    datetime.datetime: ("a date", "dates"),
    types.NoneType: ("null", ""),
}
"""Kinds of values in words: one, and many."""
_EXAMPLES: tuple[Any, ...] = (["2017-01-01", "2018-01-01"], [64, 64], 0.5, 8, [{"path": "terrain.tif"}])


def _expected(kind: Any) -> str:
    """In words what a value must be."""
    parts = get_args(kind)
    if len(options := _options(kind)) > 1:
        return " or ".join(_expected(option) for option in options)
    if get_origin(kind) is Literal:
        return " or ".join(map(str, parts))
    if get_origin(kind) is tuple:
        many = _WORDS.get(parts[0], ("", "settings in braces"))[1]
        return f"a list of {many}" if parts[-1] is ... else f"a list of {len(parts)} {many}"
    return _WORDS[kind][0] if kind in _WORDS else getattr(kind, "__name__", str(kind))


def _spelt(kind: Any, value: Any, default: Any) -> str | None:
    """A value of this kind as it is written in YAML: made of what was given where that can be, else the default or an
    example; None where there is none."""
    numbers = [yaml.safe_load(number) for number in re.findall(r"\d+(?:\.\d+)?", str(value))]
    texts = (
        [list(map(str, value))] if isinstance(value, list) else [str(value)] if isinstance(value, int | float) else []
    )
    nothing = [None] if value == "None" else []
    for candidate in (*nothing, numbers, [value], *texts, default, *_EXAMPLES):
        if candidate in (dataclasses.MISSING, [], ()) or (candidate is None and not nothing):
            continue
        try:
            _validated(kind, candidate)
        except (ValueError, ConfigError):
            continue
        if isinstance(candidate, str) and yaml.safe_load(candidate) == candidate:
            return candidate
        return json.dumps(to_jsonable_python(candidate), separators=(",", ":"))
    return None


def _known(value: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    """Raise `ConfigError` for a key that is not known, with the nearest that is."""
    for key in value:
        if key not in known:
            raise ConfigError(
                f"unknown key {key!r}{_nearest(str(key), known)}", where=where, remedy=f"known: {', '.join(known)}"
            )


def _nearest(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def plain(settings: Any) -> dict[str, Any]:
    """A config as plain data that YAML and JSON can hold, and that `parse` reads back."""
    content: dict[str, Any] = to_jsonable_python(dataclasses.asdict(settings))
    return content


def schema() -> dict[str, Any]:
    """The JSON schema of an experiment, for editors."""
    return TypeAdapter(Experiment).json_schema()
