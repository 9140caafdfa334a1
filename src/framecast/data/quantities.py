"""What a pixel measures: quantities, the units they come in, and the Z-R relation between rain and reflectivity.

Inside framecast a quantity has one unit: rain rate in mm/h ("mm h-1"), reflectivity in dBZ, intensity (of a picture)
without unit between 0 and 1. Readers convert once, on the way in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar, cast

import numpy as np
import xarray as xr

from framecast.checks import positive
from framecast.errors import ArgumentError, ConfigError, DataError
from framecast.types import config

Numbers = TypeVar("Numbers", float, np.ndarray)
"""A number, or an array of them."""


@dataclass(frozen=True)
class Quantity:
    """A measured quantity. `dry` is the value that means "observed, and nothing there"; values below `lowest` cannot be
    and are read as no data; values above `plausible` are reported as suspicious."""

    name: str
    units: str
    dry: float
    lowest: float
    plausible: float
    thresholds: tuple[float, ...]
    """Default thresholds of the event scores, in mm/h for rain rate and reflectivity."""
    standard_name: str | None = None
    """That of the CF conventions, where a file states none."""

    @property
    def precipitation(self) -> bool:
        """Whether event scores at rain-rate thresholds make sense."""
        return self.name in ("rain_rate", "reflectivity")


_RAIN_THRESHOLDS = (0.5, 2.0, 8.0)
RAIN_RATE = Quantity("rain_rate", "mm h-1", 0.0, 0.0, 400.0, _RAIN_THRESHOLDS, "lwe_precipitation_rate")
REFLECTIVITY = Quantity("reflectivity", "dBZ", -32.0, -100.0, 80.0, _RAIN_THRESHOLDS, "equivalent_reflectivity_factor")
INTENSITY = Quantity("intensity", "1", 0.0, -np.inf, 1.0, ())
QUANTITIES = {quantity.name: quantity for quantity in (RAIN_RATE, REFLECTIVITY, INTENSITY)}


_AS_RATE = {
    "precipitation_flux": "lwe_precipitation_rate",
    "precipitation_amount": "lwe_precipitation_rate",
    "lwe_thickness_of_precipitation_amount": "lwe_precipitation_rate",
    "rainfall_flux": "rainfall_rate",
    "rainfall_amount": "rainfall_rate",
    "thickness_of_rainfall_amount": "rainfall_rate",
}
"""CF names of masses and amounts of rain, and those of the rates that they become."""


def standard_name(stated: str | None, quantity: Quantity) -> str | None:
    """The CF name of a quantity in its own unit, given that which a file states for what it holds."""
    name = stated or quantity.standard_name
    return _AS_RATE.get(str(name), name)


class Meaning(NamedTuple):
    """What values in some units are: `factor` times them plus `offset` is the quantity in its own unit."""

    quantity: Quantity
    factor: float = 1.0
    offset: float = 0.0

    @property
    def is_pixel_map(self) -> bool:
        """Whether the values are pixels of a picture of dBZ, in which 0 means no echo."""
        return self.offset != 0 or (self.quantity is REFLECTIVITY and self.factor != 1)


PIXEL_MAPS = {
    "thuml": Meaning(REFLECTIVITY, 1 / 2, 15.0),
    "hko7": Meaning(REFLECTIVITY, 70 / 255, -10.0),
    "tctn": Meaning(REFLECTIVITY, 70 / 255),
    "cikm": Meaning(REFLECTIVITY, 95 / 255, -10.0),
}
"""How published sets draw dBZ in pixels of 8 bits, by name: dBZ = factor * pixel + offset. `thuml`: the metrics of
MotionRNN and ModeRNN; `hko7`: HKO-7 and the utilities of TCTN; `tctn`: its other map; `cikm`: CIKM AnalytiCup 2017."""

_UNITS: dict[str, Meaning] = {
    "mm h-1": Meaning(RAIN_RATE),
    "mm min-1": Meaning(RAIN_RATE, 60.0),
    "mm s-1": Meaning(RAIN_RATE, 3600.0),
    "mm day-1": Meaning(RAIN_RATE, 1 / 24),
    "kg m-2 h-1": Meaning(RAIN_RATE),
    "kg m-2 s-1": Meaning(RAIN_RATE, 3600.0),
    "dBZ": Meaning(REFLECTIVITY),
    "1": Meaning(INTENSITY),
    "0-1": Meaning(INTENSITY),
    "0-255": Meaning(INTENSITY, 1 / 255),
    "0-65535": Meaning(INTENSITY, 1 / 65535),
    **{f"pixels {name}": meaning for name, meaning in PIXEL_MAPS.items()},
}
"""Units and what values in them are. Not among them: m s-1, which CF allows for rain but most files use for wind, and
amounts (mm), which are no rate until someone says over what time: "mm per 5 min"."""

_AMOUNT = re.compile(r"(?:mm|kg m-2|kg/m2)\s*(?:per|in|/)\s*(\d+(?:\.\d+)?)\s*min(?:utes?)?")

_SPELLINGS = {"hr": "h", "hour": "h", "hours": "h", "minute": "min", "sec": "s", "d": "day", "days": "day"}
_PART = re.compile(r"(/?)\s*([a-z]+)(?:\^|\*\*)?(-?\d+)?(?:[\s.*·]+|(?=/)|$)")


def understood() -> str:
    """The units that can be read, for messages."""
    return ", ".join([*_UNITS, "mm per MINUTES min"])


def identify(units: str | None, *, variable: str, where: object) -> Meaning:
    """What values in `units` are.

    Spellings differ: "mm/h", "mm hr**-1" and "mm.h-1" are the same. Raises `DataError` that names the variable, the units
    found, the units understood, and how to state them.
    """
    found = _written(units)
    if (meaning := _meaning(found)) is not None:
        return meaning
    what = f"variable {variable!r} has units {found!r}" if found else f"variable {variable!r} has no units"
    raise DataError(
        f"{what}; understood are {understood()}",
        where=str(where),
        remedy="state the units of the values, for 8-bit pictures 0-255",
        parameter="units",
        example="mm h-1",
    )


def settled(stated: str | None, found: str | None, *, variable: str, where: object) -> str | None:
    """The units of values: those the file states, else those that a person does; 1, which says no more than that there is no
    unit, gives way to them too. Raises `DataError` where both are understood and mean different things."""
    theirs = _meaning(_written(found))
    if stated is None or theirs is None or theirs == Meaning(INTENSITY):
        return stated or found
    if _meaning(_written(stated)) != theirs:
        raise DataError(
            f"variable {variable!r} has units {_written(found)!r}, but {stated!r} are stated",
            where=str(where),
            remedy="correct the file if it is wrong, else state no units, or those of the file",
            parameter="units",
            example=_written(found),
        )
    return found


def _written(units: str | None) -> str:
    """Units with single spaces."""
    return " ".join(str(units or "").split())


def _meaning(units: str) -> Meaning | None:
    """What values in `units` are; None where that is not understood."""
    for known, meaning in _UNITS.items():
        if units and (units == known or _plain(units) == _plain(known)):
            return meaning
    amount = _AMOUNT.fullmatch(units)
    if amount and float(amount[1]) > 0:
        return Meaning(RAIN_RATE, rate_of_amount(1.0, float(amount[1])))
    return None


def _plain(units: str) -> str:
    """One spelling for all: "kg/m^2/hr" and "kg m-2 h-1" both become "h-1 kg1 m-2"."""
    rest, parts = units.lower(), []
    while rest:
        part = _PART.match(rest)
        if part is None:
            return units.lower()
        per, unit, power = part.groups()
        parts.append(f"{_SPELLINGS.get(unit, unit)}{int(power or 1) * (-1 if per else 1)}")
        rest = rest[part.end() :]
    return " ".join(sorted(parts))


def of(frames: xr.DataArray) -> Quantity:
    """The quantity of opened Frames, with the dry value these Frames state."""
    quantity = QUANTITIES[frames.attrs["quantity"]]
    return with_dry(quantity, float(frames.attrs["dry"]))


def with_dry(quantity: Quantity, dry: float) -> Quantity:
    """The same quantity with another value for "observed, and nothing there"."""
    return replace(quantity, dry=dry)


@config
class ZR:
    """Z = a R^b between reflectivity factor Z (mm^6 m^-3) and rain rate R (mm/h).

    The defaults are those of the Finnish Meteorological Institute; Marshall and Palmer (1948) have a = 200, b = 1.6.
    """

    a: float = 223.0
    b: float = 1.53

    def __post_init__(self) -> None:
        if not (positive(self.a) and positive(self.b)):
            raise ArgumentError(
                f"Z = {self.a} R^{self.b} is no Z-R relation: both numbers are finite and above 0", parameter="zr"
            )

    def reflectivity(self, rate: Numbers) -> Numbers:
        """dBZ of a rain rate in mm/h greater than 0; -inf where it is 0."""
        with np.errstate(divide="ignore"):
            return cast("Numbers", 10 * np.log10(self.a * np.power(rate, self.b)))

    def rain_rate(self, dbz: Numbers) -> Numbers:
        """Rain rate in mm/h of a reflectivity in dBZ."""
        return cast("Numbers", np.power(np.power(10.0, np.divide(dbz, 10)) / self.a, 1 / self.b))


def rate_of_amount(amount: Numbers, minutes: float) -> Numbers:
    """Rain rate in mm/h of an amount in mm that fell in `minutes`."""
    return amount * (60 / minutes)


def amount_of_rate(rate: Numbers, minutes: float) -> Numbers:
    """Amount in mm that falls in `minutes` at a rate in mm/h."""
    return rate * (minutes / 60)


def dbz_of_pixels(pixels: Numbers, name: str) -> Numbers:
    """dBZ of pixels from 0 to 255 by one of `PIXEL_MAPS`. Raises `ConfigError` for an unknown name."""
    _, factor, offset = _pixel_map(name)
    return factor * pixels + offset


def pixels_of_dbz(dbz: Numbers, name: str) -> Numbers:
    """Pixels, not rounded, of dBZ by one of `PIXEL_MAPS`. Raises `ConfigError` for an unknown name."""
    _, factor, offset = _pixel_map(name)
    return (dbz - offset) / factor


def _pixel_map(name: str) -> Meaning:
    if name not in PIXEL_MAPS:
        raise ConfigError(f"unknown pixel map {name!r}", remedy=f"one of: {', '.join(PIXEL_MAPS)}")
    return PIXEL_MAPS[name]


def event_thresholds(quantity: Quantity, rates: tuple[float, ...], zr: ZR) -> tuple[float, ...]:
    """Rain-rate thresholds `rates` in mm/h as thresholds in the unit of `quantity`."""
    if quantity.name == "reflectivity":
        return tuple(zr.reflectivity(rate) for rate in rates)
    return rates
