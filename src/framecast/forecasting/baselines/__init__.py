"""Forecasts that nothing was trained for, which a learned forecast has to beat."""

from __future__ import annotations

from collections.abc import Sequence

from framecast.errors import ArgumentError

BASELINES = ("persistence", "extrapolation", "climatology", "steps", "linda")
DEFAULT = BASELINES[:2]
"""The baselines that a forecast is judged against unless others are named."""


def check(chosen: Sequence[str]) -> None:
    """Raise `ArgumentError` for an unknown baseline."""
    for name in chosen:
        if name not in BASELINES:
            raise ArgumentError(
                f"unknown baseline {name!r}", parameter="baselines", remedy=f"one of: {', '.join(BASELINES)}"
            )
