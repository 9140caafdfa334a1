"""Forecasts of rain with known values and a known place, for the tests of products."""

from __future__ import annotations

import numpy as np
import xarray as xr
from pyproj import CRS

LEFT, TOP, SPACING = 4_300_000.0, 3_200_000.0, 1_000.0
"""The outer corner and the size of a pixel, in metres of ETRS89 / LAEA Europe."""
INIT = np.datetime64("2026-11-29T12:00", "ns")


def values(members: int, leads: int = 12, height: int = 8, width: int = 10) -> np.ndarray:
    """Rates `(M, L, H, W)`: rain in the east, dry in the west, no data in the first row."""
    rates = np.random.default_rng(0).gamma(0.5, 4.0, (members, leads, height, width)).astype(np.float32)
    rates[..., : width // 2] = 0
    rates[..., 0, :] = np.nan
    return rates


def label(rates: np.ndarray, *, minutes: int = 5, south_first: bool = False, members: bool = True) -> xr.DataArray:
    """A forecast of `rates (M, L, H, W)`, north first unless stated."""
    count, leads, height, width = rates.shape
    y = TOP - SPACING * (np.arange(height) + 0.5)
    array = xr.DataArray(
        (rates if members else rates[0])[None, ..., None, :, :],
        dims=("init_time", *(["member"] if members else []), "lead_time", "channel", "y", "x"),
        coords={
            "init_time": [INIT],
            "lead_time": (np.arange(1, leads + 1) * np.timedelta64(minutes, "m")).astype("timedelta64[ns]"),
            "y": ("y", y, {"units": "m"}),
            "x": ("x", LEFT + SPACING * (np.arange(width) + 0.5), {"units": "m"}),
            "crs": xr.Variable((), 0, CRS.from_epsg(3035).to_cf()),
        },
        name="rain",
        attrs={"units": "mm h-1", "quantity": "rain_rate", "dry": 0.0, "forecaster": "test", "grid_mapping": "crs"},
    )
    if members:
        array = array.assign_coords(member=np.arange(count))
    return array.isel(y=slice(None, None, -1)) if south_first else array


def ensemble(**options: bool) -> xr.DataArray:
    """A forecast of four members."""
    return label(values(4), **options)


def deterministic(**options: bool) -> xr.DataArray:
    """One without members."""
    return label(values(1), members=False, **options)


def with_probabilities() -> xr.Dataset:
    """A mean with probabilities of 0.5 and 2 mm/h."""
    mean = deterministic()
    share = np.clip(np.stack([mean.values / 8, mean.values / 16], axis=1), 0, 1)
    probability = xr.DataArray(
        share,
        dims=("init_time", "threshold", "lead_time", "channel", "y", "x"),
        coords={**mean.coords, "threshold": ("threshold", [0.5, 2.0], {"units": "mm h-1"})},
        attrs={"units": "1"},
    )
    parts = {"rain": mean, "exceedance_probability": probability}
    return xr.Dataset(parts, attrs={**mean.attrs, "values": "rain"})
