"""Reproduces rows of published tables: trains and verifies them, and compares our scores with the published ones.

A recipe holds a table: the settings that all rows share, and for each row its own settings and its published scores. With a
scale below 1, a row trains for a fraction of the iterations, with its curriculum shortened in proportion, and is verified on a
fraction of the test sequences. That shows that the row runs and learns, not that it reaches the published score: a changed
setting is listed with the scores, which then are not compared. This module writes run folders below `out` only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path

from rich.console import Console

from framecast.checks import as_tuple, is_positive, refuses_arrays
from framecast.config.experiment import Experiment
from framecast.config.parsing import flatten, plain
from framecast.config.recipes import Published, origins, published, read, rows
from framecast.errors import ArgumentError, ConfigError, Interrupted, ParameterFormat, format_keyword
from framecast.scores.metric import Better
from framecast.training import resume, train
from framecast.training.run_folder import EXPERIMENT, check_unchanged, read_experiment
from framecast.training.two_stage import first_stage_beside, second_stage
from framecast.verification.metrics import direction
from framecast.verification.perceptual_weights import PerceptualWeights
from framecast.verification.result import Score
from framecast.verification.settings import EvaluationSettings
from framecast.workflows.evaluation import evaluate
from framecast.workflows.printed import Outcome, Way, find_way, levels_of
from framecast.workflows.samples import draw_samples

CLOSE = 0.05
"""A score within this fraction of the published one is reached; one in decibels, if what they are of is."""
_CLOSE_IN_DECIBELS = 10 * math.log10(1 + CLOSE)
CASES, MIN_CASES = 1_000, 20
"""The test windows of a scaled run: the scale times the first, at least the second."""
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
    paper's, the released script's or ours.

    `title` names the score with its units, `better` is the direction in which it is better, by default that of the metric of
    its name. `why` is the reason why ours is not computed, `needs` the parameter whose files it needs. `reason` says why the
    publication leaves open how to compare, and `how` how ours was computed, where that needs a word."""

    row: str
    score: str
    ours: Score | None
    published: float
    changes: tuple[str, ...] = ()
    origin: dict[str, str] = field(default_factory=dict)
    title: str = ""
    better: Better | None = None
    decibels: bool = False
    why: str = ""
    needs: str | None = None
    reason: str = ""
    how: str = ""

    @property
    def direction(self) -> Better | None:
        """The direction in which it is better, None where that is not known."""
        return self.better or direction(self.score)

    @property
    def arrow(self) -> str:
        """The same, as an arrow."""
        return {"lower": "↓", "higher": "↑"}.get(str(self.direction), "")

    @property
    def tolerance(self) -> str:
        """The difference within which the published score is reached, as text."""
        return f"{_CLOSE_IN_DECIBELS:.1g} dB" if self.decibels else f"{CLOSE:.0%}"

    @property
    def verdict(self) -> str:
        """Whether the published score is reached, in words."""
        return self.judge()

    def judge(self, format_parameter: ParameterFormat = format_keyword) -> str:
        """The verdict, in which a parameter is named as `format_parameter` does."""
        if self.ours is None:
            files = f" ({format_parameter(self.needs, 'FILE')})" if self.needs else ""
            return f"not computed{f': {self.why}' if self.why else ''}{files}"
        reasons = [*self.changes, *filter(None, [self.reason])]
        if reasons:
            return f"not comparable: {', '.join(reasons)}"
        if self.published == 0:
            return "reached" if self.ours.value == 0 else "not comparable: published as 0"
        if self.ours.value != self.ours.value:
            return "not comparable: ours is undefined"
        difference = self.ours.value / self.published - 1
        off = abs(self.ours.value - self.published)
        if off <= _CLOSE_IN_DECIBELS if self.decibels else abs(difference) <= CLOSE:
            return "reached"
        if self.direction not in ("lower", "higher"):
            return f"{abs(difference):.0%} {'above' if difference > 0 else 'below'}"
        return f"{abs(difference):.0%} {'better' if (difference > 0) == (self.direction == 'higher') else 'worse'}"


@refuses_arrays
def reproduce(
    recipe: str | Path,
    overrides: Sequence[str] = (),
    *,
    scale: float = 1.0,
    out: str | Path = "runs/reproduced",
    console: Console | None = None,
    lpips: Sequence[str | Path] = (),
    fvd: str | Path | None = None,
) -> list[ReproducedScore]:
    """Train and verify the rows of `recipe` ("file.yaml", or "file.yaml#row" for one row) that have published scores.

    `overrides` are "key=value". `scale` is the fraction of the published iterations. Each row has a run folder in `out`; a
    finished run is not trained again, an interrupted one is resumed. `lpips` and `fvd` are the files of weights that these scores
    need, as in `evaluate`. Returns our score and the published one for each score of each row. Raises `ConfigError` if no row has
    published scores, or if `scale` is not above 0 and at most 1, `Interrupted` if training is, and the errors of `train` and
    `evaluate`.
    """
    # Check the arguments, before a row trains.
    if not is_positive(scale) or scale > 1:
        raise ArgumentError(f"{scale} is not above 0 and at most 1", parameter="scale")
    file, _, row = str(recipe).partition("#")
    if row:
        read(str(recipe))  # raises for a misspelt row
    papers = {name: paper for name in ([row] if row else rows(file)) if (paper := published(file, name)) is not None}
    if not papers:
        raise ConfigError("no published scores to compare with", where=str(recipe))
    settings = {
        name: EvaluationSettings(
            convention=paper.convention,
            horizon=paper.horizon,
            levels=levels_of(paper),
            level_units=paper.level_units if levels_of(paper) else None,
            lpips=tuple(map(str, as_tuple(lpips, "lpips"))),
            fvd=None if fvd is None else str(fvd),
            baselines=(),  # a baseline without data at a pixel would take that pixel from the score
            scales=(),
        )
        for name, paper in papers.items()
    }
    PerceptualWeights.of(next(iter(settings.values()))).networks()  # raises for other files
    results: list[ReproducedScore] = []
    # Row by row: settings, training, verification, comparison.
    for name, paper in papers.items():
        original, experiment = read(f"{file}#{name}"), scale_experiment(read(f"{file}#{name}", overrides), scale)
        run = train_row(experiment, Path(out) / Path(file).stem / name, console)
        if run is None:
            raise Interrupted(
                f"training of {name} was interrupted, and {len(results)} scores were compared before; everything is saved",
                where=str(out),
                remedy="run the same again: finished rows are not trained again",
            )
        limit = None if scale == 1 else max(round(scale * CASES), MIN_CASES)
        limited = replace(settings[name], limit=limit)
        verification = evaluate(run, settings=limited)
        samples = draw_samples(run, limited, paper.samples) if paper.samples else None
        changes = setting_changes(original, experiment)
        if verification.cases == limit:
            changes.append(f"{limit} test windows only")
        against = None if paper.against is None else read(f"{file}#{paper.against}", _of_data(overrides))
        outcome = Outcome(run, experiment, verification, paper, against, samples)
        whose = origins(file, name)
        results += [replace(_compare(outcome, score, changes), row=name, origin=whose) for score in paper.scores]
    return results


def _compare(outcome: Outcome, score: str, changes: Sequence[str]) -> ReproducedScore:
    """Our score of that name and the published one, without the name of the row."""
    paper = outcome.published
    result, way = ReproducedScore("", score, None, paper.scores[score], title=score), find_way(score, paper)
    if way is None:
        return replace(result, why="no score of that name", changes=tuple(changes))
    answer = way.compute(outcome)
    return replace(
        result,
        ours=answer.score,
        changes=tuple(_of_cost(changes) if way.cost else changes),
        title=way.title,
        better=way.better,
        decibels=way.decibels,
        why=answer.why,
        needs=answer.needs,
        reason=_reason(paper, score, way),
        how=answer.how,
    )


def _reason(paper: Published, score: str, way: Way) -> str:
    """Why the published score cannot be compared with, as the recipe says for it or for its kind."""
    return way.reason or paper.not_comparable.get(score, paper.not_comparable.get(score.rpartition("_")[0], ""))


def _of_data(overrides: Sequence[str]) -> list[str]:
    """The overrides that another row can have: not those of the model."""
    return [each for each in overrides if not str(each).startswith("model")]


def _of_cost(changes: Sequence[str]) -> list[str]:
    """The changes that decide a cost: of the model, of the frames, and of the batch."""
    own = ("model", "data.context", "data.horizon", "data.size", "data.crop", "training.batch_size")
    return [each for each in changes if each.startswith(own)]


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
    recorded = first_stage_beside(read_experiment(out), out)
    check_unchanged(out, recorded, second_stage(experiment, out)[0])
    if (length := recorded.training.iterations) != experiment.training.iterations:
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
