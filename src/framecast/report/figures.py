"""Figures of a verification as inline SVG or PNG: curves, strips of frames, animations, performance diagram, spectra.

Style, axes and the conversion of figures to text are here too, for all pages. Writes no file.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from framecast.colours import Scale, scale_of
from framecast.data.quantities import Quantity
from framecast.data.scaling import default_scaling
from framecast.verification.examples import Example
from framecast.verification.result import Verification
from framecast.verification.views import power as mean_power
from framecast.verification.views import wet_ratio

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
MARKS = ("o", "s", "^", "D", "v")
_LARGEST, _COLUMNS, _DPI, _TICKS = 200, 10, 110, 8
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e5e5",
    "svg.fonttype": "none",
    "svg.hashsalt": "framecast",
}


def lead_labels(verification: Verification) -> tuple[np.ndarray, str]:
    """Lead times as numbers, and the label with their unit: minutes, or frames."""
    leads = verification.sums["lead_time"].values
    if leads.dtype.kind == "m":
        return leads / np.timedelta64(1, "m"), "lead time (minutes)"
    return leads, "lead time (frames)"


def shared_lead_axis(axes: np.ndarray, panels: int, leads: np.ndarray, label: str) -> None:
    """The lead-time axes of a grid with `panels` used panels: hide the other panels, and label the last panel of each column."""
    for panel in axes.flat[panels:]:
        panel.set_visible(False)
    for panel in axes.flat[max(panels - axes.shape[1], 0) : panels]:
        panel.tick_params(labelbottom=True)
        lead_axis(panel, leads, label)


def lead_axis(panel: Any, leads: np.ndarray, label: str) -> None:
    """The x axis, with ticks only at lead times."""
    every = -(-len(leads) // _TICKS)
    panel.set_xticks(leads[every - 1 :: every])
    panel.set_xlabel(label)


def curves(verification: Verification) -> str:
    """Scores against lead time with their 95 % intervals, one panel each, as inline SVG."""
    metrics = [metric for metric in verification.metrics() if metric.curve and verification.middle_scale(metric)]
    curves_of = {
        metric: {name: verification.curve(name, metric) for name in verification.forecasters} for metric in metrics
    }
    panels = [
        (metric, lines)
        for metric, lines in curves_of.items()
        if any(np.isfinite(line.values).any() for line in lines.values())
    ]
    if not panels:
        return ""
    leads, label = lead_labels(verification)
    columns = 2
    rows = -(-len(panels) // columns)
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(rows, columns, figsize=(8.4, 2.3 * rows), sharex=True, squeeze=False)
        for panel, (metric, lines) in zip(axes.flat, panels, strict=False):
            for k, (name, line) in enumerate(lines.items()):
                panel.fill_between(leads, line.low, line.high, color=COLOURS[k % 5], alpha=0.13, linewidth=0)
                panel.plot(leads, line.values, color=COLOURS[k % 5], marker=MARKS[k % 5], markersize=3.5, label=name)
            panel.set_title(metric.label, loc="left", fontweight="bold")
            if metric.better == "neither" and metric.perfect is not None:
                panel.axhline(metric.perfect, color="#999999", linewidth=0.8)
        shared_lead_axis(axes, len(panels), leads, label)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper center", ncols=len(labels), frameon=False, bbox_to_anchor=(0.5, 1.0))
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.3 / (2.3 * rows)))
        return svg(figure)


def strip(verification: Verification, example: Example) -> str:
    """Context, truth and every forecast of a case, one row each, as a PNG data address."""
    scale, example = scale_of(verification.quantity), example.upright
    length = len(example.truth)
    steps = sorted({round(k) for k in np.linspace(0, length - 1, min(length, _COLUMNS))})
    context = example.context[-len(steps) :]
    leads, _ = lead_labels(verification)
    unit = "min" if verification.sums["lead_time"].dtype.kind == "m" else ""
    step = leads[0]
    rows: list[tuple[str, list[np.ndarray | None], list[str]]] = [
        ("context", [None] * (len(steps) - len(context)) + list(context),
         [f"{-k * step:g} {unit}".strip() for k in range(len(steps) - 1, -1, -1)]),
        ("truth", [example.truth[k] for k in steps], [f"+{leads[k]:g} {unit}".strip() for k in steps]),
        *((name, [frames[k] for k in steps], []) for name, frames in example.forecasts.items()),
    ]  # fmt: skip
    height, width = example.truth.shape[-2:]
    side = 9.0 / len(steps)
    with mpl.rc_context(STYLE):
        tall = side * height / width
        figure, axes = plt.subplots(
            len(rows), len(steps), figsize=(9.6, len(rows) * (tall + 0.12) + 0.3), squeeze=False
        )
        for line, (name, frames, titles) in zip(axes, rows, strict=True):
            line[0].set_ylabel(name.replace("_", "_\n"), fontsize=8)  # a long name is taller than the frames
            for k, (panel, frame) in enumerate(zip(line, frames, strict=True)):
                draw_frame(panel, scale, frame)
                if titles and frame is not None:
                    panel.set_title(titles[k], fontsize=7, pad=2)
        figure.subplots_adjust(left=0.035, right=0.998, top=0.95, bottom=0.005, wspace=0.04, hspace=0.16)
        return png(figure)


def animation(verification: Verification, example: Example) -> list[tuple[str, str]]:
    """For each lead time its label and an image of truth and forecasts side by side, with the error below each forecast, as PNG
    data addresses."""
    scale, scaling = scale_of(verification.quantity), default_scaling(verification.quantity)
    leads, _ = lead_labels(verification)
    example = example.upright
    unit = " min" if verification.sums["lead_time"].dtype.kind == "m" else ""
    images = []
    for k, lead in enumerate(leads):
        truth = example.truth[k]
        panels = {"truth": truth, **{name: frames[k] for name, frames in example.forecasts.items()}}
        with mpl.rc_context(STYLE):
            height, width = truth.shape[-2:]
            side = 9.6 / len(panels)
            tall = 2 * side * height / width + 0.45
            figure, axes = plt.subplots(2, len(panels), figsize=(9.6, tall), squeeze=False)
            for place, (name, frame) in enumerate(panels.items()):
                draw_frame(axes[0, place], scale, frame)
                axes[0, place].set_title(name, fontsize=8, pad=3)
                error = _difference(scaling, verification.quantity, frame, truth) if place else None
                draw_frame(axes[1, place], _ERRORS, error)
                if place == 1:
                    axes[1, place].set_title("error: brown too low, violet too high", fontsize=8, pad=3, loc="left")
            figure.subplots_adjust(left=0.004, right=0.996, top=1 - 0.2 / tall, bottom=0.004, wspace=0.03, hspace=0.12)
            images.append((f"+{lead:g}{unit}", png(figure)))
    return images


_ERRORS = Scale(colormaps["PuOr"], Normalize(-0.5, 0.5), "", (), (205, 205, 205))


def _difference(scaling: Any, quantity: Quantity, frame: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The error of a frame `(1, H, W)` on the scale of images from 0 to 1, mean of the channels, NaN where either is NaN."""
    missing = ~(np.isfinite(frame) & np.isfinite(truth)).all(axis=0, keepdims=True)
    error = (scaling.forward(frame, quantity) - scaling.forward(truth, quantity)).mean(axis=0, keepdims=True)
    return np.where(missing, np.nan, error)


def performance(verification: Verification) -> str:
    """Performance diagram (Paul Roebber, "Visualizing Multiple Aspects of Forecast Quality", 2009) over all lead times, as inline
    SVG; empty without events."""
    points = [
        (name, number, 1 - verification.event(name, "far", number).value, verification.event(name, "pod", number).value)
        for name in verification.forecasters
        for number in range(len(verification.thresholds))
    ]
    if not any(np.isfinite(x) and np.isfinite(y) for _, _, x, y in points):
        return ""
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure, axes = plt.subplots(figsize=(5.4, 4.6))
        # isolines of CSI and of the frequency bias
        line = np.linspace(0.005, 1, 200)
        x, y = np.meshgrid(line, line)
        levels = axes.contour(
            x, y, 1 / (1 / x + 1 / y - 1), levels=np.arange(0.1, 1, 0.1), colors="#cccccc", linewidths=0.7
        )
        axes.clabel(levels, fmt="%.1f", fontsize=7)
        for bias in (0.25, 0.5, 1, 2, 4):
            axes.plot([0, 1], [0, bias], color="#dddddd", linewidth=0.7, linestyle="--")
            at = (0.97, 0.97 * bias) if bias <= 1 else (0.97 / bias, 0.97)
            axes.annotate(f"{bias:g}", at, fontsize=7, color="#888888", ha="right")
        # one point for each threshold
        for k, name in enumerate(verification.forecasters):
            own_points = [point for point in points if point[0] == name]
            axes.plot(
                [p[2] for p in own_points],
                [p[3] for p in own_points],
                color=COLOURS[k % 5],
                marker=MARKS[k % 5],
                label=name,
            )
            for _, number, right, up in own_points:
                if np.isfinite(right) and np.isfinite(up):
                    axes.annotate(
                        f"{verification.rates[number]:g}",
                        (right, up),
                        xytext=(6, -3),
                        textcoords="offset points",
                        fontsize=7,
                        color=COLOURS[k % 5],
                    )
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="success ratio (1 - FAR)", ylabel="POD")
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        figure.tight_layout()
        return svg(figure)


def spectra(verification: Verification) -> str:
    """The power of each forecast relative to the truth against wavelength, at the first and the last lead time, and the relative
    wet area against lead time, as inline SVG; empty if the truth has no power."""
    leads, label = lead_labels(verification)
    unit = label[label.index("(") + 1 : -1]
    waves = verification.sums["wavelength"].values
    truth = mean_power(verification)
    if not (truth > 0).any():
        return ""
    wet = verification.quantity.precipitation
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(1, 2 + wet, figsize=(8.4, 2.7))
        # relative power at two lead times
        for panel, lead in zip(axes[:2], (0, -1), strict=True):
            for k, name in enumerate(verification.forecasters):
                power = mean_power(verification, name)[lead]
                known = (truth[lead] > 0) & (power > 0)
                ratio = np.divide(power, truth[lead], out=np.full(len(power), np.nan), where=known)
                panel.plot(waves, ratio, color=COLOURS[k % 5], marker=MARKS[k % 5], markersize=3, label=name)
            panel.axhline(1, color="#999999", linewidth=0.8)
            panel.set_xscale("log", base=2)
            panel.set_yscale("log")
            panel.set_xlabel("wavelength (pixels)")
            panel.set_title(f"Power after {leads[lead]:g} {unit}", loc="left", fontweight="bold")
        # relative wet area
        if wet:
            for k, name in enumerate(verification.forecasters):
                axes[2].plot(
                    leads, wet_ratio(verification, name), color=COLOURS[k % 5], marker=MARKS[k % 5], markersize=3
                )
            axes[2].axhline(1, color="#999999", linewidth=0.8)
            lead_axis(axes[2], leads, label)
            axes[2].set_title("Wet area", loc="left", fontweight="bold")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper center", ncols=len(labels), frameon=False, bbox_to_anchor=(0.5, 1.0))
        figure.tight_layout(rect=(0, 0, 1, 0.9))
        return svg(figure)


def legend(quantity: Quantity) -> str:
    """The colour scale of a quantity as inline SVG, empty for grey images."""
    scale = scale_of(quantity)
    if not scale.ticks:
        return ""
    with mpl.rc_context(STYLE):
        figure = plt.figure(figsize=(6, 0.62))
        axes = figure.add_axes((0.03, 0.7, 0.94, 0.25))
        bar = figure.colorbar(
            ScalarMappable(scale.norm, scale.colours), cax=axes, orientation="horizontal", ticks=scale.ticks
        )
        bar.set_ticklabels([f"{tick:g}" for tick in scale.ticks])
        bar.set_label(scale.units, fontsize=8, labelpad=1)
        bar.outline.set_visible(False)
        return svg(figure)


def draw_frame(panel: Any, scale: Scale, frame: np.ndarray | None, largest: int = _LARGEST) -> None:
    """Draw a frame without axes, subsampled to at most `largest` pixels a side; an empty panel for None."""
    panel.set_xticks([])
    panel.set_yticks([])
    panel.grid(False)
    for side in panel.spines.values():
        side.set_visible(frame is not None)
        side.set_color("#bbbbbb")
        side.set_linewidth(0.6)
    if frame is None:
        return
    every = max(1, -(-max(frame.shape[-2:]) // largest))
    panel.imshow(scale.paint(frame[:, ::every, ::every]), interpolation="nearest", aspect="equal")


def svg(figure: Figure) -> str:
    """A figure as inline SVG. Closes the figure."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    plt.close(figure)
    return text.getvalue()[text.getvalue().index("<svg") :]


def png(figure: Figure) -> str:
    """A figure as the data address of a PNG. Closes the figure."""
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=_DPI, metadata={"Software": None})
    plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(image.getvalue()).decode()
