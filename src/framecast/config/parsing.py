"""Parses plain data, the content of YAML and JSON, into configs, and explains errors in plain language.

Every key is checked; every value is validated by pydantic, which is used in this module only. If a setting is a union of configs,
its `name` selects one; another name starts from the defaults of that config. This module reads no files.
"""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import importlib
import json
import math
import re
import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import AllowInfNan, BeforeValidator, Strict, TypeAdapter
from pydantic_core import to_jsonable_python

from framecast.checks import plugins
from framecast.errors import ArgumentError, ConfigError, shown
from framecast.models import Model
from framecast.reading.plain_data import parse_yaml


def merge(base: Any, difference: Any) -> Any:
    """`base` updated by `difference`, recursively; a mapping with another `name` replaces that of `base`."""
    if not isinstance(base, Mapping) or not isinstance(difference, Mapping):
        return difference
    if "name" in difference and difference["name"] != base.get("name", difference["name"]):
        return dict(difference)
    return {**base, **{key: merge(base.get(key), value) for key, value in difference.items()}}


def parse(kind: Any, value: Any, *, where: str, default: Any = dataclasses.MISSING) -> Any:
    """Parse `value`, plain data, as `kind`: a config, a union of configs selected by `name`, or any type that pydantic validates.

    `where` is the place for messages. `default` is the value of the setting without `value`; if it is a config of the same class,
    its fields are the defaults of those that `value` omits. Raises `ConfigError`.
    """
    options: list[Any] = [option for option in _options(kind) if dataclasses.is_dataclass(option)]
    if get_origin(kind) is tuple and dataclasses.is_dataclass(get_args(kind)[0]) and isinstance(value, list):
        return tuple(parse(get_args(kind)[0], each, where=f"{where}[{number}]") for number, each in enumerate(value))
    if not options or (value is None and types.NoneType in _options(kind)):
        return _parse_value(kind, value, where, default)
    if not isinstance(value, Mapping):
        raise _not_settings_error(options, value, where)
    config_class = options[0] if len(options) == 1 else _class_by_name(options, value, where, default)
    hints = get_type_hints(config_class)
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    check_keys(value, tuple(fields), where)
    missing = [name for name, field in fields.items() if field.default is dataclasses.MISSING and name not in value]
    if missing:
        raise ConfigError(f"{', '.join(missing)} must be given", where=where)
    values = {
        key: parse(hints[key], part, where=f"{where}, {key}" if ", " not in where else f"{where}.{key}",
                   default=fields[key].default)
        for key, part in value.items()
    }  # fmt: skip
    try:
        return dataclasses.replace(default, **values) if isinstance(default, config_class) else config_class(**values)
    except ArgumentError as error:  # the config knows its parameter, the place in the recipe is known here
        if error.where is not None or error.parameter is None:
            raise
        raise ConfigError(error.what, where=_place(where, error.parameter), remedy=error.remedy) from error
    except ConfigError as error:  # it knows its place among the settings, the file is known here
        source, place = where.partition(", ")[0], str(error.where or "")
        if not place or source in place or ", " in place:
            raise
        raise ConfigError(
            error.what,
            where=f"{source}, {place}",
            remedy=error.remedy,
            parameter=error.parameter,
            example=error.example,
        ) from error


def _place(where: str, parameter: str) -> str:
    """The place of a parameter of the config at `where`, which may be that config itself (the `zr` of a scaling)."""
    key = _key_of(where)
    parameter = parameter.removeprefix(f"{key}.")
    if key.rpartition(".")[2] == parameter:
        return where
    return f"{where}.{parameter}" if ", " in where else f"{where}, {parameter}"


def _options(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _class_by_name(options: list[Any], value: Mapping[str, Any], where: str, default: Any) -> Any:
    """The config class with the `name` in `value`. For models also a class that an installed package adds (entry points in the
    group `framecast.models`), or any importable one, named `package.module:Config`."""
    names = {option.name: option for option in options}
    name = value.get("name", getattr(default, "name", None))
    models = set(options) == set(get_args(Model))
    from_plugins = plugins("model", names) if models else {}
    if not isinstance(name, str | None):
        raise ConfigError(f"name {shown(name)} is no text", where=where, remedy=f"one of: {', '.join(names)}")
    if name in names:
        return names[name]
    if name in from_plugins:
        config_class = from_plugins[name].load()
        if not _is_model_config(config_class):
            raise from_plugins[name].refusal("is not a model's config")
        if (own := getattr(config_class, "name", None)) != name:  # a saved model could not be loaded
            raise from_plugins[name].refusal(f"the config has the name {own!r}")
        return config_class
    if models and isinstance(name, str) and ":" in name:
        return import_model_config(name, where)
    known = (*names, *from_plugins)
    what = "name must be given" if name is None else f"name {shown(name)} is not known{nearest(name, known)}"
    raise ConfigError(what, where=where, remedy=f"one of: {', '.join(known)}")


def import_model_config(name: str, where: str) -> Any:
    """Import the config class of "package.module:Config". The default of its field `name` must be that text. Raises
    `ConfigError`."""
    module, _, attribute = name.partition(":")
    try:
        config_class = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"model {shown(name)} cannot be imported ({error})", where=where) from error
    if not _is_model_config(config_class):
        raise ConfigError(f"{shown(name)} is not a model's config", where=where, remedy="see docs/adding_a_model.md")
    return config_class


def _is_model_config(config_class: Any) -> bool:
    """Whether `config_class` is the config of a model."""
    return dataclasses.is_dataclass(config_class) and callable(getattr(config_class, "build", None))


def _not_settings_error(options: list[Any], value: Any, where: str) -> ConfigError:
    """The error for a plain value in place of the settings of a config: `loss=l1` instead of `loss.name=l1`."""
    names: list[Any] = [
        each.default for option in options for each in dataclasses.fields(option) if each.name == "name"
    ]
    names = [name for name in names if name is not dataclasses.MISSING]
    what = f"{_describe(value)} given, expected settings, {{{'name: NAME, ' if names else ''}KEY: VALUE, ...}}"
    if isinstance(value, str) and value in names:
        return ConfigError(what, where=where, remedy=f"{_key_of(where)}.name={value}")
    if names:
        remedy = f"one by one: {_key_of(where)}.KEY=VALUE; name is one of: {', '.join(names)}"
    else:
        remedy = f"known: {', '.join(field.name for field in dataclasses.fields(options[0]))}"
    return ConfigError(what, where=where, remedy=remedy)


def _parse_value(kind: Any, value: Any, where: str, default: Any) -> Any:
    try:
        return _validate(kind, value)
    except ValueError as error:
        key, example = _key_of(where), _yaml_example(kind, value, default)
        setting = f"{key.rpartition('.')[2]}: {example}" if "]" in key else f"{key}={example}"
        expected = _expected(kind)
        if any(
            isinstance(each, float) and not math.isfinite(each) for each in (value if type(value) is list else [value])
        ):
            expected = expected.replace("number", "finite number")
        raise ConfigError(
            f"{_describe(value)} given, expected {expected}",
            where=where,
            remedy=example and "such as " + (f"'{setting}'" if '"' in setting else setting),
        ) from error


def _validate(kind: Any, value: Any) -> Any:
    """Validate by pydantic, strictly: no text, true or false as a number, no number as text or as a date; a whole number is a
    `float` too, and a list a tuple. Raises `ValueError`."""
    return TypeAdapter(_strict(kind)).validate_python(value)


def _strict(kind: Any) -> Any:
    """The type `kind` whose parts are validated strictly."""
    origin, parts = get_origin(kind), get_args(kind)
    if kind in (bool, int, float, str):
        return Annotated[kind, Strict(), AllowInfNan(False)] if kind is float else Annotated[kind, Strict()]
    if kind in (datetime.datetime, datetime.date):
        return Annotated[kind, BeforeValidator(_check_date)]
    if origin is Literal:
        return Annotated[kind, BeforeValidator(lambda value: _check_word(value, parts))]
    if origin is Annotated:
        return Annotated[_strict(parts[0]), *parts[1:]]
    if origin in (Union, types.UnionType):
        return Union[tuple(map(_strict, parts))]  # noqa: UP007, the parts are known at run time only
    if origin in (tuple, list, dict):
        return origin[tuple(part if part is ... else _strict(part) for part in parts)]
    return kind


def _check_date(value: Any) -> Any:
    """A date; pydantic reads numbers as seconds since 1970."""
    if isinstance(value, int | float) or (isinstance(value, str) and not re.match(r"\d{4}-\d", value)):
        raise ValueError("a number is not a date")
    return value


def _check_word(value: Any, words: tuple[Any, ...]) -> Any:
    """One of the `words`; 1, 1.0 and True are equal in Python."""
    if not any(type(value) is type(word) and value == word for word in words):
        raise ValueError("not one of the words")
    return value


def _describe(value: Any) -> str:
    return "nothing" if value is None else shown(value)


def _key_of(where: str) -> str:
    """The key of a place: "data.size" of "recipe.yaml, data.size"."""
    return where.rpartition(", ")[2]


_WORDS = {
    bool: ("true or false", "of true and false"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "texts"),
    datetime.datetime: ("a date", "dates"),
    types.NoneType: ("null", ""),
}
"""Types of values as text: singular and plural."""
_EXAMPLES: tuple[Any, ...] = (["2017-01-01", "2018-01-01"], [64, 64], 0.5, 8, [{"path": "terrain.tif"}])


def _expected(kind: Any) -> str:
    """The type of a value as text."""
    parts = get_args(kind)
    if len(options := _options(kind)) > 1:
        return " or ".join(_expected(option) for option in options)
    if get_origin(kind) is Literal:
        return " or ".join(map(str, parts))
    if get_origin(kind) is tuple:
        many = _WORDS.get(parts[0], ("", "settings in braces"))[1]
        return f"a list of {many}" if parts[-1] is ... else f"a list of {len(parts)} {many}"
    return _WORDS[kind][0] if kind in _WORDS else getattr(kind, "__name__", str(kind))


def _yaml_example(kind: Any, value: Any, default: Any) -> str | None:
    """A valid value of this type in YAML: derived from `value` if possible, else the default or an example; None if there is
    none."""
    text = shown(value)
    digits = [parse_yaml(number.lstrip("0") or "0", "") for number in re.findall(r"\d+(?:\.\d+)?", text[:40])]
    numbers = [*digits[: len(digits) == 1], digits]
    texts: list[Any] = [list(map(str, value))] if isinstance(value, list) and len(text) < 100 else []
    if isinstance(value, int | float):
        texts = [text]
    null = [None] if value == "None" else []
    listed = [] if isinstance(value, dict | list) else [[value]]
    for candidate in (*null, *numbers, *listed, *texts, default, *_EXAMPLES):
        if candidate in (dataclasses.MISSING, [], ()) or (candidate is None and not null):
            continue
        try:
            _validate(kind, candidate)
        except (ValueError, ConfigError):
            continue
        if isinstance(candidate, str) and _is_plain_word(candidate):
            return candidate
        return json.dumps(to_jsonable_python(candidate), separators=(",", ":"))
    return None


def _is_plain_word(text: str) -> bool:
    """Whether a text needs no quotes in YAML."""
    try:
        return bool(parse_yaml(text, "") == text)
    except ConfigError:
        return False


def check_keys(value: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    """Raise `ConfigError` for an unknown key, with the nearest known one."""
    for key in value:
        if key not in known:
            raise ConfigError(
                f"unknown key {shown(key)}{nearest(str(key), known)}", where=where, remedy=f"known: {', '.join(known)}"
            )


def nearest(word: str, known: Any) -> str:
    """A suggestion for a misspelt `word`, ", did you mean 'horizon'?", or an empty string."""
    close = difflib.get_close_matches(word[:100], list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def plain(settings: Any) -> dict[str, Any]:
    """A config as plain data for YAML and JSON, the inverse of `parse`."""
    content: dict[str, Any] = to_jsonable_python(dataclasses.asdict(settings))
    return content


def flatten(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to full names: data.path, model.hidden, ..."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
