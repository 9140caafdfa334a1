"""Figures of a verification: curves over lead time, strips of frames, the frames of an animation."""

from __future__ import annotations

import base64
import io
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from framecast.colours import Scale, scale_of
from framecast.data.quantities import Quantity
from framecast.verification import Example, Verification

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
MARKS = ("o", "s", "^", "D", "v")
_LARGEST, _COLUMNS, _DPI = 200, 10, 110
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
    """Lead times as numbers and what they count: minutes, or frames."""
    leads = verification.sums["lead_time"].values
    if leads.dtype.kind == "m":
        return leads / np.timedelta64(1, "m"), "lead time (minutes)"
    return leads, "lead time (frames)"


def curves(verification: Verification) -> str:
    """All scores against lead time, one panel each, as inline SVG."""
    panels: list[tuple[str, dict[str, np.ndarray]]] = []
    names = verification.forecasters
    for score in verification.frame_scores:
        if score != "rmse":
            panels.append((score.upper(), {name: verification.frame_by_lead(name, score) for name in names}))
    for number, rate in enumerate(verification.rates):
        for score in ("csi", "bias"):
            values = {name: verification.event_by_lead(name, score, number) for name in names}
            panels.append((f"{'CSI' if score == 'csi' else 'Frequency bias'} at {rate:g} mm/h", values))
    leads, label = lead_labels(verification)
    columns = 2
    rows = -(-len(panels) // columns)
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(rows, columns, figsize=(8.4, 2.3 * rows), sharex=True, squeeze=False)
        for panel, (title, values) in zip(axes.flat, panels, strict=False):
            for k, (name, line) in enumerate(values.items()):
                panel.plot(leads, line, color=COLOURS[k % 5], marker=MARKS[k % 5], markersize=3.5, label=name)
            panel.set_title(title, loc="left", fontweight="bold")
            if "bias" in title:
                panel.axhline(1, color="#999999", linewidth=0.8)
        for panel in list(axes.flat)[len(panels) :]:
            panel.set_visible(False)
        for panel in axes[-1]:
            panel.set_xlabel(label)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper center", ncols=len(labels), frameon=False, bbox_to_anchor=(0.5, 1.0))
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.3 / (2.3 * rows)))
        return svg(figure)


def strip(verification: Verification, example: Example) -> str:
    """Context, truth and every forecast of a case beside each other, as a PNG data address."""
    scale = scale_of(verification.quantity)
    length = len(example.truth)
    shown = sorted({round(k) for k in np.linspace(0, length - 1, min(length, _COLUMNS))})
    context = example.context[-len(shown) :]
    leads, _ = lead_labels(verification)
    unit = "min" if verification.sums["lead_time"].dtype.kind == "m" else ""
    step = leads[0]
    rows: list[tuple[str, list[np.ndarray | None], list[str]]] = [
        ("context", [None] * (len(shown) - len(context)) + list(context),
         [f"{-k * step:g} {unit}".strip() for k in range(len(shown) - 1, -1, -1)]),
        ("truth", [example.truth[k] for k in shown], [f"+{leads[k]:g} {unit}".strip() for k in shown]),
        *((name, [frames[k] for k in shown], []) for name, frames in example.forecasts.items()),
    ]  # fmt: skip
    height, width = example.truth.shape[-2:]
    side = 9.0 / len(shown)
    with mpl.rc_context(STYLE):
        tall = side * height / width
        figure, axes = plt.subplots(
            len(rows), len(shown), figsize=(9.6, len(rows) * (tall + 0.12) + 0.3), squeeze=False
        )
        for line, (name, frames, titles) in zip(axes, rows, strict=True):
            line[0].set_ylabel(name, fontsize=8)
            for k, (panel, frame) in enumerate(zip(line, frames, strict=True)):
                bare(panel, scale, frame)
                if titles and frame is not None:
                    panel.set_title(titles[k], fontsize=7, pad=2)
        figure.subplots_adjust(left=0.035, right=0.998, top=0.95, bottom=0.005, wspace=0.04, hspace=0.16)
        return png(figure)


def animation(verification: Verification, example: Example) -> list[tuple[str, str]]:
    """For each lead time its label and a picture of truth and forecasts side by side, as PNG data addresses."""
    scale = scale_of(verification.quantity)
    leads, _ = lead_labels(verification)
    unit = " min" if verification.sums["lead_time"].dtype.kind == "m" else ""
    pictures = []
    for k, lead in enumerate(leads):
        panels = {"truth": example.truth[k], **{name: frames[k] for name, frames in example.forecasts.items()}}
        with mpl.rc_context(STYLE):
            height, width = example.truth.shape[-2:]
            side = 9.6 / len(panels)
            figure, axes = plt.subplots(1, len(panels), figsize=(9.6, side * height / width + 0.3), squeeze=False)
            for panel, (name, frame) in zip(axes[0], panels.items(), strict=True):
                bare(panel, scale, frame)
                panel.set_title(name, fontsize=9, pad=3)
            figure.subplots_adjust(left=0.004, right=0.996, top=0.9, bottom=0.004, wspace=0.03)
            pictures.append((f"+{lead:g}{unit}", png(figure)))
    return pictures


def legend(quantity: Quantity) -> str:
    """The colour scale of a quantity as inline SVG, empty for grey pictures."""
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


def bare(panel: Any, scale: Scale, frame: np.ndarray | None, largest: int = _LARGEST) -> None:
    """A frame without axes, of at most `largest` pixels a side; nothing where there is none."""
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
    """A figure as inline SVG; it is closed."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    plt.close(figure)
    return text.getvalue()[text.getvalue().index("<svg") :]


def png(figure: Figure) -> str:
    """A figure as the data address of a PNG; it is closed."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=_DPI, metadata={"Software": None})
    plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()
