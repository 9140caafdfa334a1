"""Units in files: parse their spellings, and find the quantity and the conversion to its own unit.

`identify` gives the quantity and the linear conversion to its own unit; the units are those of the records in
`framecast.data.quantities`, and amounts of rain over a stated time.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import NamedTuple

from framecast.data.quantities import INTENSITY, QUANTITIES, RAIN_RATE, REFLECTIVITY, Conversion, Quantity
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


_LENGTHS = {
    **dict.fromkeys(("um", "μm", "micrometer", "micrometre", "micrometers", "micrometres", "micron", "microns"), 1e-3),
    **dict.fromkeys(("mm", "millimeter", "millimetre", "millimeters", "millimetres"), 1.0),
    **dict.fromkeys(("cm", "centimeter", "centimetre", "centimeters", "centimetres"), 10.0),
    **dict.fromkeys(("m", "meter", "metre", "meters", "metres"), 1000.0),
    **dict.fromkeys(("inch", "inches", "in"), 25.4),
}
_VOLUMES = {
    **dict.fromkeys(("kg", "kilogram", "kilograms"), 1e6),
    "g": 1e3,
    **dict.fromkeys(("l", "liter", "litre", "liters", "litres"), 1e6),
}
"""Units of volumes in mm3; of masses, those of so much water."""
_MINUTES = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1 / 60),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 1.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 60.0),
    **dict.fromkeys(("d", "day", "days"), 1440.0),
    **dict.fromkeys(("week", "weeks"), 10080.0),
}
_OVER_TIME = re.compile(r"(.+?)\s*(?:\bper\b|\bin\b|/)\s*\(?\d+(?:\.\d+)?\s*[a-z]+\)?", re.IGNORECASE)
"""An amount over a stated time."""
_FASTEST = 3600.0
"""The largest unit of a rate of rain, in mm/h: lengths over times that are larger, such as m s-1, are velocities."""
_LONGEST = 100
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:e[-+]?\d+)?|\.\d+)"
    r"|(?P<per>/|per\b|in(?=\s*\d))|(?P<times>\*(?!\*)|[.·])"
    r"|(?P<unit>[a-zμ]+)(?:\^|\*\*)?(?:(?P<power>[-+]?\d+)|\{(?P<braced>[-+]?\d+)\})?"
    r"|(?P<open>\()|\)(?P<close>(?:\^|\*\*)?[-+]?\d*))\s*"
)
_OF_WATER = re.compile(r"\s+(?:of\s+)?(?:water|h2o)(?:\s+equivalent)?(?=$|\s|/)")


_SCALE = re.compile(r"\d+\.?\d*(?:e[-+]?\d+)?")
_RATE_NAME = re.compile(r"(?:precipitation|rainfall)_rate$")
"""How the standard names end of rates of rain, whose unit in CF is m s-1."""


class _Size(NamedTuple):
    """A unit as `factor` mm^length min^time."""

    factor: float
    length: int
    time: int

    def __mul__(self, other: _Size) -> _Size:  # type: ignore[override]
        return _Size(self.factor * other.factor, self.length + other.length, self.time + other.time)

    def __pow__(self, power: int) -> _Size:
        return _Size(self.factor**power, self.length * power, self.time * power)


class _Parsed(NamedTuple):
    """The number that stands before a unit, the size of the unit, and whether it is made of lengths and times alone."""

    scale: float
    size: _Size
    is_plain: bool


_SIZES = {
    **{name: _Size(factor, 1, 0) for name, factor in _LENGTHS.items()},
    **{name: _Size(factor, 3, 0) for name, factor in _VOLUMES.items()},
    **{name: _Size(factor, 0, 1) for name, factor in _MINUTES.items()},
}


def list_units() -> str:
    """The units that can be read, for messages."""
    return ", ".join([*_units_table(), "mm per MINUTES min"])


def amount_in_mm(units: object) -> float | None:
    """How many mm of rain one of these `units` is; None if they are none of an amount."""
    parsed = _parse(str(units or ""))
    return parsed.scale * parsed.size.factor if parsed is not None and parsed.size[1:] == (1, 0) else None


UNSTATED = "none stated"
"""The units of values without any; what is known of them may follow, as ", values from 0 to 200"."""


def identify(units: str | None, *, variable: str, where: object) -> Meaning:
    """The meaning of values in `units`.

    Spellings may differ: "mm/h", "mm hr**-1" and "mm.h-1" are the same; a number before a unit is its scale ("0.1 mm h-1").
    Raises `DataError` that names the variable, the units found, the units understood, and how to state them.
    """
    text = _normalise(units)
    if (meaning := _meaning(text)) is not None:
        return meaning
    if amount_in_mm(text) is not None:
        raise no_duration(_without_duration(variable, text), text, where)
    problem = f"variable {variable!r} has units {text[:_LONGEST]!r}"
    if not text or text.startswith(UNSTATED):
        problem, text = f"variable {variable!r} has no units{text.removeprefix(UNSTATED)}", ""
    remedy, example = "state the units of the values, for 8-bit images 0-255", "mm h-1"
    if (velocity := _velocity(text)) is not None:
        remedy, example = "they are those of wind; if the values are rain, state them so", velocity
    elif text:
        remedy = (
            "convert the values to units that are understood, or, if these are another spelling of them, state those"
        )
    raise DataError(
        f"{problem}; understood are {list_units()}", where=str(where), remedy=remedy, parameter="units", example=example
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


def resolve_units(
    stated: str | None, file_units: str | None, *, variable: str, where: object, standard_name: object = None
) -> str | None:
    """The units of values: those of the file, else those that the user states, which also replace "1". The units of a velocity
    are those of rain where the `standard_name` of CF says so. Raises `DataError` if both are known and have different meanings,
    and for an amount (mm) of which is stated that it is a rate, or another amount."""
    if _RATE_NAME.search(str(standard_name or "")) and (velocity := _velocity(_normalise(file_units))) is not None:
        file_units = velocity
    file_meaning, amount = _meaning(_normalise(file_units)), _normalise(file_units)
    if stated is not None and (millimetres := amount_in_mm(amount)) is not None:
        stated_meaning, over_time = _meaning(_normalise(stated)), _OVER_TIME.fullmatch(_normalise(stated))
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


def dry_in(file_units: str | None, *, stated: str | None, variable: str, where: object) -> float:
    """The value in the units of a file, or in those that the user states, that becomes the dry value of the quantity. Raises
    `DataError`."""
    units = resolve_units(stated, file_units, variable=variable, where=where)
    quantity, factor, offset, dry = identify(units, variable=variable, where=where)
    return ((quantity.dry if dry is None else dry) - offset) / factor


def _normalise(units: str | None) -> str:
    """Units with single spaces."""
    return " ".join(str(units or "").split())


def _meaning(units: str) -> Meaning | None:
    """The meaning of values in `units`; None if they are unknown."""
    table = {known.lower(): meaning for known, meaning in _units_table().items()}
    if (meaning := table.get(units.lower())) is not None:
        return meaning
    parsed = _parse(units)
    if parsed is not None and parsed.size[1:] == (1, -1) and not _is_velocity(parsed):
        factor = parsed.scale * _per_hour(parsed)
        known = (each for each in table.values() if each.quantity == RAIN_RATE and math.isclose(each.factor, factor))
        return next(known, Meaning(RAIN_RATE, factor))
    number, _, rest = units.partition(" ")
    decibels = table.get(rest.lower())
    if decibels == Meaning(REFLECTIVITY) and _SCALE.fullmatch(number) and float(number):
        return decibels._replace(factor=float(number))
    return None


def _per_hour(parsed: _Parsed) -> float:
    return 60 * parsed.size.factor


def _is_velocity(parsed: _Parsed) -> bool:
    return parsed.is_plain and _per_hour(parsed) > _FASTEST * (1 + 1e-9)


def _velocity(units: str) -> str | None:
    """Units of a velocity as those of a rate of rain, "1000 mm s-1"; None for others."""
    parsed = _parse(units)
    if parsed is None or parsed.size[1:] != (1, -1) or not _is_velocity(parsed):
        return None
    return f"{parsed.scale * _per_hour(parsed) / _FASTEST:g} mm s-1"


def _parse(units: str) -> _Parsed | None:
    """The size of units of lengths, volumes or masses of water, and times, in any spelling: "kg/m^2/hr", "kg/(m^2 hr)" and
    "kg m-2 h-1" are one. Numbers are scales before the first unit ("0.1 mm") and times after a division ("mm/5 min"); None for
    others."""
    text = _OF_WATER.sub("", unicodedata.normalize("NFKC", units).replace("\N{MINUS SIGN}", "-").lower().strip())
    if not text or len(text) > _LONGEST:
        return None
    scale, rest = 1.0, text
    if (number := _SCALE.match(text)) is not None:
        scale, rest = float(number[0]), text[number.end() :].lstrip().removeprefix("*")
    tokens, place = list[re.Match[str]](), 0
    while place < len(rest):
        token = _TOKEN.match(rest, place)
        if token is None or token.end() == place:
            return None
        tokens.append(token)
        place = token.end()
    try:
        size, left = _product(tokens)
    except (KeyError, IndexError, ValueError, OverflowError, ZeroDivisionError):
        return None
    plain = not any(token["unit"] in _VOLUMES for token in tokens)
    return None if left or not 0 < scale < math.inf else _Parsed(scale, size, plain)


def _product(tokens: list[re.Match[str]]) -> tuple[_Size, list[re.Match[str]]]:
    """The size of a product of factors, up to the end or a closing bracket, and the tokens after it. Raises `ValueError`,
    `KeyError` and `IndexError` for what is none."""
    size, divided, started = _Size(1.0, 0, 0), False, False
    while tokens and tokens[0]["close"] is None:
        token, *tokens = tokens
        if token["per"] or token["times"]:
            if not started or divided or not tokens:
                raise ValueError("an operator without a factor")
            divided = bool(token["per"])
            continue
        factor = 1.0
        if token["number"]:
            if not divided and started:
                raise ValueError("a number among the units")
            factor, token, *tokens = float(token["number"]), *tokens
        if token["open"] is not None:
            inner, tokens = _product(tokens)
            power = tokens[0]["close"].lstrip("^*")
            part, tokens = inner ** int(power or 1), tokens[1:]
        else:
            part = _SIZES[token["unit"]] ** int(token["power"] or token["braced"] or 1)
        part = _Size(factor, 0, 0) * part
        size, divided, started = size * (part**-1 if divided else part), False, True
    if divided or not started:
        raise ValueError("no factor")
    return size, tokens
