"""Nowcasts that pysteps reads, verifies and blends, and those of pysteps that framecast reads."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pyproj import CRS
from rain_forecasts import INIT, LEFT, SPACING, TOP, deterministic, ensemble, label, values

import framecast
from framecast.errors import DataError

pytest.importorskip("netCDF4")
pysteps = pytest.importorskip("pysteps")


def written(forecast: xr.DataArray, folder: Path) -> Path:
    (path,) = framecast.write_products(forecast, folder, products=("pysteps",), formats=())
    return path


@pytest.mark.parametrize("south_first", [False, True])
@pytest.mark.parametrize("make", [deterministic, ensemble])
def test_its_importer_reads_our_file(make: Any, south_first: bool, tmp_path: Path) -> None:
    forecast = make(south_first=south_first)
    rates, metadata = pysteps.io.import_netcdf_pysteps(str(written(forecast, tmp_path)), onerror="raise")
    upright = forecast.sortby("y", ascending=False).values[0]
    np.testing.assert_array_equal(rates, upright.reshape(rates.shape))
    assert (metadata["x1"], metadata["y2"], metadata["yorigin"]) == (LEFT, TOP, "upper")
    assert (metadata["unit"], metadata["accutime"]) == ("mm/h", 5)
    assert list(metadata["leadtimes"]) == list(range(5, 65, 5))
    assert str(metadata["timestamps"][0]) == "2026-11-29 12:05:00"


def test_its_importer_places_a_polar_stereographic_grid(tmp_path: Path) -> None:
    crs = CRS.from_proj4("+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +x_0=0 +y_0=0 +ellps=WGS84")
    forecast = ensemble().assign_coords(crs=xr.Variable((), 0, crs.to_cf()))
    _, metadata = pysteps.io.import_netcdf_pysteps(str(written(forecast, tmp_path)), onerror="raise")
    assert metadata["projection"].startswith("+proj=stere +lon_0=10.0 +lat_0=90.0 +lat_ts=60.0")


@pytest.mark.parametrize("members", [1, 4])
def test_the_nowcasts_of_pysteps_are_opened(members: int, tmp_path: Path) -> None:
    forecast = label(values(members), members=members > 1)
    rates, metadata = framecast.to_pysteps(forecast)
    metadata["projection"] = "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +x_0=0 +y_0=0 +ellps=WGS84"
    start = datetime.datetime(2026, 11, 29, 12)
    exporter = pysteps.io.initialize_forecast_exporter_netcdf(
        str(tmp_path), "steps", start, 5, 12, rates.shape[2:], metadata, n_ens_members=members
    )
    pysteps.io.export_forecast_dataset(rates if members > 1 else rates[0], exporter)
    pysteps.io.close_forecast_files(exporter)
    opened = framecast.open_forecast(tmp_path / "steps.nc")
    np.testing.assert_array_equal(opened["precip_intensity"].values, forecast.values)
    assert opened["init_time"].values[0] == INIT
    np.testing.assert_array_equal(opened["lead_time"], forecast["lead_time"])
    np.testing.assert_allclose(opened["x"], forecast["x"])
    assert opened["crs"].attrs["grid_mapping_name"] == "polar_stereographic"


def test_our_own_file_is_opened_again(tmp_path: Path) -> None:
    opened = framecast.open_forecast(written(ensemble(), tmp_path))
    np.testing.assert_array_equal(opened["precip_intensity"].values, ensemble().values)
    assert opened["init_time"].values[0] == INIT


def test_what_has_no_place_is_no_nowcast_of_pysteps() -> None:
    with pytest.raises(DataError, match="no projection"):
        framecast.to_pysteps(ensemble().drop_vars("crs"))


def test_the_newest_frame_is_that_of_the_forecast() -> None:
    with pytest.raises(DataError, match="the newest frame is of"):
        framecast.to_pysteps(bands(), newest=observed().isel(time=slice(0, 2)))


def band(place: int, size: int) -> np.ndarray:
    """A band of rain that lies `place` pixels further east, and differs a little from place to place."""
    frame = np.zeros((size, size), dtype=np.float32)
    frame[10 : size - 10, 10 + place : 22 + place] = [0.2, 0.5, 1, 5, 5, 4.5, 4.5, 4, 2, 1, 0.5, 0.2]
    return frame * np.random.default_rng(place).uniform(0.7, 1.3, frame.shape).astype(np.float32)


def bands(size: int = 64) -> xr.DataArray:
    """A forecast of a band that moves east."""
    return label(np.stack([band(k, size) for k in range(3, 7)])[None], members=False)


def observed(size: int = 64) -> xr.DataArray:
    """The three frames before it."""
    forecast = bands(size)
    return xr.DataArray(
        np.stack([band(k, size) for k in range(3)])[:, None],
        dims=("time", "channel", "y", "x"),
        coords={
            "time": INIT + np.arange(-2, 1) * np.timedelta64(5, "m"),
            **{name: forecast[name] for name in ("y", "x", "crs")},
        },
        name="rain",
        attrs=forecast.attrs,
    )


def test_it_is_blended_as_external_nowcast(tmp_path: Path) -> None:
    """pysteps blends the forecast, in place of its own extrapolation, with a model that lies elsewhere."""
    pytest.importorskip("cv2")
    forecast, frames, leads = bands(), observed(), 4
    nowcast, metadata = framecast.to_pysteps(forecast, newest=frames)
    np.testing.assert_array_equal(nowcast[0, 0], frames.values[-1, 0])
    radar = frames.values[:, 0]
    model = np.stack([band(k + 12, 64) for k in range(leads + 1)])[None]
    to_decibels = pysteps.utils.get_method("dB")
    fields = [to_decibels(each, metadata, threshold=0.1, zerovalue=-15.0)[0] for each in (radar, model, nowcast)]
    velocity = np.stack([np.ones((64, 64)), np.zeros((64, 64))])
    blended = pysteps.blending.steps.forecast(
        precip=fields[0],
        precip_models=fields[1],
        precip_nowcast=fields[2],
        velocity=velocity,
        velocity_models=np.broadcast_to(velocity, (1, leads + 1, *velocity.shape)).copy(),
        timesteps=leads,
        timestep=5.0,
        issuetime=datetime.datetime(2026, 11, 29, 12),
        n_ens_members=2,
        n_cascade_levels=4,
        nowcasting_method="external_nowcast",
        noise_method=None,
        precip_thr=-10.0,
        kmperpixel=SPACING / 1000,
        mask_method="incremental",
        probmatching_method="cdf",
        vel_pert_method=None,
        seed=1,
        outdir_path_skill=str(tmp_path),
    )
    assert blended.shape == (2, leads, 64, 64)
    mean = (10 ** (blended / 10) * (blended > -10)).mean(axis=0)
    near = mean[0, 20:44].mean(axis=0)
    assert np.corrcoef(near, forecast.values[0, 0, 0, 32])[0, 1] > 0.6, "the first lead time is the nowcast"
