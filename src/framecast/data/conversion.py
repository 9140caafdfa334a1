"""Frames of one quantity as frames of another: reflectivity as rain rate."""

from __future__ import annotations

import numpy as np
import xarray as xr

from framecast.data.frames import describe_source
from framecast.data.lazy import Selection, lazy_variable
from framecast.data.quantities import RAIN_RATE, ZR, quantity_of
from framecast.errors import DataError

WEAKEST = 0.05
"""Rates in mm/h below are dry after the conversion: radars do not tell them from nothing alike."""
DEFAULT = ZR()


def as_rain_rate(frames: xr.DataArray, zr: ZR = DEFAULT) -> xr.DataArray:
    """Frames of rain rate (mm/h), converted from reflectivity by `zr` when they are read; frames of rain rate unchanged. No data
    stays no data. Raises `DataError` for another quantity."""
    quantity = quantity_of(frames)
    if quantity.rain == "rate":
        return frames
    if not quantity.precipitation:
        raise DataError(
            f"{quantity.title} is not related to rain", where=describe_source(frames), remedy="leave data.quantity out"
        )

    def read(selection: Selection) -> np.ndarray:
        values = np.asarray(frames.variable[selection].values, dtype=np.float32)
        rates = np.asarray(quantity.rain_rate(values, zr), dtype=np.float32)
        return np.where((values <= quantity.dry) | (rates < WEAKEST), np.float32(0), rates)

    note = f"reflectivity was converted to rain rate by Z = {zr.a:g} R^{zr.b:g}"
    attributes = {
        **frames.attrs,
        "quantity": RAIN_RATE.name,
        "units": RAIN_RATE.units,
        "dry": RAIN_RATE.dry,
        "converted_from": quantity.name,
        "standard_name": RAIN_RATE.standard_name,
        "repairs": [*frames.attrs.get("repairs", ()), note],
    }
    for name in ("long_name", "cell_methods", "mean_over_seconds"):  # the rate of a mean reflectivity is no mean rate
        attributes.pop(name, None)
    variable = lazy_variable(frames.dims, frames.shape, read)
    return xr.DataArray(variable, coords=frames.coords, name=RAIN_RATE.name, attrs=attributes)
