"""What was found in an archive, as a page with pictures."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from markupsafe import Markup
from matplotlib.colors import ListedColormap
from matplotlib.dates import ConciseDateFormatter

from framecast.checks import as_html_path
from framecast.colours import scale_of
from framecast.data.inspection.inspect import Inspection
from framecast.report.figures import COLOURS, STYLE, bare, legend, png, svg
from framecast.report.page import write_page

_DAYS = 400
"""How many days a calendar shows at most; of longer archives it shows the last ones."""


def write_inspection(seen: Inspection, out: str | Path, *, title: str = "What is in the data") -> Path:
    """Write the page to `out` and return its path. Raises `ConfigError` and `RunError`."""
    problems = seen.problems
    verdict = "nothing suspicious" if not seen.concerns else f"{len(seen.concerns)} thing(s) worth a look"
    if problems:
        verdict = f"{len(problems)} thing(s) would spoil training"
    figures = [
        ("Frames in time", "Share of the pixels that have data, and share of those that are wet.", _in_time(seen)),
        ("Values", _said_of_values(seen), _histogram(seen)),
        ("A full frame", "The frame with the most in it. Striped: no data.", _frame(seen)),
        ("Where there are data", "Share of the frames that have data at a pixel.", _coverage(seen)),
    ]
    if seen.times.dtype.kind == "M" and len(seen.times) > 1:
        said = "One row a day, in UTC: a frame that is there, one without data, one that is missing."
        figures.insert(1, ("Calendar", said, _calendar(seen)))
    return write_page(
        "inspection.html",
        as_html_path(out),
        title=title,
        verdict=verdict,
        problems=problems,
        concerns=[concern for concern in seen.concerns if concern not in problems],
        facts=seen.facts,
        figures=[(heading, said, Markup(picture)) for heading, said, picture in figures if picture],
    )


def _said_of_values(seen: Inspection) -> str:
    what = "A sample of the pixels that have data"
    if seen.quantity.bins.logarithmic:
        what += f", those of {seen.quantity.bins.edges[0]:g} {seen.quantity.label} or more"
    return f"{what}. Both axes that span decades are logarithmic."


def _in_time(seen: Inspection) -> str:
    wet = np.array(seen.survey.wet_shares).reshape(seen.coverage.shape)
    lines = [("with data", seen.coverage.ravel())]
    if np.isfinite(seen.quantity.wet):
        lines.append((f"wet ({seen.quantity.wet:g} {seen.quantity.units} or more)", wet.ravel()))
    times = seen.times if len(seen.coverage) == 1 else np.arange(seen.coverage.size)
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(8.4, 2.4))
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


def _calendar(seen: Inspection) -> str:
    """Days by steps of the day: 0 missing, 1 without data, 2 there. Empty where the step does not divide a day."""
    steps = np.diff(seen.times)
    step = np.unique(steps)[np.argmax(np.unique(steps, return_counts=True)[1])]
    day = np.timedelta64(1, "D").astype("timedelta64[ns]")
    if step <= np.timedelta64(0) or day % step:
        return ""
    start = seen.times[0].astype("datetime64[D]").astype("datetime64[ns]")
    first, last = seen.times[0], seen.times[-1]
    days = int((last - start) // day) + 1
    grid = np.zeros((days, int(day // step)))
    grid[0, : int((first - start) // step)] = np.nan
    end = (last - start) // step
    grid.ravel()[end + 1 :] = np.nan
    there = np.where(seen.coverage[0] > 0, 2, 1)
    grid.ravel()[np.clip(np.rint((seen.times - start) / step).astype(int), 0, grid.size - 1)] = there
    shown = grid[-_DAYS:]
    names = [str(start.astype("datetime64[D]") + k) for k in range(days - len(shown), days)]
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure, axes = plt.subplots(figsize=(8.4, min(0.8 + 0.25 * len(shown), 14)))
        axes.imshow(
            shown, aspect="auto", interpolation="nearest", cmap=ListedColormap(["#d55e00", "#e6c200", "#0072b2"]),
            vmin=0, vmax=2, extent=(0, 24, len(shown), 0),
        )  # fmt: skip
        every = max(1, len(shown) // 20)
        axes.set_yticks(np.arange(0, len(shown), every) + 0.5, names[::every])
        axes.set_xticks(range(0, 25, 3))
        axes.set_xlabel("hour (UTC); blue there, yellow without data, red missing")
        figure.tight_layout()
        return f'<img alt="calendar of the frames" src="{png(figure)}">'


def _histogram(seen: Inspection) -> str:
    counts, edges = seen.survey.histogram, seen.quantity.bins.edges
    if not counts.sum():
        return ""
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(8.4, 2.6))
        axes.stairs(counts / counts.sum(), edges, fill=True, color=COLOURS[0])
        axes.set_yscale("log")
        if seen.quantity.bins.logarithmic:
            axes.set_xscale("log")
        axes.set_xlabel(f"{seen.quantity.title} ({seen.quantity.units})")
        axes.set_ylabel("share of the pixels")
        figure.tight_layout()
        return svg(figure)


def _frame(seen: Inspection) -> str:
    frame = seen.survey.wettest_frame
    if frame is None:
        return ""
    scale = scale_of(seen.quantity)
    with mpl.rc_context(STYLE):
        tall = 6.0 * frame.shape[-2] / frame.shape[-1]
        figure, axes = plt.subplots(figsize=(6.0, min(tall, 9.0)))
        bare(axes, scale, frame, largest=600)
        figure.subplots_adjust(left=0.01, right=0.99, top=0.99, bottom=0.01)
        return f'<img alt="the frame with the most in it" src="{png(figure)}">{legend(seen.quantity)}'


def _coverage(seen: Inspection) -> str:
    there = seen.survey.data_counts
    if there is None or not seen.survey.missing:
        return ""
    share = there / seen.coverage.size
    every = max(1, -(-max(share.shape) // 600))
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure, axes = plt.subplots(figsize=(6.4, 6.0 * share.shape[0] / share.shape[1]))
        picture = axes.imshow(share[::every, ::every], cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        figure.colorbar(picture, ax=axes, shrink=0.7, label="share of the frames")
        figure.tight_layout()
        return f'<img alt="where there are data" src="{png(figure)}">'
