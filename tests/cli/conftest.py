"""Frames of a shower and a run that was trained on them, for the tests of the command line."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import framecast
from small_run import SMALL_RUN

SMALL = ("data.context=3", "data.horizon=3", "model.hidden=[4,4]", *SMALL_RUN)


@pytest.fixture(scope="session")
def rain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shower that moves, for two hours, with a corner that no radar sees."""
    time, y, x = np.arange(60), np.arange(24), np.arange(28)
    centre = 4 + 0.3 * time[:, None, None]
    values = 20 * np.exp(-((y[:, None] - 12) ** 2 + (x - centre) ** 2) / 20)
    values[values < 0.1] = 0
    values[:, :4, :4] = np.nan
    path = tmp_path_factory.mktemp("rain") / "shower.nc"
    xr.DataArray(
        values.astype(np.float32),
        dims=("time", "y", "x"),
        coords={
            "time": np.datetime64("2020-06-01", "ns") + time * np.timedelta64(5, "m"),
            "y": y * 1000.0,
            "x": x * 1000.0,
        },
        attrs={"units": "mm/h"},
        name="rain",
    ).to_netcdf(path, engine="h5netcdf")
    return path


@pytest.fixture(scope="session")
def trained(rain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "shower"
    framecast.train("recipes/radar.yaml#predrnn_v2", [f"data.path={rain}", *SMALL], out=out)
    return out
