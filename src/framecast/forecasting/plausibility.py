"""Tells forecasts that cannot be: not finite, outside of what the quantity allows, or far above everything in the context."""

from __future__ import annotations

import numpy as np
import xarray as xr

from framecast.data.quantities import ZR, Quantity, quantity_of
from framecast.forecasting.faults import Reason, reason
from framecast.forecasting.labels import Forecast, values_of

GROWTH, STRONG = 10.0, 50.0
"""The mean of a forecast may reach so many times the largest rain rate of the context, and in any case so many mm/h."""
_MARGIN = 0.5
"""The part of the usual range by which a forecast of another quantity may leave it."""
_BASIS = 0.5
"""The least share of the pixels of the newest frame that the first frame of a forecast covers."""


def find_fault(forecast: Forecast, frames: xr.DataArray) -> Reason | None:
    """What is wrong with a forecast that continues `frames`, loaded; None if it can be."""
    values = values_of(forecast)
    if np.isinf(values.values).any():
        return reason("not_finite", "infinite values")
    mean = values.mean("member") if "member" in values.dims else values
    basis = int(np.isfinite(mean.isel(lead_time=0).values).sum())
    observed = int(np.isfinite(frames.values[-1]).sum())
    if basis < _BASIS * observed:
        return reason("not_finite", f"values at {basis} pixels of the first lead time, {observed} are observed")
    quantity, units = quantity_of(frames), values.attrs["units"]
    low, high = _limits(quantity, frames.values)
    least, most, most_of_mean = np.nanmin(values.values), np.nanmax(values.values), np.nanmax(mean.values)
    if least < low:
        return reason("implausible", f"{least:.3g} {units}, below {low:.3g}")
    if quantity.precipitation and most > quantity.plausible:
        return reason("implausible", f"{most:.3g} {units}, above {quantity.plausible:.3g}")
    if most_of_mean > high:
        context = f"{np.nanmax(frames.values):.3g} is the largest value of the context"
        return reason("implausible", f"{most_of_mean:.3g} {units}, above {high:.3g}; {context}")
    return None


def _limits(quantity: Quantity, context: np.ndarray) -> tuple[float, float]:
    """The lowest value of a plausible forecast after `context`, and the highest of its mean."""
    least, largest = float(np.nanmin(context)), float(np.nanmax(context))
    if not quantity.precipitation:
        low, high = quantity.usual
        margin = _MARGIN * (high - low)
        return min(low, least) - margin, max(high, largest) + margin
    zr = ZR()
    rate = 0.0 if largest <= quantity.dry else float(quantity.rain_rate(largest, zr))
    return min(quantity.lowest, quantity.dry), float(quantity.from_rain_rate(max(STRONG, GROWTH * rate), zr))
