"""Scores of reduced tables: means over seeds, places beside those of the paper, and what can be said of each claim.

The rule for a claim "A has a better score than B", stated before any result was seen: for each seed, the score of A minus that of
B on the same test windows; over the seeds, the 95 % interval of its mean by Student's t. An interval on the claimed side of zero:
*seen*. On the other side: *not seen*. With zero inside: *cannot be told at this size*. Nothing is said with fewer than `FEWEST`
seeds, whatever the windows say: an interval over test windows is about these two trained models only, not about the methods.
Claims are not corrected for their number.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from framecast.config.reduced import PaperClaim, ReducedTable
from framecast.errors import ConfigError, RunError
from framecast.reading.paths import read_text
from framecast.scores.bootstrap import draw_blocks, limits, resample
from framecast.verification.metrics import direction
from framecast.verification.result import Score, Verification

FEWEST = 3
"""The seeds without which nothing is said of a claim."""
FLAT = 0.02
"""A validation loss that falls by less than this fraction in the last quarter of the training has flattened."""


@dataclass(frozen=True)
class VerifiedRun:
    """A trained and verified row: the sums of its test windows, and how far the loss of its validation windows fell in the last
    quarter of the training, as a fraction of what it was."""

    row: str
    seed: int
    verification: Verification
    last_fall: float

    def score(self, name: str) -> Score | None:
        """A score over all lead times, with its interval over test windows; None if it is not computed."""
        try:
            return self.verification.frame(self.verification.forecasters[0], name)
        except ConfigError:
            return None


@dataclass(frozen=True)
class RankedRow:
    """A row of a table: the published score, None if it prints none; ours for each seed; the mean fall of the last quarter."""

    row: str
    published: float | None
    ours: tuple[float, ...]
    last_fall: float

    @property
    def mean(self) -> Score | None:
        """The mean of ours over seeds, with its 95 % interval (from two seeds on); None without a run."""
        return mean_over_seeds(self.ours) if self.ours else None


@dataclass(frozen=True)
class ClaimResult:
    """What our runs say of a claim. `difference` is the score of `better` minus that of `than` in the mean over seeds, with its
    interval over seeds; `windows` the interval of the same over test windows. Both are None where the score is not computed."""

    claim: PaperClaim
    published: tuple[float | None, float | None]
    seeds: int
    difference: Score | None
    windows: tuple[float, float] | None

    @property
    def verdict(self) -> str:
        """Seen, not seen, or that it cannot be told, and why."""
        if self.seeds == 0:
            return "not trained yet"
        if self.difference is None:
            return f"cannot be told: {self.claim.score.upper()} is not computed"
        if self.seeds < FEWEST or self.difference.interval is None:
            return f"no claim: {self.seeds} of {FEWEST} seeds"
        low, high = self.difference.interval
        if low <= 0 <= high:
            return "cannot be told at this size"
        return "seen" if (high < 0) == (direction(self.claim.score) == "lower") else "not seen: the opposite"


@dataclass(frozen=True)
class RankedTable:
    """A table of the reduced form: its name, what it is, its rows in the order of the paper, and its claims."""

    name: str
    table: ReducedTable
    rows: tuple[RankedRow, ...]
    claims: tuple[ClaimResult, ...]

    @property
    def seeds(self) -> int:
        """The seeds of which every row has a run."""
        return min((len(row.ours) for row in self.rows), default=0)

    def places(self) -> dict[str, tuple[int | None, int | None]]:
        """The place of each row among those that print a score, and among those of which we have a run; from 1 for the best."""
        printed = [row for row in self.rows if row.published is not None]
        trained = [row for row in self.rows if row.mean is not None]
        sign = -1 if direction(self.table.score) == "higher" else 1
        return {
            row.row: (
                _place(row, printed, sign, _published) if row in printed else None,
                _place(row, trained, sign, _ours) if row in trained else None,
            )
            for row in self.rows
        }

    def agreement(self) -> tuple[int, int]:
        """How many pairs of rows that the paper orders are in the same order by our means, of how many."""
        both = [row for row in self.rows if row.published is not None and row.mean is not None]
        signs = [
            np.sign(_published(one) - _published(other)) * np.sign(_ours(one) - _ours(other))
            for one, other in combinations(both, 2)
            if one.published != other.published
        ]
        return sum(sign > 0 for sign in signs), len(signs)


def _ours(row: RankedRow) -> float:
    assert row.mean is not None
    return row.mean.value


def _published(row: RankedRow) -> float:
    assert row.published is not None
    return row.published


def _place(row: RankedRow, rows: Sequence[RankedRow], sign: int, value: Callable[[RankedRow], float]) -> int:
    return 1 + sum(sign * value(other) < sign * value(row) for other in rows)


def mean_over_seeds(values: Sequence[float]) -> Score:
    """The mean, with its 95 % interval by Student's t from two values on."""
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return Score(mean, None)
    reach = float(student.ppf(0.975, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    return Score(mean, (mean - reach, mean + reach))


def last_fall(log: Path) -> float:
    """How far the validation loss fell in the last quarter of a training, as a fraction; NaN with fewer than four validations.
    Each end is the mean of the two validations nearest to it, since single ones are noisy."""
    losses = [
        float(row["validation_loss"]) for row in csv.DictReader(read_text(log).splitlines()) if row["validation_loss"]
    ]
    if len(losses) < 4:
        return float("nan")
    before = max(round(len(losses) * 0.75), 2)
    return 1 - float(np.mean(losses[-2:])) / float(np.mean(losses[before - 2 : before]))


def rank_table(
    name: str, table: ReducedTable, published: Mapping[str, float | None], runs: Mapping[tuple[str, int], VerifiedRun]
) -> RankedTable:
    """The ranking of a table from its finished `runs`, by row and seed, and the `published` values of its score and of the scores
    of its claims, by row and score. Raises `RunError` if the runs were not verified on the same windows."""
    chosen = {key: run for key, run in runs.items() if key[0] in table.rows}
    if len({run.verification.checksum for run in chosen.values()}) > 1:
        raise RunError(
            f"the runs of {name} were verified on different windows", remedy="use another folder for the runs"
        )
    rows = []
    for row in table.rows:
        of_row = [run for key, run in chosen.items() if key[0] == row]
        scores = [score.value for run in of_row if (score := run.score(table.score)) is not None]
        fall = float(np.mean([run.last_fall for run in of_row])) if of_row else float("nan")
        rows.append(RankedRow(row, published.get(f"{row}.{table.score}"), tuple(scores), fall))
    claims = tuple(_judge(claim, published, chosen) for claim in table.claims)
    return RankedTable(name, table, tuple(rows), claims)


def _judge(
    claim: PaperClaim, published: Mapping[str, float | None], runs: Mapping[tuple[str, int], VerifiedRun]
) -> ClaimResult:
    """What the runs of the seeds that both rows have say of a claim."""
    seeds = [seed for row, seed in runs if row == claim.better and (claim.than, seed) in runs]
    pairs = [(runs[claim.better, seed], runs[claim.than, seed]) for seed in seeds]
    printed = (published.get(f"{claim.better}.{claim.score}"), published.get(f"{claim.than}.{claim.score}"))
    scores = [(one.score(claim.score), other.score(claim.score)) for one, other in pairs]
    differences = [one.value - other.value for one, other in scores if one is not None and other is not None]
    if not differences or len(differences) < len(pairs):
        return ClaimResult(claim, printed, len(seeds), None, None)
    drawn = np.mean([_drawn(one, claim.score) - _drawn(other, claim.score) for one, other in pairs], axis=0)
    low, high = limits(drawn)
    return ClaimResult(claim, printed, len(seeds), mean_over_seeds(differences), (float(low), float(high)))


def _drawn(run: VerifiedRun, score: str) -> np.ndarray:
    """A score on test windows drawn with replacement `(R,)`, the same draws for all runs."""
    verification = run.verification
    metric, blocks = verification.metric(score), verification.sums["block"].values
    table = verification.table(verification.forecasters[0], metric).sum(2)
    return metric.formula(resample(table, blocks, draw_blocks(blocks)))
