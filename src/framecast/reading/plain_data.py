"""Plain data in YAML and JSON: the one strict reader of recipes, settings, cards and manifests, and the one writer of YAML.

Numbers and words follow YAML 1.2, more strictly: `010`, `1_0`, `0x2`, `1:30`, `yes`, `on` and dates are text, and so are keys.
Refused are repeated keys, tags, NaN in JSON, aliases that refer to themselves or expand to more than `NODES` values, and a
depth beyond `DEPTH`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import yaml

from framecast.errors import ConfigError
from framecast.reading.paths import TEXT_LIMIT, read_text

DEPTH = 40
"""Levels of lists and mappings inside each other."""
NODES = 200_000
"""Values in one text, each alias counted with all that it stands for."""
YAML_LIMIT = 2 * 2**20
"""Bytes of YAML; the parser takes some seconds for so many."""
_TAG = "tag:yaml.org,2002:"
_CORE = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    "float": (
        r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    "merge": (r"<<", ["<"]),
}
"""The plain words that are not text, by tag, with their first letters. An int is listed before a float."""
_Resolver = dict[str, list[tuple[str, re.Pattern[str]]]]


def _resolvers() -> _Resolver:
    resolvers: _Resolver = {}
    for name, (pattern, letters) in _CORE.items():
        for letter in letters:
            resolvers.setdefault(letter, []).append((_TAG + name, re.compile(f"(?:{pattern})$")))
    return resolvers


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the rules of this module."""

    yaml_implicit_resolvers = _resolvers()
    yaml_constructors: ClassVar[dict[str | None, Any]] = {}

    def __init__(self, text: str) -> None:
        self._depth = 0
        super().__init__(text)

    def check_printable(self, data: str) -> None:
        """Allow bytes of file names that are not UTF-8, which Python holds as surrogates."""
        super().check_printable(re.sub("[\udc80-\udcff]", "?", data))

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) not in (None, "!") and not isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(f"the tag {event.tag} is not allowed{_at(event.start_mark)}")
        self._depth += 1
        if self._depth > DEPTH:
            raise yaml.YAMLError(f"more than {DEPTH} levels inside each other{_at(event.start_mark)}")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        _count(node, {})
        return node


def _at(mark: Any) -> str:
    return f", line {mark.line + 1}, column {mark.column + 1}"


def _count(node: yaml.Node | None, known: dict[int, int]) -> int:
    """The number of values that a node stands for. Raises `YAMLError` for more than `NODES`, and a node inside itself."""
    if node is None or isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = 0  # in progress
        parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        total = 1
        for part in parts:
            total += _count(part, known)
            if total > NODES:
                raise yaml.YAMLError(f"more than {NODES:,} values, with what its aliases stand for")
        known[id(node)] = total
    if not known[id(node)]:
        raise yaml.YAMLError(f"an alias refers to what it is part of{_at(node.start_mark)}")
    return known[id(node)]


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    content: dict[str, Any] = {}
    merged: list[yaml.Node] = []
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.YAMLError(f"a key that is no text{_at(key.start_mark)}")
        if key.tag == f"{_TAG}merge":
            merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
            continue
        if key.value in content:
            raise yaml.YAMLError(f"the key {key.value!r} is repeated{_at(key.start_mark)}")
        content[key.value] = loader.construct_object(value, deep=True)
    for each in merged:
        if not isinstance(each, yaml.MappingNode):
            raise yaml.YAMLError(f"only settings can be merged by <<{_at(each.start_mark)}")
        content = {**_mapping(loader, each), **content}
    return content


def _sequence(loader: _Loader, node: yaml.SequenceNode) -> list[Any]:
    return [loader.construct_object(each, deep=True) for each in node.value]


def _float(text: str) -> float:
    return float(text.replace(".", "", 1) if text.lstrip("+-.").lower() in ("inf", "nan") else text)


_Loader.yaml_constructors = {
    f"{_TAG}null": lambda loader, node: None,
    f"{_TAG}bool": lambda loader, node: node.value.lower() == "true",
    f"{_TAG}int": lambda loader, node: int(node.value),
    f"{_TAG}float": lambda loader, node: _float(node.value),
    f"{_TAG}str": lambda loader, node: node.value,
    f"{_TAG}merge": lambda loader, node: node.value,
    f"{_TAG}seq": _sequence,
    f"{_TAG}map": _mapping,
}


class _Dumper(yaml.SafeDumper):
    """Quotes what `_Loader`, or YAML 1.1, would not read as text."""

    def ignore_aliases(self, data: Any) -> bool:
        """No aliases: a value that occurs twice is written twice."""
        return True


_Dumper.yaml_implicit_resolvers = {
    letter: [*yaml.SafeDumper.yaml_implicit_resolvers.get(letter, []), *_resolvers().get(letter, [])]
    for letter in {*yaml.SafeDumper.yaml_implicit_resolvers, *_resolvers()}
}


def format_yaml(content: Mapping[str, Any]) -> str:
    """Plain data as YAML that `parse_yaml` reads as the same."""
    return str(yaml.dump(dict(content), Dumper=_Dumper, sort_keys=False))


def parse_yaml(text: str, where: str | Path, remedy: str | None = None) -> Any:
    """The plain data of a text in YAML: mappings, lists, texts, numbers, true, false and None. Raises `ConfigError`."""
    if len(text) > YAML_LIMIT:
        raise ConfigError(f"has more than {YAML_LIMIT:,} letters, too many for YAML", where=where)
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"is not YAML that can be used: {error}", where=where, remedy=remedy) from error


def read_yaml(path: str | Path) -> Any:
    """The plain data of a file in YAML. Raises `DataError` if the file cannot be read, `ConfigError` for its content."""
    return parse_yaml(read_text(path, YAML_LIMIT), path)


def parse_json(text: str, where: str | Path) -> Any:
    """The plain data of a text in JSON. Raises `ConfigError`."""
    try:
        content = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
        _check_depth(content)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"is not JSON that can be used: {error}", where=where) from error
    return content


def read_json(path: str | Path, limit: int = TEXT_LIMIT) -> Any:
    """The plain data of a file in JSON. Raises `DataError` if the file cannot be read, `ConfigError` for its content."""
    return parse_json(read_text(path, limit), path)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in content if names.count(name) > 1)!r} is repeated")
    return content


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _check_depth(content: Any) -> None:
    level, depth = [content], 0
    while level := [
        part
        for each in level
        if isinstance(each, dict | list)
        for part in (each.values() if isinstance(each, dict) else each)
    ]:
        depth += 1
        if depth > DEPTH:
            raise ValueError(f"more than {DEPTH} levels inside each other")
