"""The check of sizes that every config of a model runs when it is created."""

from __future__ import annotations

import dataclasses
from numbers import Integral
from typing import Any, get_type_hints

from framecast.checks import describe
from framecast.errors import ConfigError, shown

LARGEST_SIZE, MOST_LAYERS = 65_536, 256
"""The largest size of a model, and the largest number of its parts."""
_COUNTS = ("layers", "blocks", "heads", "slots", "order", "steps", "half_steps")
_NUMBER, _NUMBERS = (int, int | None), (tuple[int, ...], tuple[int, ...] | None)


def check_sizes(settings: Any, where: str = "model") -> None:
    """Raise `ConfigError` with the name of a field of `settings` that is annotated as an integer or a tuple of integers and
    holds anything but integers from 1 on, and for an even kernel (`kernel`, `kernels`). None is allowed if the annotation
    allows it."""
    hints = get_type_hints(type(settings))
    for each in dataclasses.fields(settings):
        value, kind = getattr(settings, each.name), hints[each.name]
        name = f"{where}.{each.name}"
        if kind in _NUMBERS and value is not None:
            if not isinstance(value, tuple) or not value or not all(map(_is_size, value)):
                given = list(value) if isinstance(value, list | tuple) else describe(value)
                remedy = f"{each.name}={tuple(value)}" if isinstance(value, list) and value else None
                raise ConfigError(
                    f"{given} given, expected a tuple of at least one whole number, all of them at least 1",
                    where=name,
                    remedy=remedy,
                )
        elif kind in _NUMBER and not (value is None and kind is not int) and not _is_size(value):
            raise ConfigError(f"{describe(value)} given, expected a whole number of at least 1", where=name)
        sizes = value if isinstance(value, tuple) else () if value is None else (value,)
        if kind in (*_NUMBER, *_NUMBERS) and where == "model":
            largest = MOST_LAYERS if kind in _NUMBER and each.name in _COUNTS else LARGEST_SIZE
            if max(sizes, default=0) > largest or len(sizes) > MOST_LAYERS:
                raise ConfigError(
                    f"{shown(value)} given, expected at most {largest:,}"
                    + (f", and at most {MOST_LAYERS} of them" if isinstance(value, tuple) else ""),
                    where=name,
                )
        if each.name in ("kernel", "kernels") and value is not None:
            even = [size for size in sizes if size % 2 == 0]
            if even:
                raise ConfigError(f"kernel {even[0]} is not an odd number", where=name)


def _is_size(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= 1
