"""Reproduces rows of published tables: trains and verifies them, and compares our scores with the published ones.

A recipe holds a table: the settings that all rows share, and for each row its own settings and its published scores. With a
scale below 1, a row trains for a fraction of the iterations, with its curriculum shortened in proportion, and is verified on a
fraction of the test sequences. That shows that the row runs and learns, not that it reaches the published score: a changed
setting is listed with the scores, which then are not compared. This module writes run folders below `out` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from rich.console import Console

from framecast.checks import is_positive
from framecast.config.experiment import Experiment
from framecast.config.parsing import flatten, plain
from framecast.config.recipes import origins, published_scores, read, rows
from framecast.errors import ArgumentError, ConfigError, Interrupted
from framecast.training import resume, train
from framecast.training.run_folder import EXPERIMENT, check_unchanged, read_experiment
from framecast.training.two_stage import second_stage
from framecast.verification.metrics import direction
from framecast.verification.result import Score
from framecast.verification.settings import EvaluationSettings
from framecast.workflows.evaluation import evaluate

CLOSE = 0.05
"""A score within this fraction of the published one is reached."""
CASES, MIN_CASES = 1_000, 20
"""The test windows of a scaled run: the scale times the first, at least the second."""
_DEFAULTS: dict[str, Any] = {"convention": "default", "horizon": None}
FREE = (
    "data.path",
    "data.images",
    "model*.segment",
    *(f"training.{name}" for name in ("seed", "workers", "max_skipped", "log_every", "checkpoint_every")),
    *(f"training.{name}" for name in ("accelerator", "strategy", "compile", "graph", "deterministic", "mlflow")),
)
"""Settings that no paper publishes and that do not decide the result: paths, and how the machine computes."""


@dataclass(frozen=True)
class ReproducedScore:
    """A score of a row: `ours`, None if it is not computed, and the `published` one. `changes` describe the settings in which
    our run differs from the row of the recipe; `origin` tells for each group of settings of that row whose it is: the
    paper's, the released script's or ours."""

    row: str
    score: str
    ours: Score | None
    published: float
    changes: tuple[str, ...] = ()
    origin: dict[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """Whether the published score is reached, in words."""
        if self.ours is None:
            return "not computed"
        if self.changes:
            return f"not comparable: {', '.join(self.changes)}"
        if self.published == 0:
            return "reached" if self.ours.value == 0 else "not comparable: published as 0"
        difference = self.ours.value / self.published - 1
        if abs(difference) <= CLOSE:
            return "reached"
        better = direction(self.score)
        if better not in ("lower", "higher"):
            return f"{abs(difference):.0%} {'above' if difference > 0 else 'below'}"
        return f"{abs(difference):.0%} {'better' if (difference > 0) == (better == 'higher') else 'worse'}"


def reproduce(
    recipe: str | Path,
    overrides: Sequence[str] = (),
    *,
    scale: float = 1.0,
    out: str | Path = "runs/reproduced",
    console: Console | None = None,
) -> list[ReproducedScore]:
    """Train and verify the rows of `recipe` ("file.yaml", or "file.yaml#row" for one row) that have published scores.

    `overrides` are "key=value". `scale` is the fraction of the published iterations. Each row has a run folder in `out`; a
    finished run is not trained again, an interrupted one is resumed. Returns our score and the published one for each score of
    each row. Raises `ConfigError` if no row has published scores, or if `scale` is not above 0 and at most 1, `Interrupted`
    if training is, and the errors of `train` and `evaluate`.
    """
    # Check the arguments, before a row trains.
    if not is_positive(scale) or scale > 1:
        raise ArgumentError(f"{scale} is not above 0 and at most 1", parameter="scale")
    file, _, row = str(recipe).partition("#")
    if row:
        read(str(recipe))  # raises for a misspelt row
    names = [name for name in ([row] if row else rows(file)) if published_scores(file, name)]
    if not names:
        raise ConfigError("no published scores to compare with", where=str(recipe))
    for name in names:  # raises for what no evaluation takes
        stated = {**_DEFAULTS, **published_scores(file, name)}
        EvaluationSettings(convention=stated["convention"], horizon=stated["horizon"])
    results: list[ReproducedScore] = []
    # Row by row: settings, training, verification, comparison.
    for name in names:
        paper = dict(published_scores(file, name))
        convention, horizon = (paper.pop(key, default) for key, default in _DEFAULTS.items())
        original, experiment = read(f"{file}#{name}"), scale_experiment(read(f"{file}#{name}", overrides), scale)
        run = train_row(experiment, Path(out) / Path(file).stem / name, console)
        if run is None:
            raise Interrupted(
                f"training of {name} was interrupted, and {len(results)} scores were compared before; everything is saved",
                where=str(out),
                remedy="run the same again: finished rows are not trained again",
            )
        limit = None if scale == 1 else max(round(scale * CASES), MIN_CASES)
        verification = evaluate(run, convention=convention, horizon=horizon, limit=limit)
        changes = setting_changes(original, experiment)
        if verification.cases == limit:
            changes.append(f"{limit} test windows only")
        for score, value in paper.items():
            known = score in {metric.name for metric in verification.metrics("frame")}
            ours = verification.frame(verification.forecasters[0], score) if known else None
            results.append(ReproducedScore(name, score, ours, float(value), tuple(changes), origins(file, name)))
    return results


def setting_changes(original: Experiment, ours: Experiment) -> list[str]:
    """Describe each setting that decides the result and in which `ours` differs from the `original`, the row of the recipe."""
    before, after = flatten(plain(original)), flatten(plain(ours))
    changes = [
        f"{key} {before.get(key, 'absent')} -> {after.get(key, 'absent')}"
        for key in {**before, **after}
        if before.get(key, "absent") != after.get(key, "absent") and not any(fnmatch(key, free) for free in FREE)
    ]
    return [*changes, "data.images MNIST -> bundled"] if after.get("data.images") == "bundled" else changes


def train_row(experiment: Experiment, out: Path, console: Console | None) -> Path | None:
    """Train a row in the folder `out`, or resume it. Returns the folder of the finished run; None if it was interrupted. Raises
    `ConfigError` if the folder holds a run with other settings."""
    if not (out / EXPERIMENT).is_file():
        train(experiment, out=out, console=console)
    else:
        check_row(experiment, out)
        if not (out / "last").is_dir():
            resume(out, console=console)
    return out if (out / "last").is_dir() else None


def check_row(experiment: Experiment, out: Path) -> None:
    """Raise `ConfigError` if the run in the folder `out` is not one of `experiment`, its length included."""
    check_unchanged(out, second_stage(experiment, out)[0])
    if (length := read_experiment(out).training.iterations) != experiment.training.iterations:
        raise ConfigError(
            f"it holds a run of {length} iterations, expected {experiment.training.iterations}",
            where=out,
            remedy="choose another folder",
            parameter="out",
        )


def scale_experiment(experiment: Experiment, scale: float) -> Experiment:
    """The experiment with a fraction `scale` of its iterations, its curriculum and its schedule of the learning rate."""
    training = replace(experiment.training, iterations=max(round(experiment.training.iterations * scale), 1))
    return replace(
        experiment,
        training=training,
        curriculum=experiment.curriculum.scaled(scale),
        optimiser=experiment.optimiser.scaled(scale),
    )
