"""The page of a comparison: one sentence, one table of forecasters and scores, then differences by lead time and all claims."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from framecast.checks import as_html_path
from framecast.report.figures import Panel, lead_axis, look, panel, swatches
from framecast.report.page import panels, write_page, write_scores
from framecast.report.tables import Cell, Table, score_table
from framecast.report.verdict import cases, comparison_lines, comparison_marks
from framecast.scores import Metric
from framecast.verification.claims import FEWEST, HONEST_ANCHOR, LEVEL, Claim
from framecast.verification.comparison import Comparison, compared_metrics
from framecast.verification.regimes import regimes
from framecast.verification.result import Verification
from framecast.verification.score_store import check_no_store
from framecast.verification.score_table import lead_times
from framecast.verification.showing import format_number

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
    """Write the page to `out` and return its path, and beside it the scores and claims, as `scores.csv` and `scores.json`.
    `warnings` follow the answer. Raises `ConfigError` and `RunError`."""
    verification = comparison.verification
    answer, *lines = comparison_lines(comparison) or [f"On {cases(verification)}."]
    _, units = lead_times(verification.sums)
    marked = comparison_marks(comparison)
    pairs = list(dict.fromkeys(f"{claim.one} - {claim.other}" for claim in comparison.by_lead))
    target = as_html_path(out)
    check_no_store(target.parent)
    page = write_page(
        "comparison.html",
        target,
        title=title,
        warnings=warnings,
        subject=f"{verification.quantity.title}, {cases(verification)}{_days(comparison)}",
        verdict=answer,
        lines=lines,
        table_of_scores=score_table(verification, _shown(verification), marked),
        has_marks=bool(marked),
        has_intervals=verification.blocks > 1,
        skills=_skills(comparison),
        swatches=swatches(pairs),
        curves=panels(_curves(comparison)),
        caption=_caption(comparison.by_lead),
        claims=_claim_table(comparison.overall, comparison, with_lead=False),
        by_lead=_claim_table(comparison.by_lead, comparison, with_lead=True),
        lead_label=f"lead time ({units})",
        method=_METHOD,
        definitions=verification.definitions(),
    )
    write_scores(verification, target.parent, claims=comparison.rows())
    return page


def _shown(verification: Verification) -> list[Metric]:
    """The scores of the table: those that say most, and are compared."""
    compared = [metric.label for metric in compared_metrics(verification)]
    return [metric for metric in verification.headlines() if metric.label in compared]


def _days(comparison: Comparison) -> str:
    """The number of days on which the claims rest, as text; empty for frames without times."""
    if comparison.days is None:
        return ""
    return " of a single day" if comparison.days == 1 else f" of {comparison.days} days"


def _claim_table(claims: Sequence[Claim], comparison: Comparison, *, with_lead: bool) -> Table:
    """A row for each claim."""
    leads, units = lead_times(comparison.verification.sums)
    rows = []
    for claim in claims:
        known = not np.isnan(claim.interval).any()
        limits = " to ".join(format_number(value) for value in claim.interval) if known else ""
        p = "too few blocks" if claim.too_few else format_number(claim.p, 2)
        cells = [
            Cell(f"{claim.one}, {claim.other}"),
            *([Cell(f"{leads[claim.lead or 0]:g}")] if with_lead else []),
            Cell(", ".join(format_number(value) for value in claim.values)),
            Cell(format_number(claim.difference), limits),
            Cell(p),
            Cell(claim.winner or "", mark="best" if claim.winner else ""),
        ]
        rows.append((claim.score, cells))
    lead = [f"lead time ({units})"] if with_lead else []
    return Table(["forecasters", *lead, "values", "difference (95 %)", "p", "better, as claimed"], rows)


def _caption(claims: Sequence[Claim]) -> str:
    """The caption of the curves; it explains filled points only if there can be some."""
    known = any(np.isfinite(claim.interval).all() for claim in claims)
    intervals = f"Differences{' with 95 % intervals' if known else ''}"
    if all(claim.too_few for claim in claims):
        return f"{intervals}. With fewer than {FEWEST} independent blocks nothing is claimed."
    return f"{intervals}; where p, corrected for the number of claims in this table, is below {LEVEL:g} the point is filled."


def _skills(comparison: Comparison) -> Table | None:
    """Skill of each forecaster over extrapolation, over all cases and by regime."""
    verification = comparison.verification
    if "extrapolation" not in verification.forecasters:
        return None

    def row(label: str, part: Verification) -> tuple[str, list[Cell]]:
        scored = Comparison(part, [], [])
        texts = [format_number(scored.skill(name)) for name in part.forecasters]
        return label, [Cell(text) for text in (*texts, f"{part.cases}", f"{part.blocks}")]

    rows = [
        row(f"{regime.kind}: {regime.label}", verification.subset(regime.cases)) for regime in regimes(verification)
    ]
    return Table([*verification.forecasters, "cases", "blocks"], [row("all", verification), *rows])


def _curves(comparison: Comparison) -> list[Panel]:
    """Differences against lead time: one panel for each score, one line for each pair."""
    leads, units = lead_times(comparison.verification.sums)
    figures = []
    for score in dict.fromkeys(claim.score for claim in comparison.by_lead):
        pairs: dict[tuple[str, str], list[Claim]] = {}
        for claim in comparison.by_lead:
            if claim.score == score:
                pairs.setdefault((claim.one, claim.other), []).append(claim)
        if not any(np.isfinite(claim.difference) for claims in pairs.values() for claim in claims):
            continue  # no event of this rate

        def draw(axes: Any, pairs: dict[tuple[str, str], list[Claim]] = pairs) -> None:
            for number, claims in enumerate(pairs.values()):
                middle = np.array([claim.difference for claim in claims])
                low, high = np.array([claim.interval for claim in claims]).T
                significant = np.array([claim.significant for claim in claims])
                style = look(number)
                axes.fill_between(leads, low, high, color=style["color"], alpha=0.12, linewidth=0)
                axes.plot(leads, middle, **style)
                hollow = style | {"markerfacecolor": "#ffffff", "linestyle": ""}
                axes.plot(leads[~significant], middle[~significant], **hollow)
            axes.axhline(0, color="#999999", linewidth=0.8)
            lead_axis(axes, leads, f"lead time ({units})")

        better = next(claim.better for claims in pairs.values() for claim in claims)
        figures.append(Panel(f"{score} {'↓' if better == 'lower' else '↑'}", panel(draw)))
    return figures
