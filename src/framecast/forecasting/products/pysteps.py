"""A nowcast as pysteps has them: arrays with metadata, and the NetCDF file that `pysteps.io.import_netcdf_pysteps` reads.

The layout is that of pysteps 1.21 (`initialize_forecast_exporter_netcdf`): `precip_intensity ([ens_number,] time, y, x)` in mm/h,
north first, no data as fill value, times in seconds since the initial time. pysteps itself is not needed. `open_forecast`
reads such files, of pysteps and of framecast.
"""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import xarray as xr

from framecast.checks import refuses_arrays
from framecast.data.frames import check_frames
from framecast.data.place import Place
from framecast.data.quantities import RAIN_RATE
from framecast.data.readers.grids import grid_mapping
from framecast.errors import DataError
from framecast.forecasting.labels import Forecast
from framecast.forecasting.products import Choice, Document, Product, Request
from framecast.forecasting.products.source import Source, origin_of
from framecast.writing.netcdf import netcdf_bytes

FILE = "pysteps.nc"
_NAMES = {
    "polar_stereographic": "polar_stereographic",
    "lambert_conformal_conic": "lcc",
    "albers_conical_equal_area": "proj",
}
"""The names of pysteps for the variables of grid mappings."""


@refuses_arrays
def to_pysteps(forecast: Forecast, *, newest: xr.DataArray | None = None) -> tuple[np.ndarray, dict[str, Any]]:
    """A forecast as pysteps has nowcasts: `(M, L, H, W)` float32 in mm/h, north first, NaN for no data, and the metadata.

    With `newest`, the Frames that it was made from, the newest one comes first, `(M, 1 + L, H, W)`: what `pysteps.blending.steps`
    takes as `precip_nowcast` with `nowcasting_method="external_nowcast"`, in decibels as its other inputs.

    Raises `DataError` for what is no forecast of rain with one initial time on a regular grid in a known projection, and for a
    `newest` frame of another time or size.
    """
    source = Source.of(forecast)
    place = source.place
    if isinstance(place, str):
        raise DataError(f"pysteps needs the place of the pixels: {place}", remedy="give the frames a projection")
    rates = place.orientation.upright(source.rates)
    if newest is not None:
        rates = np.concatenate([_first(newest, source, place).repeat(len(rates), axis=0), rates], axis=1)
    return np.ascontiguousarray(rates), _metadata(source, place, with_first=newest is not None)


def _first(newest: xr.DataArray, source: Source, place: Place) -> np.ndarray:
    """The newest frame as rates `(1, 1, H, W)`, north first."""
    frame = check_frames(newest).isel(time=[-1])
    time = frame["time"].values[0].astype("datetime64[s]")
    if time != source.init_time or frame.shape[-2:] != source.values.shape[-2:]:
        raise DataError(
            f"the newest frame is of {time}, {frame.shape[-2]} x {frame.shape[-1]} pixels; the forecast begins at "
            f"{source.init_time} with {source.values.shape[-2]} x {source.values.shape[-1]}",
            remedy="give the frames that the forecast was made from",
        )
    frame = frame.rename(time="lead_time").isel(channel=0)
    return place.orientation.upright(Source(source.forecast, frame).rates)


def _metadata(source: Source, place: Place, *, with_first: bool) -> dict[str, Any]:
    left, bottom, right, top = map(float, place.bounds)
    begin = datetime.fromtimestamp(int(source.init_time.astype(np.int64)), UTC).replace(tzinfo=None)
    leads = [0.0] * with_first + [float(lead) for lead in source.leads]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # a PROJ string may say less than the projection: pysteps has no other
        proj4 = place.crs.to_proj4()
    return {
        "projection": proj4,
        "cartesian_unit": "degrees" if place.crs.is_geographic else "m",
        **{"x1": left, "y1": bottom, "x2": right, "y2": top},
        "xpixelsize": place.dx,
        "ypixelsize": place.dy,
        "yorigin": "upper",
        "unit": "mm/h",
        "transform": None,
        "accutime": float(source.leads[0]),
        "zerovalue": 0.0,
        "threshold": RAIN_RATE.wet,
        "institution": f"framecast, {source.name}",
        "leadtimes": np.array(leads),
        "timestamps": np.array([begin + timedelta(minutes=lead) for lead in leads]),
    }


def to_dataset(forecast: Forecast) -> xr.Dataset:
    """The content of pysteps' NetCDF file. Raises the errors of `to_pysteps`."""
    rates, metadata = to_pysteps(forecast)
    source = Source.of(forecast)
    place = source.place
    assert isinstance(place, Place)
    mapping = _mapping(place)
    name = _NAMES.get(str(mapping.get("grid_mapping_name")), "crs")
    dims = ("ens_number", "time", "y", "x") if source.is_ensemble else ("time", "y", "x")
    values = xr.Variable(
        dims,
        rates if source.is_ensemble else rates[0],
        {"long_name": "instantaneous precipitation rate", "units": "mm h-1", "grid_mapping": name},
        {"zlib": True, "complevel": 1, "dtype": "float32", "_FillValue": np.float32(np.nan)},
    )
    unit = {"units": metadata["cartesian_unit"]}
    seconds = np.rint(60 * source.leads).astype(np.int64)
    start = str(source.init_time).replace("T", " ")
    coordinates = {
        "x": (
            "x",
            place.left + place.dx * (np.arange(place.width) + 0.5),
            _axis("X", "projection_x_coordinate") | unit,
        ),
        "y": (
            "y",
            place.top - place.dy * (np.arange(place.height) + 0.5),
            _axis("Y", "projection_y_coordinate") | unit,
        ),
        "time": ("time", seconds, {"long_name": "forecast time", "units": f"seconds since {start}"}),
        "forecast_reference_time": (
            (),
            0,
            {"standard_name": "forecast_reference_time", "units": f"seconds since {start}"},
        ),
        name: ((), 0, mapping),
    }
    if source.is_ensemble:
        numbers = np.arange(1, len(rates) + 1)
        coordinates["ens_number"] = (
            "ens_number",
            numbers,
            {"standard_name": "realization", "long_name": "ensemble member"},
        )
    values.encoding["coordinates"] = "forecast_reference_time"
    dataset = xr.Dataset({"precip_intensity": values}, coordinates)
    for axis in ("x", "y"):
        dataset[axis].encoding = {"_FillValue": None}
    dataset.attrs = {
        "Conventions": "CF-1.7",
        "title": f"nowcast by {source.name}",
        "institution": metadata["institution"],
        "source": f"framecast, {source.name}",
        "projection": metadata["projection"],
        **origin_of(forecast),
    }
    return dataset


def _mapping(place: Place) -> dict[str, Any]:
    """The grid mapping; pysteps looks for the pole, which that of a standard parallel need not name."""
    mapping = dict(grid_mapping(place.crs))
    if mapping.get("grid_mapping_name") == "polar_stereographic" and "standard_parallel" in mapping:
        mapping.setdefault("latitude_of_projection_origin", float(np.copysign(90, mapping["standard_parallel"])))
    return mapping


def _axis(name: str, standard: str) -> dict[str, str]:
    return {"axis": name, "standard_name": standard}


def choose(request: Request) -> Choice:
    """Whether the pixels have a place."""
    place = request.source.place
    return Choice(None, (f"the place of the pixels is not known: {place}",)) if isinstance(place, str) else Choice(())


def make(request: Request) -> Document:
    """The file."""
    return Document(FILE, bytes(netcdf_bytes(to_dataset(request.source.forecast))))


PYSTEPS = Product("pysteps", "The nowcast as NetCDF of pysteps, for its verification and blending.", choose, make)
