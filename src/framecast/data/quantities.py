"""Quantities that a pixel measures: one record for each, and the Z-R relation between rain rate and reflectivity.

Inside framecast a quantity has one unit: rain rate in mm/h ("mm h-1"), reflectivity in dBZ, intensity (of an image)
without unit between 0 and 1. Readers convert once, on the way in (`framecast.data.units`). Everything that depends on the
quantity (scaling, colours, histograms, thresholds, sampling) is read from its record here; no other module tests its name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeVar, cast

import numpy as np
import xarray as xr

from framecast.checks import is_positive
from framecast.errors import ArgumentError
from framecast.types import config

Numbers = TypeVar("Numbers", float, np.ndarray)
"""A number, or an array of them."""


@config
class ZR:
    """Z = a R^b between reflectivity factor Z (mm^6 m^-3) and rain rate R (mm/h).

    The defaults are those of the Finnish Meteorological Institute; Marshall and Palmer (1948) have a = 200, b = 1.6.
    """

    a: float = 223.0
    b: float = 1.53

    def __post_init__(self) -> None:
        if not (is_positive(self.a) and is_positive(self.b)):
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


class Conversion(NamedTuple):
    """Other units of a quantity: `factor * values + offset` is in its own unit. `dry` is the dry value of data in these units, in
    the quantity's own unit, if it differs from that of the quantity."""

    units: str
    factor: float = 1.0
    offset: float = 0.0
    dry: float | None = None


class Bins(NamedTuple):
    """The `edges` of the bins in which values are counted, in the unit of the quantity; what lies outside is counted at the
    end. Where they are `logarithmic`, values below the first edge are not counted and figures have a logarithmic axis."""

    edges: tuple[float, ...]
    logarithmic: bool = False


@dataclass(frozen=True)
class Quantity:
    """The record of a measured quantity. To add one: docs/adding_a_quantity.md."""

    name: str
    units: str
    dry: float
    """The value of a dry pixel (observed, without signal); scaling sets missing pixels to it."""
    lowest: float
    """The lowest possible value; values below are read as no data."""
    plausible: float
    """Values above are reported as suspicious."""
    usual: tuple[float, float]
    """The range that most values lie in: 0 to 1 in linear scaling, black to white in colours without steps."""
    bins: Bins
    conversions: tuple[Conversion, ...] = ()
    """Other units in which files state it."""
    label: str = ""
    """The unit in figures; empty for none."""
    standard_name: str | None = None
    """The CF standard name, used if a file has none."""
    bounded: bool = False
    """Whether values outside of the usual range are an error of the units."""
    rain: Literal["rate", "reflectivity"] | None = None
    """How the values are related to rain: they are its rate in mm/h, or its reflectivity in dBZ, or not at all."""
    thresholds: tuple[float, ...] = ()
    """Default thresholds of the event scores, in mm/h for rain rate and reflectivity."""
    wet: float = np.inf
    """The least value of a wet pixel; infinite if wet is not defined."""
    logarithmic: bool = False
    """Whether the values are decibels, which are averaged as powers."""
    scaling: Literal["unit", "rain_log", "dbz"] = "unit"
    """The name of the default scaling; `unit` scales the usual range."""
    colour_steps: tuple[float, ...] = ()
    """The limits of the colour steps; empty for a grey scale."""

    @property
    def title(self) -> str:
        """The name with spaces."""
        return self.name.replace("_", " ")

    @property
    def heading(self) -> str:
        """The title with its unit in figures: rain rate (mm/h), intensity."""
        return f"{self.title} ({self.label})" if self.label else self.title

    @property
    def precipitation(self) -> bool:
        """Whether event scores at rain-rate thresholds make sense."""
        return self.rain is not None

    def rain_rate(self, values: Numbers, zr: ZR) -> Numbers:
        """Values as rain rates in mm/h. Raises `TypeError` where they are not related to rain."""
        if self.rain is None:
            raise TypeError(f"{self.title} is not related to rain")
        return values if self.rain == "rate" else zr.rain_rate(values)

    def from_rain_rate(self, rates: Numbers, zr: ZR) -> Numbers:
        """Rain rates in mm/h as values. Raises `TypeError` where they are not related to rain."""
        if self.rain is None:
            raise TypeError(f"{self.title} is not related to rain")
        return rates if self.rain == "rate" else zr.reflectivity(rates)


_RAIN_THRESHOLDS = (0.5, 2.0, 8.0)
RAIN_RATE = Quantity(
    name="rain_rate",
    units="mm h-1",
    dry=0.0,
    lowest=0.0,
    plausible=400.0,
    usual=(0.0, 100.0),
    bins=Bins(tuple(np.geomspace(0.01, 1000, 51).tolist()), logarithmic=True),
    conversions=(
        Conversion("mm min-1", 60.0),
        Conversion("mm s-1", 3600.0),
        Conversion("mm day-1", 1 / 24),
        Conversion("kg m-2 h-1"),
        Conversion("kg m-2 s-1", 3600.0),
    ),
    label="mm/h",
    standard_name="lwe_precipitation_rate",
    rain="rate",
    thresholds=_RAIN_THRESHOLDS,
    wet=0.1,
    scaling="rain_log",
    colour_steps=(0.1, 0.5, 1, 2, 4, 8, 16, 32, 64, 128),
)
"""Not among its units: m s-1, of rain only where the standard name says so, and amounts (mm), which are no rate until a person
states over what time: "mm per 5 min"."""

REFLECTIVITY = Quantity(
    name="reflectivity",
    units="dBZ",
    dry=-32.0,
    lowest=-100.0,
    plausible=80.0,
    usual=(0.0, 60.0),
    bins=Bins(tuple(np.linspace(-32, 80, 57).tolist())),
    conversions=(
        Conversion("pixels thuml", 1 / 2, 15.0, dry=15.0),
        Conversion("pixels hko7", 70 / 255, -10.0, dry=-10.0),
        Conversion("pixels tctn", 70 / 255, dry=0.0),
        Conversion("pixels cikm", 95 / 255, -10.0, dry=-10.0),
    ),
    label="dBZ",
    standard_name="equivalent_reflectivity_factor",
    rain="reflectivity",
    thresholds=_RAIN_THRESHOLDS,
    wet=15.0,
    logarithmic=True,
    scaling="dbz",
    colour_steps=(5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60),
)
"""How published sets draw dBZ in pixels of 8 bits, of which 0 is dry. `thuml`: the metrics of MotionRNN and ModeRNN;
`hko7`: HKO-7 and the utilities of TCTN; `tctn`: its other map; `cikm`: CIKM AnalytiCup 2017."""

INTENSITY = Quantity(
    name="intensity",
    units="1",
    dry=0.0,
    lowest=-np.inf,
    plausible=1.0,
    usual=(0.0, 1.0),
    bins=Bins(tuple(np.linspace(0, 1, 65).tolist())),
    conversions=(Conversion("0-1"), Conversion("0-255", 1 / 255), Conversion("0-65535", 1 / 65535)),
    bounded=True,
)

QUANTITIES = {quantity.name: quantity for quantity in (RAIN_RATE, REFLECTIVITY, INTENSITY)}
"""All quantities, by name: the registry."""


def quantity_of(frames: xr.DataArray) -> Quantity:
    """The quantity of opened Frames, with the dry value these Frames state."""
    quantity = QUANTITIES[frames.attrs["quantity"]]
    return with_dry(quantity, float(frames.attrs["dry"]))


def with_dry(quantity: Quantity, dry: float) -> Quantity:
    """The same quantity with another dry value."""
    return replace(quantity, dry=dry)


def event_thresholds(quantity: Quantity, rates: tuple[float, ...], zr: ZR) -> tuple[float, ...]:
    """Rain-rate thresholds `rates` in mm/h as thresholds in the unit of `quantity`."""
    return tuple(quantity.from_rain_rate(rate, zr) for rate in rates)


class LevelUnits(NamedTuple):
    """Units in which levels, thresholds of events in the values of frames, are stated: `factor * level + offset` is the level in
    the unit of the quantity; `label` names the units in tables, "dBZ", and `source` says where images of 8 bits draw them so."""

    label: str
    factor: float = 1.0
    offset: float = 0.0
    source: str = ""


def level_units(quantity: Quantity) -> dict[str, LevelUnits]:
    """The units in which levels of a quantity can be stated, by name, first its own: those of files, and the dBZ that published
    sets draw in pixels ("dBZ as pixels thuml"), of images and of reflectivity that was read from them."""
    own = LevelUnits(quantity.label or "of 1")
    units = {quantity.label or quantity.units: own, quantity.units: own}
    for each in quantity.conversions:
        label = f"of {each.units[2:]}" if each.units.startswith("0-") else each.units
        units[each.units] = LevelUnits(label, each.factor, each.offset)
    for each in REFLECTIVITY.conversions:
        sign = "+" if each.offset >= 0 else "-"
        source = f"{REFLECTIVITY.label} = {each.factor:.4g} * pixel {sign} {abs(each.offset):g}"
        name = f"{REFLECTIVITY.label} as {each.units}"
        factor = 1 / (each.factor * _PIXELS)
        if quantity.name == INTENSITY.name:
            units[name] = LevelUnits(REFLECTIVITY.label, factor, -each.offset * factor, source)
        elif quantity.name == REFLECTIVITY.name:
            units[name] = own
    return units


def find_level_units(name: str) -> LevelUnits:
    """The units of levels of that name, of the first quantity that has them. Raises `ArgumentError`."""
    known = {name: units for quantity in QUANTITIES.values() for name, units in level_units(quantity).items()}
    if name not in known:
        raise ArgumentError(f"unknown units {name!r}", parameter="level_units", remedy=f"one of: {', '.join(known)}")
    return known[name]


_PIXELS = 255
"""The largest pixel of 8 bits."""
