"""Figures of a verification as small panels of inline SVG: curves, performance diagram, spectra; and the colour scale.

A panel is about as wide as a telephone, so that a page can lay several side by side or one below the other. Colours of text and
lines are variables of the page, for its light and its dark form. Style and the conversion to text are here too, for all pages.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from framecast.colours import scale_of
from framecast.data.quantities import Quantity
from framecast.scores import Metric
from framecast.verification.result import Curve, Verification
from framecast.verification.score_table import lead_times
from framecast.verification.views import power as mean_power
from framecast.verification.views import wet_ratio

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
MARKS, SYMBOLS = ("o", "s", "^", "D", "v"), "●■▲◆▼"
_INK, _SOFT, _GRID, _PAPER = "#1c1e21", "#999999", "#e5e5e5", "#ffffff"
_VARIABLES = {_INK: "ink", _SOFT: "soft", _GRID: "grid", _PAPER: "paper"} | {
    colour: f"series-{number}" for number, colour in enumerate(COLOURS)
}
_DPI, _TICKS = 110, 7
PANEL = (4.1, 2.5)
"""Inches of a panel."""
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _GRID,
    "svg.fonttype": "none",
    "svg.hashsalt": "framecast",
}


class Panel(NamedTuple):
    """A figure with a title, as inline SVG."""

    title: str
    svg: str


def panel(draw: Callable[[Any], None], size: tuple[float, float] = PANEL, *, grid: bool = True) -> str:
    """A figure of one pair of axes, which `draw` fills, as inline SVG."""
    with mpl.rc_context({**STYLE, "axes.grid": grid}):
        figure = plt.figure(figsize=size)
        axes = figure.add_axes(inner(size))
        draw(axes)
        return svg(figure)


def inner(size: tuple[float, float]) -> tuple[float, float, float, float]:
    """The place of the axes in a panel, within margins for labels: faster than a layout that is computed."""
    (left, below), rest = (0.62, 0.46), 0.1
    width, height = size
    return left / width, below / height, (width - left - rest) / width, (height - below - rest) / height


def look(number: int) -> dict[str, Any]:
    """Colour and mark of a forecaster."""
    return {"color": COLOURS[number % 5], "marker": MARKS[number % 5], "markersize": 3.5, "linewidth": 1.3}


def swatches(names: Sequence[str]) -> list[tuple[str, int, str]]:
    """The entries of a legend: a symbol, the number of its colour, and the name of a forecaster."""
    return [(SYMBOLS[number % 5], number % 5, name) for number, name in enumerate(names)]


def lead_axis(axes: Any, leads: np.ndarray, label: str) -> None:
    """The x axis, with ticks only at lead times."""
    every = -(-len(leads) // _TICKS)
    axes.set_xticks(leads[every - 1 :: every])
    axes.set_xlabel(label)


def decades(axes: Any) -> None:
    """A logarithmic y axis from power of ten to power of ten, with at most four of them as labels."""
    low, high = axes.dataLim.intervaly
    axes.set_yscale("log")
    if not (np.isfinite([low, high]).all() and low > 0):
        return
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    last = max(last, first + 1)
    axes.set_ylim(0.8 * 10.0**first, 1.25 * 10.0**last)
    axes.set_yticks(10.0 ** np.arange(first, last + 1, -(-(last - first) // 3)))
    axes.yaxis.set_minor_locator(LogLocator(numticks=12))
    axes.yaxis.set_minor_formatter(NullFormatter())


def curves(verification: Verification) -> list[Panel]:
    """Each score against lead time with its 95 % intervals."""
    metrics = [metric for metric in verification.metrics() if metric.curve and verification.middle_scale(metric)]
    panels = []
    for metric in metrics:
        lines = {name: verification.curve(name, metric) for name in verification.forecasters}
        if any(np.isfinite(line.values).any() for line in lines.values()):
            panels.append(Panel(heading(metric, verification.quantity), _curve_panel(verification, metric, lines)))
    return panels


def heading(metric: Metric, quantity: Quantity) -> str:
    """The name of a metric with its units and the direction in which it is better."""
    units = metric.units_of(quantity.label)
    return " ".join(
        filter(None, [metric.label, units if units.startswith("(") or not units else f"({units})", metric.arrow])
    )


def _curve_panel(verification: Verification, metric: Metric, lines: dict[str, Curve]) -> str:
    leads, units = lead_times(verification.sums)

    def draw(axes: Any) -> None:
        for number, line in enumerate(lines.values()):
            axes.fill_between(leads, line.low, line.high, color=COLOURS[number % 5], alpha=0.13, linewidth=0)
            axes.plot(leads, line.values, **look(number))
        if metric.better == "neither" and metric.perfect is not None:
            axes.axhline(metric.perfect, color=_SOFT, linewidth=0.8)
        _limit(axes, [line.values for line in lines.values()], metric.range)
        lead_axis(axes, leads, f"lead time ({units})")

    return panel(draw)


def _limit(axes: Any, lines: Sequence[np.ndarray], possible: tuple[float, float]) -> None:
    """Cut the y axis where only wide intervals lie: at three quarters of the range of the lines beyond them, and a little beyond
    the `possible` values."""
    values = np.concatenate(lines)
    values = values[np.isfinite(values)]
    if not values.size or not np.ptp(values):
        return
    room, edge = 0.75 * np.ptp(values), 0.06 * np.ptp(values)
    low, high = axes.get_ylim()
    low, high = max(low, values.min() - room), min(high, values.max() + room)
    axes.set_ylim(max(low, possible[0] - edge), min(high, possible[1] + edge))


def performance(verification: Verification) -> str:
    """Performance diagram (Paul Roebber, "Visualizing Multiple Aspects of Forecast Quality", 2009) over all lead times, as inline
    SVG; empty without events."""
    points = {
        name: [
            (1 - verification.event(name, "far", number).value, verification.event(name, "pod", number).value, number)
            for number in range(len(verification.thresholds))
        ]
        for name in verification.forecasters
    }
    if not any(np.isfinite(point).all() for of_name in points.values() for point in of_name):
        return ""

    def draw(axes: Any) -> None:
        _isolines(axes)
        for number, of_name in enumerate(points.values()):
            axes.plot([x for x, _, _ in of_name], [y for _, y, _ in of_name], **look(number))
        named = {place: (x, y) for of_name in points.values() for x, y, place in of_name if np.isfinite([x, y]).all()}
        for place, (x, y) in named.items():  # once for each threshold: the points of forecasters may be near each other
            axes.annotate(verification.level(place), (x, y), xytext=(7, -9), textcoords="offset points", fontsize=8)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="success ratio (1 - FAR)", ylabel="POD", aspect="equal")

    return panel(draw, (4.3, 4.1), grid=False)


def _isolines(axes: Any) -> None:
    """Lines of equal CSI and of equal frequency bias."""
    line = np.linspace(0.005, 1, 200)
    x, y = np.meshgrid(line, line)
    levels = axes.contour(x, y, 1 / (1 / x + 1 / y - 1), levels=np.arange(0.1, 1, 0.1), colors=_SOFT, linewidths=0.5)
    axes.clabel(levels, levels=levels.levels[1::2], fmt="%.1f", fontsize=7, colors=_SOFT)
    for bias in (0.25, 0.5, 1, 2, 4):
        axes.plot([0, 1], [0, bias], color=_GRID, linewidth=0.9, linestyle="--")
        at = (0.985, 0.985 * bias) if bias <= 1 else (0.985 / bias, 0.985)
        axes.annotate(f"{bias:g}", at, fontsize=7, color=_SOFT, ha="right", va="top")


def spectra(verification: Verification) -> list[Panel]:
    """The power of each forecast relative to the truth against wavelength, at the first and the last lead time, and the relative
    wet area against lead time; nothing where truth or forecasts have no power."""
    leads, units = lead_times(verification.sums)
    side = verification.pixel_kilometres
    waves = verification.sums["wavelength"].values * (side or 1.0)
    truth = mean_power(verification)
    powers = np.stack([mean_power(verification, name) for name in verification.forecasters])
    drawn = np.asarray(np.logical_and(truth > 0, powers > 0).any(axis=(0, 2)))
    if not drawn.any():
        return []

    def ratios(axes: Any, lead: int) -> None:
        for number, power in enumerate(powers[:, lead]):
            known = (truth[lead] > 0) & (power > 0)
            ratio = np.divide(power, truth[lead], out=np.full(len(power), np.nan), where=known)
            axes.plot(waves, ratio, **look(number))
        axes.axhline(1, color=_SOFT, linewidth=0.8)
        axes.set_xscale("log", base=2)
        axes.set_xticks(waves[::2], [f"{wave:.3g}" for wave in waves[::2]])
        axes.xaxis.set_minor_formatter(NullFormatter())
        decades(axes)
        axes.set_xlabel(f"wavelength ({'pixels' if side is None else 'km'})")

    def wet(axes: Any) -> None:
        for number, name in enumerate(verification.forecasters):
            axes.plot(leads, wet_ratio(verification, name), **look(number))
        axes.axhline(1, color=_SOFT, linewidth=0.8)
        lead_axis(axes, leads, f"lead time ({units})")

    panels = [
        Panel(f"Power after {leads[lead]:g} {units}", panel(partial(ratios, lead=lead)))
        for lead in sorted({0, len(leads) - 1})
        if drawn[lead]
    ]
    return [*panels, Panel("Wet area", panel(wet))] if verification.quantity.precipitation else panels


def legend(quantity: Quantity, palette: str | None = None) -> str:
    """The colour scale of a quantity as HTML: a field for each step, with its lower limit; empty for grey images."""
    scale = scale_of(quantity, palette)
    if not scale.ticks:
        return ""
    colours = [to_hex(scale.colours(scale.norm(tick))) for tick in scale.ticks]
    fields = "".join(
        f'<span style="border-color: {colour}">{tick:g}</span>'
        for colour, tick in zip(colours, scale.ticks, strict=True)
    )
    return f'<p class="scale">{fields}<b>{scale.units}</b></p>'


_REFERENCE = re.compile(r'(?:href="#|url\(#)([^")]+)')
_NAMED = re.compile(r' id="([^"]+)"')


def svg(figure: Figure) -> str:
    """A figure as inline SVG whose colours are variables of the page, and whose names are its own. Closes the figure."""
    content = io.StringIO()
    figure.savefig(content, format="svg", metadata={"Date": None}, transparent=True)
    plt.close(figure)
    text = content.getvalue()[content.getvalue().index("<svg") :]
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable}, {colour})")
    own = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
    referenced = set(_REFERENCE.findall(text))
    text = _NAMED.sub(lambda name: f' id="{own}-{name[1]}"' if name[1] in referenced else "", text)
    text = re.sub(r'href="#', f'href="#{own}-', text).replace("url(#", f"url(#{own}-")
    return re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)


def png(figure: Figure) -> str:
    """A figure as the data address of a PNG. Closes the figure."""
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=_DPI, metadata={"Software": None})
    plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(image.getvalue()).decode()
