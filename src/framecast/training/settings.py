"""The differences between the settings of two runs, for messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from framecast.config.parsing import flatten

LENGTH = "training.iterations"
"""The setting that may change when a run is resumed."""
_SHOWN, _LONGEST = 5, 80


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The plain settings in which two runs differ, apart from their length: "training.seed 0, now 5"."""
    one, other = flatten(before), flatten(after)
    changed = [key for key in {**one, **other} if key != LENGTH and _text(one, key) != _text(other, key)]
    return [f"{key} {_short(one, key)}, now {_short(other, key)}" for key in changed]


def describe(changed: Sequence[str]) -> str:
    """The first of some differences as text."""
    more = len(changed) - _SHOWN
    return "; ".join(changed[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _text(settings: dict[str, Any], key: str) -> str:
    return repr(_canonical(settings.get(key, "absent")))


def _canonical(value: Any) -> Any:
    """The value as any file would hold it: a tuple is a list, and 4.0 is 4."""
    if isinstance(value, dict):
        return {name: _canonical(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _short(settings: dict[str, Any], key: str) -> str:
    text = _text(settings, key)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
