"""A file of rain for tests that train and verify."""

from pathlib import Path

import numpy as np
import xarray as xr


def write_rain(path: Path, start: str, frames: int, height: int, width: int, speed: float) -> Path:
    """Write a shower that moves east by `speed` pixels a frame, every 5 minutes from `start`, and return `path`."""
    time, y, x = np.arange(frames), np.arange(height), np.arange(width)
    values = 20 * np.exp(-((y[:, None] - height / 2) ** 2 + (x - 4 - speed * time[:, None, None]) ** 2) / 20)
    xr.DataArray(
        values.astype(np.float32),
        dims=("time", "y", "x"),
        coords={"time": np.datetime64(start, "ns") + time * np.timedelta64(5, "m")},
        attrs={"units": "mm/h"},
        name="rain",
    ).to_netcdf(path, engine="h5netcdf")
    return path
