"""Alerts by area: the probability that a rate, or a sum, is reached in a window of time, in `alerts.json`.

`anywhere` asks for any pixel of the area at any lead time of the window, `mean` for the mean of the area at any lead time; of
sums, for the sum of the window at any pixel, and for its mean. The number is one of three, and `method` names it:

* members: the share of the members in which it happens, exact counting;
* bounds: of probabilities by pixel and lead time only bounds follow: `lower`, the largest of them, holds if all events are one,
  `upper`, their sum (at most 1), if no two happen together (Boole, Fréchet);
* value: a forecast without probabilities reaches the threshold or not.

Pixels without data are left out; `coverage` is the share of those with data. Without any, nothing is said (null).
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np

from framecast.data.place import degrees_of
from framecast.data.quantities import RAIN_RATE
from framecast.forecasting.products import Choice, Document, Product, Request
from framecast.forecasting.products.accumulation import windows_of
from framecast.forecasting.products.areas import pixels_of, read_areas
from framecast.forecasting.products.settings import Window
from framecast.forecasting.products.source import Source

FILE = "alerts.json"


class _Case(NamedTuple):
    """A window over an area: `rates (M, F, P)`, `sums (M, P)` and the `probability (F, P)` of each rate that is stored."""

    rates: np.ndarray
    sums: np.ndarray
    probability: dict[float, np.ndarray]
    is_ensemble: bool


def choose(request: Request) -> Choice:
    """Whether the pixels have longitudes and latitudes, among which is any of the areas, and the frames make up a window. Raises
    `DataError` if the areas cannot be read."""
    degrees = degrees_of(request.source.values)
    if isinstance(degrees, str):
        return Choice(None, (f"the place of the areas is not known: {degrees}",))
    if not windows_of(request):
        return Choice(None, ("the frames make up none of the windows",))
    assert request.settings.areas is not None
    if not any(len(pixels_of(area, *degrees)) for area in read_areas(request.settings.areas)):
        return Choice(None, (f"none of the areas in {request.settings.areas} lies within the frames",))
    return Choice(())


def make(request: Request) -> Document:
    """The alerts of all areas. Raises `DataError` if the areas cannot be read."""
    degrees = degrees_of(request.source.values)
    assert request.settings.areas is not None
    assert not isinstance(degrees, str)
    windows = windows_of(request)
    sums = {window: request.source.sums(window).reshape(len(request.source.rates), -1) for window in windows}
    rates = request.settings.rates or tuple(request.source.probabilities) or RAIN_RATE.thresholds
    areas = []
    for area in read_areas(request.settings.areas):
        pixels = pixels_of(area, *degrees)
        areas.append(
            {
                "name": area.name,
                "kind": "station" if area.point else "polygon",
                "pixels": len(pixels),
                "windows": [
                    _window(_case(request.source, window, sums[window], pixels), window, rates, request.settings.sums)
                    for window in windows
                ],
            }
        )
    content = {
        "version": 1,
        "init_time": f"{request.source.init_time}Z",
        "source": request.source.name,
        "members": len(request.source.rates) if request.source.is_ensemble else None,
        "units": {"rate": "mm/h", "sum": "mm", "window": "minutes after init_time"},
        "areas": areas,
    }
    return Document(FILE, json.dumps(content, indent=1, allow_nan=False).encode())


def _case(source: Source, window: Window, sums: np.ndarray, pixels: np.ndarray) -> _Case:
    frames = source.frames_in(window)
    rates = source.rates.reshape(*source.rates.shape[:2], -1)[:, frames][:, :, pixels]
    stored = {rate: each.reshape(len(each), -1)[frames][:, pixels] for rate, each in source.probabilities.items()}
    return _Case(_common(rates), _common(sums[:, pixels]), stored, source.is_ensemble)


def _common(values: np.ndarray) -> np.ndarray:
    """The values `(M, ...)` where all members have data, else NaN."""
    return np.where(np.isnan(values).any(axis=0), np.float32(np.nan), values)


def _window(case: _Case, window: Window, rates: tuple[float, ...], sums: tuple[float, ...]) -> dict[str, Any]:
    """The alerts of one area and window."""
    known = ~np.isnan(case.rates)
    covered = float(known.mean()) if known.size else 0.0
    entries = []
    if covered:
        highest, mean = np.nanmax(case.rates, axis=(1, 2)), _largest_mean(case.rates)
        for rate in rates:
            stored = None if case.is_ensemble else case.probability.get(rate)
            entries.append(_entry("rate", rate, "anywhere", highest, case.is_ensemble, stored))
            entries.append(_entry("rate", rate, "mean", mean, case.is_ensemble))
    if not np.isnan(case.sums).all() and covered:
        highest_sum, mean_sum = np.nanmax(case.sums, axis=1), np.nanmean(case.sums, axis=1)
        for amount in sums:
            entries.append(_entry("sum", amount, "anywhere", highest_sum, case.is_ensemble))
            entries.append(_entry("sum", amount, "mean", mean_sum, case.is_ensemble))
    return {"begin": window[0], "end": window[1], "coverage": round(covered, 4), "alerts": entries}


def _largest_mean(rates: np.ndarray) -> np.ndarray:
    """The largest mean over the pixels `(M,)` of `rates (M, F, P)` over the frames with data."""
    with_data = ~np.isnan(rates[0]).all(axis=1)
    return np.asarray(np.nanmean(rates[:, with_data], axis=2).max(axis=1))


def _entry(
    quantity: str, threshold: float, where: str, largest: np.ndarray, ensemble: bool, stored: np.ndarray | None = None
) -> dict[str, Any]:
    """One alert from the `largest (M,)` of each member, or from stored probabilities `(F, P)`."""
    entry: dict[str, Any] = {"quantity": quantity, "threshold": threshold, "where": where}
    reached = largest >= np.float32(threshold)
    if ensemble:
        share = round(float(reached.mean()), 4)
        return entry | {"method": "members", "probability": share, "lower": share, "upper": share}
    if stored is not None and not np.isnan(stored).all():
        lower, upper = float(np.nanmax(stored)), float(min(np.nansum(stored, dtype=np.float64), 1.0))
        if np.count_nonzero(~np.isnan(stored)) == 1:
            upper = lower
        exact = round(lower, 4) if upper == lower else None
        return entry | {"method": "bounds", "probability": exact, "lower": round(lower, 4), "upper": round(upper, 4)}
    return entry | {"method": "value", "probability": None, "exceeded": bool(reached[0])}


ALERTS = Product("alerts", "Probability by area of reaching a rate or a sum in a window.", choose, make)
