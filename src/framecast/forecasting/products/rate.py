"""The rain rate of each lead time: the forecast, or the mean of its members."""

from __future__ import annotations

from framecast.forecasting.products import Choice, Product, Request
from framecast.forecasting.products.fields import RATE as KIND
from framecast.forecasting.products.fields import Field


def make(request: Request) -> Field:
    """The rates in mm/h. A pixel without data in one member has no mean."""
    method = f"mean of {len(request.source.rates)} members" if request.source.is_ensemble else "the forecast"
    return Field("rate", KIND, "rain rate", method, request.source.rates.mean(axis=0)[None], request.source.spans)


RATE = Product("rate", "Rain rate of each lead time in mm/h.", lambda request: Choice(()), make)
