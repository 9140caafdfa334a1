"""Rows of a table run again: scaled, compared, and not twice."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from framecast.cli import app
from framecast.config.recipes import read
from framecast.curriculum import ReverseScheduled, Scheduled
from framecast.errors import ConfigError
from framecast.verification.result import Score
from framecast.workflows.reproduce import ReproducedScore, reproduce, scale_experiment, setting_changes

RECIPE = """
title: A table
base:
  origin: {model: paper}
  data: {name: moving_digits, size: 16, digits: 1, context: 3, horizon: 3, train: 9, validation: 2, test: 4}
  model: {name: predrnn, hidden: [4, 4], kernel: 3, patch: 4}
  training: {iterations: 40, batch_size: 2, accelerator: cpu}
rows:
  one:
    paper: {mse: 5.0, ssim: 0.9, lpips: 0.1, convention: thuml, horizon: 4}
  two:
    model: {layer_norm: true}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "table.yaml"
    path.write_text(RECIPE)
    return path


def test_rows_with_printed_scores_are_run_and_not_twice(recipe: Path, tmp_path: Path) -> None:
    quiet = Console(quiet=True)
    results = reproduce(recipe, scale=0.05, out=tmp_path / "out", console=quiet)
    assert [(result.row, result.score, result.published) for result in results] == [
        ("one", "mse", 5.0),
        ("one", "ssim", 0.9),
        ("one", "lpips", 0.1),
    ]
    assert results[2].ours is None
    assert results[2].verdict == "not computed: weights needed (lpips=FILE)"
    assert results[0].changes == ("training.iterations 40 -> 2", "data.images MNIST -> bundled")  # of 4 windows all
    log = tmp_path / "out" / "table" / "one" / "log.csv"
    written = log.stat().st_mtime_ns
    again = reproduce(f"{recipe}#one", scale=0.05, out=tmp_path / "out", console=quiet)
    assert log.stat().st_mtime_ns == written
    assert [result.ours for result in again] == [result.ours for result in results]
    with pytest.raises(ConfigError, match="a run of 2 iterations, expected 4"):
        reproduce(recipe, scale=0.1, out=tmp_path / "out", console=quiet)
    with pytest.raises(ConfigError, match="settings differ"):
        reproduce(recipe, ["model.hidden=[4]"], scale=0.05, out=tmp_path / "out", console=quiet)


def test_the_command_prints_ours_beside_theirs_and_what_was_changed(recipe: Path, tmp_path: Path) -> None:
    changes = ["model.hidden=[4]", "training.iterations=2", "training.workers=0"]
    said = CliRunner().invoke(app, ["reproduce", str(recipe), *changes, "--out", str(tmp_path / "out")])
    assert said.exit_code == 0, said.exception
    assert "one, model: paper" in said.output
    for word in ("one", "MSE ↓", "SSIM ↑", "0.9", "5%", "not computed"):
        assert word in said.output
    words = " ".join(said.output.replace("│", " ").split())
    for word in ("not comparable: model.hidden", "[4, 4] -> [4]", "40 -> 2"):
        assert word in words
    assert "reached" not in words
    assert "workers" not in words


def test_settings_that_decide_the_result_are_named() -> None:
    row = "recipes/moving_mnist.yaml#predrnn_v2"
    whole = read(row, ["data.images=mnist/"])
    assert setting_changes(read(row), whole) == []
    assert setting_changes(read(row), read(row)) == ["data.images MNIST -> bundled"]
    same = [
        "data.images=mnist/",
        "training.seed=3",
        "training.accelerator=cpu",
        "model.segment=5",
        "training.log_every=1",
        "training.mlflow=http://server",
    ]
    assert setting_changes(read(row), read(row, same)) == []
    assert setting_changes(whole, scale_experiment(whole, 0.01)) == [
        "curriculum.start 25000 -> 250",
        "curriculum.stop 50000 -> 500",
        "curriculum.alpha 2500.0 -> 25.0",
        "training.iterations 80000 -> 800",
    ]
    other = setting_changes(whole, read(row, ["data.images=mnist/", "curriculum.name=none", "training.devices=2"]))
    assert "curriculum.name reverse_scheduled -> none" in other
    assert "curriculum.stop 50000 -> absent" in other
    assert "training.devices 1 -> 2" in other


def test_a_scaled_experiment_shrinks_its_curriculum_alike() -> None:
    whole = read("recipes/moving_mnist.yaml#predrnn_v2")
    small = scale_experiment(whole, 0.01)
    assert small.training.iterations == 800
    assert small.curriculum == replace(ReverseScheduled(), start=250, stop=500, alpha=25.0)
    assert scale_experiment(whole, 1.0) == whole
    assert scale_experiment(read("recipes/moving_mnist.yaml#predrnn"), 0.01).curriculum == Scheduled(stop=500)


def test_a_verdict_takes_its_direction_from_the_metric() -> None:
    def verdict(score: str, ours: float, published: float, *changes: str) -> str:
        return ReproducedScore("row", score, Score(ours, None), published, changes).verdict

    assert verdict("mse", 50.0, 49.0) == "reached"
    assert verdict("mse", 98.0, 49.0) == "100% worse"
    assert verdict("mse", 24.5, 49.0) == "50% better"
    assert verdict("ssim", 0.45, 0.9) == "50% worse"
    assert verdict("sharp", 44.0, 22.0) == "100% better"
    assert verdict("bias", 1.5, 1.0) == "50% above"
    assert verdict("ssim", 0.9, 0.9, "training.iterations 8 -> 4", "20 test windows only") == (
        "not comparable: training.iterations 8 -> 4, 20 test windows only"
    )


def test_nothing_to_compare_with(recipe: Path) -> None:
    with pytest.raises(ConfigError, match="no row 'nope'"):
        reproduce(f"{recipe}#nope")
    with pytest.raises(ConfigError, match="no published scores"):
        reproduce(f"{recipe}#two")
    with pytest.raises(ConfigError, match="above 0"):
        reproduce(recipe, scale=0)


@pytest.mark.parametrize("scale", [0, -1, 2, "1", float("nan")])
def test_a_scale_that_is_none_is_refused(scale: Any) -> None:
    with pytest.raises(ConfigError, match="not above 0 and at most 1"):
        reproduce("recipes/moving_mnist.yaml", scale=scale)


def test_an_interruption_is_no_success(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The training of a row returns after a signal; what was asked for is not done."""
    monkeypatch.setattr("framecast.workflows.reproduce.train", lambda *arguments, **options: tmp_path)
    result = CliRunner().invoke(app, ["reproduce", str(recipe), "--scale", "0.05", "--out", str(tmp_path / "out")])
    assert result.exit_code == 130
