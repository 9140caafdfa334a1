"""What a pixel measures: quantities, the units they come in, and the Z-R relation between rain and reflectivity.

Inside framecast a quantity has one unit: rain rate in mm/h ("mm h-1"), reflectivity in dBZ, intensity (of a picture)
without unit between 0 and 1. Readers convert once, on the way in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from framecast.errors import ConfigError, DataError
from framecast.types import config


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

    @property
    def precipitation(self) -> bool:
        """Whether event scores at rain-rate thresholds make sense."""
        return self.name in ("rain_rate", "reflectivity")


_RAIN_THRESHOLDS = (0.5, 2.0, 8.0)
RAIN_RATE = Quantity("rain_rate", "mm h-1", 0.0, 0.0, 400.0, _RAIN_THRESHOLDS)
REFLECTIVITY = Quantity("reflectivity", "dBZ", -32.0, -100.0, 80.0, _RAIN_THRESHOLDS)
INTENSITY = Quantity("intensity", "1", 0.0, -np.inf, 1.0, ())
QUANTITIES = {quantity.name: quantity for quantity in (RAIN_RATE, REFLECTIVITY, INTENSITY)}

_FACTORS: dict[str, tuple[Quantity, float]] = {
    "mm h-1": (RAIN_RATE, 1.0),
    "mm min-1": (RAIN_RATE, 60.0),
    "mm s-1": (RAIN_RATE, 3600.0),
    "mm day-1": (RAIN_RATE, 1 / 24),
    "kg m-2 h-1": (RAIN_RATE, 1.0),
    "kg m-2 s-1": (RAIN_RATE, 3600.0),
    "dBZ": (REFLECTIVITY, 1.0),
    "1": (INTENSITY, 1.0),
    "0-1": (INTENSITY, 1.0),
    "0-255": (INTENSITY, 1 / 255),
    "0-65535": (INTENSITY, 1 / 65535),
}
"""Units and their factor to the quantity's own. Not among them: m s-1, which CF allows for rain but most files use for
wind, and amounts (mm), which are no rate until someone says over what time."""

_SPELLINGS = {"hr": "h", "hour": "h", "hours": "h", "minute": "min", "sec": "s", "d": "day", "days": "day"}
_PART = re.compile(r"(/?)\s*([a-z]+)(?:\^|\*\*)?(-?\d+)?(?:[\s.*·]+|(?=/)|$)")


def understood() -> str:
    """The units that can be read, for messages."""
    return ", ".join(_FACTORS)


def identify(units: str | None, *, variable: str, where: object) -> tuple[Quantity, float]:
    """The quantity that `units` belong to, and the factor to its own unit.

    Spellings differ: "mm/h", "mm hr**-1" and "mm.h-1" are the same. Raises `DataError` that names the variable, the units
    found, the units understood, and how to state them.
    """
    found = " ".join(str(units or "").split())
    for known, meaning in _FACTORS.items():
        if found and _plain(found) == _plain(known):
            return meaning
    what = f"variable {variable!r} has units {found!r}" if found else f"variable {variable!r} has no units"
    raise DataError(
        f"{what}; understood are {understood()}",
        where=str(where),
        remedy="state the units of the values: --units 'mm h-1', for 8-bit pictures 0-255 (in Python: units='mm h-1')",
    )


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
        if not (self.a > 0 and self.b > 0):
            raise ConfigError(f"Z = {self.a:g} R^{self.b:g} is no Z-R relation: both numbers are above 0", where="zr")

    def reflectivity(self, rate: float) -> float:
        """dBZ of a rain rate in mm/h greater than 0."""
        return float(10 * np.log10(self.a * rate**self.b))

    def rain_rate(self, dbz: float) -> float:
        """Rain rate in mm/h of a reflectivity in dBZ."""
        return float((10 ** (dbz / 10) / self.a) ** (1 / self.b))


def event_thresholds(quantity: Quantity, rates: tuple[float, ...], zr: ZR) -> tuple[float, ...]:
    """Rain-rate thresholds `rates` in mm/h as thresholds in the unit of `quantity`."""
    if quantity.name == "reflectivity":
        return tuple(zr.reflectivity(rate) for rate in rates)
    return rates
