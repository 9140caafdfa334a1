"""Draws a frame as a map on matplotlib axes: coast, borders, graticule with degrees at the edges, scale bar; and colour bars."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from framecast.coastlines import KINDS, lines
from framecast.colours import Scale
from framecast.maps.ground import Ground

INK, FAINT = "#30353b", "#6b7178"
_LOOKS: dict[str, Any] = {"coast": {"linewidths": 0.8}, "border": {"linewidths": 0.7, "linestyles": (0, (4, 1.5))}}
_LETTERS = (("E", "W"), ("N", "S"))
_POINTS = 80
"""Points of a line of the graticule."""


def draw_map(
    axes: Axes, image: np.ndarray, ground: Ground | None, *, labels: bool = True, bar: bool = True
) -> AxesImage:
    """Draw an image `(H, W, 3)` with north at the top; without ground as it is, else with coast, borders and graticule, with
    `labels` at the left and lower edge and a scale `bar`."""
    axes.grid(False)
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set(visible=True, color=FAINT, linewidth=0.6)
    if ground is None:
        return axes.imshow(image, interpolation="nearest")
    picture = axes.imshow(image, extent=ground.extent, interpolation="nearest", aspect=ground.aspect)
    axes.set(xlim=ground.extent[:2], ylim=ground.extent[2:])
    axes.set_autoscale_on(False)
    if ground.located:
        for kind in KINDS:
            halo = withStroke(linewidth=1.8, foreground="white", alpha=0.7)
            axes.add_collection(
                LineCollection(outlines(ground, kind), colors=INK, path_effects=[halo], **_LOOKS[kind]), autolim=False
            )
        _graticule(axes, ground, labels)
    if bar:
        _scale_bar(axes, ground)
    return picture


@lru_cache(maxsize=8)
def outlines(ground: Ground, kind: Any) -> list[np.ndarray]:
    """The coastlines or borders on the ground, each `(N, 2)` of x and y; they may run a little beyond its edges."""
    if ground.box is None:
        return []
    west, south, east, north = ground.box
    pieces = []
    for line in lines(west, max(south, -90.0), east, min(north, 90.0), kind):
        placed = np.stack(ground.from_degrees(*line.T), axis=1)
        pieces += [part for part in _finite_parts(placed) if len(part) > 1]
    return pieces


def _finite_parts(line: np.ndarray) -> list[np.ndarray]:
    """The parts of a line `(N, 2)` between points that are not finite."""
    known = np.isfinite(line).all(1)
    parts = np.split(line, np.flatnonzero(np.diff(known)) + 1)
    return [part for part in parts if np.isfinite(part).all()]


def _graticule(axes: Axes, ground: Ground, labels: bool) -> None:
    """Draw lines of equal longitude and latitude, and write their degrees where they leave at the lower and the left edge."""
    assert ground.box is not None
    west, south, east, north = ground.box
    left, right, bottom, top = ground.extent
    width, height = _inches(axes)
    locator = MaxNLocator(4, steps=[1, 2, 5, 10])
    ranges = ((west, east), (south, north))
    for number, (low, high) in enumerate(ranges):
        first, last = ranges[1 - number]
        along = np.linspace(first - 0.05 * (last - first), last + 0.05 * (last - first), _POINTS)
        along = along if number else along.clip(-90, 90)
        ticks: list[tuple[float, str]] = []
        for level in locator.tick_values(low, high):
            if not low <= level <= high:
                continue
            fixed = np.full(_POINTS, level)
            x, y = ground.from_degrees(*((fixed, along) if number == 0 else (along, fixed)))
            axes.plot(x, y, color=FAINT, linewidth=0.5, linestyle=(0, (1, 2.5)))
            across, on = (y - bottom, x) if number == 0 else (x - left, y)
            ticks += [(place, _degrees(level, _LETTERS[number])) for place in _crossings(across, on)]
        if labels:
            limits, inches = ((left, right), width) if number == 0 else ((bottom, top), height)
            need = (max((len(text) for _, text in ticks), default=1) * 0.065 + 0.08) if number == 0 else 0.16
            places = spaced(
                [tick for tick in ticks if limits[0] <= tick[0] <= limits[1]], need / inches * (limits[1] - limits[0])
            )
            setter = axes.set_xticks if number == 0 else axes.set_yticks
            setter([place for place, _ in places], [text for _, text in places], fontsize=7, color=INK)
    axes.tick_params(length=2, width=0.5, color=FAINT, pad=1.5)


def _inches(axes: Axes) -> tuple[float, float]:
    """The width and height of axes as far as they are known before the figure is laid out."""
    figure: Any = axes.get_figure(root=True)
    box = axes.get_position(original=True)
    size = figure.get_size_inches()
    return max(float(box.width * size[0]), 0.3), max(float(box.height * size[1]), 0.3)


def _crossings(across: np.ndarray, on: np.ndarray) -> list[float]:
    """Where a line, `across` an edge by so much, is `on` it."""
    known = np.isfinite(across) & np.isfinite(on)
    with np.errstate(invalid="ignore"):
        changes = np.flatnonzero(known[:-1] & known[1:] & (np.sign(across[:-1]) * np.sign(across[1:]) < 0))
    shares = across[changes] / (across[changes] - across[changes + 1])
    return [float(value) for value in on[changes] + shares * (on[changes + 1] - on[changes])]


def spaced(ticks: list[tuple[float, str]], distance: float) -> list[tuple[float, str]]:
    """The ticks `(place, label)` in their order, without those nearer than `distance` to the one before."""
    chosen: list[tuple[float, str]] = []
    for tick in sorted(ticks):
        if not chosen or tick[0] - chosen[-1][0] >= distance:
            chosen.append(tick)
    return chosen


def _degrees(value: float, letters: tuple[str, str]) -> str:
    value = round(value, 6)
    if letters[0] == "E":
        value = (value + 180) % 360 - 180
    return f"{abs(value):g}°{'' if value == 0 else letters[int(value < 0)]}"


def _scale_bar(axes: Axes, ground: Ground) -> None:
    """Draw a bar of a round number of kilometres, at most three tenths of the width, in the lower left corner."""
    left, right, bottom, top = ground.extent
    most = 0.3 * (right - left) * ground.kilometres
    power = 10.0 ** np.floor(np.log10(most))
    length = max(factor for factor in (1, 2, 5) if factor * power <= most) * power
    begin, height = left + 0.03 * (right - left), bottom + 0.035 * (top - bottom)
    halo = [withStroke(linewidth=2.5, foreground="white")]
    end = begin + length / ground.kilometres
    axes.plot([begin, end], [height, height], color=INK, linewidth=1.8, solid_capstyle="butt", path_effects=halo)
    axes.annotate(
        f"{length:g} km", ((begin + end) / 2, height), xytext=(0, 2.5), textcoords="offset points", ha="center", va="bottom",
        fontsize=7, color=INK, path_effects=halo,
    )  # fmt: skip


def colour_bar(figure: Figure, scale: Scale, where: Axes) -> None:
    """Fill axes with the colour scale of a quantity, with its limits and units."""
    bar = figure.colorbar(
        ScalarMappable(scale.norm, scale.colours), cax=where, orientation="horizontal", ticks=scale.ticks, extend="max"
    )
    bar.set_ticklabels([f"{tick:g}" for tick in scale.ticks], fontsize=7)
    bar.set_label(scale.units, fontsize=8, labelpad=1)
    bar.outline.set_visible(False)
    where.tick_params(length=2, pad=1.5)
