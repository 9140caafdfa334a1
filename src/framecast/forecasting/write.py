"""Writes a Forecast to a file, atomically: CF NetCDF or Zarr for data, MP4 or GIF for an animation.

An ensemble has the dimension `member` (CF: realization). An animation shows the context, if given, and then the forecast (the
mean of an ensemble), see `film` (`pip install "framecast[report]"`; MP4 needs `"framecast[video]"` too).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from framecast.checks import as_path, describe, refuses_arrays
from framecast.data.archives.outputs import check_output
from framecast.data.frames import check_frames
from framecast.data.quantities import QUANTITIES
from framecast.errors import DataError
from framecast.forecasting.cf import to_dataset as to_dataset
from framecast.forecasting.labels import DIMS, MEMBER_DIMS, Forecast, values_of
from framecast.forecasting.targets import check_target
from framecast.writing import put_bytes, replacing, write_bytes
from framecast.writing.netcdf import write_netcdf

if TYPE_CHECKING:
    from zarr.abc.buffer import Buffer


def check_forecast(forecast: Any) -> xr.DataArray:
    """The values of a Forecast. Raises `DataError` if `forecast` is not one."""
    remedy = "write the result of forecast(frames, horizon); to write frames, use frames.to_netcdf(PATH)"
    if isinstance(forecast, xr.Dataset) and forecast.attrs.get("values") in forecast:
        forecast = values_of(forecast)
    if not isinstance(forecast, xr.DataArray):
        raise DataError(f"{describe(forecast)} given, expected a forecast, an xarray.DataArray", remedy=remedy)
    if (
        forecast.dims not in (DIMS, MEMBER_DIMS)
        or not {"init_time", "lead_time"} <= set(forecast.coords)
        or not forecast.size
    ):
        raise DataError(f"{dict(forecast.sizes)} are not the sizes of a forecast, {DIMS}", remedy=remedy)
    if forecast.attrs.get("quantity") not in QUANTITIES:
        raise DataError("the forecast has lost its attributes", remedy="restore them: .assign_attrs(forecast.attrs)")
    return forecast


@refuses_arrays
def write(
    forecast: Forecast,
    out: str | Path,
    *,
    overwrite: bool = False,
    context: xr.DataArray | None = None,
    palette: str | None = None,
) -> None:
    """Write `forecast` to `out`, in the format of its suffix: .nc or .zarr with grid, projection, init and lead times, or .mp4 or
    .gif, an animation that starts with the frames of `context`, if given, in the colours of `palette` (`framecast.colours`).

    Raises `DataError` if `forecast` is no Forecast, `ConfigError` if the suffix is unknown, the folder does not exist, the file
    exists and `overwrite` is false, or the forecast was made from it, and `RunError` if it cannot be written.
    """
    # Check the arguments before anything is written.
    out = as_path(out, "the path of a file to write", "out")
    values = check_forecast(forecast)
    if context is not None:
        check_frames(context)
    check_target(out, overwrite=overwrite)
    check_output(out, [] if context is None else [context], others=values.encoding.get("sources", ()))
    # Make the file in memory, then write it in one step.
    if out.suffix in (".mp4", ".gif"):
        from framecast.forecasting.film import encode, film_of  # late: a file of data needs no matplotlib

        film = encode(film_of(values, context, palette), out.suffix)
        write_bytes(out, film.getbuffer(), overwrite=overwrite)
    elif out.suffix == ".nc":
        write_netcdf(out, to_dataset(forecast), overwrite=overwrite)
    else:
        from zarr.storage import MemoryStore  # late: slow to import

        store: dict[str, Buffer] = {}
        to_dataset(forecast).to_zarr(MemoryStore(store), zarr_format=2, consolidated=True)
        with replacing(out, overwrite=overwrite) as temporary:
            for name, content in store.items():
                put_bytes(temporary / name, content.to_bytes())
