"""Contexts whose rows run the other way than those that a model was trained on: turned before the forecast, and turned back."""

from __future__ import annotations

import numpy as np

from framecast.data.orientation import RowOrder
from framecast.forecasting.distribution import Distribution
from framecast.forecasting.protocol import Context, Forecasts


def other_order(context: Context, order: RowOrder | None) -> np.ndarray:
    """Which cases `(B,)` of a context have their rows in another order than `order`; none where either is not known."""
    own = [scale.row_order for scale in context.scales] if context.scales else [None] * len(context.frames)
    return np.array([None not in (case, order) and case != order for case in own], dtype=bool)


def turn(context: Context, cases: np.ndarray) -> Context:
    """The context with the rows of some `cases (B,)` turned."""
    inputs = None if context.inputs is None else _turn_rows(context.inputs, cases, 0)
    return context._replace(frames=_turn_rows(context.frames, cases, 0), inputs=inputs)


def turn_back(forecasts: Forecasts, cases: np.ndarray) -> Forecasts:
    """The forecasts with the rows of some `cases (B,)` turned."""
    distribution = forecasts.distribution
    if distribution is not None:
        distribution = Distribution(distribution.rates, _turn_rows(distribution.probability, cases, 1))
    return forecasts._replace(values=_turn_rows(forecasts.values, cases, 1), distribution=distribution)


def _turn_rows(values: np.ndarray, cases: np.ndarray, axis: int) -> np.ndarray:
    """A copy of `values (..., H, W)` in which the rows of some cases along `axis` are turned."""
    turned = np.array(values)
    along = np.moveaxis(turned, axis, 0)
    along[cases] = along[cases][..., ::-1, :]
    return turned
