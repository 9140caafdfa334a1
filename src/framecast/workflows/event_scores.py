"""Scores of a model and of baselines by event, and their means over events, as rows of one table.

An event has the scores of its verification, with the claims of `verification.comparison` on the model against each baseline. In
the mean all events count alike. Its interval comes from a bootstrap within each event, so that it is about these events. A claim
on the mean is about new events: the differences of the events are tested by Student's t, and p is corrected for the number of
claims (Holm); with fewer than `FEWEST` events there is none.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from framecast.scores import Metric
from framecast.scores.bootstrap import blocks_with_value, draw_blocks, limits, resample
from framecast.verification.claims import FEWEST, Claim, anchored
from framecast.verification.comparison import overall_claims
from framecast.verification.result import Verification
from framecast.verification.significance import holm, student_p
from framecast.writing import write_text

MEAN = "mean"
"""The name of the mean in the place of an event."""
SCORES = ("mse", "crps", "csi", "brier")
"""The scores of the table; events have theirs at each threshold."""
NAN = float("nan")


@dataclass(frozen=True, kw_only=True)
class EventScore:
    """A score of a forecaster on an event, with its 95 % interval; NaN where it is undefined.

    `difference` is the score of the model minus this one, with its 95 % interval and its corrected p. `verdict` is what can be
    claimed of the model against this forecaster: better, worse, no evidence, no claim (better than extrapolation, but not than
    extrapolation as a probability), too few (blocks, or events of a mean), or undefined; it is empty for the model itself. The
    cases and blocks of a mean are those of all its events.
    """

    event: str
    score: str
    forecaster: str
    value: float
    low: float = NAN
    high: float = NAN
    difference: float = NAN
    difference_low: float = NAN
    difference_high: float = NAN
    p: float = NAN
    verdict: str = ""
    events: int = 1
    cases: int
    blocks: int


@dataclass(frozen=True, kw_only=True)
class LeadScore:
    """A score of a forecaster on an event at one lead time: its number from 1, and its minutes (NaN without a clock)."""

    event: str
    score: str
    forecaster: str
    lead: int
    minutes: float
    value: float
    low: float = NAN
    high: float = NAN


def event_scores(verifications: Mapping[str, Verification]) -> list[EventScore]:
    """The rows of all events, by event, score and forecaster, and those of their mean if there are two or more. The first
    forecaster of a verification is the model."""
    rows = [row for event, verification in verifications.items() for row in _of_event(event, verification)]
    return rows if len(verifications) < 2 else [*rows, *_of_mean(verifications, rows)]


def lead_scores(verifications: Mapping[str, Verification]) -> list[LeadScore]:
    """The scores at each lead time, by event, score, forecaster and lead time."""
    rows = []
    for event, verification in verifications.items():
        leads = verification.sums["lead_time"].values
        minutes = leads / np.timedelta64(1, "m") if leads.dtype.kind == "m" else np.full(len(leads), NAN)
        for metric in _metrics(verification):
            for name in verification.forecasters:
                curve = zip(*verification.curve(name, metric), strict=True)
                rows += [
                    LeadScore(
                        event=event,
                        score=metric.label,
                        forecaster=name,
                        lead=lead,
                        minutes=float(minutes[lead - 1]),
                        value=float(value),
                        low=float(low),
                        high=float(high),
                    )
                    for lead, (value, low, high) in enumerate(curve, 1)
                ]
    return rows


def write_table(rows: Sequence[EventScore] | Sequence[LeadScore], path: Path) -> None:
    """Write rows as a CSV file or, by the suffix of `path`, as JSON; what is undefined is empty, or null. Raises `RunError`."""
    content = [{name: _defined(value) for name, value in asdict(row).items()} for row in rows]
    text = io.StringIO()
    if path.suffix == ".json":
        text.write(json.dumps(content, indent=1) + "\n")
    elif content:
        writer = csv.DictWriter(text, list(content[0]))
        writer.writeheader()
        writer.writerows(content)
    write_text(path, text.getvalue())


def _defined(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _metrics(verification: Verification) -> list[Metric]:
    return [metric for metric in verification.metrics() if metric.name in SCORES]


def _of_event(event: str, verification: Verification) -> list[EventScore]:
    model = verification.forecasters[0]
    claims = {(claim.score, claim.other): claim for claim in overall_claims(verification, [model])}
    rows = []
    for metric in _metrics(verification):
        for name in verification.forecasters:
            score = verification.score(name, metric)
            row = EventScore(
                event=event,
                score=metric.label,
                forecaster=name,
                value=score.value,
                cases=verification.cases,
                blocks=verification.blocks,
            )
            if score.interval is not None:
                row = replace(row, low=score.interval[0], high=score.interval[1])
            rows.append(_with_claim(row, claims.get((metric.label, name))))
    return rows


def _with_claim(row: EventScore, claim: Claim | None) -> EventScore:
    """The row with the claim on the model against its forecaster, if there is one."""
    if claim is None:
        return row
    low, high = claim.interval
    row = replace(row, difference=claim.difference, difference_low=low, difference_high=high)
    return replace(row, p=claim.p, verdict=_verdict(claim))


def _verdict(claim: Claim) -> str:
    """What a claim on the model says, in two words at most."""
    if math.isnan(claim.difference):
        return "undefined"
    if claim.too_few:
        return "too few"
    if claim.withheld:
        return "no claim"
    if claim.winner is None:
        return "no evidence"
    return "better" if claim.winner == claim.one else "worse"


def _of_mean(verifications: Mapping[str, Verification], rows: Sequence[EventScore]) -> list[EventScore]:
    """The means of each score over the events where all forecasters have it, with the claims on them."""
    first = next(iter(verifications.values()))
    by_place = {(row.event, row.score, row.forecaster): row for row in rows}
    names = [name for name in first.forecasters if all(name in each.forecasters for each in verifications.values())]
    means, claims = [], []
    for metric in _metrics(first):
        by_event = {
            event: [by_place[event, metric.label, name] for name in names]
            for event in verifications
            if (event, metric.label, names[0]) in by_place
        }
        known = {event: values for event, values in by_event.items() if all(math.isfinite(row.value) for row in values)}
        columns = list(zip(*known.values(), strict=True)) or [()] * len(names)
        for name, of_events in zip(names, columns, strict=True):
            row = _mean_row(metric.label, name, of_events)
            if known:
                low, high = _interval(metric, name, [verifications[event] for event in known])
                row = replace(row, low=low, high=high)
            means.append(row)
        claims += [_claim(metric, name, columns[0], columns[k]) for k, name in enumerate(names) if k]
    corrected = [replace(claim, p=p) for claim, p in zip(claims, holm([each.p for each in claims]), strict=True)]
    if first.quantity.precipitation:
        corrected = anchored(corrected)
    known_claims = {(claim.score, claim.other): claim for claim in corrected}
    return [_with_claim(row, known_claims.get((row.score, row.forecaster))) for row in means]


def _mean_row(score: str, forecaster: str, rows: Sequence[EventScore]) -> EventScore:
    return EventScore(
        event=MEAN,
        score=score,
        forecaster=forecaster,
        value=float(np.mean([row.value for row in rows])) if rows else NAN,
        events=len(rows),
        cases=sum(row.cases for row in rows),
        blocks=sum(row.blocks for row in rows),
    )


def _claim(metric: Metric, name: str, model: Sequence[EventScore], other: Sequence[EventScore]) -> Claim:
    """The claim on the mean of the model against that of the forecaster `name`, from their rows of the same events, which are
    its independent blocks."""
    count = len(model)
    differences = np.array([one.value - two.value for one, two in zip(model, other, strict=True)])
    values = [float(np.mean([row.value for row in rows])) if rows else NAN for rows in (model, other)]
    interval, p = (NAN, NAN), NAN
    if count > 1:
        mean, spread = float(differences.mean()), float(differences.std()) / math.sqrt(count)
        half = float(student.ppf(0.975, count - 1)) * spread * math.sqrt(count / (count - 1))
        interval = (mean - half, mean + half)
        if count >= FEWEST:
            p = student_p(mean, spread, count) if spread else 1.0
    return Claim(
        score=metric.label,
        one=model[0].forecaster if model else "",
        other=name,
        lead=None,
        values=(values[0], values[1]),
        interval=interval,
        p=p,
        blocks=count,
        cases=sum(row.cases for row in model),
        better=metric.better,
    )


def _interval(metric: Metric, forecaster: str, verifications: Sequence[Verification]) -> tuple[float, float]:
    """The 95 % interval of the mean of a score over these events; NaN if one of them has fewer than two blocks with a value."""
    repeats = []
    for number, verification in enumerate(verifications):
        place = verification.metric(metric.name, **metric.place)
        table, blocks = verification.table(forecaster, place).sum(2), verification.sums["block"].values
        if blocks_with_value(place.formula, table, blocks).sum() < 2:
            return NAN, NAN
        repeats.append(place.formula(resample(table, blocks, draw_blocks(blocks, seed=number))))
    low, high = limits(np.mean(repeats, axis=0))
    return float(low), float(high)
