"""Checks of arguments, optional packages and plugins, and options that are defined once, as the fields of a dataclass.

A check raises an `ArgumentError` or a `ConfigError` at the public function, where an invalid value would otherwise fail deep
inside or be misread. This module imports nothing of framecast but the errors.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from framecast.errors import ArgumentError, ConfigError, RunError

Settings = TypeVar("Settings")
Function = TypeVar("Function", bound=Callable[..., Any])


def describe(value: object) -> str:
    """A value for an error message: the value itself if it is a number or a text, else its type."""
    return repr(value) if value is None or isinstance(value, str | int | float) else type(value).__name__


def as_path(value: object, expected: str, parameter: str) -> Path:
    """`value` of a parameter as a path. Raises `ArgumentError`, with the text `expected`, if it is not a path."""
    if not isinstance(value, str | os.PathLike):
        raise ArgumentError(f"{describe(value)} given, expected {expected}", parameter=parameter)
    return Path(value)


def as_html_path(value: object, parameter: str = "path") -> Path:
    """`value` as the path of an HTML page to write. Raises `ArgumentError` if it is a folder or does not end in .html, behind a
    link as well."""
    path = as_path(value, "the path of a page to write", parameter)
    if path.suffix != ".html" or path.is_dir():
        what = "is a folder" if path.is_dir() else f"{path.suffix or 'no suffix'} is not the suffix of a page"
        raise ArgumentError(what, where=path, remedy="name a file that ends in .html")
    if path.is_symlink() and (target := Path(os.path.realpath(path))).suffix != ".html":
        raise ArgumentError(f"is a link to {target}, which is no page", where=path, remedy="remove the link")
    return path


def ensure_folder(value: object, parameter: str = "out") -> Path:
    """The folder `value`, created if it does not exist. Raises `ArgumentError` if `value` is not a path, and `RunError` if the
    folder cannot be created."""
    folder = as_path(value, "a folder", parameter)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"the folder cannot be created ({error})", where=folder) from error
    return folder


def check_counts(**counts: object) -> None:
    """Raise `ArgumentError`, with its name, for a count that is not a whole number of at least 1; true and false are
    none. None is allowed."""
    for name, count in counts.items():
        if count is not None and (isinstance(count, bool) or not isinstance(count, Integral) or count < 1):
            raise ArgumentError(f"{describe(count)} given, expected a whole number of at least 1", parameter=name)


def check_kind(kind: type[Any], **values: object) -> None:
    """Raise `ArgumentError`, with its name, for a value that is no `kind`."""
    for name, value in values.items():
        if not isinstance(value, kind):
            raise ArgumentError(f"{describe(value)} given, expected {kind.__name__}(...)", parameter=name)


def is_positive(value: Any) -> bool:
    """Whether `value` is a finite number above 0. (Booleans and numpy.timedelta64 are
    registered as numbers, and are refused.)"""
    return not isinstance(value, bool | np.timedelta64) and isinstance(value, Real) and 0 < float(value) < math.inf


_PROJECTS = {"sklearn": "scikit-learn", "av": "PyAV", "lightning_fabric": "lightning-fabric", "mlflow": "MLflow"}
"""The names of packages whose modules have another name."""


def require(*modules: str, extra: str, purpose: str, where: str | Path | None = None) -> None:
    """Import optional modules before the work that needs them begins. Raises `ConfigError` if one is not installed: the message
    is "`purpose` needs scikit-learn", and the remedy names the `extra` that installs it."""
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            raise ConfigError(
                f"{purpose} needs {_PROJECTS.get(module, module)}, which is not installed",
                where=where,
                remedy=f'pip install "framecast[{extra}]"',
            ) from error


def check_fraction(value: Any, parameter: str) -> None:
    """Raise `ArgumentError` if `value` is not a number from 0 to 1."""
    if not isinstance(value, Real) or not 0 <= float(value) <= 1:
        raise ArgumentError(f"{describe(value)} is not a fraction between 0 and 1", parameter=parameter)


def as_tuple(values: Any, parameter: str) -> tuple[Any, ...]:
    """`values` as a tuple. Raises `ArgumentError` if `values` is not iterable, or is a single text, whose letters would be the
    values."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        example = [values] if isinstance(values, str) else None
        raise ArgumentError(f"{describe(values)} given, expected a list", parameter=parameter, example=example)
    return tuple(values)


@dataclass(frozen=True)
class Plugin:
    """An object that an installed package adds by an entry point; `kind` is "model", "reader" or "baseline"."""

    kind: str
    entry: EntryPoint

    @property
    def package(self) -> str:
        """The name of the package that adds it."""
        return "an unknown package" if self.entry.dist is None else str(self.entry.dist.name)

    def load(self) -> Any:
        """Import the object. Raises `ConfigError`, which names the package, for any exception of its code."""
        try:
            return self.entry.load()
        except Exception as error:
            raise self.refusal(f"cannot be imported ({type(error).__name__}: {error})") from error

    def refusal(self, what: str) -> ConfigError:
        """A `ConfigError` with the message `what` that names the package."""
        where = f"{self.kind} {self.entry.name!r} of {self.package} ({self.entry.value})"
        return ConfigError(what, where=where, remedy=f"update or uninstall {self.package}")


def plugins(kind: str, own: Iterable[str] = ()) -> dict[str, Plugin]:
    """The plugins of a kind by name, sorted: the entry points of the group `framecast.models`, `.readers` or `.baselines`.

    Nothing is imported. Raises `ConfigError` for a name that two packages add, or that is in `own`, framecast's own names.
    """
    added: dict[str, Plugin] = {}
    for entry in sorted(_entry_points(f"framecast.{kind}s"), key=lambda entry: entry.name):
        plugin = Plugin(kind, entry)
        if entry.name in own:
            raise plugin.refusal("framecast has one of that name")
        if entry.name in added and added[entry.name].entry.value != entry.value:
            raise plugin.refusal(f"{added[entry.name].package} adds one of that name too")
        added[entry.name] = plugin
    return added


@cache
def _entry_points(group: str) -> tuple[EntryPoint, ...]:
    """The entry points of a group, cached: a search of all installed packages takes some hundredths of a second."""
    return tuple(entry_points(group=group))


def replace_fields(settings: Settings, stated: Mapping[str, Any]) -> Settings:
    """A copy of a dataclass with the `stated` fields replaced. Raises `ArgumentError` for a name that is not a field."""
    known = [each.name for each in fields(settings)]  # type: ignore[arg-type]
    for name in stated:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f", did you mean {close[0]!r}?" if close else ""
            raise ArgumentError(f"no such argument{hint}", parameter=name, remedy=f"one of: {', '.join(known)}")
    return replace(settings, **stated) if stated else settings  # type: ignore[type-var]


def takes_fields_of(kind: type[Any]) -> Callable[[Function], Function]:
    """Decorate a function with `**stated`: list the fields of the dataclass `kind` in its signature and, with their texts, in its
    docstring. So the options are defined once, in the dataclass."""

    def decorate(function: Function) -> Function:
        # Signature: the fields replace `**stated`.
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        # A function whose own default is an instance of the dataclass takes the defaults of that instance.
        defaults = next((each.default for each in own if isinstance(each.default, kind)), None)
        more, lines = [], []
        for each in fields(kind):
            annotation, text = parse_annotation(each.type)
            parameter = inspect.Parameter(
                each.name, inspect.Parameter.KEYWORD_ONLY, default=getattr(defaults, each.name, each.default)
            )
            more.append(parameter.replace(annotation=annotation))
            lines.append(f"        {each.name}: {text}" if text else f"        {each.name}")
        function.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
        # Docstring: the text of each field follows the function's own.
        doc = inspect.cleandoc(function.__doc__ or "").replace("\n", "\n    ")
        function.__doc__ = "\n".join([doc, "", f"    The fields of `{kind.__name__}` are keywords too:", "", *lines])
        return function

    return decorate


def parse_annotation(annotation: Any) -> tuple[str, str]:
    """The type and the text of an annotation `Annotated[type, "text"]`, without evaluating it; the text is empty if there is
    none."""
    tree = ast.parse(str(annotation), mode="eval").body
    if isinstance(tree, ast.Subscript) and ast.unparse(tree.value) == "Annotated" and isinstance(tree.slice, ast.Tuple):
        kind, text = tree.slice.elts[0], ast.literal_eval(tree.slice.elts[1])
        return ast.unparse(kind), str(text)
    return str(annotation), ""
