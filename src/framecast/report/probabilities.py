"""Figures of probability forecasts (reliability, ROC) and of ensembles (ranks, spread and error), as panels of inline SVG."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from framecast.report.figures import COLOURS, STYLE, Panel, decades, inner, lead_axis, look, panel, svg
from framecast.scores.probability import Probabilities, reliability, roc
from framecast.verification.result import Verification
from framecast.verification.score_table import lead_times
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
_SOFT = "#999999"
_LIMITS: Any = {"xlim": (-0.02, 1.02), "ylim": (-0.02, 1.02)}


def diagrams(verification: Verification) -> list[Panel]:
    """For each threshold the reliability diagram with the number of forecasts of each probability, and the ROC curve; nothing
    without events."""
    panels = []
    for number in _numbers(verification):
        title = f"{verification.level(number)} or more"
        sums = {name: probabilities(verification, name, number) for name in verification.forecasters}
        panels.append(Panel(f"Reliability, {title}", _reliability(sums, event_frequency(verification, number))))
        panels.append(Panel(f"Hits and false alarms, {title}", _roc(sums)))
    return panels


def _numbers(verification: Verification) -> list[int]:
    """The thresholds with events."""
    return [k for k in range(len(verification.thresholds)) if observed_events(verification, k).sum()]


def _reliability(sums: dict[str, Probabilities], frequency: float) -> str:
    with mpl.rc_context(STYLE):
        figure, (above, below) = plt.subplots(2, 1, figsize=(4.1, 4.4), height_ratios=(3, 1), sharex=True)
        left, bottom, width, height = inner((4.1, 4.4))
        figure.subplots_adjust(left=left, bottom=bottom, right=left + width, top=bottom + height, hspace=0.08)
        _draw_reliability(above, sums)
        above.axhline(frequency, color=_SOFT, linewidth=0.7, linestyle=":")
        above.set_ylabel("observed frequency")
        for number, each in enumerate(sums.values()):
            probability, _, count = (part.numpy() for part in reliability(each))
            below.plot(probability[count > 0], count[count > 0], **look(number))
        decades(below)
        below.set(xlabel="forecast probability", ylabel="forecasts")
        return svg(figure)


def _draw_reliability(axes: Any, sums: dict[str, Probabilities]) -> None:
    axes.plot([0, 1], [0, 1], color=_SOFT, linewidth=0.7)
    for number, each in enumerate(sums.values()):
        probability, frequency, count = (part.numpy() for part in reliability(each))
        enough = count >= _FEW
        axes.plot(probability[enough], frequency[enough], **look(number))
    axes.set(**_LIMITS)


def _roc(sums: dict[str, Probabilities]) -> str:
    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=_SOFT, linewidth=0.7)
        for number, each in enumerate(sums.values()):
            curve = roc(each)
            label = "area undefined" if np.isnan(curve.area) else f"area {curve.area:.3f}"
            axes.plot(curve.false_alarm_rate, curve.hit_rate, label=label, **look(number))
        axes.set(**_LIMITS, xlabel="false alarm rate", ylabel="hit rate")
        axes.legend(frameon=False, fontsize=8, loc="lower right")

    return panel(draw, (4.1, 4.4))


def reliability_by_lead_time(verification: Verification) -> list[Panel]:
    """The reliability diagrams at the first, the middle and the last lead time for each threshold; nothing without events, or
    for a file of an earlier version."""
    panels = []
    for number in _numbers(verification):
        by_name = {name: probabilities_by_lead_time(verification, name, number) for name in verification.forecasters}
        for lead in next(iter(by_name.values())):
            text = f"{lead / np.timedelta64(1, 'm'):g} min" if isinstance(lead, np.timedelta64) else f"{lead} frames"
            sums = {name: by_lead[lead] for name, by_lead in by_name.items()}

            def draw(axes: Any, sums: dict[str, Probabilities] = sums) -> None:
                _draw_reliability(axes, sums)
                axes.set(xlabel="forecast probability", ylabel="observed frequency")

            panels.append(Panel(f"{verification.level(number)}, {text}", panel(draw, (3.2, 2.8))))
    return panels


def ensembles(verification: Verification) -> list[Panel]:
    """For each ensemble its rank histogram, and its spread and the error of its mean against lead time."""
    leads, units = lead_times(verification.sums)
    panels = []
    for name in verification.ensembles:
        counts = ranks(verification, name)
        lines = dict(zip(("spread", "error of the mean"), spread_skill(verification, name), strict=True))

        def histogram(axes: Any, counts: np.ndarray = counts) -> None:
            axes.bar(np.arange(len(counts)), counts / max(counts.sum(), 1), color=COLOURS[0], width=0.85)
            axes.axhline(1 / len(counts), color=_SOFT, linewidth=0.8)
            axes.set(xlabel=f"rank among {len(counts) - 1} members", ylabel="share")

        def spread(axes: Any, lines: dict[str, np.ndarray] = lines) -> None:
            for number, (what, line) in enumerate(lines.items()):
                axes.plot(leads, line, label=what, **look(number))
            axes.set(ylabel=verification.quantity.label or "value", ylim=(0, None))
            lead_axis(axes, leads, f"lead time ({units})")
            axes.legend(frameon=False, fontsize=8)

        panels += [
            Panel(f"{name}: ranks of the truth", panel(histogram)),
            Panel(f"{name}: spread and error", panel(spread)),
        ]
    return panels
