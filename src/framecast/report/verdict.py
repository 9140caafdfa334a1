"""The result in words: what can be claimed of a forecaster against the best baseline, by the rule of `comparison`."""

from __future__ import annotations

import numpy as np

from framecast.verification.comparison import Claim, independent, over_all_leads
from framecast.verification.result import Verification


def verdict(verification: Verification) -> str:
    """A few sentences on the first forecaster against the others."""
    model, *baselines = verification.forecasters
    if not baselines:
        return f"{model} was verified on {cases(verification)}."
    metrics = [verification.metric(score) for score in ("mse", "ssim")]
    if verification.thresholds:
        metrics.append(verification.metric("csi", threshold=len(verification.thresholds) // 2))
    claims = over_all_leads(verification, [model])
    judged = [_against_best(metric.label, claims) for metric in metrics]
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
    return min(known, key=lambda claim: claim.values[1] if claim.better == "lower" else -claim.values[1]).verdict
