"""Writing a Forecast, whole or not at all: as CF NetCDF or Zarr, or as something to look at, MP4 or GIF.

An ensemble has a dimension `member` (CF: realization). A film has the context, where it is given, and then the forecast, of an
ensemble its mean, whose frames have an orange edge; colours are those of the report (`pip install "framecast[report]"`). MP4
is written through PyAV (`pip install "framecast[video]"`).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from framecast.checks import as_path, describe, require
from framecast.data.frames import check_frames
from framecast.data.quantities import QUANTITIES
from framecast.data.readers import zarr_store
from framecast.errors import ConfigError, DataError, RunError
from framecast.forecasting.labels import DIMS, MEMBER_DIMS

SUFFIXES = (".nc", ".zarr", ".mp4", ".gif")
FRAME_RATE = 10
"""Frames a second of a film."""
_EDGE = (213, 94, 0)
_LEAST_SIDE = 256
"""Smaller frames are drawn in larger pixels."""


def check_target(out: Path, *, overwrite: bool = False) -> None:
    """Raise `ConfigError` where a forecast cannot be written to `out`, before anything is computed."""
    if out.suffix not in SUFFIXES:
        raise ConfigError(f"{out.suffix or 'no suffix'} is no format", where=out, remedy=f"use {', '.join(SUFFIXES)}")
    if out.suffix == ".gif":
        require("matplotlib", extra="report", purpose="a film", where=out)
    if out.suffix == ".mp4":
        require("av", "matplotlib", extra="video,report", purpose="a film as MP4", where=out)
    if out.exists() and not overwrite:
        raise ConfigError(
            "exists already",
            where=out,
            remedy="name another file, or allow it",
            parameter="overwrite",
            example=True,
        )
    if out.is_dir() and not zarr_store.recognises(out):
        raise ConfigError("a folder that is no Zarr store", where=out, remedy="name another file")
    if not out.absolute().parent.is_dir():
        raise ConfigError("its folder does not exist", where=out, remedy=f"make {out.parent} first")


def check_forecast(forecast: Any) -> None:
    """Raise `DataError` for anything but a Forecast."""
    remedy = "write what a model's forecast(frames, horizon) gives; frames are written with frames.to_netcdf(PATH)"
    if not isinstance(forecast, xr.DataArray):
        raise DataError(f"{describe(forecast)} given, expected a forecast, an xarray.DataArray", remedy=remedy)
    if (
        forecast.dims not in (DIMS, MEMBER_DIMS)
        or not {"init_time", "lead_time"} <= set(forecast.coords)
        or not forecast.size
    ):
        raise DataError(f"{dict(forecast.sizes)} are not the sizes of a forecast, {DIMS}", remedy=remedy)
    if forecast.attrs.get("quantity") not in QUANTITIES:
        raise DataError("the attributes of the forecast are gone", remedy="keep them: .assign_attrs(forecast.attrs)")


def write(
    forecast: xr.DataArray, out: str | Path, *, overwrite: bool = False, context: xr.DataArray | None = None
) -> None:
    """Write `forecast` to `out`, by its suffix: NetCDF or Zarr with the grid, projection, init and lead times, or a film, which
    begins with the frames of `context` where they are given.

    It is written under a temporary name in the same folder and moved into place. Raises `DataError` for what is no Forecast,
    `ConfigError` for a suffix of no format, a folder that is not there and, without `overwrite`, a file that is, and `RunError`
    where it cannot be written.
    """
    out = as_path(out, "the path of a file to write")
    check_forecast(forecast)
    if context is not None:
        check_frames(context)
    check_target(out, overwrite=overwrite)
    temporary = out.with_name(f".{os.getpid()}.{out.name}")
    try:
        if out.suffix in (".mp4", ".gif"):
            images = film(forecast, context)
            (_write_gif if out.suffix == ".gif" else _write_mp4)(images, temporary)
            temporary.replace(out)
            return
        dataset = to_dataset(forecast)
        if out.suffix == ".nc":
            dataset.to_netcdf(temporary, engine="h5netcdf")
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(out)
        else:
            dataset.to_zarr(temporary, mode="w", zarr_format=2, consolidated=True)
            shutil.rmtree(out, ignore_errors=True)
            temporary.rename(out)
    except OSError as error:
        raise RunError(f"cannot be written ({error})", where=out) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True) if temporary.is_dir() else temporary.unlink(missing_ok=True)


def film(forecast: xr.DataArray, context: xr.DataArray | None = None) -> list[np.ndarray]:
    """The images `(H, W, 3)` uint8 of a film: those of the context, then those of the forecast with an orange edge."""
    from framecast.colours import scale_of

    scale = scale_of(QUANTITIES[forecast.attrs["quantity"]])
    past = [] if context is None else [_enlarged(scale.paint(frame)) for frame in context.values]
    values = forecast.values.mean(1) if "member" in forecast.dims else forecast.values
    future = [_enlarged(scale.paint(frame)) for frame in values.reshape(-1, *values.shape[-3:])]
    for image in future:
        image[:3], image[-3:], image[:, :3], image[:, -3:] = _EDGE, _EDGE, _EDGE, _EDGE
    return past + future


def _enlarged(image: np.ndarray) -> np.ndarray:
    """Drawn in larger pixels where it is small, with even sides, as films need them."""
    times = max(1, -(-_LEAST_SIDE // max(image.shape[:2])))
    large = image.repeat(times, axis=0).repeat(times, axis=1)
    return np.ascontiguousarray(np.pad(large, ((0, large.shape[0] % 2), (0, large.shape[1] % 2), (0, 0)), mode="edge"))


def _write_gif(images: list[np.ndarray], path: Path) -> None:
    from PIL import Image

    first, *others = [Image.fromarray(image) for image in images]
    first.save(path, format="GIF", save_all=True, append_images=others, duration=1000 // FRAME_RATE, loop=0)


def _write_mp4(images: list[np.ndarray], path: Path) -> None:
    import av

    with av.open(str(path), mode="w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=FRAME_RATE, options={"crf": "18"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def to_dataset(forecast: xr.DataArray) -> xr.Dataset:
    """The Forecast as a CF dataset; `time (init_time, lead_time)` is the time a frame is valid."""
    variable = forecast.drop_encoding()  # how the source stores its coordinates is no matter
    mapping = variable.attrs.pop("grid_mapping", None)
    variable.encoding = {"zlib": True, "complevel": 1, "_FillValue": np.float32(np.nan), "dtype": "float32"}
    if mapping is not None:
        variable.encoding["grid_mapping"] = mapping
    dataset = variable.to_dataset(name=str(forecast.name))
    if "member" in dataset.dims:
        members = dataset.coords.get("member", np.arange(dataset.sizes["member"]))
        dataset = dataset.assign_coords(member=("member", np.asarray(members), {"standard_name": "realization"}))
    for axis in {"y", "x"} & set(dataset.coords):
        dataset[axis].encoding = {"_FillValue": None}  # CF: coordinates have no missing values
    if forecast["init_time"].dtype.kind == "M":
        valid = (forecast["init_time"] + forecast["lead_time"]).transpose("init_time", "lead_time")
        dataset = dataset.assign_coords(time=valid)
        epoch = {"units": "seconds since 1970-01-01", "dtype": "int64"}
        dataset["init_time"].encoding = dict(epoch)
        dataset["time"].encoding = dict(epoch)
        dataset["lead_time"].encoding = {"units": "seconds", "dtype": "int64"}
        dataset["init_time"].attrs = {"standard_name": "forecast_reference_time"}
        dataset["lead_time"].attrs = {"standard_name": "forecast_period"}
        dataset["time"].attrs = {"standard_name": "time"}
    dataset.attrs = {"Conventions": "CF-1.10", "source": f"framecast, {forecast.attrs.get('forecaster', 'forecast')}"}
    return dataset
