"""Reader of radar HDF5 of the Royal Netherlands Meteorological Institute: accumulations (as rates) and reflectivities.

A value is `GEO = a * PV + b` as the file's calibration says; its missing and out-of-image codes are no data. The time of a
frame is the end of the product, the length of an accumulation the difference between its start and end. The projection is
in kilometres in the file and in metres here.
"""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import h5py
import numpy as np
import xarray as xr

from framecast.data.readers.grids import Grid, projection
from framecast.data.readers.hdf5 import check_dataset, has_names, number, open_hdf5, text
from framecast.data.readers.limits import check_size
from framecast.data.readers.options import ReadOptions
from framecast.data.readers.single import single_frame
from framecast.errors import DataError

RECOGNISES = ["KNMI HDF5"]

_FORM = "radar HDF5 of KNMI"
_IMAGE, _VOLUME = ("geographic", "image1/image_data"), ("radar1", "scan1")
_CALIBRATION = re.compile(r"GEO\s*=\s*([-+\d.eE]+)\s*\*\s*PV\s*([-+]\s*[\d.eE]+)?")


def recognises(path: Path) -> bool:
    """True if the file has the groups of the format, of an image or of a polar volume."""
    return has_names(path, "overview", *_IMAGE) or has_names(path, "overview", *_VOLUME)


def read(path: Path, _options: ReadOptions) -> xr.DataArray:
    """The first image. Raises `DataError` and `UnreadableFile`."""
    with open_hdf5(path, _FORM) as file:
        if _IMAGE[1] not in file:
            raise DataError(
                "a polar volume of KNMI, not a composite",
                where=path,
                remedy="grid it first to a composite (wradlib, Py-ART), and write CF NetCDF",
            )
        data = file["image1/image_data"]
        check_dataset(data, path)
        height, width = data.shape
        check_size(path, height, width, itemsize=data.dtype.itemsize)
        parameter = text(file["image1"].attrs["image_geo_parameter"])
        time = _time(file["overview"].attrs["product_datetime_end"])
        minutes = (time - _time(file["overview"].attrs["product_datetime_start"])).total_seconds() / 60
        factor, offset = _calibration(file, path)
        calibration = file["image1/calibration"].attrs
        missing = {
            int(number(calibration[f"calibration_{name}"]))
            for name in ("missing_data", "out_of_image")
            if f"calibration_{name}" in calibration
        }
        grid = _grid(file, path, height, width)
    amount = parameter.startswith("ACCUMULATED") and "MM" in parameter
    if not amount and "REFLECTIVITY" not in parameter:
        raise DataError(f"the image holds {parameter}", where=path, remedy="understood are rain and reflectivity")
    if amount and minutes <= 0:
        raise DataError(f"an accumulation over {minutes:g} minutes", where=path)

    def decode() -> np.ndarray:
        with open_hdf5(path, _FORM) as file:
            stored = file["image1/image_data"][()]
        values = stored * factor + offset
        values[np.isin(stored, list(missing))] = np.nan
        return np.asarray(values)

    return single_frame(
        path,
        decode,
        name="accumulation" if amount else "reflectivity",
        units="dBZ",
        shape=(height, width),
        time=time,
        minutes=minutes if amount else None,
        grid=grid,
    )


def _time(value: object) -> datetime.datetime:
    return datetime.datetime.strptime(text(value).title(), "%d-%b-%Y;%H:%M:%S.%f")


def _calibration(file: h5py.File, path: Path) -> tuple[float, float]:
    formula = text(file["image1/calibration"].attrs["calibration_formulas"])
    match = _CALIBRATION.fullmatch(formula)
    if match is None:
        raise DataError(f"the calibration {formula!r} is not understood", where=path, remedy="expected GEO=a*PV+b")
    return float(match[1]), float((match[2] or "0").replace(" ", ""))


def _grid(file: h5py.File, path: Path, height: int, width: int) -> Grid:
    where = file["geographic"].attrs
    unit = 1000.0 if text(where["geo_dim_pixel"]).upper().startswith("KM") else 1.0
    parameters = text(file["geographic/map_projection"].attrs["projection_proj4_params"])
    in_metres = re.sub(r"\+(a|b|x_0|y_0)=([-\d.]+)", lambda match: f"+{match[1]}={float(match[2]) * unit}", parameters)
    dx, dy = number(where["geo_pixel_size_x"]) * unit, number(where["geo_pixel_size_y"]) * unit
    left, top = number(where["geo_column_offset"]) * dx, number(where["geo_row_offset"]) * dy
    return Grid.from_corner(projection(in_metres, path), left, top, dx, dy, height, width)
