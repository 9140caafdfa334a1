"""The verdict of a report: a few sentences on a forecaster against the best baseline, from the claims of `comparison`."""

from __future__ import annotations

import numpy as np

from framecast.verification.claims import Claim, describe_blocks
from framecast.verification.comparison import overall_claims
from framecast.verification.result import Verification


def verdict(verification: Verification) -> str:
    """A few sentences on the first forecaster against the others."""
    model, *baselines = verification.forecasters
    if not baselines:
        return f"{model} was verified on {cases(verification)}."
    metrics = [verification.metric(score) for score in ("mse", "ssim")]
    if verification.thresholds:
        middle = len(verification.thresholds) // 2
        metrics += [verification.metric(score, threshold=middle) for score in ("csi", "brier")]
    claims = overall_claims(verification, [model])
    verdicts = [_against_best(metric.label, claims) for metric in metrics]
    return f"On {cases(verification)}. {'. '.join(verdicts)}."


def cases(verification: Verification) -> str:
    """The numbers of cases and of independent blocks as text."""
    count = "1 case" if verification.cases == 1 else f"{verification.cases} cases"
    return f"{count} ({describe_blocks(verification.blocks)})"


def _against_best(score: str, claims: list[Claim]) -> str:
    """The claim on a model against the best baseline in a score, as a sentence."""
    of_score = [claim for claim in claims if claim.score == score]
    known = [claim for claim in of_score if not np.isnan(claim.difference)]
    if not known:
        return f"{score} is undefined"
    return min(known, key=lambda claim: claim.values[1] if claim.better == "lower" else -claim.values[1]).verdict
