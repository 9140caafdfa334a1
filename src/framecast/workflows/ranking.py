"""Trains the rows of published tables at one reduced size, with several seeds, and verifies them on the same test windows.

A recipe states the size, the seeds and the tables (`config/reduced.py`). Each row and seed has a run folder
`OUT/RECIPE/ROW/seed_N`: a finished run is not trained again, an interrupted one is resumed, and the sums of its test windows lie
in `evaluation/cases.nc`. Rows of the same settings share one run. The runs go seed by seed, so that tables of one seed exist
first. A row that fails is reported, and the others go on. After each run `OUT/RECIPE/ranking.md`, for people, and `scores.csv`,
a tidy table, are written anew from the runs that are finished.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import join

from rich.console import Console

from framecast.checkpoints.model_folder import evaluation_folder
from framecast.checks import as_path, as_tuple, check_seed, refuses_arrays
from framecast.config.experiment import Experiment
from framecast.config.parsing import nearest
from framecast.config.recipes import published_scores, title_of
from framecast.config.reduced import ReducedTable, reduced_experiment, reduced_seeds, reduced_tables
from framecast.errors import ArgumentError, ConfigError, FramecastError, Interrupted, shown
from framecast.reading.paths import is_folder
from framecast.verification.evaluate import CASES
from framecast.verification.result import Verification
from framecast.workflows.evaluation import evaluate
from framecast.workflows.ranking_page import markdown, write_rows
from framecast.workflows.ranking_results import RankedTable, VerifiedRun, last_fall, rank_table
from framecast.workflows.reproduce import check_row, train_row
from framecast.writing import write_text

CONVENTION = "thuml"
"""The convention of all scores: sums over the pixels of a frame."""
PAGE, ROWS = "ranking.md", "scores.csv"
SCORES = ("mse", "mae", "ssim", "psnr", "gdl")
"""The scores of the tidy table, besides those by which a table ranks and claims."""


@dataclass(frozen=True)
class ReducedRun:
    """A row with a seed: its experiment and the folder of its run."""

    row: str
    seed: int
    experiment: Experiment
    folder: Path

    @property
    def cases(self) -> Path:
        """The sums of its test windows, once it has been verified."""
        return evaluation_folder(self.folder) / CASES


@dataclass(frozen=True)
class Ranking:
    """The ranked tables, as Markdown in `text`; the `page` of all tables of the recipe; and the `failures`: rows that could not
    be trained or verified, each with its reason."""

    tables: tuple[RankedTable, ...]
    text: str
    page: Path
    failures: tuple[str, ...]


@refuses_arrays
def rank(
    recipe: str | Path,
    overrides: Sequence[str] = (),
    *,
    seeds: Sequence[int] | None = None,
    train: bool = True,
    out: str | Path = "runs/ranking",
    console: Console | None = None,
) -> Ranking:
    """Train the rows of the tables of `recipe` ("moving_mnist", or "moving_mnist#sampling" for one table) in the reduced form,
    verify them on the same test windows, and rank them beside the paper.

    `overrides` are "key=value" and change the reduced form of all rows; `seeds` replace those of the recipe. Without `train` only
    the finished runs are ranked. Each row and seed has a run folder in `out`; a finished run is not trained again, an interrupted
    one is resumed. The page and the table of scores are written after each run. Raises `ConfigError` if the recipe has no reduced
    form or no such table, or if `out` is not there without `train`, and `Interrupted` if a training is. What fails for one row is
    in `failures`, and the others go on.
    """
    file, _, name = str(recipe).partition("#")
    tables = reduced_tables(file)
    if name and name not in tables:
        raise ConfigError(
            f"no table {shown(name)}{nearest(name, tables)}", where=file, remedy=f"one of: {', '.join(tables)}"
        )
    overrides, known = as_tuple(overrides, "settings"), reduced_seeds(file)
    chosen = known if seeds is None else tuple(dict.fromkeys(as_tuple(seeds, "seeds")))
    for seed in chosen:
        check_seed(seed, "seeds")
    folder = as_path(out, "a folder", "out") / Path(file).stem
    if not train and not is_folder(folder):
        raise ArgumentError(
            "no such folder, so no finished run",
            where=folder,
            parameter="out",
            remedy="name the folder in which the rows were trained, or train them",
        )
    rows = {row for key, table in tables.items() if not name or key == name for row in table.rows}
    runs = reduced_runs(file, list(tables.values()), tuple(dict.fromkeys((*known, *chosen))), overrides, folder)
    changes = [str(override) for override in overrides]
    # Seed by seed and row by row: training, verification, page.
    failures: list[str] = []
    for run in (each for each in runs if train and each.row in rows and each.seed in chosen):
        try:
            if train_and_verify(run, console):
                _write(file, tables, changes, runs, folder)
        except Interrupted:
            raise
        except FramecastError as error:
            failures.append(f"{run.row}, seed {run.seed}: {error}")
    ranked = [table for table in _write(file, tables, changes, runs, folder) if not name or table.name == name]
    return Ranking(
        tuple(ranked), markdown(title_of(file), _command(str(recipe), changes), ranked), folder / PAGE, tuple(failures)
    )


def reduced_runs(
    file: str, tables: Sequence[ReducedTable], seeds: Sequence[int], overrides: Sequence[str], out: Path
) -> list[ReducedRun]:
    """The runs of the rows of `tables`, seed by seed. Rows of the same settings have the same folder."""
    names = dict.fromkeys(row for table in tables for row in table.rows)
    experiments = {row: reduced_experiment(file, row, overrides) for row in names}
    runs = []
    for seed in seeds:
        for row, experiment in experiments.items():
            trained = next(each for each in names if experiments[each] == experiment)
            seeded = replace(experiment, training=replace(experiment.training, seed=seed))
            runs.append(ReducedRun(row, seed, seeded, out / trained / f"seed_{seed}"))
    return runs


def train_and_verify(run: ReducedRun, console: Console | None) -> bool:
    """Train a run or resume it, then verify it on its test windows. Returns whether there was anything to do. Raises
    `Interrupted` and the errors of `train` and `evaluate`, also if the folder holds a run with other settings."""
    if train_row(run.experiment, run.folder, console) is None:
        raise Interrupted(
            f"training of {run.row} with seed {run.seed} was interrupted; everything is saved",
            where=run.folder,
            remedy="run the same again: finished runs are not trained again",
        )
    if run.cases.is_file():
        return False
    evaluate(run.folder, convention=CONVENTION, baselines=("persistence",), out=run.cases.parent)
    return True


def _verified(run: ReducedRun) -> VerifiedRun:
    """A finished run with its sums. Raises `ConfigError` if its folder holds a run with other settings."""
    check_row(run.experiment, run.folder)
    return VerifiedRun(run.row, run.seed, Verification.open(run.cases), last_fall(run.folder / "log.csv"))


def _write(
    file: str, tables: Mapping[str, ReducedTable], overrides: Sequence[str], runs: Sequence[ReducedRun], folder: Path
) -> list[RankedTable]:
    """Rank all tables of a recipe by the finished ones of `runs`, which have the `overrides`, and write the page and the table of
    scores."""
    finished = {(run.row, run.seed): _verified(run) for run in runs if run.cases.is_file()}
    published: dict[str, float] = {
        f"{row}.{score}": value
        for table in tables.values()
        for row in table.rows
        for score, value in published_scores(file, row).items()
    }
    ranked = [rank_table(name, table, published, finished) for name, table in tables.items()]
    named = [name for table in tables.values() for name in (table.score, *(claim.score for claim in table.claims))]
    write_rows(folder / ROWS, finished.values(), dict.fromkeys([*SCORES, *named]))
    write_text(folder / PAGE, markdown(title_of(file), _command(file, overrides), ranked))
    return ranked


def _command(recipe: str, overrides: Sequence[str]) -> str:
    """The command that makes a page again."""
    return join(["framecast", "rank", recipe, *overrides])
