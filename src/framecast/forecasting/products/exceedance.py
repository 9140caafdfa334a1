"""The probability that rain rates, or sums in a window, are at or above a threshold.

A rate of which the forecast stores the probability has that one. Any other, and any sum, is counted: the share of the members
that reach it.
"""

from __future__ import annotations

import numpy as np

from framecast.data.quantities import RAIN_RATE
from framecast.forecasting.products import Choice, Product, Request
from framecast.forecasting.products.accumulation import windows_of
from framecast.forecasting.products.fields import PROBABILITY, Axis, Field
from framecast.forecasting.products.member import NO_MEMBERS
from framecast.forecasting.products.settings import as_rate, as_sum


def share(values: np.ndarray, threshold: float) -> np.ndarray:
    """The share of members `(M, ...)` at or above a threshold, float32; NaN where one has no data."""
    result = (values >= np.float32(threshold)).mean(axis=0, dtype=np.float32)
    result[np.isnan(values).any(axis=0)] = np.nan
    return np.asarray(result)


def rates_of(request: Request) -> tuple[float, ...]:
    """The rates asked for; else those of the stored probabilities, else those of the event scores."""
    return tuple(request.numbers or request.settings.rates or request.source.probabilities or RAIN_RATE.thresholds)


def choose(request: Request) -> Choice:
    """The rates of which there are probabilities: any with members, else those that are stored."""
    wanted = rates_of(request)
    if request.source.is_ensemble:
        return Choice(wanted)
    stored = request.source.probabilities
    if not stored:
        return Choice(None, ("the forecast has neither members nor probabilities",))
    known = ", ".join(f"{rate:g}" for rate in stored)
    reasons = tuple(
        f"no probability of {rate:g} mm/h is stored, but of {known}" for rate in wanted if rate not in stored
    )
    return Choice(tuple(rate for rate in wanted if rate in stored) or None, reasons)


def make(request: Request) -> Field:
    """The probabilities of rates, by lead time."""
    stored = request.source.probabilities
    values = np.stack(
        [stored[rate] if rate in stored else share(request.source.rates, rate) for rate in request.numbers]
    )
    counted = f"the share of {len(request.source.rates)} members"
    methods = {
        f"{rate:g} mm/h: {f'as forecast by {request.source.name}' if rate in stored else counted}"
        for rate in request.numbers
    }
    axis = Axis("threshold", request.numbers, "mm h-1")
    text = "probability that the rain rate is at or above a threshold"
    return Field("exceedance", PROBABILITY, text, "; ".join(sorted(methods)), values, request.source.spans, axis)


def choose_sums(request: Request) -> Choice:
    """All sums, with members."""
    if not request.source.is_ensemble:
        return Choice(None, (f"{NO_MEMBERS}, from which the probability of a sum is counted",))
    if not windows_of(request):
        return Choice(None, ("the frames make up none of the windows",))
    return Choice(request.numbers or request.settings.sums)


def make_sums(request: Request) -> Field:
    """The probabilities of sums, by window."""
    windows = windows_of(request)
    by_window = []
    for window in windows:
        sums = request.source.sums(window)
        by_window.append(np.stack([share(sums, each) for each in request.numbers]))
    text, method = (
        "probability that the rain sum is at or above a threshold",
        f"share of {len(request.source.rates)} members",
    )
    return Field(
        "accumulation_exceedance",
        PROBABILITY,
        text,
        method,
        np.stack(by_window, axis=1),
        windows,
        Axis("threshold", request.numbers, "mm"),
        windows=True,
    )


EXCEEDANCE = Product("exceedance", "Probability of rain rates.", choose, make, as_rate)
ACCUMULATION_EXCEEDANCE = Product(
    "accumulation_exceedance", "Probability of rain sums, from members.", choose_sums, make_sums, as_sum
)
