"""Forecasts that nothing was trained for, which a learned forecast has to beat: the registry.

A baseline is a record, `Baseline`, in a file of its own, and one line of `BASELINES`. Packages of others add theirs by an
entry point of the group `framecast.baselines` that leads to such a record. A record is imported when it is first used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from framecast.checks import plugins, require
from framecast.errors import ArgumentError, ConfigError

if TYPE_CHECKING:
    import xarray as xr

    from framecast.data.quantities import Quantity
    from framecast.data.windows.sources import DataSplits
    from framecast.forecasting.protocol import Forecaster

BASELINES = {
    "persistence": "framecast.forecasting.baselines.persistence:PERSISTENCE",
    "extrapolation": "framecast.forecasting.baselines.extrapolation:EXTRAPOLATION",
    "climatology": "framecast.forecasting.baselines.climatology:CLIMATOLOGY",
    "steps": "framecast.forecasting.baselines.pysteps_ensembles:STEPS",
    "linda": "framecast.forecasting.baselines.pysteps_ensembles:LINDA",
}
"""Where the records are, by the names of the baselines: module and attribute."""
DEFAULT = ("persistence", "extrapolation")
"""The baselines that a forecast is judged against unless others are named."""


@dataclass(frozen=True)
class BaselineData:
    """What a baseline may be made from: the `quantity` that is forecast, the `step` between frames (None without a clock), the
    opened archives `frames` that it forecasts (none for generated data), and `training`, which opens the windows of training
    when it is called."""

    quantity: Quantity
    step: np.timedelta64 | None
    frames: Sequence[xr.DataArray]
    training: Callable[[], DataSplits]


@dataclass(frozen=True)
class Baseline:
    """A baseline: its name, what it is in one line, and how it is made. `requires` are modules that it needs, which the
    `extra` of framecast installs."""

    name: str
    summary: str
    build: Callable[[BaselineData], Forecaster]
    requires: tuple[str, ...] = ()
    extra: str | None = None


def baselines() -> dict[str, str]:
    """All baselines by name, those of installed packages too, with what each is in one line.

    Raises `ConfigError` if one of another package cannot be loaded.
    """
    return {name: find(name).summary for name in names()}


def names() -> list[str]:
    """The names of all baselines, those of installed packages too, which are not loaded for it."""
    return [*BASELINES, *plugins("baseline", BASELINES)]


def find(name: str) -> Baseline:
    """The record of a baseline. Raises `ConfigError` for an unknown name, a name that is taken twice, and a record that cannot be
    loaded."""
    others = plugins("baseline", BASELINES)
    if name in BASELINES:
        module, attribute = BASELINES[name].split(":")
        record: Baseline = getattr(import_module(module), attribute)
        return record
    if name not in others:
        raise ArgumentError(f"unknown baseline {name!r}", parameter="baselines", remedy=f"one of: {', '.join(names())}")
    added = others[name].load()
    if not isinstance(added, Baseline) or added.name != name:
        raise others[name].refusal("is no framecast.forecasting.baselines.Baseline of that name")
    return added


def check(chosen: Sequence[str]) -> None:
    """Raise `ConfigError` for baselines that cannot be made: unknown ones, and those that need what is not installed."""
    for name in chosen:
        record = find(name)
        if record.extra is not None:
            require(*record.requires, extra=record.extra, purpose=name, where="baselines")
        elif missing := [module for module in record.requires if find_spec(module) is None]:
            modules = ", ".join(missing)
            raise ConfigError(f"{name} needs {modules}", where="baselines", remedy=f"install {modules}")


def build(name: str, data: BaselineData) -> Forecaster:
    """The baseline of that name. Raises `ConfigError` as `check`, and what its record raises."""
    check([name])
    return find(name).build(data)
