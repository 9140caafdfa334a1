"""The page of a comparison: claims on pairs of forecasters, skill by regime, differences by lead time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from markupsafe import Markup

from framecast.checks import as_html_path
from framecast.report.figures import COLOURS, MARKS, STYLE, lead_labels, shared_lead_axis, svg
from framecast.report.page import write_page
from framecast.report.verdict import cases
from framecast.verification.claims import FEWEST, HONEST_ANCHOR, LEVEL, Claim
from framecast.verification.comparison import Comparison
from framecast.verification.regimes import regimes
from framecast.verification.result import Verification

_METHOD = (
    "All forecasters are scored on the same cases and pixels. Intervals are those of a bootstrap over independent blocks of "
    "cases, with the same draws for both forecasters. p is the probability of a difference at least as large if there is none: "
    "the larger of that from the bootstrap (Student's t with blocks - 1 degrees of freedom) and, for scores that are means over "
    "cases, that of the test of Hering and Genton (2011). p is corrected for the number of claims in its table "
    f"(Holm, 1979); below {LEVEL:g} a difference is claimed. With fewer than {FEWEST} independent blocks nothing is claimed. "
    f"That a forecast of rain is better than extrapolation is claimed only where it is better than {HONEST_ANCHOR} too."
)


def write_comparison(
    comparison: Comparison, out: str | Path, *, title: str = "Comparison", warnings: Sequence[str] = ()
) -> Path:
    """Write the page to `out` and return its path; `warnings` come first. Raises `ConfigError` and `RunError`."""
    verification = comparison.verification
    leads, label = lead_labels(verification)
    pairs: dict[str, list[Claim]] = {}
    for claim in comparison.overall:
        pairs.setdefault(f"{claim.one} and {claim.other}", []).append(claim)
    significant = sum(claim.significant for claim in comparison.overall)
    return write_page(
        "comparison.html",
        as_html_path(out),
        title=title,
        warnings=warnings,
        cases=f"On {cases(verification)}{_days(comparison)}",
        summary=f"{significant} of {len(comparison.overall)} differences over all lead times can be claimed.",
        pairs=list(pairs.items()),
        skills=_skills(comparison),
        by_lead=[_numbers(claim, leads) for claim in comparison.by_lead],
        lead_label=label,
        curves=Markup(_curves(comparison, leads, label)),
        caption=_caption(comparison.by_lead),
        method=_METHOD,
        definitions=verification.definitions(),
    )


def _days(comparison: Comparison) -> str:
    """The number of days on which the claims rest, as text; empty for frames without times."""
    if comparison.days is None:
        return ""
    return " of a single day" if comparison.days == 1 else f" of {comparison.days} days"


def _numbers(claim: Claim, leads: np.ndarray) -> tuple[str, list[str]]:
    """A row of the table of all claims."""
    one, other = (_format_value(value, ".4g") for value in claim.values)
    difference, low, high = (_format_value(value, ".3g") for value in (claim.difference, *claim.interval))
    return claim.score, [
        f"{claim.one}, {claim.other}",
        f"{leads[claim.lead or 0]:g}",
        f"{one}, {other}",
        difference if np.isnan(claim.interval).any() else f"{difference} ({low} to {high})",
        "too few blocks" if claim.too_few else _format_value(claim.p, ".2g"),
    ]


def _format_value(value: float, form: str) -> str:
    return "undefined" if np.isnan(value) else f"{value:{form}}"


def _caption(claims: Sequence[Claim]) -> str:
    """The caption of the curves; it explains filled points only if there can be some."""
    intervals = "Differences with 95 % intervals"
    if all(claim.too_few for claim in claims):
        return f"{intervals}. With fewer than {FEWEST} independent blocks nothing is claimed."
    return f"{intervals}; where p, corrected for the number of claims in this table, is below {LEVEL:g} the point is filled."


def _skills(comparison: Comparison) -> dict[str, Any] | None:
    """Skill of each forecaster over extrapolation, over all cases and by regime."""
    verification = comparison.verification
    if "extrapolation" not in verification.forecasters:
        return None

    def row(label: str, part: Verification) -> tuple[str, list[str]]:
        scored = Comparison(part, [], [])
        values = [scored.skill(name) for name in part.forecasters]
        texts = ["undefined" if np.isnan(value) else f"{value:.3f}" for value in values]
        return label, [*texts, f"{part.cases}", f"{part.blocks}"]

    rows = [
        row(f"{regime.kind}: {regime.label}", verification.subset(regime.cases)) for regime in regimes(verification)
    ]
    return {"head": [*verification.forecasters, "cases", "blocks"], "rows": [row("all", verification), *rows]}


def _curves(comparison: Comparison, leads: np.ndarray, label: str) -> str:
    """Differences against lead time: one panel for each score, one line for each pair."""
    scores = list(dict.fromkeys(claim.score for claim in comparison.by_lead))
    if not scores:
        return ""
    columns = 2
    rows = -(-len(scores) // columns)
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(rows, columns, figsize=(8.4, 2.4 * rows), sharex=True, squeeze=False)
        for panel, score in zip(axes.flat, scores, strict=False):
            pairs: dict[tuple[str, str], list[Claim]] = {}
            for claim in comparison.by_lead:
                if claim.score == score:
                    pairs.setdefault((claim.one, claim.other), []).append(claim)
            for k, ((one, other), claims) in enumerate(pairs.items()):
                middle = np.array([claim.difference for claim in claims])
                low, high = np.array([claim.interval for claim in claims]).T
                significant = np.array([claim.significant for claim in claims])
                look: dict[str, Any] = {"color": COLOURS[k % 5], "marker": MARKS[k % 5], "markersize": 4}
                panel.fill_between(leads, low, high, color=look["color"], alpha=0.12, linewidth=0)
                panel.plot(leads, middle, linewidth=1, label=f"{one} - {other}", **look)
                panel.plot(leads[~significant], middle[~significant], linestyle="", markerfacecolor="white", **look)
            panel.axhline(0, color="#999999", linewidth=0.8)
            panel.set_title(score, loc="left", fontweight="bold")
        shared_lead_axis(axes, len(scores), leads, label)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="upper center", ncols=min(len(labels), 3), frameon=False, bbox_to_anchor=(0.5, 1.0)
        )
        figure.tight_layout(rect=(0, 0, 1, 1 - (0.2 + 0.2 * -(-len(labels) // 3)) / (2.4 * rows)))
        return svg(figure)
