"""Figures of probability forecasts (reliability, ROC) and of ensembles (ranks, spread and error), as inline SVG."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from framecast.report.figures import COLOURS, MARKS, STYLE, lead_axis, lead_labels, svg
from framecast.scores.probability import reliability, roc
from framecast.verification.result import Verification
from framecast.verification.views import (
    event_frequency,
    observed_events,
    probabilities,
    probabilities_by_lead_time,
    ranks,
    spread_skill,
)

_FEW = 50
"""A bin with fewer forecasts is not drawn: its frequency is too uncertain."""


def diagrams(verification: Verification) -> str:
    """For each threshold the reliability diagram, the number of forecasts of each probability, and the ROC curve, as inline SVG;
    empty without events."""
    numbers = [k for k in range(len(verification.rates)) if observed_events(verification, k).sum()]
    if not numbers:
        return ""
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(
            3, len(numbers), figsize=(8.4, 6.6), squeeze=False, height_ratios=(3, 1, 3), sharex=False
        )
        for column, number in zip(axes.T, numbers, strict=True):
            above, below, curve = column
            # reliability, number of forecasts and ROC of each forecaster
            for k, name in enumerate(verification.forecasters):
                look = {"color": COLOURS[k % 5], "marker": MARKS[k % 5], "markersize": 3.5, "linewidth": 1.2}
                sums = probabilities(verification, name, number)
                probability, frequency, count = (part.numpy() for part in reliability(sums))
                enough = count >= _FEW
                above.plot(probability[enough], frequency[enough], label=name, **look)
                below.plot(probability[count > 0], count[count > 0], **look)
                curve_sums = roc(sums)
                curve.plot(curve_sums.false_alarm_rate, curve_sums.hit_rate, label=f"{curve_sums.area:.3f}", **look)
            # reference lines: observed frequency, diagonal
            base = event_frequency(verification, number)
            above.axhline(base, color="#999999", linewidth=0.7, linestyle=":")
            for panel in (above, curve):
                panel.plot([0, 1], [0, 1], color="#999999", linewidth=0.7)
                panel.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
            above.set_title(f"{verification.rates[number]:g} mm/h or more", loc="left", fontweight="bold")
            below.set(xlim=(-0.02, 1.02), yscale="log", xlabel="probability")
            curve.set_xlabel("false alarm rate")
            curve.legend(frameon=False, fontsize=7, title="area", title_fontsize=7, loc="lower right")
        axes[0, 0].set_ylabel("frequency")
        axes[1, 0].set_ylabel("forecasts")
        axes[2, 0].set_ylabel("hit rate")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper center", ncols=len(labels), frameon=False, bbox_to_anchor=(0.5, 1.0))
        figure.tight_layout(rect=(0, 0, 1, 0.96))
        return svg(figure)


def reliability_by_lead_time(verification: Verification) -> str:
    """The reliability diagrams at the first, the middle and the last lead time, a row for each threshold, as inline SVG; empty
    without events, or for a file of an earlier version."""
    numbers = [k for k in range(len(verification.rates)) if observed_events(verification, k).sum()]
    leads = list(probabilities_by_lead_time(verification, verification.forecasters[0], 0)) if numbers else []
    if not leads:
        return ""
    labels = [
        f"{lead / np.timedelta64(1, 'm'):g} min" if isinstance(lead, np.timedelta64) else f"{lead} frames"
        for lead in leads
    ]
    with mpl.rc_context(STYLE):
        size = (8.4, 2.7 * len(numbers) + 0.4)
        figure, axes = plt.subplots(len(numbers), len(leads), figsize=size, squeeze=False, sharex=True, sharey=True)
        for row, number in zip(axes, numbers, strict=True):
            for k, name in enumerate(verification.forecasters):
                look = {"color": COLOURS[k % 5], "marker": MARKS[k % 5], "markersize": 3.5, "linewidth": 1.2}
                by_lead = probabilities_by_lead_time(verification, name, number)
                for panel, sums in zip(row, by_lead.values(), strict=True):
                    probability, frequency, count = (part.numpy() for part in reliability(sums))
                    enough = count >= _FEW
                    panel.plot(probability[enough], frequency[enough], label=name, **look)
            for panel, label in zip(row, labels, strict=True):
                panel.plot([0, 1], [0, 1], color="#999999", linewidth=0.7)
                panel.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
                panel.set_title(f"{verification.rates[number]:g} mm/h, {label}", loc="left", fontweight="bold")
            row[0].set_ylabel("frequency")
        for panel in axes[-1]:
            panel.set_xlabel("probability")
        handles, names = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="upper center", ncols=len(names), frameon=False, bbox_to_anchor=(0.5, 1.0))
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.3 / size[1]))
        return svg(figure)


def ensembles(verification: Verification) -> str:
    """For each ensemble its rank histogram, and its spread and the error of its mean against lead time, as inline SVG; empty
    without ensembles."""
    names = verification.ensembles
    if not names:
        return ""
    leads, label = lead_labels(verification)
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(len(names), 2, figsize=(8.4, 2.4 * len(names)), squeeze=False)
        for (left, right), name in zip(axes, names, strict=True):
            counts = ranks(verification, name)
            share = counts / max(counts.sum(), 1)
            left.bar(np.arange(len(counts)), share, color=COLOURS[0], width=0.85)
            left.axhline(1 / len(counts), color="#999999", linewidth=0.8)
            left.set(xlabel=f"rank among {len(counts) - 1} members", ylabel="share")
            left.set_title(f"{name}: ranks of the truth", loc="left", fontweight="bold")
            for k, (what, line) in enumerate(
                zip(("spread", "error of the mean"), spread_skill(verification, name), strict=True)
            ):
                right.plot(leads, line, color=COLOURS[k], marker=MARKS[k], markersize=3.5, label=what)
            right.set(ylabel=verification.quantity.units, ylim=(0, None))
            lead_axis(right, leads, label)
            right.set_title(f"{name}: spread and error", loc="left", fontweight="bold")
            right.legend(frameon=False, fontsize=8)
        figure.tight_layout()
        return svg(figure)
