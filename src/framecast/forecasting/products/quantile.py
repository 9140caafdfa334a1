"""Quantiles at each pixel: of the rain rate of each lead time, as the forecast stores them or over the members, and of sums."""

from __future__ import annotations

import numpy as np

from framecast.forecasting.products import Choice, Product, Request
from framecast.forecasting.products.accumulation import windows_of
from framecast.forecasting.products.fields import RATE, SUM, Axis, Field
from framecast.forecasting.products.member import NO_MEMBERS
from framecast.forecasting.products.settings import as_quantile

DEFAULT = (0.1, 0.5, 0.9)
_METHOD = "quantile of {} members at each pixel, linear between members"


def choose(request: Request) -> Choice:
    """Any quantile with members, else those that are stored."""
    source = request.source
    wanted = request.numbers or request.settings.quantiles or tuple(source.quantiles) or DEFAULT
    if source.is_ensemble:
        return Choice(wanted)
    if not source.quantiles:
        return Choice(None, ("the forecast has neither members nor quantiles",))
    known = ", ".join(f"{each:g}" for each in source.quantiles)
    reasons = tuple(
        f"the quantile {each:g} is not stored, but {known}" for each in wanted if each not in source.quantiles
    )
    return Choice(tuple(each for each in wanted if each in source.quantiles) or None, reasons)


def choose_sums(request: Request) -> Choice:
    """Any quantile with members and a window that the frames make up."""
    if not request.source.is_ensemble:
        return Choice(None, (f"{NO_MEMBERS}, from which the quantiles of a sum are counted",))
    if not windows_of(request):
        return Choice(None, ("the frames make up none of the windows",))
    return Choice(request.numbers or request.settings.quantiles or DEFAULT)


def make(request: Request) -> Field:
    """The quantiles of rates in mm/h: as forecast, or of the members."""
    source, text = request.source, "quantile of the rain rate"
    axis = Axis("quantile", request.numbers, "1")
    if set(request.numbers) <= set(source.quantiles):
        values = np.stack([source.quantiles[each] for each in request.numbers])
        return Field("quantile", RATE, text, f"as forecast by {source.name}", values, source.spans, axis)
    maps = [quantiles(source.rates[:, lead], request.numbers) for lead in range(len(source.leads))]
    method = _METHOD.format(len(source.rates))
    return Field("quantile", RATE, text, method, np.stack(maps, axis=1), source.spans, axis)


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


QUANTILE = Product("quantile", "Quantiles of the rain rate.", choose, make, as_quantile)
ACCUMULATION_QUANTILE = Product(
    "accumulation_quantile", "Quantiles of rain sums, from members.", choose_sums, make_sums, as_quantile
)
