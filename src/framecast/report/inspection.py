"""The page of an inspection: the contents of an archive with figures. Reads an `Inspection`, opens no data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from markupsafe import Markup
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.dates import ConciseDateFormatter

from framecast.checks import as_html_path
from framecast.colours import scale_of
from framecast.data.clock import clock_of
from framecast.data.inspection.inspect import Inspection
from framecast.data.orientation import CURVILINEAR
from framecast.errors import counted
from framecast.maps.drawing import draw_map
from framecast.maps.ground import Ground, data_window, ground_below, ground_of
from framecast.maps.mesh import is_curvilinear, mesh_of, resampled
from framecast.report.figures import COLOURS, STYLE, legend, png, svg
from framecast.report.page import write_page

_DAYS = 400
"""The most days in a calendar; of longer archives it shows the last ones."""


def write_inspection(
    inspection: Inspection, out: str | Path, *, title: str = "What is in the data", palette: str | None = None
) -> Path:
    """Write the page to `out` and return its path. Raises `ConfigError` and `RunError`."""
    problems = inspection.problems
    verdict = "nothing suspicious"
    if inspection.concerns:
        verdict = f"{counted(len(inspection.concerns), 'thing')} worth a look"
    if problems:
        verdict = f"{counted(len(problems), 'thing')} would spoil training"
    figures = [
        (
            "Frames in time",
            "Share of the pixels that have data, and share of those that are wet.",
            _in_time(inspection),
        ),
        ("Values", _values_caption(inspection), _histogram(inspection)),
        (
            "A full frame",
            f"The frame with the most in it: {inspection.survey.wettest_label}. Striped: no data.",
            _frame(inspection, palette),
        ),
        ("Where there are data", "Share of the frames that have data at a pixel.", _coverage(inspection)),
    ]
    if inspection.times.dtype.kind == "M" and len(inspection.times) > 1:
        caption = "One row a day, in UTC: frames with data, frames without data, missing frames."
        figures.insert(1, ("Calendar", caption, _calendar(inspection)))
    return write_page(
        "inspection.html",
        as_html_path(out),
        title=title,
        verdict=verdict,
        problems=problems,
        concerns=[concern for concern in inspection.concerns if concern not in problems],
        facts=inspection.facts,
        figures=[(heading, caption, Markup(image)) for heading, caption, image in figures if image],
    )


def _values_caption(inspection: Inspection) -> str:
    quantity = inspection.quantity
    if not quantity.bins.logarithmic:
        return "A sample of the pixels that have data. The axis of their share is logarithmic."
    least = f"{quantity.bins.edges[0]:g} {quantity.label}"
    return f"A sample of the pixels that have data, those of {least} or more. Both axes are logarithmic."


def _in_time(inspection: Inspection) -> str:
    wet = np.array(inspection.survey.wet_shares).reshape(inspection.coverage.shape)
    lines = [("with data", inspection.coverage.ravel())]
    if np.isfinite(inspection.quantity.wet):
        lines.append((f"wet ({inspection.quantity.wet:g} {inspection.quantity.label} or more)", wet.ravel()))
    times = inspection.times if len(inspection.coverage) == 1 else np.arange(inspection.coverage.size)
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(5.6, 2.4))
        for k, (name, values) in enumerate(lines):
            axes.plot(times, values, ".-", markersize=3, linewidth=0.8, color=COLOURS[k], label=name)
        axes.set_ylim(-0.03, 1.03)
        axes.set_ylabel("share")
        axes.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
        if times.dtype.kind == "M":
            axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
            axes.set_xlabel("UTC")
        else:
            axes.set_xlabel("frame")
        figure.tight_layout()
        return svg(figure) if len(times) < 2000 else f'<img alt="shares in time" src="{png(figure)}">'


def _calendar(inspection: Inspection) -> str:
    """Days by steps of the day: 0 missing, 1 without data, 2 with data. Empty if the step does not divide a day."""
    step, times, _, _ = clock_of(inspection.times)
    day = np.timedelta64(1, "D").astype("timedelta64[ns]")
    if step <= np.timedelta64(0) or day % step:
        return ""
    # state of each step; NaN before the first and after the last frame
    start = times[0].astype("datetime64[D]").astype("datetime64[ns]")
    first, last = times[0], times[-1]
    days = int((last - start) // day) + 1
    grid = np.zeros((days, int(day // step)))
    grid[0, : int((first - start) // step)] = np.nan
    end = (last - start) // step
    grid.ravel()[end + 1 :] = np.nan
    state = np.where(inspection.coverage[0] > 0, 2, 1)
    grid.ravel()[np.clip(np.rint((times - start) / step).astype(int), 0, grid.size - 1)] = state
    days_drawn = grid[-_DAYS:]
    names = [str(start.astype("datetime64[D]") + k) for k in range(days - len(days_drawn), days)]
    # one row a day
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure, axes = plt.subplots(figsize=(5.6, min(0.8 + 0.25 * len(days_drawn), 14)))
        axes.imshow(
            days_drawn, aspect="auto", interpolation="nearest", cmap=ListedColormap(["#d55e00", "#e6c200", "#0072b2"]),
            vmin=0, vmax=2, extent=(0, 24, len(days_drawn), 0),
        )  # fmt: skip
        every = max(1, len(days_drawn) // 20)
        axes.set_yticks(np.arange(0, len(days_drawn), every) + 0.5, names[::every])
        axes.set_xticks(range(0, 25, 3))
        axes.set_xlabel("hour (UTC); blue: with data, yellow: without data, red: missing")
        figure.tight_layout()
        return f'<img alt="calendar of the frames" src="{png(figure)}">'


def _histogram(inspection: Inspection) -> str:
    counts, edges = inspection.survey.histogram, inspection.quantity.bins.edges
    if not counts.sum():
        return ""
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(5.6, 2.6))
        axes.stairs(counts / counts.sum(), edges, fill=True, color=COLOURS[0])
        axes.set_yscale("log")
        if inspection.quantity.bins.logarithmic:
            axes.set_xscale("log")
        axes.set_xlabel(inspection.quantity.heading)
        axes.set_ylabel("share of the pixels")
        figure.tight_layout()
        return svg(figure)


def _frame(inspection: Inspection, palette: str | None) -> str:
    frame = inspection.survey.wettest_frame
    if frame is None:
        return ""
    drawn, ground = _drawn(inspection, frame)
    window = data_window(drawn)
    ground = ground and ground.cropped((drawn.shape[-2], drawn.shape[-1]), *window)
    address = _map(scale_of(inspection.quantity, palette).paint(drawn[..., *window]), ground)
    return f'<img alt="the frame with the most in it" src="{address}">{legend(inspection.quantity, palette)}'


def _drawn(inspection: Inspection, values: np.ndarray) -> tuple[np.ndarray, Ground | None]:
    """Values `(..., H, W)` as they are drawn, with north at the top, and the ground below them, as far as it is known."""
    grid = inspection.grid
    if grid is not None and is_curvilinear(grid):
        planes = [grid[name].transpose("y", "x").values for name in CURVILINEAR]
        latitude, longitude, pixels = mesh_of(*planes).regular()
        return resampled(values, pixels), ground_below(latitude, longitude, "degrees", None)
    return inspection.orientation.upright(values), None if grid is None else ground_of(grid)


def _map(image: np.ndarray, ground: Ground | None, bar: Any = None) -> str:
    """An image with north at the top on its ground, as the data address of a PNG; with a colour `bar`."""
    height, width = image.shape[:2]
    ratio = height / width
    if ground is not None:
        left, right, bottom, top = ground.extent
        ratio = (top - bottom) * ground.aspect / (right - left)
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure, axes = plt.subplots(
            figsize=(4.6, min(max(4.6 * ratio, 1.5), 8) + 0.5 * (bar is not None)), layout="constrained"
        )
        draw_map(axes, image, ground)
        if bar is not None:
            figure.colorbar(bar, ax=axes, orientation="horizontal", label="share of the frames", shrink=0.7)
        return png(figure)


def _coverage(inspection: Inspection) -> str:
    counts = inspection.survey.data_counts
    if counts is None or not inspection.survey.missing:
        return ""
    share, ground = _drawn(inspection, counts / inspection.coverage.size)
    shades = ScalarMappable(Normalize(0, 1), colormaps["cividis"])
    image = shades.to_rgba(share, bytes=True)[..., :3]
    image[np.isnan(share)] = 255  # outside of a curvilinear grid
    return f'<img alt="where there are data" src="{_map(image, ground, shades)}">'
