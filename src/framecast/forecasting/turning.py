"""Contexts whose rows or columns run the other way than those that a model was trained on: turned before the forecast, and turned
back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from framecast.data.orientation import ColumnOrder, RowOrder
from framecast.forecasting.distribution import Distribution
from framecast.forecasting.protocol import Context, Forecasts


class Turns(NamedTuple):
    """The cases `(B,)` whose rows are to be turned, and those whose columns are."""

    rows: np.ndarray
    columns: np.ndarray

    def any(self) -> bool:
        """Whether anything is to be turned."""
        return bool(self.rows.any() or self.columns.any())

    def turn(self, values: np.ndarray, axis: int) -> np.ndarray:
        """A copy of `values (..., H, W)` in which the cases along `axis` are turned."""
        turned = np.array(values)
        along = np.moveaxis(turned, axis, 0)
        along[self.rows] = along[self.rows][..., ::-1, :]
        along[self.columns] = along[self.columns][..., ::-1]
        return turned


def other_order(context: Context, rows: RowOrder | None, columns: ColumnOrder | None) -> Turns:
    """What of a context is in another order than that of `rows` and of `columns`; nothing where either is not known."""
    scales = context.scales or ()
    others = (
        [None not in (scale.row_order, rows) and scale.row_order != rows for scale in scales],
        [None not in (scale.column_order, columns) and scale.column_order != columns for scale in scales],
    )
    none = np.zeros(len(context.frames), dtype=bool)
    return Turns(*(np.array(each, dtype=bool) if scales else none for each in others))


def turn(context: Context, turns: Turns) -> Context:
    """The context with some of its cases turned."""
    inputs = None if context.inputs is None else turns.turn(context.inputs, 0)
    return context._replace(frames=turns.turn(context.frames, 0), inputs=inputs)


def turn_back(forecasts: Forecasts, turns: Turns) -> Forecasts:
    """The forecasts with the same cases turned."""
    distribution = forecasts.distribution
    if distribution is not None:
        distribution = Distribution(distribution.rates, turns.turn(distribution.probability, 1))
    return forecasts._replace(values=turns.turn(forecasts.values, 1), distribution=distribution)
