"""The settings of an evaluation: names, types, defaults and help texts, for `evaluate`, `compare` and the command line.

Everything that can be checked without data is checked when the settings are created, so that a typing error costs no time.
Imports neither torch nor any data reader at the start.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from framecast.checks import as_path, as_tuple, check_counts, check_fields, is_positive
from framecast.errors import ArgumentError
from framecast.forecasting.baselines import DEFAULT, check

if TYPE_CHECKING:
    from framecast.data.quantities import ZR


@dataclass(frozen=True, kw_only=True, repr=False)
class EvaluationSettings:
    """Baselines, cases and scores of an evaluation. Lists become tuples, and paths strings.

    Raises `ArgumentError` for an invalid value, and `ConfigError` for a baseline whose packages are not installed."""

    rates: Annotated[tuple[float, ...] | None, "Thresholds of events in mm/h; of rain 0.5,2,8 unless stated."] = None
    levels: Annotated[
        tuple[float, ...] | None,
        "Thresholds of events in place of rates, in the units of the frames or those of level-units.",
    ] = None
    level_units: Annotated[
        str | None, "Units of the levels: dBZ, 0-255, of images that draw dBZ the map: dBZ as pixels thuml."
    ] = None
    zr: Annotated[ZR | None, "a,b of Z = a R^b, which converts thresholds to reflectivity; 223,1.53 unless stated."] = (
        None
    )
    convention: Annotated[str, "How frame scores are computed: default, thuml, czh98 or openstl."] = "default"
    scales: Annotated[
        tuple[int, ...] | None,
        "Sides in pixels of the neighbourhoods of the fractions skill score; 1 to 65 unless stated.",
    ] = None
    horizon: Annotated[int | None, "Frames ahead; as trained unless stated."] = None
    stride: Annotated[int | None, "Frames between the starts of windows; 1, or as trained on the own test split."] = (
        None
    )
    limit: Annotated[int | None, "At most so many cases, evenly spread."] = None
    members: Annotated[
        int | None, "Members of a model that predicts distributions or draws samples; none unless stated."
    ] = None
    baselines: Annotated[tuple[str, ...], "Names of baselines; a wrong name lists all."] = DEFAULT
    inputs: Annotated[
        tuple[str, ...], "Where the extra inputs of the model lie now, as ordered in training; where they lay, without."
    ] = ()
    lpips: Annotated[tuple[str, ...], "Weights of AlexNet, and again of LPIPS' linear layers; else no LPIPS."] = ()
    fvd: Annotated[str | None, "Weights of I3D (Kinetics-400); else no FVD."] = None
    palette: Annotated[str | None, "Colours of rain in the report: services, or uniform, which is lightness alone."] = (
        None
    )

    @property
    def weight_files(self) -> tuple[str, ...]:
        """The files of the networks of LPIPS and FVD."""
        return (*self.lpips, *filter(None, [self.fvd]))

    def __post_init__(self) -> None:
        check_fields(self)
        for name, kind in _LISTS.items():
            if (values := getattr(self, name)) is not None:
                stated = tuple(kind(value) for value in as_tuple(values, name))
                object.__setattr__(self, name, stated if name in _IN_ORDER else tuple(dict.fromkeys(stated)))
        if self.fvd is not None:
            object.__setattr__(self, "fvd", str(as_path(self.fvd, "a file of weights", "fvd")))
        check_counts(horizon=self.horizon, stride=self.stride, limit=self.limit, members=self.members)
        _check_levels(self)
        _check_zr(self.zr)
        _check_convention(self.convention)
        _check_palette(self.palette)
        if self.baselines != DEFAULT:  # those need no package, and their modules are slow to import
            check(self.baselines)

    def __repr__(self) -> str:
        changed = [each.name for each in fields(self) if getattr(self, each.name) != each.default]
        return f"EvaluationSettings({', '.join(f'{name}={getattr(self, name)!r}' for name in changed)})"


def _rate(value: object) -> float:
    if not is_positive(value):
        raise ArgumentError(f"{value!r} given, expected a rain rate in mm/h, above 0", parameter="rates")
    return float(value)  # type: ignore[arg-type]


def _level(value: object) -> float:
    try:
        level = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        level = math.nan
    if not math.isfinite(level) or isinstance(value, bool):
        raise ArgumentError(f"{value!r} given, expected a number", parameter="levels")
    return level


def _check_levels(settings: EvaluationSettings) -> None:
    if settings.rates is not None and settings.levels is not None:
        raise ArgumentError("rates and levels given", parameter="levels", remedy="leave one of them out")
    if settings.level_units is not None and settings.levels is None:
        raise ArgumentError(
            "units given, and no levels", parameter="level_units", remedy="give levels, or leave it out"
        )
    if settings.level_units is not None:
        from framecast.data.quantities import find_level_units  # late, as below

        find_level_units(settings.level_units)


LARGEST_SCALE = 4_096
"""Pixels of the side of a neighbourhood."""


def _scale(value: object) -> int:
    check_counts(scales=value)
    if int(value) > LARGEST_SCALE:  # type: ignore[call-overload]
        raise ArgumentError(f"{value} given, expected at most {LARGEST_SCALE:,} pixels", parameter="scales")
    return int(value)  # type: ignore[call-overload,no-any-return]


def _path(value: str | Path) -> str:
    return str(value)


_LISTS: dict[str, Callable[..., object]] = {
    "rates": _rate,
    "levels": _level,
    "scales": _scale,
    "baselines": str,
    "inputs": _path,
    "lpips": _path,
}
"""Settings that are lists, and the converters of their values."""
_IN_ORDER = ("inputs", "lpips")
"""Lists in which a value may stand twice; of the others it counts once."""


def _check_zr(zr: object) -> None:
    if zr is None:
        return
    from framecast.data.quantities import ZR  # late: imports torch, which the command line does not need to start

    if not isinstance(zr, ZR):
        raise ArgumentError(f"{zr!r} given, expected framecast.data.quantities.ZR(a=223, b=1.53)", parameter="zr")


def _check_palette(palette: str | None) -> None:
    if palette is not None:
        from framecast.colours import check_palette  # late, as above

        check_palette(palette)


def _check_convention(convention: str) -> None:
    if isinstance(convention, str) and convention == "default":  # known without the import
        return
    from framecast.scores import find_convention  # late, as above

    find_convention(convention)
