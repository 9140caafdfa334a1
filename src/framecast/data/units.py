"""Units in files: parse their spellings, and find the quantity and the conversion to its own unit.

`identify` gives the quantity and the linear conversion to its own unit; the units are those of the records in
`framecast.data.quantities`, and amounts of rain over a stated time.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from framecast.data.quantities import INTENSITY, QUANTITIES, RAIN_RATE, Conversion, Quantity
from framecast.errors import DataError

_AS_RATE = {
    "precipitation_flux": "lwe_precipitation_rate",
    "precipitation_amount": "lwe_precipitation_rate",
    "lwe_thickness_of_precipitation_amount": "lwe_precipitation_rate",
    "rainfall_flux": "rainfall_rate",
    "rainfall_amount": "rainfall_rate",
    "thickness_of_rainfall_amount": "rainfall_rate",
}
"""CF names of masses and amounts of rain, and of the rates to which they are converted."""


def standard_name(stated: str | None, quantity: Quantity) -> str | None:
    """The CF name of a quantity in its own unit, `stated` being the name in the file."""
    name = stated or quantity.standard_name
    return _AS_RATE.get(str(name), name)


class Meaning(NamedTuple):
    """The meaning of values in some units: `factor * values + offset` is the quantity in its own unit; `dry` is the dry value,
    if it differs from that of the quantity."""

    quantity: Quantity
    factor: float = 1.0
    offset: float = 0.0
    dry: float | None = None


def _units_table() -> dict[str, Meaning]:
    """All known units with their meanings."""
    return {
        each.units: Meaning(quantity, each.factor, each.offset, each.dry)
        for quantity in QUANTITIES.values()
        for each in (Conversion(quantity.units), *quantity.conversions)
    }


_AMOUNTS = {
    **dict.fromkeys(("mm", "millimeter", "millimetre", "millimeters", "millimetres", "mm of water"), 1.0),
    **dict.fromkeys(("kg m-2", "kg/m2", "kg/m^2", "kg m^-2", "kg m**-2", "kg/(m^2)", "kg.m-2", "l m-2", "l/m2"), 1.0),
    **dict.fromkeys(("m", "meter", "metre", "meters", "metres", "m of water equivalent"), 1000.0),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 10.0),
    **dict.fromkeys(("inch", "inches", "in"), 25.4),
}
"""Amounts of rain in mm; over a stated time they are rates."""
_MINUTES = {
    "s": 1 / 60,
    "sec": 1 / 60,
    "min": 1.0,
    "minute": 1.0,
    "h": 60.0,
    "hr": 60.0,
    "hour": 60.0,
    "d": 1440.0,
    "day": 1440.0,
}
_OVER_TIME = re.compile(r"(.+?)\s*(?:\bper\b|\bin\b|/)\s*(\d+(?:\.\d+)?)\s*([a-z]+?)s?")

_SPELLINGS = {"hr": "h", "hour": "h", "hours": "h", "minute": "min", "sec": "s", "d": "day", "days": "day"}
_DIVISOR = re.compile(r"/\s*\(([^()]*)\)")
_PART = re.compile(r"(/?)\s*([a-z]+)(?:\^|\*\*)?(-?\d+)?(?:[\s.*·]+|(?=/)|$)")


def list_units() -> str:
    """The units that can be read, for messages."""
    return ", ".join([*_units_table(), "mm per MINUTES min"])


def amount_in_mm(units: object) -> float | None:
    """How many mm of rain one of these `units` is; None if they are none of an amount."""
    return _AMOUNTS.get(" ".join(str(units or "").split()).lower())


def identify(units: str | None, *, variable: str, where: object) -> Meaning:
    """The meaning of values in `units`.

    Spellings may differ: "mm/h", "mm hr**-1" and "mm.h-1" are the same. Raises `DataError` that names the variable, the units
    found, the units understood, and how to state them.
    """
    text = _normalise(units)
    if (meaning := _meaning(text)) is not None:
        return meaning
    if amount_in_mm(text) is not None:
        raise no_duration(_without_duration(variable, text), text, where)
    problem = f"variable {variable!r} has units {text!r}" if text else f"variable {variable!r} has no units"
    raise DataError(
        f"{problem}; understood are {list_units()}",
        where=str(where),
        remedy="state the units of the values, for 8-bit images 0-255",
        parameter="units",
        example="mm h-1",
    )


def _without_duration(variable: str, amount: str) -> str:
    return f"variable {variable!r} has units {amount!r}: an amount, and the file does not say over what time"


def no_duration(problem: str, amount: str, where: object) -> DataError:
    """The error for an amount in units `amount` whose duration is not known, with what to state."""
    return DataError(
        problem,
        where=str(where),
        remedy="state over how many minutes it fell",
        parameter="units",
        example=f"{amount} per 60 min",
    )


def resolve_units(stated: str | None, file_units: str | None, *, variable: str, where: object) -> str | None:
    """The units of values: those of the file, else those that the user states, which also replace "1". Raises `DataError` if
    both are known and have different meanings, and for an amount (mm) of which is stated that it is a rate, or another amount."""
    file_meaning, amount = _meaning(_normalise(file_units)), _normalise(file_units)
    if stated is not None and (millimetres := amount_in_mm(amount)) is not None:
        stated_meaning, over_time = _meaning(_normalise(stated)), _OVER_TIME.fullmatch(_normalise(stated).lower())
        is_rate = stated_meaning is not None and stated_meaning.quantity == RAIN_RATE
        if is_rate and (over_time is None or amount_in_mm(over_time[1]) != millimetres):
            raise no_duration(_without_duration(variable, amount), amount, where)
    if stated is None or file_meaning is None or file_meaning == Meaning(INTENSITY):
        return stated or file_units
    if _meaning(_normalise(stated)) != file_meaning:
        raise DataError(
            f"variable {variable!r} has units {_normalise(file_units)!r}, but {stated!r} are stated",
            where=str(where),
            remedy="correct the file if it is wrong, else state no units, or those of the file",
            parameter="units",
            example=_normalise(file_units),
        )
    return file_units


def _normalise(units: str | None) -> str:
    """Units with single spaces."""
    return " ".join(str(units or "").split())


def _meaning(units: str) -> Meaning | None:
    """The meaning of values in `units`; None if they are unknown."""
    for known, meaning in _units_table().items():
        if units and (units == known or _canonical(units) == _canonical(known)):
            return meaning
    over_time = _OVER_TIME.fullmatch(units.lower())
    if over_time and over_time[3] in _MINUTES and float(over_time[2]) > 0:
        millimetres, minutes = amount_in_mm(over_time[1]), float(over_time[2]) * _MINUTES[over_time[3]]
        return None if millimetres is None else Meaning(RAIN_RATE, 60 * millimetres / minutes)
    return None


def _canonical(units: str) -> str:
    """One spelling for all: "kg/m^2/hr", "kg/(m^2 hr)" and "kg m-2 h-1" become "h-1 kg1 m-2"."""
    rest = _DIVISOR.sub(lambda divisor: "".join(f"/{part}" for part in divisor[1].split()), units.lower())
    parts: list[str] = []
    while rest:
        part = _PART.match(rest)
        if part is None:
            return units.lower()
        per, unit, power = part.groups()
        parts.append(f"{_SPELLINGS.get(unit, unit)}{int(power or 1) * (-1 if per else 1)}")
        rest = rest[part.end() :]
    return " ".join(sorted(parts))
