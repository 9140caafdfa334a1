"""The result in words: better or worse than the best baseline, and how sure that is."""

from __future__ import annotations

from framecast.verification import Score, Verification

LOWER_IS_BETTER = ("mse", "rmse", "mae", "gdl")


def verdict(verification: Verification) -> str:
    """One or two sentences on the first forecaster against the others."""
    model, *baselines = verification.forecasters
    if not baselines:
        return f"{model} was verified on {cases(verification)}."
    judged = [_against(verification, model, baselines, score) for score in ("mse", "ssim")]
    if verification.thresholds:
        judged.append(_events(verification, model, baselines))
    return f"On {cases(verification)}: " + "; ".join(judged) + "."


def cases(verification: Verification) -> str:
    """How much the scores rest on."""
    blocks = "1 independent block" if verification.blocks == 1 else f"{verification.blocks} independent blocks"
    return f"{verification.cases} cases ({blocks})"


def _against(verification: Verification, model: str, baselines: list[str], score: str) -> str:
    ours = verification.frame(model, score)
    theirs = {name: verification.frame(name, score) for name in baselines}
    lower = score in LOWER_IS_BETTER
    best = min(theirs, key=lambda name: theirs[name].value if lower else -theirs[name].value)
    return _compared(score.upper(), model, ours, best, theirs[best], lower=lower)


def _events(verification: Verification, model: str, baselines: list[str]) -> str:
    middle = len(verification.thresholds) // 2
    ours = verification.event(model, "csi", middle)
    theirs = {name: verification.event(name, "csi", middle) for name in baselines}
    title = f"CSI at {verification.rates[middle]:g} mm/h"
    known = {name: score for name, score in theirs.items() if score.value == score.value}
    if ours.value != ours.value or not known:
        return f"{title} is undefined (no event)"
    best = max(known, key=lambda name: known[name].value)
    return _compared(title, model, ours, best, known[best], lower=False)


def _compared(title: str, model: str, ours: Score, name: str, theirs: Score, *, lower: bool) -> str:
    if ours.value != ours.value or theirs.value != theirs.value:
        return f"{title} is undefined"
    better = ours.value < theirs.value if lower else ours.value > theirs.value
    word = "better" if better else "worse" if ours.value != theirs.value else "equal"
    if ours.interval and theirs.interval:
        apart = ours.interval[1] < theirs.interval[0] or theirs.interval[1] < ours.interval[0]
        sure = "clearly " if apart else "not clearly "
    else:
        sure = "(without interval) "
    return f"{title} of {model} is {sure}{word} than that of {name} ({ours.value:.3g} against {theirs.value:.3g})"
