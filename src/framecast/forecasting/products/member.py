"""The rain rate of each member of an ensemble."""

from __future__ import annotations

from framecast.forecasting.products import Choice, Product, Request
from framecast.forecasting.products.fields import RATE, Axis, Field

NO_MEMBERS = "the forecast has no members"


def choose(request: Request) -> Choice:
    """All members, if there are any."""
    return Choice(()) if request.source.is_ensemble else Choice(None, (NO_MEMBERS,))


def make(request: Request) -> Field:
    """The rates in mm/h, members counted from 0."""
    axis = Axis("member", tuple(map(float, range(len(request.source.rates)))), "1")
    return Field(
        "member", RATE, "rain rate", "a member of the ensemble", request.source.rates, request.source.spans, axis
    )


MEMBER = Product("member", "Rain rate of each member in mm/h.", choose, make)
