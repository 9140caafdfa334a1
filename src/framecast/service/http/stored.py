"""Reads the NetCDF files of a service: what a file holds, fields of one lead time as whole numbers, and series at a pixel.

A forecast is a file as `framecast.write` writes it, an observed frame one with the dims `([time, channel,] y, x)`. Files are
opened for each read and closed: none stays open. What is known of a file is read once, by h5netcdf; its values are read by h5py,
which takes a third of the time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import h5netcdf
import h5py
import numpy as np
from pyproj import CRS

from framecast.data.quantities import INTENSITY, QUANTITIES, RAIN_RATE, REFLECTIVITY
from framecast.data.spacing import metres_of
from framecast.errors import DataError
from framecast.maps.mesh import Mesh, mesh_of
from framecast.reading.plain_data import parse_json
from framecast.service.http.grids import Grid
from framecast.service.http.names import Product

PROBABILITY, EVENT = "exceedance_probability", "likely_event"
"""Variables of a forecast file besides its values, as `forecasting.labels` names them; that module would load torch."""
NO_DATA, OUTSIDE = 65535, 65534
"""The codes of a pixel without data, and of what lies outside of the grid."""
_LARGEST = 65533
_AXES = ("member", "threshold", "quantile", "lead_time", "y", "x")
"""The dims of a field or a series; of any other the last is read."""


class Packing(NamedTuple):
    """How values are stored as whole numbers: value = offset + step * code."""

    offset: float
    step: float

    def encode(self, values: np.ndarray) -> np.ndarray:
        """The codes of values; NaN becomes `NO_DATA`."""
        with np.errstate(invalid="ignore"):
            codes = np.clip(np.rint((values - self.offset) / self.step), 0, _LARGEST)
        return np.where(np.isfinite(values), codes, NO_DATA).astype(np.uint16)


PACKINGS = {
    RAIN_RATE.name: Packing(0.0, 0.01),
    REFLECTIVITY.name: Packing(REFLECTIVITY.lowest, 0.01),
    INTENSITY.name: Packing(0.0, 1e-4),
    "probability": Packing(0.0, 1e-4),
    "accumulation": Packing(0.0, 0.01),
}
"""By quantity."""


class Field(NamedTuple):
    """One field: `codes (H * W + 1)`, of which the last stands for what lies outside of the grid, and its quantity."""

    codes: np.ndarray
    quantity: str


class Contents(NamedTuple):
    """What a file holds: the variable of the values, its quantity and grid, and of a forecast the lead times in minutes, the
    thresholds of the probabilities, the number of members (0: none), the attributes of the values, and the dims of all variables
    on the grid."""

    values: str
    quantity: str
    grid: Grid | Mesh
    leads: tuple[float, ...]
    thresholds: tuple[float, ...]
    members: int
    quantiles: tuple[float, ...]
    attributes: dict[str, str]
    dims: dict[str, tuple[str, ...]]
    together: int = 1
    """Lead times that lie in one chunk of the file, and are read together."""


def read_contents(path: Path) -> Contents:
    """What a file holds. Raises `DataError` if it is no forecast or frame of a service."""
    with _open(path, h5netcdf.File) as file:
        dims = {name: each.dimensions for name, each in file.variables.items()}
        dims = {name: each for name, each in dims.items() if each[-2:] == ("y", "x")}
        name = _values_name(dims, path)
        variable = file.variables[name]
        quantity = _quantity(variable.attrs, path)
        leads = tuple(float(each) / 60 for each in _numbers(file, "lead_time")) if "lead_time" in file.variables else ()
        sizes = dict(zip(dims[name], variable.shape, strict=True))
        attributes = {key: str(value) for key, value in {**file.attrs, **variable.attrs}.items() if _is_text(value)}
        return Contents(
            name,
            quantity,
            _grid(file, variable, path),
            leads,
            tuple(map(float, _numbers(file, "threshold"))) if PROBABILITY in file.variables else (),
            int(sizes.get("member", 0)),
            tuple(map(float, _numbers(file, "quantile"))) if "quantile" in file.variables else (),
            attributes,
            dims,
            _chunks(variable, dims[name]).get("lead_time", 1),
        )


def read_fields(path: Path, contents: Contents, product: Product, lead: int) -> dict[int, Field]:
    """The fields of a product, but for accumulations, at the lead time with the number `lead` (an observed frame has one), and
    at those in the same chunk of the file. Raises `DataError`."""
    quantity = "probability" if product.kind == "exceedance" else contents.quantity
    first = lead // contents.together * contents.together
    leads = slice(first, first + contents.together)
    with _open(path, h5py.File) as file:
        if product.kind == "exceedance":
            at: dict[str, int | slice] = {"threshold": contents.thresholds.index(product.threshold), "lead_time": leads}
            values = _read(file, PROBABILITY, contents, at)
        elif product.kind == "member":
            values = _read(file, contents.values, contents, {"member": product.member, "lead_time": leads})
        elif contents.members:  # one at a time: all of them would be ten times the memory
            values = _read(file, contents.values, contents, {"member": 0, "lead_time": leads})
            for member in range(1, contents.members):
                values += _read(file, contents.values, contents, {"member": member, "lead_time": leads})
            values /= contents.members
        else:
            values = _read(file, contents.values, contents, {"lead_time": leads})
    stacked = values.reshape(-1, *values.shape[-2:])
    return {first + number: _field(each, quantity) for number, each in enumerate(stacked)}


def accumulate(rates: list[Field], leads: tuple[float, ...]) -> Field:
    """The amount in mm from the initial time on, of the fields of the rain rate in mm/h at these lead times in minutes, each for
    the time since the one before."""
    packing = PACKINGS[RAIN_RATE.name]
    total = np.zeros(len(rates[0].codes) - 1, np.float32)
    missing = np.zeros(len(total), bool)
    for rate, minutes in zip(rates, np.diff((0.0, *leads)), strict=True):
        total += rate.codes[:-1] * np.float32(packing.step * minutes / 60)
        missing |= rate.codes[:-1] == NO_DATA
    total[missing] = np.nan
    return _field(total, "accumulation")


def _field(values: np.ndarray, quantity: str) -> Field:
    return Field(np.append(PACKINGS[quantity].encode(values).ravel(), np.uint16(OUTSIDE)), quantity)


def read_series(path: Path, contents: Contents, row: int, column: int) -> dict[str, np.ndarray]:
    """The values at a pixel: `values ([M,] L)`, and `probabilities (T, L)` and `quantiles (Q, L)` if the file has them. Of an
    observed frame L is 1. Raises `DataError`."""
    at: dict[str, int | slice] = {"y": row, "x": column}
    with _open(path, h5py.File) as file:
        series = {"values": np.atleast_1d(_read(file, contents.values, contents, at))}
        if contents.thresholds:
            series["probabilities"] = _read(file, PROBABILITY, contents, at)
        if contents.quantiles:
            name = next(name for name, each in contents.dims.items() if "quantile" in each)
            series["quantiles"] = _read(file, name, contents, at)
    return series


def _read(file: h5py.File, name: str, contents: Contents, at: dict[str, int | slice]) -> np.ndarray:
    """A part of a variable, unpacked, float32; dims of length 1 that are not asked for are taken away. Raises `DataError` if the
    file has been replaced by another."""
    dims = contents.dims[name]
    try:
        variable = file[name]
        selection = [at.get(dim, slice(None) if dim in _AXES else -1) for dim in dims]
        if "y" in at:
            raw = np.asarray(variable[tuple(selection)])
        else:  # by rows of chunks: HDF5 holds all other threads up while it reads
            rows = _chunks(variable, dims).get("y", variable.shape[-2])
            blocks = [
                (*selection[:-2], slice(top, top + rows), selection[-1]) for top in range(0, variable.shape[-2], rows)
            ]
            raw = np.concatenate([variable[block] for block in blocks], axis=-2)
        attributes = dict(variable.attrs)
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise DataError(f"{name} cannot be read ({error})", where=Path(file.filename)) from error
    values = raw.astype(np.float32, copy=False)
    for attribute, apply, neutral in (("scale_factor", np.multiply, 1.0), ("add_offset", np.add, 0.0)):
        number = _first(attributes.get(attribute, neutral))
        if number != neutral:
            values = apply(values, np.float32(number))
    fill = attributes.get("_FillValue")
    if fill is not None and raw.dtype.kind in "iu":
        values[raw == _first(fill)] = np.nan
    return values


def _open(path: Path, kind: Callable[[Path, str], Any]) -> Any:
    try:
        return kind(path, "r")
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read as NetCDF ({error})", where=path) from error


def _values_name(dims: dict[str, tuple[str, ...]], path: Path) -> str:
    for name, each in dims.items():
        if name not in (PROBABILITY, EVENT, "latitude", "longitude") and not {"quantile", "threshold"} & set(each):
            return name
    raise DataError("no variable on a grid (y, x)", where=path)


def _quantity(attributes: Any, path: Path) -> str:
    name = attributes.get("quantity")
    if name is None:
        name = next((each.name for each in QUANTITIES.values() if each.units == attributes.get("units")), None)
    if name not in PACKINGS:
        raise DataError(f"unknown quantity {name!r}", where=path)
    return str(name)


def _grid(file: h5netcdf.File, variable: Any, path: Path) -> Grid | Mesh:
    planes = [file.variables[name] for name in ("latitude", "longitude") if name in file.variables]
    if not {"x", "y"} & set(file.variables) and len(planes) == 2 and all(each.ndim == 2 for each in planes):
        return mesh_of(*(np.asarray(plane[...], float) for plane in planes))
    if not {"x", "y"} <= set(file.variables):
        raise DataError("no coordinates of its pixels: a map needs them", where=path)
    x, y = (np.asarray(file.variables[axis][...], float) for axis in ("x", "y"))
    units = str(file.variables["x"].attrs.get("units", "m"))
    factor = metres_of(units) or 1.0
    mapping = str(variable.attrs.get("grid_mapping", "")).split(":")[0]
    if mapping in file.variables:
        attributes = {key: _plain(value) for key, value in file.variables[mapping].attrs.items()}
        crs = _projection(json.dumps(attributes, default=str))
    elif units.startswith("degree"):
        crs = CRS("EPSG:4326").to_wkt()
    else:
        raise DataError("its projection is not known: a map needs it", where=path)
    return Grid.of(crs, x * factor, y * factor)


@lru_cache(64)
def _projection(attributes: str) -> str:
    """The projection as WKT of the attributes of a grid mapping, which all files of a domain share."""
    return str(CRS.from_cf(parse_json(attributes, "the grid mapping")).to_wkt())


def _chunks(variable: Any, dims: tuple[str, ...]) -> dict[str, int]:
    """The sizes of the chunks of a variable by dimension; empty if it lies in one piece."""
    return dict(zip(dims, variable.chunks or (), strict=False))


def _numbers(file: h5netcdf.File, name: str) -> np.ndarray:
    return np.atleast_1d(np.asarray(file.variables[name][...]))


def _first(value: Any) -> Any:
    return np.atleast_1d(value)[0]


def _is_text(value: Any) -> bool:
    return isinstance(value, str | int | float | np.generic)


def _plain(value: Any) -> Any:
    """An attribute as a number, a list or a text."""
    if isinstance(value, np.ndarray):
        return value.item() if value.size == 1 else value.tolist()
    return value.item() if isinstance(value, np.generic) else value
