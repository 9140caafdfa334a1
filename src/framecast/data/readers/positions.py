"""Where the pixels of a file lie, decided in one place for all readers.

The coordinates `y` and `x` that a reader finds become metres of their projection, or degrees, and the projection a grid mapping
of CF in metres. They are evenly spaced but for their rounding. A spacing that changes little by little (Gaussian latitudes,
Mercator) makes a curvilinear grid, of the two-dimensional `latitude` and `longitude`. Coordinates that are not finite, repeat,
turn back, jump or contradict the projection are refused. Where units or projection are not known, they tell no place. The repairs
name what was changed.
"""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
import xarray as xr
from pyproj import CRS, Transformer

from framecast.data.orientation import CURVILINEAR, numbers_pixels
from framecast.data.readers.curvilinear import NAME
from framecast.data.readers.grids import crs_of, grid_mapping, in_metres
from framecast.data.spacing import continued, first_break, is_even, metres_of, spacing
from framecast.errors import DataError

DEGREES = ("degree", "deg", "°")
"""How units of degrees begin."""
_RADIANS, _UNSTATED = ("rad", "radian", "radians"), ("", "1")
_NAMES = {"y": ("latitude", "lat"), "x": ("longitude", "lon", "long")}
_ON_EARTH = {"y": re.compile(r"degrees?_?n(?:orth)?"), "x": re.compile(r"degrees?_?e(?:ast)?")}
ROTATED = {"grid_latitude", "grid_longitude", "rlat", "rlon"}
"""Names of the degrees of a rotated pole."""
_STATED = {"grid_mapping_name", "crs_wkt", "spatial_ref"}
"""Attributes of which one has the projection of a grid mapping that others understand."""
_SMALLEST_STEP = 50.0
"""Metres: a shorter step between coordinates without units is one of kilometres, or of pixels."""
_FURTHEST = {"y": 90.001, "x": 720.0}
"""The largest degrees of a latitude and a longitude."""


def positioned(array: xr.DataArray, where: object) -> xr.DataArray:
    """What a reader returned, with coordinates as the module has them. Raises `DataError`."""
    if set(CURVILINEAR) <= set(array.coords):
        return _with_checked_planes(array.drop_vars(["y", "x"], errors="ignore"), where)
    axes = [axis for axis in ("y", "x") if axis in array.coords and array[axis].ndim == 1]
    for axis in axes:
        if array[axis].dtype.kind not in "fiu":
            raise _error(array, axis, "are no numbers", where)
    array, crs = _with_known_units(array, axes, where) if axes else (array, None)
    uneven = []
    for axis in (axis for axis in axes if axis in array.coords):
        values = array[axis].values
        if not np.isfinite(values).all() or (len(values) > 1 and not is_even(values)):
            if (broken := first_break(values)) is not None:
                raise _error(array, axis, f"are not those of a grid: {broken}", where)
            uneven.append(axis)
    return _curvilinear(array, uneven, crs) if uneven else array


def _error(array: xr.DataArray, axis: str, what: str, where: object) -> DataError:
    return _refusal([array[axis]], [array[each] for each in ("y", "x") if each in array.coords], what, where)


def _refusal(wrong: list[xr.DataArray], removed: list[xr.DataArray], what: str, where: object) -> DataError:
    names, without = (", ".join(repr(each.encoding.get(NAME, each.name)) for each in some) for some in (wrong, removed))
    remedy = "correct in the file where its pixels lie"
    if all(NAME in each.encoding for each in removed):  # as in NetCDF and Zarr
        remedy = (
            "correct them in the file, or remove them to read the frames without a map: "
            f"xarray.open_dataset(FILE).drop_vars([{without}]).to_netcdf(OUT)"
        )
    return DataError(f"the coordinates {names} {what}", where=str(where), remedy=remedy)


def _repaired(array: xr.DataArray, repair: str) -> xr.DataArray:
    array = array.copy(deep=False)
    before = array.attrs.get("repairs", [])  # of a forecast that was written, they hold it
    array.attrs = {**array.attrs, "repairs": [*before, *([] if repair in before else [repair])]}
    return array


def _names(array: xr.DataArray, axes: list[str]) -> str:
    return " and ".join(repr(array[axis].encoding.get(NAME, axis)) for axis in axes)


def units_of(axis: xr.DataArray) -> str:
    """The units of a coordinate in small letters, empty without."""
    return str(axis.attrs.get("units", "")).strip().lower()


def _with_known_units(array: xr.DataArray, axes: list[str], where: object) -> tuple[xr.DataArray, CRS | None]:
    """The array with coordinates in metres or degrees, and their projection; None if that is not known. Raises `DataError`."""
    attributes = array["crs"].attrs if "crs" in array.coords else {}
    crs = crs_of(attributes, metres_of(units_of(array[axes[0]])) or 1.0) if attributes else None
    if isinstance(crs, str):
        return _repaired(array, f"the projection is not understood ({crs}): read without a map"), None
    if any(ROTATED & {str(array[axis].attrs.get("standard_name")), _name_in_file(array[axis])} for axis in axes) and (
        crs is None or not crs.is_derived
    ):
        what = f"the coordinates {_names(array, axes)} are those of a rotated pole, which is not stated"
        return _repaired(_without_mapping(array.drop_vars(axes)), f"{what}: read without a map"), None
    if all(_is_on_earth(array[axis], strict=crs is not None) for axis in axes):
        if crs is not None and (crs.is_derived or not crs.is_geographic):
            what = f"the coordinates {_names(array, axes)} are latitudes and longitudes, the projection was not used"
            array, crs = _repaired(_without_mapping(array), what), None
        crs = crs or CRS.from_epsg(4326)
    factors = {axis: _factor(array, axis, crs, where) for axis in axes}
    unstated = [axis for axis in axes if units_of(array[axis]) in _UNSTATED]
    if crs is not None and None in factors.values():
        what = f"the units of {_names(array, axes)} are not understood: read without a map"
        return _repaired(_without_mapping(array), what), None
    if crs is not None and unstated:
        units = "degrees" if crs.is_geographic else "those of the projection"
        array = _repaired(array, f"the units of {_names(array, unstated)} are not stated: read as {units}")
    for axis, factor in factors.items():
        array = array if factor is None else _scaled(array, axis, factor, crs)
    if crs is None:
        return array, None
    if "crs" in array.coords and (in_metres(crs) is not crs_of(attributes) or not _STATED & set(attributes)):
        array = array.assign_coords(crs=xr.Variable((), 0, grid_mapping(in_metres(crs))))
    return _in_one_turn(array, axes, crs, where), in_metres(crs)


def _name_in_file(axis: xr.DataArray) -> str:
    return str(axis.encoding.get(NAME, "")).lower()


def _is_on_earth(axis: xr.DataArray, *, strict: bool) -> bool:
    """Whether a coordinate is a latitude or longitude by its standard name, its units or its name in the file; any in degrees is
    if not `strict`."""
    name, units = str(axis.name), units_of(axis)
    if (standard := axis.attrs.get("standard_name")) is not None and (strict or not units.startswith(DEGREES)):
        return bool(standard == _NAMES[name][0])
    if _ON_EARTH[name].fullmatch(units) or (not strict and units.startswith(DEGREES)):
        return True
    angle = units.startswith(DEGREES) or units in (*_RADIANS, *_UNSTATED)
    return _name_in_file(axis) in _NAMES[name] and angle and not numbers_pixels(axis)


def _factor(array: xr.DataArray, name: str, crs: CRS | None, where: object) -> float | None:
    """Metres, or degrees on a geographic grid, of one of the units of a coordinate; None if they are not understood. Raises
    `DataError` for units that contradict the projection."""
    axis = array[name]
    units = units_of(axis)
    metres = metres_of(units)
    angle = 1.0 if units.startswith(DEGREES) else 180 / np.pi if units in _RADIANS else None
    is_latitude_or_longitude = axis.attrs.get("standard_name") == _NAMES[name][0]
    if metres is not None and (is_latitude_or_longitude if crs is None else crs.is_geographic):
        raise _error(array, name, f"are in {units}, and those of the grid are latitudes and longitudes", where)
    if crs is None:
        return metres
    if crs.is_geographic:
        return angle if angle or units not in _UNSTATED or numbers_pixels(axis) else 1.0
    if angle is not None:
        if (height := grid_mapping(crs).get("perspective_point_height")) is None:
            raise _error(array, name, f"are in {units}, and those of the projection ({crs.name}) are lengths", where)
        return angle * np.pi / 180 * float(height)
    if units in _UNSTATED and not numbers_pixels(axis):
        native = float(crs.axis_info[0].unit_conversion_factor or 1.0)
        return native if abs(spacing(axis.values)) * native >= _SMALLEST_STEP else None
    return metres


def _without_mapping(array: xr.DataArray) -> xr.DataArray:
    array = array.drop_vars("crs", errors="ignore")
    array.attrs = {key: value for key, value in array.attrs.items() if key != "grid_mapping"}
    return array


def _scaled(array: xr.DataArray, axis: str, factor: float, crs: CRS | None) -> xr.DataArray:
    """The array with a coordinate in metres or degrees; unchanged if it is so."""
    units = "m" if crs is None or not crs.is_geographic else "degrees"
    if factor == 1 and array[axis].attrs.get("units", "").startswith(units):
        return array
    values = array[axis].values.astype(np.float64) * factor if factor != 1 else array[axis].values
    return _with_values(array, axis, values, units)


def _with_values(array: xr.DataArray, axis: str, values: np.ndarray, units: str) -> xr.DataArray:
    attributes = {**array[axis].attrs, "units": units}
    return array.assign_coords({axis: xr.Variable((axis,), values, attributes, array[axis].encoding)})


def _in_one_turn(array: xr.DataArray, axes: list[str], crs: CRS, where: object) -> xr.DataArray:
    """Longitudes without a jump of a whole turn. Raises `DataError` for degrees that are none of the earth."""
    if not crs.is_geographic:
        return array
    for axis in axes:
        values = array[axis].values
        if (outside := np.abs(values) > _FURTHEST[axis]).any():
            raise _error(array, axis, f"hold {values[outside][0]:g}, which is no {_NAMES[axis][0]}", where)
        if axis == "x" and not crs.is_derived and (turned := continued(values)) is not values:
            array = _with_values(array, axis, turned, str(array[axis].attrs["units"]))
            array = _repaired(array, f"longitudes were continued over a border, from {turned[0]:g} to {turned[-1]:g}")
    return array


def _curvilinear(array: xr.DataArray, uneven: list[str], crs: CRS | None) -> xr.DataArray:
    """The array with the latitude and longitude of each pixel in place of coordinates that are not even."""
    what = f"the coordinates {_names(array, uneven)} are not evenly spaced"
    axes = [axis for axis in ("y", "x") if axis in array.coords]
    values = [array[axis].values.astype(np.float64) for axis in axes]
    array = _without_mapping(array.drop_vars(axes))
    if crs is None or len(axes) < 2:
        return _repaired(array, f"{what}: read without a map")
    planes = _planes(crs.to_wkt(), *(each.tobytes() for each in values))
    array = array.assign_coords(dict(zip(CURVILINEAR, planes, strict=True)))
    return _repaired(array, f"{what}: read as a curvilinear grid, by the latitude and longitude of each pixel")


@lru_cache(maxsize=4)
def _planes(wkt: str, y: bytes, x: bytes) -> tuple[xr.Variable, xr.Variable]:
    """Latitude and longitude `(H, W)` of the pixels at `y` and `x`; the same for all files of an archive."""
    columns, rows = np.meshgrid(np.frombuffer(x), np.frombuffer(y))
    longitude, latitude = Transformer.from_crs(wkt, "EPSG:4326", always_xy=True).transform(columns, rows)
    return (
        xr.Variable(("y", "x"), latitude, {"standard_name": "latitude", "units": "degrees_north"}),
        xr.Variable(("y", "x"), longitude, {"standard_name": "longitude", "units": "degrees_east"}),
    )


def _with_checked_planes(array: xr.DataArray, where: object) -> xr.DataArray:
    """The array with a two-dimensional latitude and longitude on the earth, NaN elsewhere. Raises `DataError` for positions that
    many pixels share."""
    latitude, longitude = (array[name].transpose("y", "x") for name in CURVILINEAR)
    known = np.isfinite(latitude.values) & np.isfinite(longitude.values)
    wrong = known & ((np.abs(latitude.values) > _FURTHEST["y"]) | (np.abs(longitude.values) > _FURTHEST["x"]))
    sides = [len(np.unique(each.values[known & ~wrong])) for each in (latitude, longitude)]
    if min(sides) < min(2, *latitude.shape):
        raise _refusal([latitude, longitude], [latitude, longitude], "tell no places", where)
    if wrong.any():
        array = array.assign_coords({each.name: each.where(~wrong) for each in (latitude, longitude)})
        array = _repaired(array, f"{int(wrong.sum()):,} pixels have latitudes or longitudes that are none: no position")
    for axis, name in enumerate(("rows", "columns")):
        same = np.logical_and(*(np.diff(each.values, axis=axis) == 0 for each in (latitude, longitude)))
        both = np.logical_and(*(np.isfinite(np.diff(each.values, axis=axis)) for each in (latitude, longitude)))
        repeated = np.flatnonzero((same | ~both).all(1 - axis) & same.any(1 - axis))
        if repeated.size:
            number = int(repeated[0])
            raise _refusal(
                [latitude, longitude], [latitude, longitude], f"repeat in the {name} {number} and {number + 1}", where
            )
    return array
