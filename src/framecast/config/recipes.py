"""Recipes: YAML files of published tables, one row of which is read as an experiment.

A recipe has a `base` and `rows` that differ from it; `radar#predrnn_v2` names a row. A row with another model keeps the `hidden`
channels of the base, unless it gives its own or that model counts them in another way. A recipe is a path or, if no such file
exists, the name of one of the package (`framecast/recipes`): `radar`, `radar.yaml` and `recipes/radar.yaml` are the same
recipe. An override `key=value`, `model.hidden=[64,64]`, changes a setting. This module reads recipes only, not the data that
they name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields
from functools import cache, lru_cache
from pathlib import Path
from shlex import quote
from typing import Any, get_args, get_type_hints

from framecast.checks import as_path, as_tuple, describe, ensure_folder, refuses_arrays
from framecast.config.earlier import model_settings
from framecast.config.experiment import Experiment
from framecast.config.parsing import check_keys, merge, nearest, parse, plain
from framecast.data.datasets import Data
from framecast.errors import ArgumentError, ConfigError, shown
from framecast.models import Model
from framecast.reading.paths import is_file, read_text
from framecast.reading.plain_data import DEPTH, parse_yaml
from framecast.writing import write_text

PACKAGED = Path(__file__).parents[1] / "recipes"


@dataclass(frozen=True)
class Recipe:
    """A recipe of the package: the title of the table, its publication, and the names of its rows."""

    title: str
    source: str | None
    rows: tuple[str, ...]


def recipes() -> dict[str, Recipe]:
    """The recipes of the package by name: `train(f"{name}#{row}")` trains a row of one."""
    content = {name: _content(path) for name, path in _package_files().items()}
    return {name: Recipe(title_of(name), each.get("source"), tuple(each["rows"])) for name, each in content.items()}


@refuses_arrays
def copy_recipe(name: str, folder: str | Path = ".") -> Path:
    """Copy the recipe `name` of the package into a folder, to be changed there, and return the path of the copy. Raises
    `ConfigError` for another name and if the copy exists already."""
    known = _package_files()
    if not isinstance(name, str):
        raise ArgumentError(f"{describe(name)} given, expected the name of a recipe", parameter="name")
    if name not in known:
        raise ConfigError(
            f"no recipe of that name{nearest(name, known)}", where=name, remedy=f"one of: {', '.join(known)}"
        )
    copy = ensure_folder(folder, "copy") / known[name].name
    if copy.exists():
        raise ConfigError("exists already", where=copy, remedy="copy it into another folder, or remove it")
    write_text(copy, known[name].read_text())
    return copy


def read(
    recipe: str | Path,
    overrides: Sequence[str] = (),
    *,
    path: str | None = None,
    saved: bool = False,
    reduced: bool = False,
) -> Experiment:
    """The experiment of `recipe` (a file or the name of a recipe of the package, with "#row" for one row of it), changed by
    `overrides` ("key=value"); `path`, if given, replaces `data.path`. With `saved` it is the file of a run, maybe of an earlier
    version. With `reduced` it has the settings of the reduced form (`config/reduced.py`).

    Raises `ConfigError` with the file, the key and the expected value, and for a table of several rows if no row is named.
    """
    file, row = _split(as_path(recipe, "a recipe, such as radar#predrnn_v2", "recipe"))
    settings = _settings(file, row)
    if reduced:
        settings = _reduce(settings, reduction(file), _rows(file).get(row) or {})
    if saved and isinstance(settings.get("model"), Mapping):
        settings["model"] = model_settings(settings["model"])
    for override in sorted(
        map(str, as_tuple(overrides, "settings")), key=lambda text: not text.partition("=")[0].endswith(".name")
    ):
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise ConfigError(f"{shown(override)} is not of the form key=value", where="settings")
        inside = text.startswith(("{", "["))
        quoted = """such as test: ["*2017*"]""" if inside else quote(f"{key}={json.dumps(text)}")
        nested: Any = parse_yaml(text, f"settings, {key}", f"quote a path or a word for YAML too: {quoted}")
        for part in reversed(key.split(".", DEPTH)):
            nested = {part: nested}
        settings = merge(settings, nested)
    if path is not None:
        _check_has_path(settings.get("data"), str(recipe))
        settings = merge(settings, {"data": {"path": path}})
    experiment: Experiment = parse(Experiment, settings, where=str(recipe))
    return experiment


def rows(recipe: str | Path) -> list[str]:
    """The names of the rows of a recipe, a file or a name. Raises `ConfigError`."""
    return list(_rows(_find_file(str(recipe))))


@dataclass(frozen=True)
class Published:
    """What a paper prints of a row, and how it is to be read: `scores` by name, their `convention`, the `horizon` if it is not
    that of training, the units of the levels in names such as csi_30, the row `against` which it prints costs, and by name of a
    score (csi for all its levels) why it is `not_comparable`. Of a model that draws samples it prints the best of `best_of` for
    each window, by each score or by the one that `best_by` names, or the mean of `mean_of`. Raises `ConfigError` if both are
    given, less than 1, or another score."""

    scores: dict[str, float]
    convention: str = "default"
    horizon: int | None = None
    level_units: str | None = None
    against: str | None = None
    not_comparable: dict[str, str] = field(default_factory=dict)
    best_of: int | None = None
    best_by: str | None = None
    mean_of: int | None = None

    def __post_init__(self) -> None:
        if self.best_of is not None and self.mean_of is not None:
            raise ConfigError("the best and the mean of samples are given, expected one", where="paper.best_of")
        if self.samples < 0 or 0 in (self.best_of, self.mean_of):
            raise ConfigError("less than one sample is given", where="paper.best_of, paper.mean_of")
        if self.best_by is not None and (self.best_of is None or self.best_by not in self.scores):
            raise ConfigError(f"{shown(self.best_by)} is no score of the best of samples here", where="paper.best_by")

    @property
    def samples(self) -> int:
        """The number of samples of which it prints scores, 0 of a single forecast."""
        return self.best_of or self.mean_of or 0


def published(recipe: str | Path, row: str) -> Published | None:
    """What is published of a row: its `paper`, and what that of the base says of all rows; None without scores. Raises
    `ConfigError`."""
    file = _find_file(str(recipe))
    base, own = (each.get("paper") or {} for each in (_content(file).get("base") or {}, _rows(file).get(row) or {}))
    for each in (base, own):
        if not isinstance(each, dict):
            raise ConfigError(f"{shown(each)} given, expected scores by name", where=f"{file}, rows.{row}.paper")
    if not own:
        return None
    reasons = {"not_comparable": {**base.get("not_comparable", {}), **own.get("not_comparable", {})}}
    kinds = {each.name: get_type_hints(Published)[each.name] for each in fields(Published) if each.name != "scores"}
    values = {
        str(name): parse(kinds.get(name, float), value, where=f"{file}, rows.{row}.paper.{name}")
        for name, value in {**base, **own, **reasons}.items()
    }
    scores = {name: value for name, value in values.items() if name not in kinds}
    return Published(scores, **{name: value for name, value in values.items() if name in kinds})


def published_scores(recipe: str | Path, row: str) -> dict[str, Any]:
    """The published scores of a row, their `convention`, and their `horizon` if it is not that of training; empty if there are
    none. Raises `ConfigError`."""
    known = published(recipe, row)
    if known is None:
        return {}
    horizon = {} if known.horizon is None else {"horizon": known.horizon}
    return {**known.scores, "convention": known.convention, **horizon}


def title_of(recipe: str | Path) -> str:
    """The title of a recipe; the name of its file if it has none. Raises `ConfigError`."""
    file = _find_file(str(recipe))
    return str(_content(file).get("title", file.stem))


def reduction(recipe: str | Path) -> dict[str, Any]:
    """What a recipe says of its reduced form, as plain data. Raises `ConfigError` if it has none."""
    file = _find_file(str(recipe))
    content = _content(file).get("reduced")
    if not isinstance(content, dict):
        raise ConfigError("has no reduced form", where=file, remedy="add reduced: {settings: {...}, tables: {...}}")
    return content


def _reduce(settings: dict[str, Any], content: dict[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """The `settings` of a row in the reduced form. What a row says of its model takes the place of what all rows have."""
    common, own = content.get("settings") or {}, row.get("reduced") or {}
    if "model" in own:
        common = {key: value for key, value in common.items() if key != "model"}
    reduced: dict[str, Any] = merge(merge(settings, common), own)
    return reduced


def origins(recipe: str | Path, row: str) -> dict[str, str]:
    """Whose each group of settings of a row is, by the name of the group: "paper", "script" (the released one) or "ours", with
    what differs; empty if the recipe does not say. Raises `ConfigError`."""
    file = _find_file(str(recipe))
    parts = (_content(file).get("base") or {}, _rows(file).get(row) or {})
    return {str(key): str(value) for part in parts for key, value in (part.get("origin") or {}).items()}


@cache
def _package_files() -> dict[str, Path]:
    """The files of the recipes in the package, by name."""
    return {path.stem: path for path in sorted(PACKAGED.glob("*.yaml"))}


def _split(recipe: str | Path) -> tuple[Path, str]:
    """The file of a recipe and the name of a row, empty if none is named. Raises `ConfigError`."""
    if is_file(recipe):  # the name of a folder may contain "#"
        return Path(recipe), ""
    name, _, row = str(recipe).partition("#")
    return _find_file(name), row


def _find_file(name: str) -> Path:
    """The file at the path `name`, else the recipe of the package with that name. Raises `ConfigError`."""
    path = Path(name)
    if is_file(path):
        return path
    known = _package_files()
    if path.parent in (Path("."), Path("recipes")) and path.suffix in ("", ".yaml") and path.stem in known:
        return known[path.stem]
    raise ConfigError(
        f"no such file, and no recipe of that name{nearest(path.stem, known)}",
        where=name,
        remedy=f"use the path of a recipe, or one of: {', '.join(known)}",
    )


def _check_has_path(data: Any, where: str) -> None:
    """Raise `ConfigError` if the settings are those of a generated data set, which has no path."""
    name = data.get("name") if isinstance(data, Mapping) else None
    if any(kind.name == name and "path" not in {each.name for each in fields(kind)} for kind in get_args(Data)):
        raise ConfigError(
            f"{name} is generated and takes no other data",
            where=where,
            remedy="add the setting data.name=archive, for frames that framecast.open reads",
        )


@lru_cache(maxsize=16)
def _parsed(text: str, file: Path) -> Any:
    """The content of a recipe, parsed once for all its rows."""
    return parse_yaml(text, file)


def _content(file: Path) -> dict[str, Any]:
    content = deepcopy(_parsed(read_text(file), file))
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
    check_keys(content, ("base", "rows", "title", "source", "reduced"), str(file))
    known = _rows(file)
    if not row and len(known) == 1:
        row = next(iter(known))
    if not row and known:
        name = file.stem if file in _package_files().values() else file
        raise ConfigError(f"has {len(known)} rows", where=name, remedy=f"name one: {name}#ROW, of {', '.join(known)}")
    if row and row not in known:
        raise ConfigError(f"no row {shown(row)}{nearest(row, known)}", where=file, remedy=f"rows: {', '.join(known)}")
    if not isinstance(content["base"], dict):
        raise ConfigError(f"{shown(content['base'])} given, expected settings by name", where=f"{file}, base")
    base, difference = (
        {key: value for key, value in part.items() if key not in ("paper", "origin", "reduced")}
        for part in (content["base"], known.get(row) or {})
    )
    settings: dict[str, Any] = merge(base, difference)
    settings["model"] = _keep_hidden(base.get("model"), settings.get("model"))
    return settings


def _rows(file: Path) -> dict[str, Any]:
    """The rows of a recipe by name, each a mapping or nothing; none if it has none."""
    known = _content(file).get("rows") or {}
    if not isinstance(known, dict) or not all(isinstance(each or {}, dict) for each in known.values()):
        raise ConfigError("rows are not settings by name", where=file, remedy="rows: {NAME: {KEY: VALUE, ...}, ...}")
    return known


def _keep_hidden(base: Any, model: Any) -> Any:
    """The settings of a row's `model`, with the `hidden` channels of the base in it, or in its backbone, if they have none."""
    if not isinstance(base, Mapping) or not isinstance(model, Mapping) or not isinstance(base.get("hidden"), list):
        return model
    known = {kind.name: kind for kind in get_args(Model)}
    kind = known.get(model.get("name"))
    if kind is None or "hidden" in model:
        return model
    names = {each.name: each for each in fields(kind)}
    if isinstance(getattr(names.get("hidden"), "default", None), tuple):
        return {**model, "hidden": base["hidden"]}
    if "backbone" in names:
        default = {key: value for key, value in plain(names["backbone"].default).items() if key != "hidden"}
        backbone = model.get("backbone", default)
        return {**model, "backbone": {"hidden": base["hidden"], **backbone}} if isinstance(backbone, Mapping) else model
    return model
