"""Plain data, as YAML and JSON hold them, as configs, and in words what is wrong with them.

Every key is checked; every value is validated by pydantic, which appears here and nowhere else. Where a setting is one of several
kinds, its `name` says which; giving another name starts from that kind's defaults.
"""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import importlib
import json
import re
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from framecast.checks import plugins
from framecast.errors import ArgumentError, ConfigError
from framecast.models import Model


def merged(base: Any, difference: Any) -> Any:
    """`base` with `difference` laid over it, mapping by mapping; another `name` starts from nothing."""
    if not isinstance(base, Mapping) or not isinstance(difference, Mapping):
        return difference
    if "name" in difference and difference["name"] != base.get("name", difference["name"]):
        return dict(difference)
    return {**base, **{key: merged(base.get(key), value) for key, value in difference.items()}}


def parse(kind: Any, value: Any, *, where: str, default: Any = dataclasses.MISSING) -> Any:
    """`value`, plain data, as `kind`: a config, one of several configs by `name`, or anything pydantic validates.

    `where` names the place for messages; `default` is what stands where the value is absent, and of a config of its kind what
    the value does not state. Raises `ConfigError`.
    """
    options: list[Any] = [option for option in _options(kind) if dataclasses.is_dataclass(option)]
    if get_origin(kind) is tuple and dataclasses.is_dataclass(get_args(kind)[0]) and isinstance(value, list):
        return tuple(parse(get_args(kind)[0], each, where=f"{where}[{number}]") for number, each in enumerate(value))
    if not options or (value is None and types.NoneType in _options(kind)):
        return _parse_value(kind, value, where, default)
    if not isinstance(value, Mapping):
        raise _not_settings(options, value, where)
    chosen = options[0] if len(options) == 1 else _by_name(options, value, where, default)
    hints = get_type_hints(chosen)
    fields = {field.name: field for field in dataclasses.fields(chosen)}
    check_keys(value, tuple(fields), where)
    missing = [name for name, field in fields.items() if field.default is dataclasses.MISSING and name not in value]
    if missing:
        raise ConfigError(f"{', '.join(missing)} must be given", where=where)
    read = {
        key: parse(hints[key], part, where=f"{where}, {key}" if ", " not in where else f"{where}.{key}",
                   default=fields[key].default)
        for key, part in value.items()
    }  # fmt: skip
    try:
        return dataclasses.replace(default, **read) if isinstance(default, chosen) else chosen(**read)
    except ArgumentError as error:  # the config knows its parameter, the place in the recipe is known here
        if error.where is not None or error.parameter is None:
            raise
        raise ConfigError(error.what, where=_place(where, error.parameter), remedy=error.remedy) from error


def _place(where: str, parameter: str) -> str:
    """The place of a parameter of the config at `where`, which may be that config itself (the `zr` of a scaling)."""
    if _key_of(where).rpartition(".")[2] == parameter:
        return where
    return f"{where}.{parameter}" if ", " in where else f"{where}, {parameter}"


def _options(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _by_name(options: list[Any], value: Mapping[str, Any], where: str, default: Any) -> Any:
    """The config whose `name` the value gives. Of models also one that an installed package adds (entry points in the group
    `framecast.models`), or an outsider's, named `package.module:Config`."""
    names = {option.name: option for option in options}
    name = value.get("name", getattr(default, "name", None))
    models = set(options) == set(get_args(Model))
    of_others = plugins("model", names) if models else {}
    if name in names:
        return names[name]
    if name in of_others:
        chosen = of_others[name].load()
        if not _is_config(chosen):
            raise of_others[name].refusal("is not a model's config")
        if (own := getattr(chosen, "name", None)) != name:  # what is saved could not be read back
            raise of_others[name].refusal(f"the config has the name {own!r}")
        return chosen
    if models and isinstance(name, str) and ":" in name:
        return outsider(name, where)
    known = (*names, *of_others)
    what = "name must be given" if name is None else f"name {name!r} is not known{nearest(str(name), known)}"
    raise ConfigError(what, where=where, remedy=f"one of: {', '.join(known)}")


def outsider(name: str, where: str) -> Any:
    """The config class that "package.module:Config" names. Its field `name` must have that very text as default."""
    module, _, attribute = name.partition(":")
    try:
        chosen = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"model {name!r} cannot be imported ({error})", where=where) from error
    if not _is_config(chosen):
        raise ConfigError(f"{name!r} is not a model's config", where=where, remedy="see docs/adding_a_model.md")
    return chosen


def _is_config(chosen: Any) -> bool:
    """Whether it is the config of a model."""
    return dataclasses.is_dataclass(chosen) and callable(getattr(chosen, "build", None))


def _not_settings(options: list[Any], value: Any, where: str) -> ConfigError:
    """What to say of a value in place of the settings of a config, or of one of several: `loss=l1` for `loss.name=l1`."""
    names: list[Any] = [
        each.default for option in options for each in dataclasses.fields(option) if each.name == "name"
    ]
    what = f"{_describe(value)} given, expected settings, {{{'name: NAME, ' if names else ''}KEY: VALUE, ...}}"
    if value in names:
        return ConfigError(what, where=where, remedy=f"{_key_of(where)}.name={value}")
    if names:
        remedy = f"one by one: {_key_of(where)}.KEY=VALUE; name is one of: {', '.join(names)}"
    else:
        remedy = f"known: {', '.join(field.name for field in dataclasses.fields(options[0]))}"
    return ConfigError(what, where=where, remedy=remedy)


def _parse_value(kind: Any, value: Any, where: str, default: Any) -> Any:
    try:
        return _validated(kind, value)
    except ValueError as error:
        key, example = _key_of(where), _yaml_example(kind, value, default)
        setting = f"{key.rpartition('.')[2]}: {example}" if "]" in key else f"{key}={example}"
        raise ConfigError(
            f"{_describe(value)} given, expected {_expected(kind)}",
            where=where,
            remedy=example and "such as " + (f"'{setting}'" if '"' in setting else setting),
        ) from error


def _validated(kind: Any, value: Any) -> Any:
    """Raises `ValueError`, also for a year in place of a date: pydantic takes it for seconds since 1970."""
    if "datetime" in str(kind) and isinstance(value, list) and any(str(each).isdecimal() for each in value):
        raise ValueError("a number is no date")
    return TypeAdapter(kind).validate_python(value)


def _describe(value: Any) -> str:
    return "nothing" if value is None else repr(value)


def _key_of(where: str) -> str:
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


def _yaml_example(kind: Any, value: Any, default: Any) -> str | None:
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


def check_keys(value: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    """Raise `ConfigError` for a key that is not known, with the nearest that is."""
    for key in value:
        if key not in known:
            raise ConfigError(
                f"unknown key {key!r}{nearest(str(key), known)}", where=where, remedy=f"known: {', '.join(known)}"
            )


def nearest(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def plain(settings: Any) -> dict[str, Any]:
    """A config as plain data that YAML and JSON can hold, and that `parse` reads back."""
    content: dict[str, Any] = to_jsonable_python(dataclasses.asdict(settings))
    return content
