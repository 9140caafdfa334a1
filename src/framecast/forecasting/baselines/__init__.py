"""The registry of baselines: reference forecasts without training, which a trained model must beat.

To add a baseline, write a file with a record `Baseline` and add one line to `BASELINES`. Another package adds one by an entry
point of the group `framecast.baselines` that names such a record. A record is imported at its first use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from framecast.checks import as_tuple, plugins, require
from framecast.errors import ArgumentError, ConfigError

if TYPE_CHECKING:
    import xarray as xr

    from framecast.data.quantities import Quantity
    from framecast.data.scale import Scale
    from framecast.data.windows.sources import DataSplits
    from framecast.forecasting.protocol import Forecaster

BASELINES = {
    "persistence": "framecast.forecasting.baselines.persistence:PERSISTENCE",
    "extrapolation": "framecast.forecasting.baselines.extrapolation:EXTRAPOLATION",
    "extrapolation_probability": (
        "framecast.forecasting.baselines.extrapolation_probability:EXTRAPOLATION_PROBABILITY"
    ),
    "climatology": "framecast.forecasting.baselines.climatology:CLIMATOLOGY",
    "steps": "framecast.forecasting.baselines.pysteps_ensembles:STEPS",
    "linda": "framecast.forecasting.baselines.pysteps_ensembles:LINDA",
}
"""The record of each baseline, as module:attribute."""
DEFAULT = ("persistence", "extrapolation", "extrapolation_probability")
"""The baselines of a verification by default; those of precipitation only where that is forecast."""


@dataclass(frozen=True)
class BaselineData:
    """The data that a baseline may be built from: the `quantity` of the forecast, the `step` between frames (None for frames
    without times), the opened archives `frames` of the verification (none for generated data), and `training`, a function that
    opens the training windows. An ensemble has so many `members`, by default its own number, from noise with that `seed`."""

    quantity: Quantity
    step: np.timedelta64 | None
    frames: Sequence[xr.DataArray]
    training: Callable[[], DataSplits]
    members: int | None = None
    seed: int = 0

    @property
    def scale(self) -> Scale:
        """Minutes a step and kilometres a pixel: those of the first archive, and what is not known `ASSUMED`. A forecaster
        prefers the `scales` of a context, which are those of its cases."""
        from framecast.data.scale import (  # late: settings, which import this module, start without xarray
            ASSUMED,
            scale_of,
        )

        if self.frames:
            scale = scale_of(self.frames[0])
        else:
            scale = ASSUMED._replace(assumed=("time step", "pixel size"))
        if "time step" in scale.assumed and self.step is not None:
            minutes, rest = float(self.step / np.timedelta64(1, "s")) / 60, scale.assumed[1:]
            scale = scale._replace(minutes=minutes, assumed=rest)
        return scale


@dataclass(frozen=True)
class Baseline:
    """A record of a baseline: its name, a one-line summary, and the function that builds it. `requires` are the modules that it
    needs; the `extra` of framecast installs them. One for `precipitation` forecasts nothing else, and the forecast of a `scaled`
    one depends on the scale of the frames in time and space. `least` are the frames in a row that a forecast in operation needs:
    of a single frame, extrapolation is persistence. One from `training` data cannot be used without them; an `ensemble` has
    members, and a forecast with a `distribution` has probabilities."""

    name: str
    summary: str
    build: Callable[[BaselineData], Forecaster]
    requires: tuple[str, ...] = ()
    extra: str | None = None
    precipitation: bool = False
    scaled: bool = False
    least: int = 1
    training: bool = False
    ensemble: bool = False
    distribution: bool = False


def baselines() -> dict[str, str]:
    """All baselines, including those of installed packages: names and one-line summaries.

    Raises `ConfigError` if a baseline of another package cannot be loaded.
    """
    return {name: find(name).summary for name in names()}


def names() -> list[str]:
    """The names of all baselines, including those of installed packages; none is loaded."""
    return [*BASELINES, *plugins("baseline", BASELINES)]


def find(name: str) -> Baseline:
    """Find the record of a baseline. Raises `ConfigError` if the name is unknown, if two packages add it, or if the record
    cannot be loaded."""
    others = plugins("baseline", BASELINES)
    if name in BASELINES:
        module, attribute = BASELINES[name].split(":")
        record: Baseline = getattr(import_module(module), attribute)
        return record
    if name not in others:
        raise ArgumentError(f"unknown baseline {name!r}", parameter="baselines", remedy=f"one of: {', '.join(names())}")
    record = others[name].load()
    if not isinstance(record, Baseline) or record.name != name:
        raise others[name].refusal("is no framecast.forecasting.baselines.Baseline of that name")
    return record


def check(chosen: Sequence[str]) -> None:
    """Raise `ConfigError` if one of the baselines is unknown, or needs a package that is not installed."""
    for name in as_tuple(chosen, "baselines"):
        record = find(name)
        if record.extra is not None:
            require(*record.requires, extra=record.extra, purpose=name, where="baselines")
        elif missing := [module for module in record.requires if find_spec(module) is None]:
            modules = ", ".join(missing)
            raise ConfigError(f"{name} needs {modules}", where="baselines", remedy=f"install {modules}")


def build(name: str, data: BaselineData) -> Forecaster:
    """Build the baseline `name`. Raises `ConfigError` as `check` does, `ArgumentError` for a baseline of precipitation where
    another quantity is forecast, and the errors of the record's own function."""
    check([name])
    record = find(name)
    if record.precipitation and not data.quantity.precipitation:
        raise ArgumentError(
            f"{name} forecasts rain, not {data.quantity.name}", parameter="baselines", remedy="leave it out"
        )
    return record.build(data)


def build_all(chosen: Sequence[str], data: BaselineData) -> dict[str, Forecaster]:
    """Build baselines, by name. Of the default ones those of precipitation are left out where another quantity is forecast.
    Raises the errors of `build`."""
    if tuple(chosen) == DEFAULT and not data.quantity.precipitation:
        chosen = [name for name in chosen if not find(name).precipitation]
    return {name: build(name, data) for name in chosen}


def assumptions(chosen: Iterable[str], data: BaselineData) -> list[str]:
    """What baselines assume because the frames do not state it, one sentence each."""
    return [f"{name}: {data.scale.note}" for name in chosen if find(name).scaled and data.scale.note]
