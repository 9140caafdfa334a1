"""Rows of published tables, run again, and ours beside theirs.

A recipe holds a table: what all rows share, and for each row what differs and the scores that are printed. Scaled down, a
row trains for a share of the iterations, with its curriculum shrunk alike, and is judged on a share of the test sequences: that
shows that it runs and learns, not that the number is reached. Whatever was changed is named beside the numbers, and nothing is
said of them then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from rich.console import Console

from framecast.checks import positive
from framecast.config.experiment import Experiment
from framecast.config.parsing import plain
from framecast.config.recipes import published_scores, read, rows
from framecast.errors import ArgumentError, ConfigError
from framecast.training import resume, train
from framecast.training.run_folder import check_unchanged, read_experiment
from framecast.training.two_stage import second_stage
from framecast.verification.metrics import direction
from framecast.verification.result import Score
from framecast.workflows.evaluation import evaluate

CLOSE = 0.05
"""A score within this share of the printed one counts as reached."""
CASES, LEAST_CASES = 1_000, 20
"""How many test windows a share of the training is judged by: this share of the first, never fewer than the second."""
FREE = (
    "data.path",
    "data.images",
    "model*.segment",
    *(f"training.{name}" for name in ("seed", "workers", "max_skipped", "log_every", "checkpoint_every")),
    *(f"training.{name}" for name in ("accelerator", "strategy", "compile", "graph", "deterministic", "mlflow")),
)
"""Settings that no paper prints: where things lie, and how the machine computes the same."""


@dataclass(frozen=True)
class Reproduced:
    """A score of a row: `ours`, None where it is not computed here, and what is printed, `theirs`. `changes` are the settings in
    which ours is not the row of the recipe, each in words."""

    row: str
    score: str
    ours: Score | None
    theirs: float
    changes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """In words."""
        if self.ours is None:
            return "not computed"
        if self.changes:
            return f"not comparable: {', '.join(self.changes)}"
        change = self.ours.value / self.theirs - 1
        if abs(change) <= CLOSE:
            return "reached"
        better = direction(self.score)
        if better not in ("lower", "higher"):
            return f"{abs(change):.0%} {'above' if change > 0 else 'below'}"
        return f"{abs(change):.0%} {'better' if (change > 0) == (better == 'higher') else 'worse'}"


def reproduce(
    recipe: str | Path,
    overrides: Sequence[str] = (),
    *,
    scale: float = 1.0,
    out: str | Path = "runs/reproduced",
    console: Console | None = None,
) -> list[Reproduced]:
    """Train and verify the rows of `recipe` ("file.yaml", or "file.yaml#row" for one) that have printed scores.

    `overrides` are "key=value". Runs are kept in `out`, one folder a row; those that are finished are not trained again,
    interrupted ones go on. Returns ours beside the printed one for each score of each row. Raises `ConfigError` where no row has
    printed scores or `scale` is not above 0 and at most 1, and what `train` and `evaluate` raise.
    """
    if not positive(scale) or scale > 1:
        raise ArgumentError(f"{scale} is not above 0 and at most 1", parameter="scale")
    file, _, row = str(recipe).partition("#")
    if row:
        read(str(recipe))  # what is misspelt is said first
    names = [name for name in ([row] if row else rows(file)) if published_scores(file, name)]
    if not names:
        raise ConfigError("no printed scores to compare with", where=str(recipe))
    results = []
    for name in names:
        paper = dict(published_scores(file, name))
        convention, horizon = str(paper.pop("convention", "default")), paper.pop("horizon", None)
        whole, experiment = read(f"{file}#{name}"), scaled(read(f"{file}#{name}", overrides), scale)
        run = _trained(experiment, Path(out) / Path(file).stem / name, console)
        if run is None:
            break
        limit = None if scale == 1 else max(round(scale * CASES), LEAST_CASES)
        verification = evaluate(run, convention=convention, horizon=horizon, limit=limit)
        changes = changed(whole, experiment)
        if verification.cases == limit:
            changes.append(f"{limit} test windows only")
        for score, value in paper.items():
            known = score in {metric.name for metric in verification.metrics("frame")}
            ours = verification.frame(verification.forecasters[0], score) if known else None
            results.append(Reproduced(name, score, ours, float(value), tuple(changes)))
    return results


def changed(whole: Experiment, ours: Experiment) -> list[str]:
    """In words, each setting that decides the result and in which `ours` is not the row of the recipe, `whole`."""
    before, after = _flat(plain(whole)), _flat(plain(ours))
    found = [
        f"{key} {before.get(key, 'absent')} -> {after.get(key, 'absent')}"
        for key in {**before, **after}
        if before.get(key, "absent") != after.get(key, "absent") and not any(fnmatch(key, free) for free in FREE)
    ]
    return [*found, "data.images MNIST -> bundled"] if after.get("data.images") == "bundled" else found


def _flat(settings: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Settings by their full names: data.path, model.hidden, ..."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= _flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return found


def _trained(experiment: Experiment, out: Path, console: Console | None) -> Path | None:
    """The folder of the finished run; None where it was interrupted."""
    if not out.exists():
        train(experiment, out=out, console=console)
    else:
        check_unchanged(out, second_stage(experiment, out)[0])
        if (length := read_experiment(out).training.iterations) != experiment.training.iterations:
            raise ConfigError(
                f"a run of {length} iterations is here, not of {experiment.training.iterations}",
                where=out,
                remedy="name another folder",
                parameter="out",
            )
        if not (out / "last").is_dir():
            resume(out, console=console)
    return out if (out / "last").is_dir() else None


def scaled(experiment: Experiment, scale: float) -> Experiment:
    """The experiment with a share of its training and its curriculum."""
    training = replace(experiment.training, iterations=max(round(experiment.training.iterations * scale), 1))
    return replace(experiment, training=training, curriculum=experiment.curriculum.scaled(scale))
