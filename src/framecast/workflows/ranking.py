"""Trains the rows of published tables at one reduced size, with several seeds, and verifies them on the same test windows.

A recipe states the size, the seeds and the tables (`config/reduced.py`). Each row and seed has a run folder
`OUT/RECIPE/ROW/seed_N`: a finished run is not trained again, an interrupted one is resumed, and the sums of its test windows lie
in `evaluation/cases.nc`. Rows of the same settings share one run. The runs go seed by seed, so that tables of one seed exist
first. A row that fails is reported, and the others go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from framecast.checkpoints.model_folder import evaluation_folder
from framecast.config.experiment import Experiment
from framecast.config.reduced import ReducedTable, reduced_experiment, reduced_seeds, reduced_tables
from framecast.errors import ConfigError, FramecastError, Interrupted
from framecast.verification.evaluate import CASES
from framecast.workflows.evaluation import evaluate
from framecast.workflows.reproduce import train_row

CONVENTION = "thuml"
"""The convention of all scores: sums over the pixels of a frame."""


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


def rank(
    recipe: str | Path,
    overrides: Sequence[str] = (),
    *,
    seeds: Sequence[int] | None = None,
    out: str | Path = "runs/ranking",
    console: Console | None = None,
) -> list[str]:
    """Train and verify."""
    file, _, name = str(recipe).partition("#")
    tables = reduced_tables(file)
    if name and name not in tables:
        raise ConfigError(f"no table {name!r}", where=file)
    chosen = [tables[name]] if name else list(tables.values())
    failures = []
    for run in reduced_runs(file, chosen, seeds or reduced_seeds(file), overrides, Path(out) / Path(file).stem):
        try:
            train_and_verify(run, console)
        except Interrupted:
            raise
        except FramecastError as error:
            failures.append(f"{run.row}, seed {run.seed}: {error}")
            print(failures[-1], flush=True)
    return failures


def reduced_runs(
    file: str, tables: Sequence[ReducedTable], seeds: Sequence[int], overrides: Sequence[str], out: Path
) -> list[ReducedRun]:
    """The runs of the rows of `tables`, seed by seed. Rows of the same settings have the same folder."""
    names = list(dict.fromkeys(row for table in tables for row in table.rows))
    runs = []
    for seed in seeds:
        folders: list[tuple[Experiment, Path]] = []
        for row in names:
            experiment = reduced_experiment(file, row, seed, overrides)
            folder = next((each for other, each in folders if other == experiment), out / row / f"seed_{seed}")
            folders.append((experiment, folder))
            runs.append(ReducedRun(row, seed, experiment, folder))
    return runs


def train_and_verify(run: ReducedRun, console: Console | None) -> None:
    """Train a run or resume it, then verify it on its test windows, unless that is done. Raises `Interrupted` and the errors of
    `train` and `evaluate`."""
    if run.cases.is_file():
        return
    if train_row(run.experiment, run.folder, console) is None:
        raise Interrupted(
            "interrupted", where=run.folder, remedy="run the same again: finished runs are not trained again"
        )
    evaluate(run.folder, convention=CONVENTION, baselines=("persistence",), out=run.cases.parent)
