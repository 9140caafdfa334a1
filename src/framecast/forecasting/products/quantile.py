"""Quantiles of the rain rate of each lead time, and of sums in a window, at each pixel, over the members."""

from __future__ import annotations

import numpy as np

from framecast.forecasting.products import Choice, Product, Request
from framecast.forecasting.products.accumulation import windows_of
from framecast.forecasting.products.fields import RATE, SUM, Axis, Field
from framecast.forecasting.products.member import NO_MEMBERS
from framecast.forecasting.products.settings import as_quantile

_METHOD = "quantile of {} members at each pixel, linear between members"


def choose(request: Request) -> Choice:
    """All quantiles, with members."""
    return (
        Choice(request.numbers or request.settings.quantiles)
        if request.source.is_ensemble
        else Choice(None, (NO_MEMBERS,))
    )


def choose_sums(request: Request) -> Choice:
    """All quantiles, with members and a window that the frames make up."""
    if not windows_of(request):
        return Choice(None, ("the frames make up none of the windows",))
    return choose(request)


def make(request: Request) -> Field:
    """The quantiles of rates in mm/h."""
    maps = [quantiles(request.source.rates[:, lead], request.numbers) for lead in range(len(request.source.leads))]
    return Field(
        "quantile",
        RATE,
        "quantile of the rain rate",
        _METHOD.format(len(request.source.rates)),
        np.stack(maps, axis=1),
        request.source.spans,
        Axis("quantile", request.numbers, "1"),
    )


def make_sums(request: Request) -> Field:
    """The quantiles of sums in mm."""
    windows = windows_of(request)
    return Field(
        "accumulation_quantile",
        SUM,
        "quantile of the rain sum",
        _METHOD.format(len(request.source.rates)),
        np.stack([quantiles(request.source.sums(window), request.numbers) for window in windows], axis=1),
        windows,
        Axis("quantile", request.numbers, "1"),
        windows=True,
    )


def quantiles(values: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """The quantiles `(Q, H, W)` of members `(M, H, W)`; NaN where one has no data."""
    ordered = np.sort(values, axis=0)  # NaN is last
    places = np.array(levels, dtype=np.float64) * (len(values) - 1)
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, len(values) - 1)
    weight = (places - low).astype(np.float32)[:, None, None]
    result = ordered[low] * (1 - weight) + ordered[high] * weight
    result[:, np.isnan(ordered[-1])] = np.nan
    return np.asarray(result)


QUANTILE = Product("quantile", "Quantiles of the rain rate, from members.", choose, make, as_quantile)
ACCUMULATION_QUANTILE = Product(
    "accumulation_quantile", "Quantiles of rain sums, from members.", choose_sums, make_sums, as_quantile
)
