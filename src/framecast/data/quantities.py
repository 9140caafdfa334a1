"""What a pixel measures: quantities, the units they come in, and the Z-R relation between rain and reflectivity.

Inside framecast a quantity has one unit: rain rate in mm/h ("mm h-1"), reflectivity in dBZ, intensity (of a picture)
without unit between 0 and 1. Readers convert once, on the way in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import xarray as xr

from framecast.errors import DataError
from framecast.types import config

A = TypeVar("A", bound=np.ndarray)


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

_UNITS: dict[str, tuple[Quantity, float]] = {
    "mm h-1": (RAIN_RATE, 1.0),
    "mm/h": (RAIN_RATE, 1.0),
    "mm/hr": (RAIN_RATE, 1.0),
    "mm hr-1": (RAIN_RATE, 1.0),
    "mm h**-1": (RAIN_RATE, 1.0),
    "kg m-2 h-1": (RAIN_RATE, 1.0),
    "kg m-2 s-1": (RAIN_RATE, 3600.0),
    "mm s-1": (RAIN_RATE, 3600.0),
    "m s-1": (RAIN_RATE, 3.6e6),
    "dbz": (REFLECTIVITY, 1.0),
    "1": (INTENSITY, 1.0),
    "0-1": (INTENSITY, 1.0),
    "0-255": (INTENSITY, 1 / 255),
}


def understood() -> str:
    """The units that can be read, for messages."""
    return ", ".join(_UNITS)


def identify(units: str | None, *, variable: str, where: object) -> tuple[Quantity, float]:
    """The quantity that `units` belong to, and the factor to its own unit.

    Raises `DataError` that names the variable, the units found and the units understood.
    """
    found = None if units is None else " ".join(str(units).split())
    if found is not None and (known := _UNITS.get(found) or _UNITS.get(found.lower())):
        return known
    what = f"variable {variable!r} has no units" if not found else f"variable {variable!r} has units {found!r}"
    raise DataError(
        f"{what}; understood are {understood()}",
        where=str(where),
        remedy="state the units of the values: --units 'mm h-1' (in Python: units='mm h-1')",
    )


def of(frames: xr.DataArray) -> Quantity:
    """The quantity of opened Frames, with the dry value these Frames state."""
    quantity = QUANTITIES[frames.attrs["quantity"]]
    return with_dry(quantity, float(frames.attrs["dry"]))


def with_dry(quantity: Quantity, dry: float) -> Quantity:
    """The same quantity with another value for "observed, and nothing there"."""
    return Quantity(quantity.name, quantity.units, dry, quantity.lowest, quantity.plausible, quantity.thresholds)


@config
class ZR:
    """Z = a R^b between reflectivity factor Z (mm^6 m^-3) and rain rate R (mm/h).

    The defaults are those of the Finnish Meteorological Institute; Marshall and Palmer (1948) have a = 200, b = 1.6.
    """

    a: float = 223.0
    b: float = 1.53

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
