"""`framecast.plot`: a forecast as a matplotlib figure, its frames by lead time on the colour scale of its quantity."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from framecast.checks import check_counts
from framecast.colours import scale_of
from framecast.data.frames import stamp
from framecast.data.orientation import orientation_of
from framecast.data.quantities import QUANTITIES
from framecast.forecasting.labels import Forecast
from framecast.forecasting.write import check_forecast
from framecast.report.figures import STYLE, draw_frame

_WIDTH, _HEAD = 9.6, 0.9
"""Inches: width of the figure, and height of its title with the colour scale."""


def plot(forecast: Forecast, *, columns: int = 6) -> Figure:
    """The frames of a Forecast by lead time, `columns` in a row; one block of rows for each initial time. Of an ensemble
    the mean is drawn. North is at the top.

    Close the figure after use (`matplotlib.pyplot.close`). Raises `DataError` if `forecast` is not a Forecast.
    """
    values = check_forecast(forecast)
    forecast = values.mean("member", keep_attrs=True) if "member" in values.dims else values
    check_counts(columns=columns)
    upright = orientation_of(forecast).upright
    scale = scale_of(QUANTITIES[forecast.attrs["quantity"]])
    is_series = forecast.sizes["init_time"] > 1
    panels = [
        (
            f"{stamp(begin.values)} {_lead(lead.values)}" if is_series else _lead(lead.values),
            upright(forecast.sel(init_time=begin, lead_time=lead).values),
        )
        for begin in forecast["init_time"]
        for lead in forecast["lead_time"]
    ]
    columns = min(columns, forecast.sizes["lead_time"])
    lines = -(-forecast.sizes["lead_time"] // columns)
    rows = lines * forecast.sizes["init_time"]
    side = _WIDTH / columns * forecast.sizes["y"] / forecast.sizes["x"]
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(
            rows, columns, figsize=(_WIDTH, rows * (side + 0.25) + _HEAD), squeeze=False, layout="constrained"
        )
        for panel in axes.flat:
            draw_frame(panel, scale, None)
        for number, (title, frame) in enumerate(panels):
            block, place = divmod(number, forecast.sizes["lead_time"])
            panel = axes[block * lines + place // columns, place % columns]
            draw_frame(panel, scale, frame)
            panel.set_title(title, fontsize=7, pad=2)
        title = f"{forecast.attrs.get('forecaster', 'forecast')}: {forecast.name}"
        figure.suptitle(title if is_series else f"{title}, from {stamp(forecast['init_time'].values[0])}", fontsize=9)
        if scale.ticks:
            _colour_bar(figure, axes, scale)
    return figure


def _colour_bar(figure: Figure, axes: np.ndarray, scale: Any) -> None:
    bar = figure.colorbar(
        ScalarMappable(scale.norm, scale.colours),
        ax=axes,
        orientation="horizontal",
        ticks=scale.ticks,
        fraction=0.05,
        aspect=60,
    )
    bar.set_ticklabels([f"{tick:g}" for tick in scale.ticks])
    bar.set_label(scale.units, fontsize=8, labelpad=1)


def _lead(lead: np.ndarray) -> str:
    """A lead time as text: +15 min, or the number of the frame."""
    return f"+{lead / np.timedelta64(1, 'm'):g} min" if lead.dtype.kind == "m" else f"+{int(lead)}"
