"""The rain in a window of time: the sum of the rates, each times the time that it stands for."""

from __future__ import annotations

import numpy as np

from framecast.forecasting.products import Choice, Product, Request
from framecast.forecasting.products.fields import SUM, Field
from framecast.forecasting.products.settings import Window, as_window


def choose(request: Request) -> Choice:
    """The windows that the frames make up: those asked for, or the full hours."""
    wanted = request.numbers or request.settings.windows or request.source.default_windows()
    reasons = {window: request.source.refuse_window(window) for window in wanted}
    possible = tuple(window for window, reason in reasons.items() if reason is None)
    return Choice(possible or None, tuple(reason for reason in reasons.values() if reason is not None))


def windows_of(request: Request) -> tuple[Window, ...]:
    """The windows of other products of sums: those of the settings, or the full hours, as far as the frames make them up."""
    return choose(request._replace(numbers=())).numbers or ()


def make(request: Request) -> Field:
    """The sums in mm; of an ensemble their mean."""
    values = np.stack([request.source.sums(window).mean(axis=0) for window in request.numbers])
    method = f"mean of {len(request.source.rates)} members" if request.source.is_ensemble else "sum of the forecast"
    return Field("accumulation", SUM, "rain sum", method, values[None], request.numbers, windows=True)


ACCUMULATION = Product("accumulation", "Rain in windows of time in mm.", choose, make, as_window)
