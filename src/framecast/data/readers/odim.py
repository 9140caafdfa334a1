"""Reader of ODIM HDF5 composites, the OPERA data information model in versions 2.0 to 2.4.

The quantity stands in `datasetN/dataM/what` or, as in the OPERA layout of 2018, in `datasetN/what`. Read are rain rates
(RATE), reflectivities (DBZH, DBZ, DBZV, TH) and accumulations (ACRR, as a rate over their time). Fields of quality, from 0
to 1, are read where one is named: QIND, `quality1`, or its task, such as `pl.imgw.quality.qi_total`. A value is
`offset + gain * stored`; `nodata` is no data, `undetect` is observed and dry. The time of a frame is the nominal one of `what`,
of an accumulation its end.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import xarray as xr

from framecast.data.quantities import INTENSITY, RAIN_RATE, REFLECTIVITY, Quantity
from framecast.data.readers.grids import Grid, project, projection
from framecast.data.readers.hdf5 import check_dataset, has_names, number, open_hdf5, text
from framecast.data.readers.limits import check_size
from framecast.data.readers.options import ReadOptions
from framecast.data.readers.single import single_frame
from framecast.errors import DataError, UnreadableFile

RECOGNISES = ["ODIM HDF5 composites"]

_QUALITY = "QIND"
_QUANTITIES = (
    {"RATE": RAIN_RATE, "ACRR": RAIN_RATE}
    | dict.fromkeys(("DBZH", "DBZ", "DBZV", "TH"), REFLECTIVITY)
    | {_QUALITY: INTENSITY}
)


def recognises(path: Path) -> bool:
    """True if the file has the groups of ODIM."""
    return has_names(path, "@Conventions", "what", "where", "dataset1")


class _Field(NamedTuple):
    """A field of a file: its HDF5 path, quantity, attributes `what`, and other names."""

    path_in_file: str
    quantity: str
    what: dict[str, object]
    names: tuple[str, ...] = ()


def read(path: Path, options: ReadOptions) -> xr.DataArray:
    """The one field of rain or reflectivity (or that which `options.variable` names). Raises `DataError` and `UnreadableFile`."""
    with open_hdf5(path, "an ODIM HDF5 composite") as file:
        path_in_file, name, what, _ = _select(_fields(file), path, options)
        data = file[f"{path_in_file}/data"]
        check_dataset(data, path)
        height, width = data.shape
        check_size(path, height, width, itemsize=data.dtype.itemsize)
        grid = _grid(file, path, height, width)
        nominal = _time(file["what"].attrs, "date", "time")
        time, minutes = nominal, None
        if name == "ACRR":
            time = _time(what, "enddate", "endtime")
            minutes = (time - _time(what, "startdate", "starttime")).total_seconds() / 60
            if minutes <= 0:
                raise DataError(f"{name} accumulates over {minutes:g} minutes", where=path)
    return single_frame(
        path,
        lambda: _decode(path, path_in_file, what, _QUANTITIES[name]),
        name=name,
        units=_QUANTITIES[name].units,
        shape=(height, width),
        time=time,
        minutes=minutes,
        grid=grid,
    )


def _fields(file: h5py.File) -> list[_Field]:
    """The fields of known quantities, in the order of the file."""
    fields = []
    for dataset in sorted(name for name in file if name.startswith("dataset")):
        outer = dict(file[f"{dataset}/what"].attrs) if "what" in file[dataset] else {}
        for data in sorted(name for name in file[dataset] if name.startswith("data")):
            group = file[dataset][data]
            what = outer | (dict(group["what"].attrs) if "what" in group else {})
            quantity = text(what.get("quantity", ""))
            if quantity in _QUANTITIES and isinstance(group.get("data"), h5py.Dataset):
                fields.append(_Field(group.name, quantity, what))
            fields += _qualities(group)
        fields += _qualities(file[dataset])
    return fields


def _qualities(group: h5py.Group) -> list[_Field]:
    """The quality fields in a group: of one field, or of a whole dataset."""
    fields = []
    for name in sorted(name for name in group if name.startswith("quality")):
        inner = group[name]
        if isinstance(inner, h5py.Group) and isinstance(inner.get("data"), h5py.Dataset):
            what, how = (dict(inner[part].attrs) if part in inner else {} for part in ("what", "how"))
            fields.append(_Field(inner.name, _QUALITY, what, (name, text(how.get("task", "")))))
    return fields


def _select(fields: list[_Field], path: Path, options: ReadOptions) -> _Field:
    variable, names = options.variable, list(dict.fromkeys(field.quantity for field in fields))
    if variable is None:
        fields = [field for field in fields if field.quantity != _QUALITY]
    else:
        fields = [field for field in fields if variable in (field.quantity, *field.names)]
    if not fields:
        what = f"no field {options.variable!r}" if options.variable else "no field of rain or reflectivity"
        raise DataError(what, where=path, remedy=f"fields found: {', '.join(names) or 'none'}")
    if len(fields) > 1:
        locations = ", ".join(f"{field.quantity} in {field.path_in_file}" for field in fields)
        raise DataError(
            f"several fields: {locations}",
            where=path,
            remedy="name one quantity; of several heights only one can be read",
            parameter="variable",
            example=names[0],
        )
    return fields[0]


def _decode(path: Path, path_in_file: str, what: dict[str, object], quantity: Quantity) -> np.ndarray:
    with open_hdf5(path, "an ODIM HDF5 composite") as file:
        stored = file[f"{path_in_file}/data"][()].astype(np.float64)
    values = stored * number(what.get("gain", 1.0)) + number(what.get("offset", 0.0))
    if "undetect" in what:
        values[stored == number(what["undetect"])] = quantity.dry
    if "nodata" in what:
        values[stored == number(what["nodata"])] = np.nan
    return np.asarray(values)


def _time(attributes: object, date: str, time: str) -> datetime.datetime:
    stamp = text(attributes[date]) + text(attributes[time])  # type: ignore[index]
    return datetime.datetime.strptime(stamp, "%Y%m%d%H%M%S")


def _grid(file: h5py.File, path: Path, height: int, width: int) -> Grid:
    where = file["where"].attrs
    if (int(where["ysize"]), int(where["xsize"])) != (height, width):
        raise UnreadableFile(
            f"declares {int(where['ysize'])} x {int(where['xsize'])} pixels and holds {height} x {width}", where=path
        )
    crs = projection(text(where["projdef"]), path)
    left, bottom = project(crs, number(where["LL_lon"]), number(where["LL_lat"]), path)
    dx, dy = number(where["xscale"]), number(where["yscale"])
    return Grid.from_corner(crs, left, bottom + height * dy, dx, -dy, height, width)
