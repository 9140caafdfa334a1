"""Regimes: subsets of the cases by weather and time, for conditional verification. Works on the sums of a verification.

Cases are split into thirds by wet area, by intensity and by speed of motion, and by season and hour.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from framecast.verification.result import Verification


class Regime(NamedTuple):
    """A kind of weather, or of time: `cases (N,)` bool selects its cases."""

    kind: str
    label: str
    cases: np.ndarray


def regimes(verification: Verification) -> list[Regime]:
    """All regimes that contain some of the cases but not all: thirds by observed weather, seasons and hours."""
    sums = verification.sums
    result = []
    if verification.quantity.precipitation:
        wet, pixels = sums["wet_observed"].sum("lead_time").values, sums["pixels"].sum("lead_time").values
        share = np.divide(wet, pixels, out=np.full(len(wet), np.nan), where=pixels > 0)
        amount = sums["wet_amount"].sum("lead_time").values
        result += _thirds("wet area", share, "{:.0%}")
        result += _thirds("intensity", amount / np.maximum(wet, 1), f"{{:.2g}} {verification.quantity.label}")
    factor, units = _speed(verification)
    result += _thirds("speed", sums["speed"].values * factor, f"{{:.2g}} {units}")
    result += _of_time(sums["init_time"].values)
    return [regime for regime in result if 0 < regime.cases.sum() < len(regime.cases)]


def _speed(verification: Verification) -> tuple[float, str]:
    """The factor from pixels a frame to the units of speed: km/h where pixel and step are known."""
    side, leads = verification.pixel_kilometres, verification.sums["lead_time"].values
    if side is None or leads.dtype.kind != "m":
        return 1.0, "pixels a frame"
    return side / float(leads[0] / np.timedelta64(1, "h")), "km/h"


def _of_time(times: np.ndarray) -> list[Regime]:
    """Seasons and quarters of the day; none for frames without times."""
    if times.dtype.kind != "M":
        return []
    month = times.astype("datetime64[M]").astype(int) % 12
    hour = (times - times.astype("datetime64[D]")) // np.timedelta64(6, "h")
    seasons = ("December to February", "March to May", "June to August", "September to November")
    return [
        *(Regime("season", name, (month + 1) % 12 // 3 == k) for k, name in enumerate(seasons)),
        *(Regime("hour", f"{6 * k:02d} to {6 * k + 6:02d} UTC", hour == k) for k in range(4)),
    ]


def _thirds(kind: str, values: np.ndarray, form: str) -> list[Regime]:
    """Split the cases into thirds by a value; cases with NaN are in none."""
    if not np.isfinite(values).any():
        return []
    low, high = np.nanquantile(values, [1 / 3, 2 / 3])
    parts = {"low": values <= low, "middle": (values > low) & (values <= high), "high": values > high}
    limits = {"low": f"up to {form.format(low)}", "middle": "", "high": f"above {form.format(high)}"}
    return [Regime(kind, f"{name} {limits[name]}".strip(), cases) for name, cases in parts.items()]
