"""Drift: whether the last days are worse than was promised, by a test that a wet day does not trigger.

A score itself says little: on a wet day every forecast has a larger error. What is judged is the advantage over a reference on
the same forecasts: over extrapolation as a probability, else the strongest fallback that stands beside. Of a score that is better
low the advantage is 1 - score / score of the reference, of one that is better high the difference. Days are the independent
blocks, and a bootstrap over them gives the uncertainty.

Two things are promised. A model is issued because it is better than what needs no training: a finding is that it is worse
(`below the fallback`). And its advantage is as large as it was: that of an evaluation or of its card, where there is one, else
that of the days before (`below the promise`). The p values, of one side, are corrected for the number of tests (Holm); with
fewer than `FEWEST` days with events there is no test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from framecast.checks import refuses_arrays
from framecast.scores import Metric
from framecast.verification.claims import FEWEST, HONEST_ANCHOR
from framecast.verification.promise import Advantage, EvaluationPromise, Promise
from framecast.verification.result import Verification
from framecast.verification.score_rows import ScoreRow, metric_of
from framecast.verification.score_store import DaySums, Place, daily_sums, rows_of
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

    def plain(self) -> dict[str, Any]:
        """The finding as plain data; numbers that are not known are None."""
        values = {
            key: None if isinstance(value, float) and np.isnan(value) else value for key, value in asdict(self).items()
        }
        return {**values, "worse": bool(self.worse), "message": self.message}


@refuses_arrays
def drift(
    scores: str | Path | Iterable[ScoreRow],
    days: int = DAYS,
    *,
    until: np.datetime64 | None = None,
    promise: Verification | Promise | None = None,
) -> list[Drift]:
    """Judge the last `days` of scores, up to and with the day `until`, by default the newest: of each forecaster that was issued
    and has a fallback beside. `promise` is an evaluation of the model, whose first forecaster it is, or what `promise_of` gives;
    where that says nothing of a score, reference or lead time, the days before are taken. Those that are `worse` come first.
    Raises `DataError` for a file of something else."""
    rows = rows_of(scores)
    if isinstance(promise, Verification):
        promise = EvaluationPromise(promise)
    by_lead = daily_sums(rows)
    every = pooled(by_lead)
    recent, recent_by_lead = last_days(every, days, until), last_days(by_lead, days, until)
    findings = []
    for place, sums in recent.items():
        if place.issued != place.forecaster:
            continue
        reference = next((each for name in REFERENCES if (each := place._replace(forecaster=name)) in recent), None)
        if reference is None or reference == place or metric_of(place.score).better == "neither":
            continue
        now = _between(metric_of(place.score), sums, recent[reference])
        findings.append(_finding(place, reference, now, Advantage.nothing(), "the fallback itself"))
        leads = {each.lead for each in recent_by_lead if each._replace(lead=None) == place}
        before = _promised(promise, place, reference, leads) or _before(every, place, reference, sums.days[0])
        if before is not None:
            findings.append(_finding(place, reference, now, *before))
    corrected = holm([finding.p for finding in findings])
    findings = [replace(finding, p=p) for finding, p in zip(findings, corrected, strict=True)]
    return sorted(findings, key=lambda finding: not finding.worse)


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
    return _between(metric_of(place.score), *parts), f"in the {days} days before"


def _between(metric: Metric, one: DaySums, other: DaySums) -> Advantage:
    """The advantage of one forecaster over another, on the days of both."""
    days = np.intersect1d(one.days, other.days)
    tables = [each.of(np.isin(each.days, days)).table for each in (one, other)]
    return Advantage.of_tables(metric, tables, np.arange(len(days)))


def _promised(
    promise: Promise | None, place: Place, reference: Place, leads: set[float | None]
) -> tuple[Advantage, str] | None:
    """The advantage over the reference that is promised at these lead times, and by what; None without."""
    if promise is None or place.forecaster in REFERENCES:  # the promise is that of the model
        return None
    known = [lead for lead in leads if lead is not None]
    promised = promise.over(reference.forecaster, metric_of(place.score), place.threshold, known)
    return None if promised is None else (promised, f"promised by {promise.source}")
