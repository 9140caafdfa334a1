"""The answer of a report: one sentence that a forecaster would say, from the claims of `comparison`, and marks for its tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from framecast.errors import counted
from framecast.scores import Metric
from framecast.verification.claims import FEWEST, LEVEL, Claim, describe_blocks
from framecast.verification.comparison import Comparison, claims_by_lead, overall_claims
from framecast.verification.result import Verification
from framecast.verification.score_table import lead_times


class Finding(NamedTuple):
    """What can be said of a forecaster against the best other one in a score: `relation` is better, worse, unclear (no difference
    can be told) or undefined, at the lead times that `extent` names."""

    score: str
    other: str
    relation: str
    extent: str


def verdict(verification: Verification) -> str:
    """One sentence on the first forecaster against the best of the others, then what it rests on."""
    model, *others = verification.forecasters
    if not others:
        return f"{model} was verified on {cases(verification)}; there is no other forecaster to compare it with."
    findings = find(verification, model)
    basis = f"{cases(verification)[:1].upper()}{cases(verification)[1:]}"
    if verification.blocks < FEWEST:
        text = f"In these cases, {_sentence(model, findings, certain=False)}"
        return f"{text}. {basis} are too few to claim it of others: at least {FEWEST} blocks are needed."
    text = _sentence(model, findings, certain=True)
    level = f"differences are claimed at p below {LEVEL:g}, corrected for their number"
    return f"{text}. {basis}; {level}."


def cases(verification: Verification) -> str:
    """The numbers of cases and of independent blocks as text."""
    count = counted(verification.cases, "case")
    return f"{count} ({describe_blocks(verification.blocks)})"


def find(verification: Verification, model: str) -> list[Finding]:
    """The findings on a forecaster in the scores that say most."""
    labels = [metric.label for metric in key_metrics(verification)]
    overall = [claim for claim in overall_claims(verification, [model]) if claim.score in labels]
    by_lead = claims_by_lead(verification, [model], labels)
    return [_finding(verification, model, label, overall, by_lead) for label in labels]


def key_metrics(verification: Verification) -> list[Metric]:
    """MSE, and for rain CSI and Brier score of the middle threshold, for images SSIM."""
    if not verification.thresholds:
        return [verification.metric(name) for name in ("mse", "ssim")]
    middle = len(verification.thresholds) // 2
    events = [verification.metric(name, threshold=middle) for name in ("csi", "brier")]
    return [verification.metric("mse"), *events]


def _finding(
    verification: Verification, model: str, label: str, overall: Sequence[Claim], by_lead: Sequence[Claim]
) -> Finding:
    known = [claim for claim in overall if claim.score == label and not np.isnan(claim.difference)]
    if not known:
        return Finding(label, "", "undefined", "")
    best = max(known, key=lambda claim: _sign(claim) * claim.values[claim.one == model])
    other = best.other if best.one == model else best.one
    leads = [claim for claim in by_lead if claim.score == label and {claim.one, claim.other} == {model, other}]
    few = verification.blocks < FEWEST
    ahead = [_leader(claim) if few else claim.winner for claim in leads]
    leader = _leader(best) if few else best.winner
    for relation, name in (("better", model), ("worse", other)):
        won = [each == name for each in ahead]
        if leader == name or (leader is None and any(won)):
            return Finding(label, other, relation, _extent(verification, won))
    return Finding(label, other, "unclear", "")


def _sign(claim: Claim) -> int:
    return -1 if claim.better == "lower" else 1


def _leader(claim: Claim) -> str | None:
    """Who has the better value, whether or not that can be claimed."""
    gain = _sign(claim) * claim.difference
    return None if np.isnan(gain) or gain == 0 else claim.one if gain > 0 else claim.other


def _extent(verification: Verification, won: Sequence[bool]) -> str:
    """The lead times at which something holds, as words."""
    leads, units = lead_times(verification.sums)
    held = np.flatnonzero(won)
    if len(held) == len(won):
        return "at every lead time" if len(won) > 1 else f"at {leads[0]:g} {units}"
    if not len(held):
        return "over all lead times together"
    if held[-1] - held[0] + 1 != len(held):
        return f"at {len(held)} of {len(won)} lead times"
    first, last = leads[held[0]], leads[held[-1]]
    if held[0] == 0:
        return f"up to {last:g} {units} ahead"
    return f"from {first:g} {units} on" if held[-1] == len(won) - 1 else f"from {first:g} to {last:g} {units}"


def _sentence(model: str, findings: Sequence[Finding], *, certain: bool) -> str:
    """The findings as one sentence, those of one relation to one forecaster together."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault(
            (finding.relation, finding.other if finding.relation in ("better", "worse") else ""), []
        ).append(finding)
    parts = []
    for (relation, other), alike in groups.items():
        if relation in ("better", "worse"):
            extents = dict.fromkeys(each.extent for each in alike)
            where = join(
                [f"in {join([each.score for each in alike if each.extent == extent])} {extent}" for extent in extents]
            )
            parts.append(f"{'is' if certain else 'was'} {relation} than {other}, the best other forecaster, {where}")
    if unclear := groups.get(("unclear", "")):
        scores = join([each.score for each in unclear])
        parts.append(f"cannot be told from the best other forecaster in {scores}")
    if undefined := groups.get(("undefined", "")):
        parts.append(f"has no value of {join([each.score for each in undefined])}")
    return f"{model} {'; it '.join(parts)}"


def join(parts: Sequence[str]) -> str:
    """Parts as a list in words."""
    return "" if not parts else parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def marks(verification: Verification) -> dict[tuple[str, str], str]:
    """Which cells of a table of scores over all lead times are marked, by the label of the score and the forecaster: "best" where
    the first forecaster is claimed to be better than all others, "ahead" where another is claimed to be better than it."""
    model, *others = verification.forecasters
    marked: dict[tuple[str, str], str] = {}
    claims: dict[str, list[Claim]] = {}
    for claim in overall_claims(verification, [model]) if others else []:
        claims.setdefault(claim.score, []).append(claim)
    for score, of_score in claims.items():
        winners = [claim.winner for claim in of_score]
        if all(winner == model for winner in winners):
            marked[score, model] = "best"
        marked |= {(score, winner): "ahead" for winner in winners if winner not in (None, model)}
    return marked


def comparison_marks(comparison: Comparison) -> dict[tuple[str, str], str]:
    """The marks of a comparison: "best" where a forecaster is claimed to be better than every other."""
    names = comparison.verification.forecasters
    wins: dict[tuple[str, str], int] = {}
    for claim in comparison.overall:
        if claim.winner is not None:
            wins[claim.score, claim.winner] = wins.get((claim.score, claim.winner), 0) + 1
    return {place: "best" for place, count in wins.items() if count == len(names) - 1}


def comparison_lines(comparison: Comparison) -> list[str]:
    """What a comparison says, in few lines: for each candidate a sentence, then a line for each pair."""
    verification = comparison.verification
    candidates = comparison.candidates if len(verification.forecasters) > 1 else ()
    few = verification.blocks < FEWEST
    sentences = [_sentence(name, find(verification, name), certain=not few) for name in candidates]
    if few:
        number = f"{describe_blocks(verification.blocks)} {'is' if verification.blocks == 1 else 'are'} too few to tell"
        none = f"No difference can be claimed: {number}; a claim needs at least {FEWEST}."
        return [none, *(f"In these cases, {sentence}." for sentence in sentences)]
    pairs: dict[tuple[str, str], list[Claim]] = {}
    for claim in comparison.overall:
        pairs.setdefault((claim.one, claim.other), []).append(claim)
    return [*(f"{sentence}." for sentence in sentences), *(_pair_line(pair, claims) for pair, claims in pairs.items())]


def _pair_line(pair: tuple[str, str], claims: Sequence[Claim]) -> str:
    """What is claimed of a pair over all lead times."""
    parts = []
    for name in pair:
        if scores := [claim.score for claim in claims if claim.winner == name]:
            parts.append(f"{name} is better in {join(scores)}")
    if rest := sum(claim.winner is None for claim in claims):
        other = "other " if parts else ""
        parts.append(f"no difference is claimed in {rest} {other}{'score' if rest == 1 else 'scores'}")
    return f"{pair[0]} and {pair[1]}: {'; '.join(parts)}."
