"""The result in words: better or worse than the best baseline, and how sure that is."""

from __future__ import annotations

from framecast.measures import Measure, event_measure, frame_measure
from framecast.verification import Score, Verification


def verdict(verification: Verification) -> str:
    """One or two sentences on the first forecaster against the others."""
    model, *baselines = verification.forecasters
    if not baselines:
        return f"{model} was verified on {cases(verification)}."
    measures = [frame_measure(verification.convention, score) for score in ("mse", "ssim")]
    if verification.thresholds:
        middle = len(verification.thresholds) // 2
        measures.append(event_measure("csi", middle, verification.rates[middle]))
    judged = [_against(verification, model, baselines, measure) for measure in measures]
    return f"On {cases(verification)}: " + "; ".join(judged) + "."


def cases(verification: Verification) -> str:
    """How much the scores rest on."""
    blocks = "1 independent block" if verification.blocks == 1 else f"{verification.blocks} independent blocks"
    return f"{verification.cases} cases ({blocks})"


def _against(verification: Verification, model: str, baselines: list[str], measure: Measure) -> str:
    """How a model compares with the best of the baselines."""
    ours = verification.score(model, measure)
    theirs = {name: verification.score(name, measure) for name in baselines}
    known = {name: score for name, score in theirs.items() if score.value == score.value}
    if ours.value != ours.value or not known:
        return f"{measure.name} is undefined"
    sign = 1 if measure.lower_is_better else -1
    best = min(known, key=lambda name: sign * known[name].value)
    return _compared(measure, model, ours, best, known[best])


def _compared(measure: Measure, model: str, ours: Score, name: str, theirs: Score) -> str:
    better = (ours.value < theirs.value) == measure.lower_is_better
    word = "equal" if ours.value == theirs.value else "better" if better else "worse"
    if ours.interval and theirs.interval:
        apart = ours.interval[1] < theirs.interval[0] or theirs.interval[1] < ours.interval[0]
        sure = "clearly " if apart else "not clearly "
    else:
        sure = "(without interval) "
    told = f"{ours.value:.3g} against {theirs.value:.3g}"
    return f"{measure.name} of {model} is {sure}{word} {'to' if word == 'equal' else 'than'} that of {name} ({told})"
