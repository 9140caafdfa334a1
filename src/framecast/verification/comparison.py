"""Significance of score differences between forecasters: claims with intervals, p values and verdicts, from sums of cases.

All forecasters are scored on the same cases and pixels. A claim is a difference of one score, over all lead times or at one. Its
interval comes from a bootstrap over independent blocks of cases, with the same draws for both forecasters. p is the larger of
two values: that of the bootstrap standard deviation by Student's t with (blocks - 1) degrees of freedom, and, for scores that
are means over cases, that of the test of Amanda Hering and Marc Genton ("Comparing Spatial Predictions", Technometrics 2011),
which models the correlation in time. All p of a table are corrected for their number (Sture Holm, 1979). With fewer than
`FEWEST` blocks there is no p and no claim. The verdict of a report uses the same claims; what a claim says is in `claims`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from framecast.scores import Metric
from framecast.scores.bootstrap import REPEATS, blocks_with_value, draw_blocks, limits, resample
from framecast.verification.claims import FEWEST, Claim, anchored
from framecast.verification.result import Verification
from framecast.verification.score_table import lead_times, to_pandas
from framecast.verification.significance import hering_genton, holm, student_p
from framecast.verification.views import fallback_counts, fallbacks

if TYPE_CHECKING:
    import pandas as pd


class ClaimRow(NamedTuple):
    """A claim as a row of a table. `lead` is None for all lead times; `winner` is empty where no difference is claimed."""

    score: str
    one: str
    other: str
    lead: float | None
    lead_units: str
    one_value: float
    other_value: float
    difference: float
    low: float
    high: float
    p: float
    blocks: int
    direction: str
    winner: str


@dataclass(frozen=True, repr=False)
class Comparison:
    """The sums, and the claims on them: `overall` over all lead times, `by_lead` at each lead time."""

    verification: Verification
    overall: list[Claim]
    by_lead: list[Claim]
    candidates: tuple[str, ...] = ()
    """The forecasters that were compared with all others."""

    def rows(self) -> list[ClaimRow]:
        """Every claim as a row of a table, those over all lead times first."""
        leads, units = lead_times(self.verification.sums)
        return [
            ClaimRow(
                each.score,
                each.one,
                each.other,
                None if each.lead is None else float(leads[each.lead]),
                units,
                *each.values,
                each.difference,
                *each.interval,
                each.p,
                each.blocks,
                each.better,
                each.winner or "",
            )
            for each in (*self.overall, *self.by_lead)
        ]

    def to_pandas(self) -> pd.DataFrame:
        """The claims as a tidy table: score, the pair, lead (missing: all lead times), values, difference with its 95 % interval,
        p, blocks, direction and winner. The scores are those of `verification.to_pandas()`."""
        return to_pandas(self.rows())

    def __repr__(self) -> str:
        claimed = sum(claim.significant for claim in self.overall)
        return f"Comparison: {claimed} of {len(self.overall)} differences can be claimed\n{self.verification!r}"

    def _repr_html_(self) -> str:
        claimed = sum(claim.significant for claim in self.overall)
        return f"<p>{claimed} of {len(self.overall)} differences can be claimed</p>{self.verification._repr_html_()}"

    @property
    def days(self) -> int | None:
        """The number of different days on which forecasts begin, which limits the variety of the weather; None for frames without
        times."""
        times = self.verification.sums["init_time"].values
        return len(np.unique(times.astype("datetime64[D]"))) if times.dtype.kind == "M" else None

    @property
    def warnings(self) -> list[str]:
        """Repairs of the data, and limits of the claims: a forecaster that fell back in some cases, a single day."""
        single = ["all cases are of a single day: the claims hold for the weather of that day"]
        result = self.verification
        return [*result.repairs, *result.warnings, *fallbacks(result), *(single if self.days == 1 else [])]

    def skill(self, forecaster: str, score: str = "mse", reference: str = "extrapolation") -> float:
        """1 - score / score of the reference, for scores with perfect value 0; NaN without the reference."""
        if reference not in self.verification.forecasters:
            return float("nan")
        reference_value = self.verification.frame(reference, score).value
        if not reference_value:
            return float("nan")
        return float(1 - self.verification.frame(forecaster, score).value / reference_value)

    def skills(self) -> dict[str, float]:
        """The MSE skill over extrapolation of the candidates, where it is defined."""
        skills = {name: self.skill(name) for name in self.candidates}
        return {name: skill for name, skill in skills.items() if not np.isnan(skill)}


def compare(
    verification: Verification, candidates: list[str] | None = None, *, repeats: int = REPEATS, seed: int = 0
) -> Comparison:
    """Compare each of the `candidates` (by default all forecasters) with every other forecaster, in every score."""
    by_lead = claims_by_lead(verification, candidates, repeats=repeats, seed=seed)
    overall = overall_claims(verification, candidates, repeats=repeats, seed=seed)
    return Comparison(verification, overall, by_lead, tuple(candidates or verification.forecasters))


def claims_by_lead(
    verification: Verification,
    candidates: list[str] | None = None,
    scores: Collection[str] | None = None,
    *,
    repeats: int = REPEATS,
    seed: int = 0,
) -> list[Claim]:
    """The claims of `compare` at each lead time; with `scores`, the labels of metrics, in these only."""
    counts = draw_blocks(verification.sums["block"].values, repeats, seed)
    claims = [
        _claim(verification, metric, pair, lead, both[..., lead], counts)
        for metric, pair, both in _score_pairs(verification, candidates)
        if scores is None or metric.label in scores
        for lead in range(both.shape[3])
    ]
    return _finish(claims, verification)


def overall_claims(
    verification: Verification, candidates: list[str] | None = None, *, repeats: int = REPEATS, seed: int = 0
) -> list[Claim]:
    """The claims of `compare` over all lead times."""
    counts = draw_blocks(verification.sums["block"].values, repeats, seed)
    claims = [
        _claim(verification, metric, pair, None, both.sum(3), counts)
        for metric, pair, both in _score_pairs(verification, candidates)
    ]
    return _finish(claims, verification)


def _score_pairs(
    verification: Verification, candidates: list[str] | None
) -> Iterator[tuple[Metric, tuple[str, str], np.ndarray]]:
    """Each score and pair of forecasters to compare, with the sums of cases of both `(2, K, N, S)`."""
    names = verification.forecasters
    candidates = names if candidates is None else candidates
    pairs = [(a, b) for a, b in combinations(names, 2) if a in candidates or b in candidates]
    for metric in compared_metrics(verification):
        tables = {name: verification.table(name, metric) for name in names}
        for pair in pairs:
            yield metric, pair, np.stack([tables[name] for name in pair])


def compared_metrics(verification: Verification) -> list[Metric]:
    """The metrics on which claims are made; neighbourhood scores at the middle scale only."""
    return [
        metric
        for metric in verification.metrics()
        if metric.compared and verification.middle_scale(metric) and _computable(verification, metric)
    ]


def _computable(verification: Verification, metric: Metric) -> bool:
    """Whether a frame score has a weight above 0 in any case."""
    return metric.group != "frame" or bool((verification.sums[metric.sums[-1]] > 0).any())


def _claim(
    verification: Verification,
    metric: Metric,
    pair: tuple[str, str],
    lead: int | None,
    tables: np.ndarray,
    counts: np.ndarray,
) -> Claim:
    """The claim on a pair, from the sums of cases of both, `tables (2, K, N)`, and the bootstrap draws `counts (R, B)`."""
    # values, and their differences in each bootstrap repeat
    values = [metric.formula(table.sum(1)) for table in tables]
    blocks = verification.sums["block"].values
    one, other = (metric.formula(resample(table, blocks, counts)) for table in tables)
    differences = (one - other)[np.isfinite(one - other)]
    number = int(np.any([blocks_with_value(metric.formula, table, blocks) for table in tables], axis=0).sum())
    # interval, with at least two blocks that have a value
    interval, p = (float("nan"), float("nan")), float("nan")
    if number > 1 and len(differences) > 1:
        low, high = limits(differences)
        interval = (float(low), float(high))
    # p, the larger of those of both tests
    if number >= FEWEST and len(differences) > 1 and np.isfinite(values).all():
        spread = differences.std(ddof=1)
        p = 1.0
        if spread > 0 and values[0] != values[1]:
            p = student_p(values[0] - values[1], spread, number)
            if metric.mean:
                each = [metric.formula(table) for table in tables]
                p = max(p, hering_genton(each[0] - each[1])[1])
    return Claim(
        metric.label,
        *pair,
        lead,
        (float(values[0]), float(values[1])),
        interval,
        p,
        number,
        verification.cases,
        metric.better,
        tuple((name, count) for name, count in fallback_counts(verification).items() if name in pair),
    )


def _finish(claims: list[Claim], verification: Verification) -> list[Claim]:
    """The claims with p corrected for their number (Holm); of precipitation, what is better than extrapolation is better than
    extrapolation as a probability too (`anchored`)."""
    raised = holm([claim.p for claim in claims])
    corrected = [replace(claim, p=p) for claim, p in zip(claims, raised, strict=True)]
    return anchored(corrected) if verification.quantity.precipitation else corrected
