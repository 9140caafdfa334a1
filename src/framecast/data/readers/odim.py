"""Reader of ODIM HDF5 composites and images, the OPERA data information model in versions 2.0 to 2.4.

The quantity stands in `datasetN/dataM/what` or, as in the OPERA layout of 2018, in `datasetN/what`; the size and the projection
in `where`, or in `datasetN/where`. Read are rain rates (RATE), reflectivities (TH, TV and those that begin with DBZ) and
accumulations (ACRR, as a rate over their time). Scans and volumes of a radar are refused by name. Fields of quality, from 0
to 1, are read where one is named: QIND, `quality1`, or its task, such as `pl.imgw.quality.qi_total`. A value is
`offset + gain * stored`; `nodata` is no data, `undetect` is observed and dry. The time of a frame is the nominal one of `what`,
of an accumulation its end. Forecasts are refused by name (`odim_times`) and opened by `odim_forecast`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import xarray as xr

from framecast.data.quantities import INTENSITY, RAIN_RATE, REFLECTIVITY, Quantity
from framecast.data.readers.forecast_files import forecast_error
from framecast.data.readers.grids import Grid, project, projection
from framecast.data.readers.hdf5 import check_dataset, has_names, number, open_hdf5, text
from framecast.data.readers.limits import check_size
from framecast.data.readers.odim_times import PERIOD, period_of, time_of, times_of_forecast, words_of_forecast
from framecast.data.readers.options import ReadOptions
from framecast.data.readers.single import is_code, same_code, single_frame
from framecast.data.spacing import spacing
from framecast.errors import DataError, UnreadableFile

RECOGNISES = ["ODIM HDF5 composites"]

FORM = "an ODIM HDF5 composite"

QUALITY = "QIND"
AMOUNT = "ACRR"
_QUANTITIES = {"RATE": RAIN_RATE, AMOUNT: RAIN_RATE, QUALITY: INTENSITY} | dict.fromkeys(("TH", "TV"), REFLECTIVITY)
_POLAR = {
    "PVOL": "a polar volume",
    "SCAN": "a polar scan",
    "RAY": "a ray of a radar",
    "AZIM": "an azimuthal object of a radar",
    "ELEV": "an elevational object of a radar",
    "XSEC": "a vertical cross section",
    "VP": "a vertical profile",
}
"""The objects of ODIM (`what/object`) that are not on a horizontal grid."""
_CODING = ("gain", "offset", "nodata", "undetect")
"""The attributes that tell what the numbers of a field mean."""
_APART = 2.0
"""Pixels between the outermost one and a corner that some take for its middle, and that is rounded."""
_OBJECTS = {*_POLAR, "COMP", "IMAGE", "CVOL", "CARTESIAN", "PIC"}


def recognises(path: Path) -> bool:
    """True for the groups of ODIM with a known `what/object`, or the attribute Conventions."""
    if not has_names(path, "what", "dataset1"):
        return False
    if has_names(path, "@Conventions", "where"):
        return True
    try:
        with open_hdf5(path, FORM) as file:
            return _object(file) in _OBJECTS
    except UnreadableFile:
        return False


def _object(file: h5py.File) -> str:
    """The object that a file declares; empty if it declares none."""
    attributes = getattr(file.get("what"), "attrs", {})
    return text(attributes["object"]).upper() if "object" in attributes else ""


class Field(NamedTuple):
    """A field of a file: its HDF5 path, quantity, attributes `what`, and other names."""

    path_in_file: str
    quantity: str
    what: dict[str, object]
    names: tuple[str, ...] = ()


def read(path: Path, options: ReadOptions) -> xr.DataArray:
    """The one field of rain or reflectivity (or that which `options.variable` names). Raises `DataError` and `UnreadableFile`."""
    with open_hdf5(path, FORM) as file:
        check_object(file, path)
        fields = fields_of(file)
        _refuse_forecast(file, fields, path)
        field = _select(fields, path, options, _quantities(file))
        path_in_file, name, what, _ = field
        coding = coding_of(field, path)
        data = file[f"{path_in_file}/data"]
        check_dataset(data, path)
        height, width = _size(data, path)
        check_size(path, height, width, itemsize=data.dtype.itemsize)
        where = where_of(file, path_in_file)
        grid = grid_of(where, path, height, width)
        repairs = (*_corner_notes(where, grid, path), *coding.notes, *(() if name == QUALITY else _not_stated(what)))
        time, minutes = time_of(file["what"].attrs, "date", "time"), None
        if name == AMOUNT:
            if (period := period_of(what)) is None:
                missing = ", ".join(each for each in PERIOD if each not in what)
                raise DataError(
                    f"{name} does not say over what time: {missing} are absent",
                    where=path,
                    remedy="state them in its group what: dates as 20240331, times as 120500; or read the rate, RATE",
                )
            start, time = period
            minutes = (time - start).total_seconds() / 60
            if minutes <= 0:
                raise DataError(
                    f"{name} accumulates over {minutes:g} minutes",
                    where=path,
                    remedy=f"correct its {', '.join(PERIOD)}",
                )
    quantity = quantity_of(name)
    assert quantity is not None
    return single_frame(
        path,
        lambda: decode(path, field, coding, quantity),
        name=name,
        units=quantity.units,
        shape=(height, width),
        time=time,
        minutes=minutes,
        grid=grid,
        repairs=repairs,
    )


def _size(data: h5py.Dataset, path: Path) -> tuple[int, int]:
    """Rows and columns of a field. Raises `DataError` for data with other dimensions."""
    if data.ndim != 2:
        raise DataError(f"{data.name} has the shape {data.shape}", where=path, remedy="expected rows and columns")
    return int(data.shape[0]), int(data.shape[1])


def _not_stated(what: Mapping[str, object]) -> tuple[str, ...]:
    """What the standard requires of a field and its attributes do not state, in words."""
    absent = [name for name in _CODING if name not in what]
    return (f"the file states no {', '.join(absent)}: numbers are read without",) if absent else ()


def check_object(file: h5py.File, path: Path) -> None:
    """Raise `DataError` for what lies on no horizontal grid, by its name."""
    name = _object(file)
    polar = name in _POLAR or (not name and any("nrays" in where_of(file, f"/{each}") for each in _datasets(file)))
    if polar:
        raise DataError(
            f"{_POLAR.get(name, 'a polar scan')} (object {name or 'not stated'}) with "
            f"{', '.join(_quantities(file)) or 'no data'}, not a composite",
            where=path,
            remedy="grid it first to a composite (wradlib, Py-ART, xradar), and write ODIM or CF NetCDF; "
            "among composites, name those alone by a pattern: 'FOLDER/*comp*'",
        )


def _refuse_forecast(file: h5py.File, fields: list[Field], path: Path) -> None:
    """Raise `DataError` for a forecast, by what says that it is one."""
    groups = [file, *(file[name] for name in _datasets(file))]
    words = (words_of_forecast(_attributes(group, "how"), _attributes(group, "what")) for group in groups)
    evidence = next(filter(None, words), None)
    if evidence is None:
        nominal = time_of(file["what"].attrs, "date", "time")
        evidence = times_of_forecast(nominal, ((field.quantity, field.what) for field in fields))
    if evidence is not None:
        raise forecast_error(evidence, path)


def _datasets(file: h5py.File) -> list[str]:
    return sorted(name for name in file if name.startswith("dataset") and isinstance(file[name], h5py.Group))


def _quantities(file: h5py.File) -> list[str]:
    """All quantities that a file states, understood or not."""
    names: list[str] = []
    for dataset in _datasets(file):
        groups = [file[dataset], *(file[dataset][name] for name in sorted(file[dataset]) if name.startswith("data"))]
        names += [text(group["what"].attrs["quantity"]) for group in groups if "quantity" in _attributes(group, "what")]
    return list(dict.fromkeys(names))


def _attributes(group: h5py.Group, name: str) -> dict[str, object]:
    """The attributes of a group within a group; none where it does not exist."""
    inner = group.get(name) if isinstance(group, h5py.Group) else None
    return {} if inner is None else dict(inner.attrs)


def where_of(file: h5py.File, path_in_file: str) -> dict[str, object]:
    """The attributes `where` of a field: those of the file, of its dataset and its own, the nearest counting."""
    attributes = _attributes(file, "where")
    inner = file
    for part in path_in_file.strip("/").split("/"):
        inner = inner[part]
        attributes |= _attributes(inner, "where")
    return attributes


def quantity_of(name: str) -> Quantity | None:
    """The quantity that ODIM calls `name`; None if it is not read."""
    return REFLECTIVITY if name.startswith("DBZ") else _QUANTITIES.get(name)


def fields_of(file: h5py.File) -> list[Field]:
    """The fields of known quantities, in the order of the file."""
    fields = []
    root = _attributes(file, "what")
    for dataset in _datasets(file):
        outer = root | _attributes(file[dataset], "what")
        for data in sorted(name for name in file[dataset] if name.startswith("data")):
            group = file[dataset][data]
            what = outer | _attributes(group, "what")
            quantity = text(what.get("quantity", ""))
            if quantity_of(quantity) is not None and isinstance(group.get("data"), h5py.Dataset):
                fields.append(Field(group.name, quantity, what, (group.name, group.name.strip("/"))))
            fields += _qualities(group)
        fields += _qualities(file[dataset])
    return fields


def _qualities(group: h5py.Group) -> list[Field]:
    """The quality fields in a group: of one field, or of a whole dataset."""
    fields = []
    for name in sorted(name for name in group if name.startswith("quality")):
        inner = group[name]
        if isinstance(inner, h5py.Group) and isinstance(inner.get("data"), h5py.Dataset):
            what, how = _attributes(inner, "what"), _attributes(inner, "how")
            fields.append(Field(inner.name, QUALITY, what, (name, text(how.get("task", "")))))
    return fields


def _select(fields: list[Field], path: Path, options: ReadOptions, present: list[str]) -> Field:
    """The field to read. `present` are all quantities in the file, for messages."""
    variable, names = options.variable, list(dict.fromkeys(field.quantity for field in fields))
    if variable is None:
        fields = [field for field in fields if field.quantity != QUALITY]
    else:
        fields = [field for field in fields if variable in (field.quantity, *field.names)]
    if not fields:
        what = f"no field {options.variable!r}" if options.variable else "no field of rain or reflectivity"
        raise DataError(
            what,
            where=path,
            remedy=f"fields found: {', '.join(present or names) or 'none'}; "
            "read are RATE, ACRR, TH, TV, those that begin with DBZ, and QIND where it is named",
        )
    if len(fields) > 1:
        locations = ", ".join(f"{field.quantity} in {field.path_in_file}" for field in fields)
        raise DataError(
            f"several fields: {locations}",
            where=path,
            remedy="name one, by its quantity or its place",
            parameter="variable",
            example=names[0] if len({field.quantity for field in fields}) == len(fields) else fields[0].names[-1],
        )
    return fields[0]


class Coding(NamedTuple):
    """A value is `offset + gain * stored`; the codes of no data and of no echo."""

    gain: float
    offset: float
    nodata: tuple[float, ...]
    undetect: tuple[float, ...]
    notes: tuple[str, ...] = ()
    """What is to be reported of the codes."""


def coding_of(field: Field, path: Path) -> Coding:
    """What the attributes of a field declare. Raises `DataError` for one that is no number, and a gain of 0."""

    def numbers(name: str) -> list[float] | None:
        """The numbers of an attribute; None where it holds others."""
        try:
            return [float(text(each)) for each in np.asarray(field.what.get(name, [])).ravel().tolist()]
        except ValueError:
            return None

    def factor(name: str, default: float) -> float:
        values = numbers(name) if name in field.what else [default]
        if values is None or len(values) != 1 or not np.isfinite(values[0]) or (values[0] == 0 and name == "gain"):
            raise DataError(
                f"the attribute {name} of {field.path_in_file} is {_shown(field, name)}, expected a number",
                where=path,
                remedy="correct it in the file",
            )
        return values[0]

    codes = {name: numbers(name) for name in ("nodata", "undetect")}
    notes = [
        f"the attribute {name} is {_shown(field, name)}, no number, and was not applied"
        for name, values in codes.items()
        if values is None
    ]
    nodata, undetect = (tuple(values or ()) for values in codes.values())
    return Coding(factor("gain", 1.0), factor("offset", 0.0), nodata, undetect, (*notes, *same_code(nodata, undetect)))


def _shown(field: Field, name: str) -> str:
    """An attribute of a field, for messages."""
    return str(np.asarray(field.what[name]).ravel().tolist())[:60]


def decode(path: Path, field: Field, coding: Coding, quantity: Quantity) -> np.ndarray:
    """The values `(y, x)` of a field in the unit of its quantity."""
    with open_hdf5(path, FORM) as file:
        stored = file[f"{field.path_in_file}/data"][()]
    values = stored.astype(np.float64) * coding.gain + coding.offset
    values[is_code(stored, coding.undetect)] = quantity.dry
    values[is_code(stored, coding.nodata)] = np.nan
    return np.asarray(values)


def grid_of(where: dict[str, object], path: Path, height: int, width: int) -> Grid:
    """The grid that `where` describes; the scales follow from the corners where they are not stated. Raises `DataError`."""
    declared = tuple(int(number({name: size} | where, name)) for name, size in (("ysize", height), ("xsize", width)))
    if declared != (height, width):
        raise UnreadableFile(f"declares {declared[0]} x {declared[1]} pixels and holds {height} x {width}", where=path)
    scales = ("xscale", "yscale")
    cornered = {"UR_lon", "UR_lat"} <= set(where)
    needed = ("projdef", "LL_lon", "LL_lat", *(scales if not cornered else ()))
    if missing := [name for name in needed if name not in where]:
        raise UnreadableFile(
            f"the group where lacks {', '.join(missing)}",
            where=path,
            remedy=f"expected {FORM} with projection and corners",
        )
    crs = projection(text(where["projdef"]), path)
    left, bottom = project(crs, number(where, "LL_lon"), number(where, "LL_lat"), path)
    if cornered and (crs.is_geographic or not all(name in where for name in scales)):  # scales may be metres there
        right, top = project(crs, number(where, "UR_lon"), number(where, "UR_lat"), path)
        dx, dy = (right - left) / width, (top - bottom) / height
    else:
        dx, dy = (number(where, name) for name in scales)
    if not (dx > 0 and dy > 0) or (crs.is_geographic and dy * height > 180):
        raise DataError(
            f"pixels of {dx:.6g} x {dy:.6g} {'degrees' if crs.is_geographic else 'm'}, counted from the lower left corner",
            where=path,
            remedy="correct LL_lon, LL_lat, UR_lon, UR_lat, xscale and yscale in the group where",
        )
    return Grid.from_corner(crs, left, bottom + height * dy, dx, -dy, height, width)


def _corner_notes(where: dict[str, object], grid: Grid, path: Path) -> list[str]:
    """A note if the upper right corner that `where` states is not that of its grid."""
    if not {"UR_lon", "UR_lat"} <= set(where):
        return []
    right, top = project(grid.crs, number(where, "UR_lon"), number(where, "UR_lat"), path)
    apart = [abs(edge - axis[far]) / abs(spacing(axis)) for edge, axis, far in ((right, grid.x, -1), (top, grid.y, 0))]
    if max(apart) <= _APART:
        return []
    return [f"its upper right corner lies {max(apart):.0f} pixels from where its lower left one and its scales have it"]
