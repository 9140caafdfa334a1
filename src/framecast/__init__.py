"""framecast trains models that predict the next frames of a spatiotemporal sequence, verifies them and runs them.

    frames = framecast.open("archive/")                      # xarray, lazy, physical units, NaN where there is no data
    run = framecast.train("recipes/radar.yaml#predrnn_v2", data=frames)
    forecast = framecast.load(run).forecast(frames, horizon=18)

A public name is imported at its first use, so that `import framecast` is fast. `__init__.pyi` lists the names and their modules.
"""

import ast
import logging
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())

_HOME = {
    alias.name: statement.module
    for statement in ast.parse(Path(__file__).with_suffix(".pyi").read_text()).body
    if isinstance(statement, ast.ImportFrom) and statement.module
    for alias in statement.names
}
"""The module of each public name."""
_FORMER = {"Exhausted": "ResourceError", "Options": "ReadOptions"}
"""Names of earlier versions, and their present names."""

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    name = _FORMER.get(name, name)
    if name not in _HOME:
        raise AttributeError(f"module 'framecast' has no attribute {name!r}")
    from framecast.errors import ConfigError

    try:
        return getattr(import_module(_HOME[name]), name)
    except ConfigError as error:  # an optional package is missing
        return _unavailable(name, error)


def _unavailable(name: str, error: Exception) -> Callable[..., Any]:
    """A function that raises `error` when it is called, so that `help(framecast)` works without the optional packages."""

    def unavailable(*_: object, **__: object) -> Any:
        raise error

    unavailable.__name__ = unavailable.__qualname__ = name
    unavailable.__doc__ = f"Not available: {error}"
    return unavailable


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
