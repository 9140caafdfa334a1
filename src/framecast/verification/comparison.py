"""Is one forecaster better than another, or do the scores only differ?

All are scored on the same cases and pixels. A claim is a difference of one score, over all lead times or at one, with an
interval from a bootstrap over independent blocks of cases, drawn for both alike, and the probability p of a difference as
large where there is none: the larger of two, from the bootstrap's spread with a t distribution of as many degrees of freedom
as there are blocks less one, and, for scores that are means over cases, from the test of Amanda Hering and Marc Genton
("Comparing Spatial Predictions", Technometrics 2011), which models how far apart in time cases are alike. The p of all claims
of a table are corrected for how many they are (Sture Holm, 1979). With fewer than `FEWEST` blocks there is no p, and nothing is
claimed. The verdict of a report makes the same claims.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from framecast.scores import Metric
from framecast.scores.bootstrap import REPEATS, drawn, informative, limits, resampled
from framecast.scores.metric import Better
from framecast.verification.result import Verification
from framecast.verification.significance import hering_genton, holm, student_p
from framecast.verification.views import fallbacks

FEWEST = 5
LEVEL = 0.05


@dataclass(frozen=True)
class Claim:
    """How two forecasters differ in one score. `lead` is the number of the lead time, None for all of them."""

    score: str
    one: str
    other: str
    lead: int | None
    values: tuple[float, float]
    interval: tuple[float, float]
    """Of the difference of the first from the second, 95 %."""
    p: float
    """Corrected for the number of claims in its table; NaN with too few blocks, and where a value is not finite."""
    blocks: int
    cases: int
    better: Better

    @property
    def difference(self) -> float:
        """Of the first from the second."""
        return self.values[0] - self.values[1]

    @property
    def too_few(self) -> bool:
        """Whether there are too few blocks for any claim."""
        return self.blocks < FEWEST

    @property
    def sure(self) -> bool:
        """Whether a difference can be claimed."""
        return self.p < LEVEL

    @property
    def verdict(self) -> str:
        """In words."""
        told = f"{self.values[0]:.4g} against {self.values[1]:.4g}"
        if np.isinf(self.values).any():
            return f"{self.score}: {self.one} and {self.other}, {told}; what is infinite cannot be compared"
        if np.isnan(self.difference):
            return f"{self.score} is undefined for {self.one} or {self.other}"
        if self.too_few:
            few = f"{independent(self.blocks)} {'is' if self.blocks == 1 else 'are'} too few to tell"
            return f"{self.score}: {self.one} and {self.other}, {told}; {few}"
        sure = f"p = {self.p:.2g}, {independent(self.blocks)}"
        if not self.sure:
            return f"{self.score}: no evidence of a difference between {self.one} and {self.other} ({told}; {sure})"
        better = (self.difference < 0) == (self.better == "lower")
        return f"{self.score}: {self.one} is {'better' if better else 'worse'} than {self.other} ({told}; {sure})"


def independent(blocks: int) -> str:
    """How many independent blocks, in words."""
    return "1 independent block" if blocks == 1 else f"{blocks} independent blocks"


@dataclass(frozen=True)
class Comparison:
    """The sums, and what can be claimed: `overall` over all lead times, `by_lead` at each."""

    verification: Verification
    overall: list[Claim]
    by_lead: list[Claim]
    judged: tuple[str, ...] = ()
    """The forecasters that were compared with all others."""

    @property
    def days(self) -> int | None:
        """On how many days the forecasts begin, which is how many kinds of weather there can be; None without clock."""
        times = self.verification.sums["init_time"].values
        return len(np.unique(times.astype("datetime64[D]"))) if times.dtype.kind == "M" else None

    @property
    def warnings(self) -> list[str]:
        """What was repaired in the data, and what limits the claims: a forecaster that is another one in some cases, one day."""
        single = ["all cases are of a single day: what is claimed is claimed of that day's weather"]
        result = self.verification
        return [*result.repairs, *result.warnings, *fallbacks(result), *(single if self.days == 1 else [])]

    def skill(self, forecaster: str, score: str = "mse", reference: str = "extrapolation") -> float:
        """1 - score / score of the reference, for scores of which 0 is perfect; NaN where there is no reference."""
        if reference not in self.verification.forecasters:
            return float("nan")
        theirs = self.verification.frame(reference, score).value
        return float(1 - self.verification.frame(forecaster, score).value / theirs) if theirs else float("nan")

    def skills(self) -> dict[str, float]:
        """The MSE skill over extrapolation of the forecasters that were compared, where it is defined."""
        skills = {name: self.skill(name) for name in self.judged}
        return {name: skill for name, skill in skills.items() if not np.isnan(skill)}


def compare(
    verification: Verification, judged: list[str] | None = None, *, repeats: int = REPEATS, seed: int = 0
) -> Comparison:
    """Compare each of the forecasters `judged` (all unless stated) with every other forecaster, in every score."""
    counts = drawn(verification.sums["block"].values, repeats, seed)
    by_lead = [
        _claim(verification, metric, pair, lead, both[..., lead], counts)
        for metric, pair, both in _paired(verification, judged)
        for lead in range(both.shape[3])
    ]
    overall = over_all_leads(verification, judged, repeats=repeats, seed=seed)
    return Comparison(verification, overall, _corrected(by_lead), tuple(judged or verification.forecasters))


def over_all_leads(
    verification: Verification, judged: list[str] | None = None, *, repeats: int = REPEATS, seed: int = 0
) -> list[Claim]:
    """What `compare` claims over all lead times."""
    counts = drawn(verification.sums["block"].values, repeats, seed)
    return _corrected(
        [
            _claim(verification, metric, pair, None, both.sum(3), counts)
            for metric, pair, both in _paired(verification, judged)
        ]
    )


def _paired(
    verification: Verification, judged: list[str] | None
) -> Iterator[tuple[Metric, tuple[str, str], np.ndarray]]:
    """Each score and pair to compare, with the sums of cases of both `(2, K, N, S)`."""
    names = verification.forecasters
    judged = names if judged is None else judged
    pairs = [(a, b) for a, b in combinations(names, 2) if a in judged or b in judged]
    for metric in compared(verification):
        tables = {name: verification.table(name, metric) for name in names}
        for pair in pairs:
            yield metric, pair, np.stack([tables[name] for name in pair])


def compared(verification: Verification) -> list[Metric]:
    """The metrics that forecasters are compared in, those of neighbourhoods at the middle scale."""
    return [
        metric
        for metric in verification.metrics()
        if metric.compared and verification.middle_scale(metric) and _computable(verification, metric)
    ]


def _computable(verification: Verification, metric: Metric) -> bool:
    """Whether a frame score has anything that it could be computed of."""
    return metric.group != "frame" or bool((verification.sums[metric.sums[-1]] > 0).any())


def _claim(
    verification: Verification,
    metric: Metric,
    pair: tuple[str, str],
    lead: int | None,
    tables: np.ndarray,
    counts: np.ndarray,
) -> Claim:
    """Of the sums of cases of both, `tables (2, K, N)`, and how often each block is counted in each repeat `(R, B)`."""
    values = [metric.formula(table.sum(1)) for table in tables]
    blocks = verification.sums["block"].values
    one, other = (metric.formula(resampled(table, blocks, counts)) for table in tables)
    differences = (one - other)[np.isfinite(one - other)]
    number = int(np.any([informative(metric.formula, table, blocks) for table in tables], axis=0).sum())
    interval, p = (float("nan"), float("nan")), float("nan")
    if number > 1 and len(differences) > 1:
        low, high = limits(differences)
        interval = (float(low), float(high))
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
    )


def _corrected(claims: list[Claim]) -> list[Claim]:
    """With the p of each raised for how many there are (Holm)."""
    raised = holm([claim.p for claim in claims])
    return [replace(claim, p=p) for claim, p in zip(claims, raised, strict=True)]
