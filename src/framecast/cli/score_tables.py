"""Scores as tables on the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from framecast.verification.metrics import Measure
    from framecast.verification.result import Score, Verification

_FRAMES, _EVENTS = ("MSE", "MAE", "SSIM", "CRPS", "LPIPS"), ("csi", "pod", "far", "bias")
_GAP = 2
"""Blanks between two columns of a table."""


def print_scores(verification: Verification, console: Console) -> None:
    """The table of scores over all lead times, and the verdict."""
    from rich.box import SIMPLE
    from rich.table import Table

    from framecast.report.verdict import verdict
    from framecast.verification.metrics import event_measure

    def scores(title: str, measures: Sequence[Measure], heads: Sequence[str]) -> None:
        names = verification.forecasters
        columns = [
            [head, *(brief(verification.score(name, measure)) for name in names)]
            for head, measure in zip(heads, measures, strict=True)
        ]
        for some in abreast(columns, console.width - max(map(len, names)) - _GAP):
            table = Table(
                title=title if some[0] is columns[0] else None, box=SIMPLE, collapse_padding=True, pad_edge=False
            )
            table.add_column("", no_wrap=True)
            for head, *_ in some:
                table.add_column(head, justify="right", no_wrap=True)
            for name, *values in zip(names, *(values for _, *values in some), strict=True):
                table.add_row(name, *values)
            console.print(table)

    frames = [measure for measure in verification.frame_measures() if measure.name in _FRAMES]
    title = f"{verification.cases} cases, convention {verification.convention.name}"
    scores(title, frames, [measure.name for measure in frames])
    for number, rate in enumerate(verification.rates):
        observed = int(verification.events(number).sum())
        events = [event_measure(score, number, rate) for score in _EVENTS]
        scores(f"{rate:g} mm/h or more: {observed:,} event pixels", events, [score.upper() for score in _EVENTS])
    if "features" in verification.sums:
        values = ", ".join(f"{name} {verification.fvd(name):.4g}" for name in verification.forecasters)
        console.print(f"FVD of {verification.cases} clips: {values}", highlight=False)
    console.print("± is half of the 95 % interval; the report has them whole, and more scores", highlight=False)
    console.print(verdict(verification), highlight=False)


def abreast(columns: Sequence[list[str]], width: int) -> list[list[list[str]]]:
    """The columns in groups that fit into a width."""
    groups: list[list[list[str]]] = [[]]
    used = 0
    for column in columns:
        wide = max(map(len, column)) + _GAP
        if groups[-1] and used + wide > width:
            groups.append([])
            used = 0
        groups[-1].append(column)
        used += wide
    return groups


def brief(score: Score | None) -> str:
    """A value and half the width of its interval, that to one digit, or to the unit, and both to the same place."""
    if score is None:
        return ""
    if score.value != score.value:
        return "undefined"
    if score.interval is None:
        return f"{score.value:.3g}"
    half = (score.interval[1] - score.interval[0]) / 2
    if half == 0:
        return f"{score.value:.3g} ± 0"
    places = max(0, -math.floor(math.log10(half)))
    return f"{score.value:.{places}f} ± {half:.{places}f}"
