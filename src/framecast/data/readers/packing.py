"""Stored numbers of CF variables (NetCDF, Zarr) as values: unsigned numbers, missing codes, valid ranges, scale and offset.

`Packing.of` reads the attributes that declare "not a value": `_FillValue`, `missing_value` (one or several), `valid_range`,
`valid_min` and `valid_max`, and codes in `flag_values`. Codes and limits are in packed units, but for codes that the integers
cannot hold, and floating-point limits of packed integers (NetCDF Users' Guide, appendix A), which are in units of the values.
Of a variable with units and flags, the flags that mean dry are dry, the others no data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from framecast.data.frames import OUTSIDE
from framecast.data.lazy import Selection, lazy_variable
from framecast.errors import DataError

LIBRARY_FILL = {
    "i2": -32767,
    "u2": 65535,
    "i4": -2147483647,
    "u4": 4294967295,
    "i8": -9223372036854775806,
    "u8": 18446744073709551614,
    "f4": 9.969209968386869e36,
    "f8": 9.969209968386869e36,
}
"""The default fill values of the NetCDF library (netcdf.h), by type; bytes have none."""
_DECODED = (
    "_FillValue",
    "missing_value",
    "valid_range",
    "valid_min",
    "valid_max",
    "scale_factor",
    "add_offset",
    "_Unsigned",
)
_FLAGS = ("flag_values", "flag_masks", "flag_meanings")
_NO_UNITS = ("", "1", "none", "unitless")
_DRY_FLAGS = {"dry", "no_rain", "no_precipitation", "no_echo", "undetect", "not_detected", "below_threshold", "clear"}
_TOLERANCE = 1e-3
"""By how much of a packed number limits in units of the values may be off."""
_TABLE_BYTES = 2
"""Numbers of so few bytes are decoded by a table of all of them."""


def is_class(variable: xr.Variable) -> bool:
    """Whether a variable holds classes: its flags have meanings, and it has no units. A mask of 0 and 1 is a number."""
    is_mask = np.array_equal(np.ravel(variable.attrs.get("flag_values", [])), [0, 1])
    return _has_flags(variable) and not is_mask


def _has_flags(variable: xr.Variable) -> bool:
    return "flag_meanings" in variable.attrs and str(variable.attrs.get("units", "")).strip() in _NO_UNITS


@dataclass(frozen=True)
class Packing:
    """How stored numbers of the type `stored` become values: `factor * number + offset`, NaN for the `missing` codes and for
    numbers outside of `limits`, `dry_value` for the codes `dry`. `notes` say in words what was not understood."""

    stored: np.dtype[Any]
    factor: float = 1.0
    offset: float = 0.0
    missing: tuple[float, ...] = ()
    limits: tuple[float, float] = (-np.inf, np.inf)
    dry: tuple[float, ...] = ()
    dry_value: float = 0.0
    notes: list[str] = field(default_factory=list, compare=False)

    @classmethod
    def of(cls, variable: xr.Variable, *, dry_value: float, where: object) -> Packing:
        """What the attributes of a variable declare. Raises `DataError` for a scale or offset that is no number."""
        attributes = variable.attrs
        stored = _stored_type(variable.dtype, str(attributes.get("_Unsigned", "")).lower())
        factor, offset = _number(attributes, "scale_factor", 1.0, where), _number(attributes, "add_offset", 0.0, where)
        declared = _Declared(stored, factor, offset, attributes, [])
        missing, dry = [*declared.codes("_FillValue"), *declared.codes("missing_value")], list[float]()
        meanings = [] if _has_flags(variable) else str(attributes.get("flag_meanings", "")).lower().split()
        for code, meaning in zip(declared.codes("flag_values"), meanings, strict=False):
            (dry if meaning in _DRY_FLAGS else missing).append(code)
        limits = declared.limits()
        return cls(stored, factor, offset, tuple(missing), limits, tuple(dry), dry_value, declared.notes)

    @property
    def is_plain(self) -> bool:
        """Whether stored numbers are values."""
        return self == Packing(self.stored, dry_value=self.dry_value)

    def decode(self, numbers: np.ndarray) -> np.ndarray:
        """Stored numbers as float32. Those outside of the limits are NaN with the bits `OUTSIDE`."""
        numbers = numbers.astype(numbers.dtype.newbyteorder("="), copy=False).view(self.stored)
        if self.is_plain:
            return numbers.astype(np.float32, copy=False)
        if self.stored.kind in "iu" and self.stored.itemsize <= _TABLE_BYTES:
            unsigned = np.dtype(f"u{self.stored.itemsize}")
            every_number = np.arange(2 ** (8 * self.stored.itemsize), dtype=unsigned).view(self.stored)
            return np.asarray(self._decode(every_number)[numbers.view(unsigned)])
        return self._decode(numbers)

    def _decode(self, numbers: np.ndarray) -> np.ndarray:
        values = np.empty(numbers.shape, np.float32)
        scaled = self.factor != 1 or self.offset != 0
        with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite is reported with the frames
            values[...] = numbers.astype(np.float64) * self.factor + self.offset if scaled else numbers
        low, high = self.limits
        values.view(np.uint32)[(numbers < low) | (numbers > high)] = OUTSIDE
        for codes, value in ((self.dry, self.dry_value), (self.missing, np.nan)):
            if codes:
                values[np.isin(numbers, np.array(codes, self.stored))] = value
        return values


def unpack(variable: xr.Variable, packing: Packing) -> xr.Variable:
    """The variable as float32 values, lazy, without the attributes that are applied."""
    values = lazy_variable(variable.dims, variable.shape, partial(_decode_part, variable, packing))
    values.attrs = {name: value for name, value in variable.attrs.items() if name not in (*_DECODED, *_FLAGS)}
    values.encoding = dict(variable.encoding)
    return values


def _decode_part(variable: xr.Variable, packing: Packing, selection: Selection) -> np.ndarray:
    return packing.decode(np.asarray(variable[selection].values))


def _stored_type(dtype: np.dtype[Any], unsigned: str) -> np.dtype[Any]:
    """The type of stored numbers, as the attribute `_Unsigned` says."""
    if dtype.kind in "iu" and unsigned in ("true", "false"):
        return np.dtype(f"{'u' if unsigned == 'true' else 'i'}{dtype.itemsize}")
    return dtype.newbyteorder("=")


def _number(attributes: Mapping[Any, Any], name: str, default: float, where: object) -> float:
    if name not in attributes:
        return default
    try:
        value = float(np.asarray(attributes[name]).ravel()[0])
    except (ValueError, TypeError, IndexError):
        value = np.nan
    if not np.isfinite(value) or (name == "scale_factor" and value == 0):
        raise DataError(
            f"the attribute {name} is {str(attributes[name])[:60]!r}, expected a number",
            where=str(where),
            remedy="correct it in the file",
        )
    return value


@dataclass
class _Declared:
    """The numbers that attributes declare, in packed units."""

    stored: np.dtype[Any]
    factor: float
    offset: float
    attributes: Mapping[Any, Any]
    notes: list[str]

    def codes(self, name: str) -> list[float]:
        """The codes in an attribute; those that the type cannot hold are left out, since no pixel has them."""
        return [code for value in self._values(name) if (code := self._code(value)) is not None]

    def limits(self) -> tuple[float, float]:
        """The lowest and the highest valid number."""
        low, high, names = -np.inf, np.inf, []
        for name in ("valid_range", "valid_min", "valid_max"):
            values = self._values(name)
            if not len(values) or "valid_range" in names:
                continue
            if len(values) != (2 if name == "valid_range" else 1):
                self.notes.append(f"the attribute {name} holds {len(values)} numbers and was not applied")
                continue
            names.append(name)
            low = self._limit(values[0]) if name != "valid_max" else low
            high = self._limit(values[-1]) if name != "valid_min" else high
        if names and not low <= high:
            self.notes.append(f"{' and '.join(names)} from {low:g} to {high:g} hold no number and were not applied")
            return -np.inf, np.inf
        if any(self._is_unpacked(self._values(name)) for name in names):
            low, high = sorted(((low - self.offset) / self.factor, (high - self.offset) / self.factor))
            return low - _TOLERANCE, high + _TOLERANCE
        return low, high

    def _values(self, name: str) -> np.ndarray:
        """The numbers in an attribute, which may be a text of numbers; none where it holds others."""
        values = np.asarray(self.attributes.get(name, [])).ravel()
        if values.dtype.kind in "iuf":
            return values
        words = [word.decode("latin-1") if isinstance(word, bytes) else str(word) for word in values.tolist()]
        text = " ".join(words).replace(",", " ")
        try:
            numbers = np.array([float(word) for word in text.split()])
        except ValueError:
            if (note := f"the attribute {name} is {text[:60]!r}, no number, and was not applied") not in self.notes:
                self.notes.append(note)
            return np.array([])
        integral = np.isfinite(numbers).all() and (numbers == np.round(numbers)).all()
        return numbers.astype(np.int64) if integral and (np.abs(numbers) < 2**62).all() else numbers

    def _code(self, value: np.generic) -> float | None:
        """A code in packed units; None where the stored numbers cannot hold it."""
        number = value.item()
        if self.stored.kind == "f":
            with np.errstate(over="ignore"):
                return None if np.isnan(number) else float(self.stored.type(number))
        if not np.isfinite(number):
            return None
        if number != round(number) or not self._holds(self._wrapped(round(number))):  # so it is unpacked
            number = (number - self.offset) / self.factor
        number = self._wrapped(round(number))
        return number if self._holds(number) else None

    def _limit(self, value: np.generic) -> float:
        """A limit as it is stated, of unsigned numbers too."""
        number = value.item()
        if self.stored.kind == "f":
            with np.errstate(over="ignore"):
                return float(self.stored.type(number))
        return self._wrapped(int(number)) if value.dtype.kind in "iu" else number

    def _is_unpacked(self, values: np.ndarray) -> bool:
        """Whether limits are in units of the values: floating-point ones of packed integers are."""
        packed = "scale_factor" in self.attributes or "add_offset" in self.attributes
        return packed and self.stored.kind in "iu" and values.dtype.kind == "f"

    def _wrapped(self, number: int) -> int:
        """A number that is stored as signed where the type is unsigned, or the reverse."""
        bits = 8 * int(self.stored.itemsize)
        if "_Unsigned" in self.attributes and self.stored.kind == "u" and number < 0:
            return number + (1 << bits)
        if "_Unsigned" in self.attributes and self.stored.kind == "i" and number >= 1 << (bits - 1):
            return number - (1 << bits)
        return number

    def _holds(self, number: float) -> bool:
        """Whether the integer type holds a number."""
        limits = np.iinfo(self.stored)
        return bool(limits.min <= number <= limits.max)
