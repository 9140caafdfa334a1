"""Tables at one reduced size: settings, runs by seed, ranks, and the rule for claims."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from framecast.cli import app
from framecast.config.recipes import reduction
from framecast.config.reduced import PaperClaim, ReducedTable, reduced_experiment, reduced_seeds, reduced_tables
from framecast.errors import ArgumentError, ConfigError
from framecast.training.run_folder import read_experiment
from framecast.verification.result import Score
from framecast.workflows.ranking import rank, reduced_runs
from framecast.workflows.ranking_results import ClaimResult, RankedRow, RankedTable, last_fall, mean_over_seeds

REDUCED = ("moving_mnist", "v_mnist", "mixed_moving_mnist")
RECIPE = """
title: A table
base:
  data: {name: moving_digits, context: 4, horizon: 4, train: 9, validation: 0, test: 4}
  model: {name: predrnn, hidden: [8, 8], kernel: 3, patch: 4}
  curriculum: {name: scheduled, stop: 20}
  training: {iterations: 40, batch_size: 2, accelerator: cpu}
reduced:
  seeds: [5, 6]
  settings:
    data: {size: 16, digits: 1, context: 3, horizon: 2, validation: 2}
    model: {hidden: [4]}
    training: {iterations: 4, validate_every: 1}
  tables:
    main:
      source: A paper, table 1
      rows: [small, base, again]
      claims: [{better: base, than: small, where: table 1}, {better: base, than: small, score: lpips}]
    broken:
      source: A paper, table 2
      rows: [impossible]
rows:
  small: {model: {name: convlstm, kernel: 3}, reduced: {model: {hidden: [2]}}, paper: {mse: 7.0, lpips: 0.2}}
  base: {paper: {mse: 5.0, lpips: 0.1, convention: thuml}}
  again: {data: {test: 8}, paper: {mse: 5.0}, reduced: {data: {test: 4}}}
  impossible: {model: {patch: 3}}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "table.yaml"
    path.write_text(RECIPE)
    return path


def test_a_reduced_row_has_the_common_size_its_own_model_and_a_shorter_curriculum(recipe: Path) -> None:
    small, base = (reduced_experiment(recipe, row) for row in ("small", "base"))
    assert small.model.hidden == (2,)  # type: ignore[union-attr]
    assert base.model.hidden == (4,)  # type: ignore[union-attr]
    assert small.data == base.data
    assert base.curriculum.stop == 2  # type: ignore[union-attr]
    assert reduced_experiment(recipe, "base", ["training.iterations=8"]).curriculum.stop == 4  # type: ignore[union-attr]


def test_rows_are_trained_seed_by_seed_once_and_ranked_beside_the_paper(recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = rank(recipe, seeds=[5, 5], out=out, console=Console(quiet=True))
    (failure,) = first.failures
    assert failure.startswith("impossible, seed 5")
    assert first.tables[0].claims[0].verdict == "no claim: 1 of 3 seeds"
    logs = {path: path.stat().st_mtime_ns for path in out.rglob("log.csv")}
    assert {path.parent.relative_to(out / "table").as_posix() for path in logs} == {"small/seed_5", "base/seed_5"}
    both = rank(f"{recipe}#main", out=out, console=Console(quiet=True))
    assert all(path.stat().st_mtime_ns == time for path, time in logs.items())
    assert read_experiment(out / "table" / "base" / "seed_6").training.seed == 6
    small, base, again = both.tables[0].rows
    assert (len(small.ours), base.ours, small.published) == (2, again.ours, 7.0)
    claim, unknown = both.tables[0].claims
    assert claim.difference is not None
    assert claim.difference.value == pytest.approx(np.mean(base.ours) - np.mean(small.ours))
    assert claim.windows is not None
    assert claim.windows[0] < claim.difference.value < claim.windows[1]
    assert unknown.verdict == "cannot be told: LPIPS is not computed"
    written = list(csv.DictReader((out / "table" / "scores.csv").open()))
    assert {(row["row"], row["seed"]) for row in written} == {(r, s) for r in ("small", "base", "again") for s in "56"}
    assert {row["windows"] for row in written} == {"4"}
    page = (out / "table" / "ranking.md").read_text()
    for words in ("A paper, table 1", "base has a better MSE than small (table 1) | 5 and 7", "not trained yet"):
        assert words in page
    with pytest.raises(ConfigError, match="settings differ"):
        rank(recipe, ["training.iterations=8"], train=False, out=out)
    result = CliRunner().invoke(app, ["rank", f"{recipe}#main", "--finished", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert result.output == both.text
    assert f"framecast rank '{recipe}#main'" in both.text  # as a shell takes it
    assert both.text.split("### ")[1].rstrip() in page


def test_a_failed_row_is_named_and_the_exit_code_tells(recipe: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["rank", f"{recipe}#broken", "--seed", "1", "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "failed: impossible, seed 1" in result.output


def test_what_is_not_there_is_named(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no table 'mian', did you mean 'main'"):
        rank(f"{recipe}#mian", out=tmp_path)
    with pytest.raises(ConfigError, match="no reduced form"):
        rank("kth", out=tmp_path)
    with pytest.raises(ArgumentError, match=r"absent/table: no such folder, so no finished run"):
        rank(recipe, train=False, out=tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
    recipe.write_text(RECIPE.replace("than: small, where", "than: impossible, where"))
    with pytest.raises(ConfigError, match="a claim about 'impossible'"):
        reduced_tables(recipe)


def result_of(*differences: float, score: str = "mse") -> ClaimResult:
    claim = PaperClaim(better="a", than="b", score=score)
    return ClaimResult(claim, (1.0, 2.0), len(differences), mean_over_seeds(differences), None)


def test_a_claim_is_seen_only_if_the_interval_over_three_seeds_leaves_out_zero() -> None:
    assert result_of(-3.0, -3.1, -2.9).verdict == "seen"
    assert result_of(3.0, 3.1, 2.9).verdict == "not seen: the opposite"
    assert result_of(-3.0, -3.1, 2.9).verdict == "cannot be told at this size"
    assert result_of(-3.0, -3.0).verdict == "no claim: 2 of 3 seeds"
    assert result_of(0.2, 0.21, 0.19, score="ssim").verdict == "seen"
    assert result_of(-0.2, -0.21, -0.19, score="ssim").verdict == "not seen: the opposite"
    low, high = result_of(1.0, 2.0, 3.0).difference.interval  # type: ignore[union-attr, misc]
    assert (low, high) == pytest.approx((2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-3)


def test_places_and_pairs_count_in_the_direction_of_the_score() -> None:
    values = {"a": (3.0, (9.0,)), "b": (1.0, (7.0, 7.2)), "c": (2.0, (8.0,)), "d": (None, (1.0,)), "e": (5.0, ())}
    rows = tuple(RankedRow(name, published, ours, 0.0) for name, (published, ours) in values.items())
    table = RankedTable("t", ReducedTable(source="s", rows=("a", "b", "c", "d", "e")), rows, ())
    assert table.places() == {"a": (3, 4), "b": (1, 2), "c": (2, 3), "d": (None, 1), "e": (4, None)}
    assert table.agreement() == (3, 3)
    higher = replace(table, table=replace(table.table, score="ssim"))
    assert higher.places()["a"] == (2, 1)
    assert mean_over_seeds([2.0]) == Score(2.0, None)


def test_the_last_quarter_of_a_curve(tmp_path: Path) -> None:
    def fall(*losses: float) -> float:
        log = tmp_path / "log.csv"
        log.write_text("iteration,validation_loss\n" + "1,\n".join(f"{n},{loss}\n" for n, loss in enumerate(losses)))
        return last_fall(log)

    assert fall(8, 6, 4, 4, 4, 4, 4, 4) == 0
    assert fall(8, 8, 8, 8, 4, 4, 2, 2) == pytest.approx(0.5)
    assert np.isnan(fall(8, 4, 2))


@pytest.mark.parametrize("name", REDUCED)
def test_the_reduced_form_is_the_same_for_all_papers_and_its_rows_can_be_built(name: str) -> None:
    assert reduction(name)["settings"] == reduction(REDUCED[0])["settings"]
    assert reduced_seeds(name) == (1, 2, 3)
    for run in reduced_runs(name, list(reduced_tables(name).values()), [1], [], Path("out")):
        data, experiment = run.experiment.data, run.experiment
        experiment.data.open(experiment.check)
        assert (data.context, data.horizon, experiment.training.iterations) == (5, 5, 3000)


def test_an_interrupted_ranking_is_no_success(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framecast.workflows.ranking.train_row", lambda *arguments: None)
    result = CliRunner().invoke(app, ["rank", f"{recipe}#main", "--out", str(tmp_path / "out")])
    assert result.exit_code == 130
    assert "training of small with seed 5 was interrupted" in result.output
