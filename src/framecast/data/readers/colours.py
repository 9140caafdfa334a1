"""Colours and colour tables are no values of a quantity: they are read as colours, or refused."""

from __future__ import annotations

from pathlib import Path

from framecast.data.quantities import INTENSITY
from framecast.data.units import identify
from framecast.errors import DataError


def check_units_of_colours(units: str | None, what: str, path: Path) -> None:
    """Raise `DataError` if the stated `units` of colours are not those of intensity."""
    if units is not None and identify(units, variable="frames", where=path).quantity != INTENSITY:
        raise colour_error(f"{what}, not values in {units!r}", path)


def colour_error(what: str, path: Path) -> DataError:
    """The error for colours where the values of a quantity are wanted."""
    return DataError(
        what,
        where=path,
        remedy="colours have lost the values: write the quantity itself (GeoTIFF of one band with its units, CF NetCDF)",
    )
