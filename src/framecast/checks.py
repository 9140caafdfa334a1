"""What functions check of what they are given, where it would otherwise fail deep inside or mean something else."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from framecast.errors import ConfigError, RunError


def in_words(value: object) -> str:
    """A value for messages: itself where that is short, else its type."""
    return repr(value) if value is None or isinstance(value, str | int | float) else type(value).__name__


def a_path(value: object, expected: str) -> Path:
    """`value` as a path. Raises `ConfigError` for what is none, and says what was `expected`."""
    if not isinstance(value, str | os.PathLike):
        raise ConfigError(f"{in_words(value)} given, expected {expected}")
    return Path(value)


def a_page(value: object) -> Path:
    """`value` as the path of a page to write. Raises `ConfigError` for what is no path or no name of a page."""
    path = a_path(value, "the path of a page to write")
    if path.suffix != ".html" or path.is_dir():
        what = "is a folder" if path.is_dir() else f"{path.suffix or 'no suffix'} is no format of a page"
        raise ConfigError(what, where=path, remedy="name a file that ends in .html")
    return path


def a_folder(value: object) -> Path:
    """The folder at `value`, made where there is none. Raises `ConfigError` for what is no path, and `RunError`."""
    folder = a_path(value, "a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"the folder cannot be made ({error})", where=folder) from error
    return folder


def at_least_one(**counts: object) -> None:
    """Raise `ConfigError`, with its name, for a count that is no whole number from 1 on. None is not looked at."""
    for name, count in counts.items():
        if count is not None and (not isinstance(count, Integral) or count < 1):
            raise ConfigError(f"{in_words(count)} given, expected a whole number of at least 1", where=name)


def positive(value: Any) -> bool:
    """Whether it is a number above 0. numpy.timedelta64 says that it is a number, and is none."""
    return not isinstance(value, np.timedelta64) and isinstance(value, Real) and 0 < float(value) < math.inf


_PROJECTS = {"sklearn": "scikit-learn", "av": "PyAV", "lightning_fabric": "lightning-fabric", "mlflow": "MLflow"}
"""Modules that are installed under another name."""


def require(*modules: str, extra: str, purpose: str, where: str | Path | None = None) -> None:
    """Import optional modules, before what needs them begins. Raises `ConfigError`, which names the `extra` that installs
    them, for one that is not installed: "`purpose` needs scikit-learn"."""
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            raise ConfigError(
                f"{purpose} needs {_PROJECTS.get(module, module)}, which is not installed",
                where=where,
                remedy=f'pip install "framecast[{extra}]"',
            ) from error


def check_share(value: Any, where: str) -> None:
    """Raise `ConfigError` for what is no number from 0 to 1."""
    if not isinstance(value, Real) or not 0 <= float(value) <= 1:
        raise ConfigError(f"{in_words(value)} is not a share between 0 and 1", where=where)


def several(values: Any, where: str) -> tuple[Any, ...]:
    """`values` as a tuple. Raises `ConfigError` for a single text, whose letters would be taken for them, and for no list."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        remedy = f"[{values!r}]" if isinstance(values, str) else None
        raise ConfigError(f"{in_words(values)} given, expected a list", where=where, remedy=remedy)
    return tuple(values)


@cache
def plugins(group: str) -> dict[str, Callable[[], Any]]:
    """What installed packages add to an entry point group such as `framecast.models`: by name, a function that loads it, which
    raises `ConfigError` where it cannot be imported. Raises `ConfigError` where two packages add the same name."""
    found: dict[str, Any] = {}
    for entry in entry_points(group=group):
        if entry.name in found and found[entry.name].value != entry.value:
            both = f"{found[entry.name].value} and {entry.value}"
            raise ConfigError(
                f"two installed packages add {entry.name!r} ({both})", where=group, remedy="uninstall one"
            )
        found[entry.name] = entry

    def loader(entry: Any) -> Callable[[], Any]:
        def load() -> Any:
            try:
                return entry.load()
            except Exception as error:  # whatever goes wrong in the code of others
                what = f"{entry.name!r} ({entry.value}) cannot be imported ({type(error).__name__}: {error})"
                raise ConfigError(what, where=group, remedy="mend or uninstall the package that adds it") from error

        return load

    return {name: loader(entry) for name, entry in found.items()}
