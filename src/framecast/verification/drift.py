"""Drift: whether the last days are worse than was promised, by a test that a wet day does not trigger.

A score itself says little: on a wet day every forecast has a larger error. What is judged is the advantage over a reference on
the same forecasts: over extrapolation as a probability, else the strongest fallback that stands beside. Of a score that is better
low the advantage is 1 - score / score of the reference, of one that is better high the difference. Days are the independent
blocks, and a bootstrap over them gives the uncertainty.

Two things are promised. A model is issued because it is better than what needs no training: a finding is that it is worse
(`below the fallback`). And its advantage is as large as it was: that of an evaluation, where one is given, else that of the days
before (`below the promise`). The p values, of one side, are corrected for the number of tests (Holm); with fewer than `FEWEST`
days with events there is no test.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from framecast.scores import Metric
from framecast.scores.bootstrap import blocks_with_value, draw_blocks, resample
from framecast.verification.claims import FEWEST, HONEST_ANCHOR
from framecast.verification.result import Verification
from framecast.verification.score_rows import ScoreRow, metric_of
from framecast.verification.score_store import DaySums, Place, daily_sums, read_scores
from framecast.verification.score_summary import last_days, pooled
from framecast.verification.significance import holm, student_p

DAYS = 7
"""The days that are judged."""
LEVEL = 0.01
"""The p below which a finding is a warning: it is judged every day anew."""
REFERENCES = (HONEST_ANCHOR, "extrapolation", "persistence")
"""The references, the strongest first."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The advantage of a forecaster over `reference` in a score, over all lead times: in the last `days`, and `promised` (0 for
    the fallback itself). `p` is that of an advantage this much lower by accident, corrected for the number of tests; NaN where
    there are too few days. `since` says what promised it."""

    forecaster: str
    reference: str
    score: str
    threshold: float | None
    advantage: float
    promised: float
    since: str
    p: float
    days: int

    @property
    def worse(self) -> bool:
        """Whether it can be told that the last days are worse."""
        return self.p < LEVEL

    @property
    def message(self) -> str:
        """The finding as a sentence."""
        score = f"{metric_of(self.score).title}{'' if self.threshold is None else f' at {self.threshold:g} mm/h'}"
        here = f"{self.advantage:+.3f} over {self.reference} in the last {self.days} days"
        if np.isnan(self.p):
            return f"{score} of {self.forecaster}: {here}; too few days to tell"
        relation = "worse than" if self.worse else "no evidence of less than"
        return f"{score} of {self.forecaster}: {here}, {relation} {self.since} ({self.promised:+.3f}; p = {self.p:.2g})"


def drift(
    scores: str | Path | Iterable[ScoreRow],
    days: int = DAYS,
    *,
    until: np.datetime64 | None = None,
    promise: Verification | None = None,
) -> list[Drift]:
    """Judge the last `days` of scores, up to and with the day `until`, by default the newest: of each forecaster that was issued
    and has a fallback beside. `promise` is an evaluation of the model, whose first forecaster it is; without it the days before
    are taken. Those that are `worse` come first. Raises `DataError` for a file of something else."""
    rows = read_scores(scores) if isinstance(scores, str | Path) else scores
    every = pooled(daily_sums(rows))
    recent = last_days(every, days, until)
    findings = []
    for place, sums in recent.items():
        if place.issued != place.forecaster:
            continue
        reference = next((each for name in REFERENCES if (each := place._replace(forecaster=name)) in recent), None)
        if reference is None or reference == place or metric_of(place.score).better == "neither":
            continue
        now = Advantage.of(metric_of(place.score), sums, recent[reference])
        findings.append(_finding(place, reference, now, Advantage.nothing(), "the fallback itself"))
        before = _promised(promise, place, reference) or _before(every, place, reference, sums.days[0])
        if before is not None:
            findings.append(_finding(place, reference, now, *before))
    corrected = holm([finding.p for finding in findings])
    findings = [replace(finding, p=p) for finding, p in zip(findings, corrected, strict=True)]
    return sorted(findings, key=lambda finding: not finding.worse)


@dataclass(frozen=True)
class Advantage:
    """An advantage, the standard deviation of its bootstrap, and the number of blocks with a value."""

    value: float
    spread: float
    blocks: int

    @classmethod
    def nothing(cls) -> Advantage:
        """That of a reference over itself, which is known."""
        return cls(0.0, 0.0, sys.maxsize)

    @classmethod
    def of(cls, metric: Metric, one: DaySums, other: DaySums) -> Advantage:
        """That of one forecaster over another, on the days of both."""
        days = np.intersect1d(one.days, other.days)
        tables = [each.of(np.isin(each.days, days)).table for each in (one, other)]
        return cls.of_tables(metric, tables, np.arange(len(days)))

    @classmethod
    def of_tables(cls, metric: Metric, tables: list[np.ndarray], blocks: np.ndarray) -> Advantage:
        """That of the sums `(K, N)` of one over those of another, in `blocks (N,)`."""
        known = np.all([blocks_with_value(metric.formula, table, blocks) for table in tables], axis=0)
        counts = draw_blocks(blocks)
        values = [metric.formula(table.sum(1)) for table in tables]
        repeats = [metric.formula(resample(table, blocks, counts)) for table in tables]
        differences = advantage(metric, *repeats)
        differences = differences[np.isfinite(differences)]
        spread = float(differences.std(ddof=1)) if len(differences) > 1 else float("nan")
        return cls(float(advantage(metric, *values)), spread, int(known.sum()))


def advantage(metric: Metric, value: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The advantage of `value` over `reference`; NaN where it is undefined."""
    value, reference = np.asarray(value), np.asarray(reference)
    if metric.better == "higher":
        return np.asarray(value - reference)
    share = np.divide(value, reference, out=np.full(np.shape(value), np.nan), where=reference > 0)
    return np.asarray(1 - share)


def _finding(place: Place, reference: Place, now: Advantage, then: Advantage, since: str) -> Drift:
    """The test of one advantage against another: of one side, by Student's t."""
    p = float("nan")
    fewest = min(now.blocks, then.blocks)
    spread = float(np.hypot(now.spread, then.spread))
    lower = now.value - then.value
    if fewest >= FEWEST and np.isfinite([lower, spread]).all():
        two_sided = student_p(lower, spread, fewest) if spread > 0 else float(lower == 0)
        p = two_sided / 2 if lower < 0 else 1 - two_sided / 2
    return Drift(
        forecaster=place.forecaster,
        reference=reference.forecaster,
        score=place.score,
        threshold=place.threshold,
        advantage=now.value,
        promised=then.value,
        since=since,
        p=p,
        days=now.blocks,
    )


def _before(
    every: Mapping[Place, DaySums], place: Place, reference: Place, first: np.datetime64
) -> tuple[Advantage, str] | None:
    """The advantage in the days before `first`; None without any."""
    parts = [each.of(each.days < first) for each in (every[place], every[reference])]
    if min(len(part.days) for part in parts) == 0:
        return None
    days = len(np.intersect1d(parts[0].days, parts[1].days))
    return Advantage.of(metric_of(place.score), *parts), f"in the {days} days before"


def _promised(promise: Verification | None, place: Place, reference: Place) -> tuple[Advantage, str] | None:
    """The advantage of the first forecaster of an evaluation over the reference; None where it has no such score."""
    if promise is None or reference.forecaster not in promise.forecasters[1:]:
        return None
    at = {}
    if place.threshold is not None:
        near = [k for k, rate in enumerate(promise.rates) if np.isclose(rate, place.threshold, rtol=1e-3)]
        if not near:
            return None
        at = {"threshold": near[0]}
    metric = promise.metric(place.score, **at)
    tables = [promise.table(name, metric).sum(2) for name in (promise.forecasters[0], reference.forecaster)]
    return Advantage.of_tables(metric, tables, promise.sums["block"].values), "the evaluation"
