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

from framecast.data.readers.forecast_files import forecast_error
from framecast.data.readers.grids import Grid, projection
from framecast.data.readers.hdf5 import check_dataset, has_names, number, open_hdf5, text
from framecast.data.readers.limits import check_size
from framecast.data.readers.options import ReadOptions
from framecast.data.readers.single import single_frame
from framecast.errors import DataError

RECOGNISES = ["KNMI HDF5"]

_FORM = "radar HDF5 of KNMI"
_IMAGE, _VOLUME = ("geographic", "image1/image_data"), ("radar1", "scan1")
_CALIBRATION = re.compile(r"GEO\s*=\s*([-+\d.eE]+)\s*\*\s*PV\s*(?:([-+])\s*([-+\d.eE]+))?")
_IMAGES = re.compile(r"image\d+")


def recognises(path: Path) -> bool:
    """True if the file has the groups of the format, of an image or of a polar volume."""
    return has_names(path, "overview", *_IMAGE) or has_names(path, "overview", *_VOLUME)


def read(path: Path, options: ReadOptions) -> xr.DataArray:
    """The image, or that which `options.variable` names. Raises `DataError` and `UnreadableFile`."""
    with open_hdf5(path, _FORM) as file:
        if _IMAGE[1] not in file:
            raise DataError(
                "a polar volume of KNMI, not a composite",
                where=path,
                remedy="grid it first to a composite (wradlib, Py-ART), and write CF NetCDF",
            )
        image = _select(file, path, options)
        data = file[f"{image}/image_data"]
        check_dataset(data, path)
        height, width = data.shape
        check_size(path, height, width, itemsize=data.dtype.itemsize)
        parameter = text(file[image].attrs["image_geo_parameter"])
        time = _time(file["overview"].attrs["product_datetime_end"])
        minutes = (time - _time(file["overview"].attrs["product_datetime_start"])).total_seconds() / 60
        factor, offset = _calibration(file[f"{image}/calibration"], path)
        calibration = file[f"{image}/calibration"].attrs
        missing = {
            int(number(calibration, f"calibration_{name}"))
            for name in ("missing_data", "out_of_image")
            if f"calibration_{name}" in calibration
        }
        grid = _grid(file, path, height, width)
    amount, rate = parameter.startswith("ACCUMULATED") and "MM" in parameter, "MM/H" in parameter
    if not (amount or rate or "REFLECTIVITY" in parameter):
        raise DataError(f"the image holds {parameter}", where=path, remedy="understood are rain and reflectivity")
    if amount and minutes <= 0:
        raise DataError(f"an accumulation over {minutes:g} minutes", where=path)

    def decode() -> np.ndarray:
        with open_hdf5(path, _FORM) as file:
            stored = file[f"{image}/image_data"][()]
        values = stored * factor + offset
        values[np.isin(stored, list(missing))] = np.nan
        return np.asarray(values)

    return single_frame(
        path,
        decode,
        name="accumulation" if amount else "rain_rate" if rate else "reflectivity",
        units="mm h-1" if rate else "dBZ",
        shape=(height, width),
        time=time,
        minutes=minutes if amount else None,
        grid=grid,
    )


def _select(file: h5py.File, path: Path, options: ReadOptions) -> str:
    """The name of the image to read. Raises `DataError` for several of one parameter, which are those of a forecast, and where
    none of several parameters is named."""
    images = [str(name) for name in file if _IMAGES.fullmatch(name) and "image_data" in file[name]]
    parameters = {name: text(file[name].attrs["image_geo_parameter"]) for name in images}
    if len(set(parameters.values())) < len(images):
        raise forecast_error(
            f"{len(images)} images of {', '.join(dict.fromkeys(parameters.values()))}", path, readable=False
        )
    if options.variable is None and len(images) == 1:
        return images[0]
    chosen = [name for name in images if options.variable in (name, parameters[name])]
    if not chosen:
        raise DataError(
            f"{'several images' if options.variable is None else f'no image {options.variable!r}'}: "
            f"{', '.join(f'{name} of {parameter}' for name, parameter in parameters.items())}",
            where=path,
            remedy="name one",
            parameter="variable",
            example=images[0],
        )
    return chosen[0]


def _time(value: object) -> datetime.datetime:
    try:
        return datetime.datetime.strptime(text(value).title(), "%d-%b-%Y;%H:%M:%S.%f")
    except ValueError as error:
        raise ValueError(f"the time {text(value)!r}, expected 31-MAR-2024;12:05:00.000") from error


def _calibration(calibration: h5py.Group, path: Path) -> tuple[float, float]:
    formula = text(calibration.attrs["calibration_formulas"])
    match = _CALIBRATION.fullmatch(formula)
    if match is None:
        raise DataError(f"the calibration {formula!r} is not understood", where=path, remedy="expected GEO=a*PV+b")
    return float(match[1]), float(match[3] or 0) * (-1 if match[2] == "-" else 1)


def _grid(file: h5py.File, path: Path, height: int, width: int) -> Grid:
    where = file["geographic"].attrs
    unit = 1000.0 if text(where["geo_dim_pixel"]).upper().startswith("KM") else 1.0
    parameters = text(file["geographic/map_projection"].attrs["projection_proj4_params"])
    in_metres = re.sub(r"\+(a|b|x_0|y_0)=([-\d.]+)", lambda match: f"+{match[1]}={float(match[2]) * unit}", parameters)
    dx, dy = number(where, "geo_pixel_size_x") * unit, number(where, "geo_pixel_size_y") * unit
    left, top = number(where, "geo_column_offset") * dx, number(where, "geo_row_offset") * dy
    return Grid.from_corner(projection(in_metres, path), left, top, dx, dy, height, width)
