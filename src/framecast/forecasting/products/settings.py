"""The settings of products, for `framecast.write_products`, the command line and a service.

Everything that can be checked without a forecast is checked when the settings are created. Imports neither torch nor xarray.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from framecast.checks import as_path, as_tuple, check_fields, is_positive
from framecast.errors import ArgumentError, shown
from framecast.forecasting.products import find, find_format, split

Window = tuple[float, float]
"""Begin and end of a sum, minutes after the initial time."""


@dataclass(frozen=True, kw_only=True)
class ProductSettings:
    """Products and formats. A name may carry its own numbers: `accumulation_60` is the sum of the first 60 minutes,
    `accumulation_60_120` that of the second hour, `exceedance_2` the probability of 2 mm/h or more, `quantile_0.9` that quantile.

    Raises `ArgumentError` for an invalid value."""

    products: Annotated[
        tuple[str, ...], "Names of products, with numbers if wanted: rate,accumulation_60,exceedance_2."
    ] = ("rate", "accumulation")
    formats: Annotated[tuple[str, ...], "Formats of the fields: netcdf, geotiff, png."] = ("geotiff",)
    windows: Annotated[
        tuple[Window, ...], "Windows of sums in minutes after the initial time; the full hours unless stated."
    ] = ()
    rates: Annotated[
        tuple[float, ...], "Rain rates in mm/h of probabilities and alerts; those of the file or 0.5,2,8."
    ] = ()
    sums: Annotated[tuple[float, ...], "Sums in mm of probabilities and alerts."] = (5.0, 10.0, 20.0)
    quantiles: Annotated[tuple[float, ...], "Quantiles between 0 and 1; those of the file or 0.1,0.5,0.9."] = ()
    areas: Annotated[
        str | None, "Areas of alerts: GeoJSON polygons or points, or a table .csv with name, latitude and longitude."
    ] = None
    palette: Annotated[str | None, "Palette of pictures: services or uniform; services unless stated."] = None

    def __post_init__(self) -> None:
        check_fields(self)
        for name, kind in _LISTS.items():
            object.__setattr__(self, name, tuple(kind(value) for value in as_tuple(getattr(self, name), name)))
        if not self.products:
            raise ArgumentError("no product given", parameter="products", example="rate")
        for text in self.products:
            requested(text)
        for name in self.formats:
            find_format(name)
        if self.palette is not None:
            _check_palette(self.palette)
        if self.areas is not None:
            object.__setattr__(self, "areas", str(as_path(self.areas, "a file of areas", "areas")))
        if self.areas is None and any(split(text)[0] == "alerts" for text in self.products):
            raise ArgumentError("alerts need areas", parameter="areas", remedy="name a file of polygons or stations")

    def requests(self) -> dict[str, tuple[Any, ...]]:
        """The products by name, with the numbers that their names carry."""
        chosen: dict[str, tuple[Any, ...]] = {}
        for text in self.products:
            name, number = requested(text)
            chosen[name] = (*chosen.get(name, ()), *number)
        return chosen


def requested(text: str) -> tuple[str, tuple[Any, ...]]:
    """The product that a text names, and its number, if it has one. Raises `ArgumentError`."""
    name, parts = split(text)
    if not parts:
        return name, ()
    parse = find(name).number
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if parse is None or not numbers:
        number = "" if parse is None else ", or with a number behind it, such as accumulation_60 or exceedance_2"
        raise ArgumentError(f"{shown(text)} is no product", parameter="products", remedy=f"write {name}{number}")
    return name, (parse(numbers if len(numbers) > 1 else numbers[0]),)


def as_window(value: object) -> Window:
    """`60`, `(0, 60)` or the text `0-60` as a window. Raises `ArgumentError`."""
    parts = value.split("-") if isinstance(value, str) else value if isinstance(value, Iterable) else (0, value)
    try:
        numbers = tuple(float(part) for part in parts)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != 2 or not 0 <= numbers[0] < numbers[1] < math.inf:
        raise ArgumentError(
            f"{shown(value)} is no window", parameter="windows", remedy="two numbers of minutes, such as 0-60"
        )
    return numbers[0], numbers[1]


def _check_palette(palette: str) -> None:
    from framecast.colours import PALETTES  # late: imports torch, which the command line does not need to start

    if palette not in PALETTES:
        raise ArgumentError(f"unknown palette {shown(palette)}", parameter="palette", example=PALETTES[0])


def _positive(parameter: str, unit: str) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        if not is_positive(value):
            raise ArgumentError(
                f"{shown(value)} given, expected a number above 0, {unit}", parameter=parameter, example=[2.0]
            )
        return float(value)

    return check


def as_quantile(value: Any) -> float:
    """A quantile between 0 and 1. Raises `ArgumentError`."""
    if not is_positive(value) or not value < 1:
        raise ArgumentError(f"{shown(value)} is no quantile between 0 and 1", parameter="quantiles", example=[0.9])
    return float(value)


as_rate, as_sum = _positive("rates", "in mm/h"), _positive("sums", "in mm")
_LISTS: dict[str, Callable[[Any], Any]] = {
    "products": str,
    "formats": str,
    "windows": as_window,
    "rates": as_rate,
    "sums": as_sum,
    "quantiles": as_quantile,
}
"""Settings that are lists, and the converters of their values."""
