"""The result in words: what can be claimed of a forecaster against the best baseline, by the rule of `comparison`."""

from __future__ import annotations

import numpy as np

from framecast.verification.comparison import Claim, independent, over_all_leads
from framecast.verification.metrics import event_measure, frame_measure
from framecast.verification.result import Verification


def verdict(verification: Verification) -> str:
    """A few sentences on the first forecaster against the others."""
    model, *baselines = verification.forecasters
    if not baselines:
        return f"{model} was verified on {cases(verification)}."
    measures = [frame_measure(verification.convention, score) for score in ("mse", "ssim")]
    if verification.thresholds:
        middle = len(verification.thresholds) // 2
        measures.append(event_measure("csi", middle, verification.rates[middle]))
    claims = over_all_leads(verification, [model])
    judged = [_against_best(measure.name, claims) for measure in measures]
    return f"On {cases(verification)}. {'. '.join(judged)}."


def cases(verification: Verification) -> str:
    """How much the scores rest on."""
    count = "1 case" if verification.cases == 1 else f"{verification.cases} cases"
    return f"{count} ({independent(verification.blocks)})"


def _against_best(score: str, claims: list[Claim]) -> str:
    """How a model compares with the best of the baselines, by the claims on it."""
    found = [claim for claim in claims if claim.score == score]
    known = [claim for claim in found if not np.isnan(claim.difference)]
    if not known:
        return f"{score} is undefined"
    return min(known, key=lambda claim: claim.values[1] if claim.lower_is_better else -claim.values[1]).verdict
