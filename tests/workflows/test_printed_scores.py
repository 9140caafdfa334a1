"""Every printed score has a way to be computed, and `reproduce` computes it: events at levels, batch means, GDL, SC, LPIPS, FVD,
costs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from perceptual_files import LINEAR, write_i3d, write_trunk
from rich.console import Console
from typer.testing import CliRunner

import framecast
from framecast.cli import app
from framecast.config.recipes import Published, published, read, recipes
from framecast.errors import ArgumentError, ConfigError, DataError
from framecast.models.parts.flops import multiply_accumulates, parameters
from framecast.scores.events import Contingency, batch_mean_csi
from framecast.types import FrameShape
from framecast.verification.result import Score
from framecast.workflows.evaluation import evaluate
from framecast.workflows.printed import find_way, levels_of
from framecast.workflows.reproduce import ReproducedScore, reproduce

QUIET = Console(quiet=True)
PAPERS = {
    f"{name}#{row}": paper
    for name, recipe in recipes().items()
    for row in recipe.rows
    if (paper := published(name, row)) is not None
}
PRINTED = [(row, score) for row, paper in PAPERS.items() for score in paper.scores]


def test_every_printed_score_can_be_computed() -> None:
    """By its name, in the convention of its row: all of all, none typed by hand."""
    computable = [(row, score) for row, score in PRINTED if find_way(score, PAPERS[row]) is not None]
    assert computable == PRINTED, f"{len(computable)} of {len(PRINTED)}"
    assert {"csi_30", "gdl", "sc", "lpips", "fvd", "parameters", "memory_saved"} <= {score for _, score in PRINTED}


def test_a_row_against_which_costs_are_printed_exists() -> None:
    stated = {score for score in ("parameters_share", "memory_saved", "speed_gained")}
    for row, paper in PAPERS.items():
        assert (paper.against is not None) == bool(stated & set(paper.scores)), row
        if paper.against is not None:
            assert read(f"{row.partition('#')[0]}#{paper.against}").data == read(row).data


def test_names_of_scores_that_have_no_way() -> None:
    pixels = Published({}, level_units="0-255")
    assert find_way("csi_30", pixels) is not None
    assert find_way("csi_30", pixels).title == "CSI at 30 of 255"  # type: ignore[union-attr]
    assert find_way("csi_30", Published({})) is None, "the recipe does not say in what units"
    for name in ("csi", "csi_high", "beauty", "fss_30", "sharp"):
        assert find_way(name, pixels) is None, name
    assert find_way("sharp", Published({}, convention="thuml")) is not None
    with pytest.raises(ArgumentError, match="unknown units 'feet'"):
        find_way("csi_30", Published({}, level_units="feet"))
    assert levels_of(Published({"csi_50": 0.1, "pod_30": 0.2, "mse": 1.0}, level_units="0-255")) == (30.0, 50.0)


def test_what_the_base_says_of_all_rows() -> None:
    shanghai, ours = published("shanghai_radar", "mim"), published("guangzhou_radar", "predrnn")
    assert shanghai is not None
    assert ours is not None
    assert (shanghai.level_units, ours.level_units) == ("dBZ as pixels thuml",) * 2
    assert "gdl" in shanghai.not_comparable
    assert "csi" in ours.not_comparable, "Wang et al. do not print their map from pixels"
    assert published("moving_mnist", "tau") is None


RADAR = """
base:
  paper: {convention: thuml, level_units: dBZ as pixels thuml, not_comparable: {gdl: no scale is printed}}
  data: {name: archive, path: %s, units: 0-255, context: 3, horizon: 2, split: {name: blocks, validation: 0.1, test: 0.4}}
  model: {name: convlstm, hidden: [4], kernel: 3, patch: 4}
  training: {iterations: 2, batch_size: 3, accelerator: cpu, workers: 0}
rows:
  dbz:
    paper: {csi_16: 0.5, csi_20: 0.5, gdl: 10, sc: 0.5, psnr: 10, mse: 1}
  pixels:
    paper: {csi_2: 0.5, pod_4: 0.5, convention: default, level_units: 0-255}
"""


@pytest.fixture(scope="module")
def radar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of echoes as 8-bit images, of two kinds by turns, strong and weak."""
    folder = tmp_path_factory.mktemp("radar")
    frames = np.random.default_rng(0).integers(0, 20, (90, 16, 16), dtype=np.uint8)
    for k in range(0, 90, 30):
        frames[k : k + 15, 4:12] += 100
    np.save(folder / "echoes.npy", frames)
    (folder / "table.yaml").write_text(RADAR % (folder / "echoes.npy"))
    return folder / "table.yaml"


@pytest.fixture(scope="module")
def computed(radar: Path) -> dict[tuple[str, str], ReproducedScore]:
    results = reproduce(radar, out=radar.parent / "runs", console=QUIET)
    return {(each.row, each.score): each for each in results}


def test_events_at_dbz_are_averaged_over_batches_as_published(
    radar: Path, computed: dict[tuple[str, str], ReproducedScore]
) -> None:
    run = radar.parent / "runs" / "table" / "dbz"
    result = evaluate(run, baselines=(), convention="thuml", levels=(16, 20), level_units="dBZ as pixels thuml")
    part = result.sums.sel(forecaster=result.forecasters[0]).sortby("case")
    for k, score in enumerate(("csi_16", "csi_20")):
        hits, union = (
            sum(part[name].values[..., k] for name in names).astype(float)
            for names in (("hits",), ("hits", "misses", "false_alarms"))
        )
        batches = [slice(start, start + 3) for start in range(0, len(hits), 3)]
        each = np.array([hits[one].sum(0) / np.maximum(union[one].sum(0), 1) for one in batches])
        ours = computed["dbz", score]
        assert ours.ours is not None
        assert 0 < ours.ours.value == pytest.approx(each.mean())
        assert "mean over batches of 3" in ours.how
        assert f"pooled {result.event(result.forecasters[0], 'csi', k).value:.3g}" in ours.how
        assert "dBZ = 0.5 * pixel + 15" in ours.how
    assert computed["dbz", "csi_20"].title == "CSI at 20 dBZ"


def test_events_at_pixel_values_are_pooled_in_the_usual_convention(
    radar: Path, computed: dict[tuple[str, str], ReproducedScore]
) -> None:
    run = radar.parent / "runs" / "table" / "pixels"
    result = evaluate(run, baselines=(), levels=(2, 4), level_units="0-255")
    assert computed["pixels", "csi_2"].ours == result.event(result.forecasters[0], "csi", 0)
    assert result.event(result.forecasters[0], "csi", 0).value > 0
    assert computed["pixels", "pod_4"].ours == result.event(result.forecasters[0], "pod", 1)
    assert (computed["pixels", "pod_4"].title, computed["pixels", "pod_4"].arrow) == ("POD at 4 of 255", "↑")


def test_gradients_groups_and_decibels(computed: dict[tuple[str, str], ReproducedScore]) -> None:
    gdl, groups, noise = (computed["dbz", name] for name in ("gdl", "sc", "psnr"))
    assert gdl.ours is not None
    assert gdl.ours.value > 0
    assert gdl.verdict == "not comparable: no scale is printed"
    assert groups.ours is not None
    assert 0.5 < groups.ours.value <= 1, "strong and weak echoes"
    assert "2 groups of 32 sequences" in groups.how
    assert (noise.tolerance, computed["dbz", "mse"].tolerance) == ("0.2 dB", "5%")


def test_what_is_close_in_decibels_is_a_share_of_the_error() -> None:
    def verdict(ours: float) -> str:
        return ReproducedScore("row", "psnr", Score(ours, None), 28.37, decibels=True).verdict

    assert verdict(28.37 - 0.2) == "reached"
    assert verdict(28.37 - 0.5) == "2% worse"


def test_a_batch_without_an_event_counts_as_zero() -> None:
    """Cases of two batches and one lead time: 1/2, and no event."""
    counts = Contingency(*(torch.tensor([[a], [b], [0], [0]]) for a, b in ((1, 0), (0, 0), (0, 1), (9, 9))))
    assert batch_mean_csi(counts, 2) == pytest.approx(0.25)
    assert batch_mean_csi(counts, 4) == pytest.approx(0.5)
    assert batch_mean_csi(counts, 1) == pytest.approx(0.25)


DIGITS = """
base:
  data: {name: moving_digits, size: 32, digits: 1, context: 3, horizon: 3, train: 9, validation: 2, test: 2}
  model: {name: convlstm, hidden: [8], kernel: 3, patch: 4}
  training: {iterations: 1, batch_size: 2, accelerator: cpu, workers: 0}
rows:
  large: {}
  small:
    model: {hidden: [4]}
    paper: {lpips: 0.1, fvd: 20, parameters: 0.01, multiply_accumulates: 0.001, memory: 1, training_hours: 1,
            forecast_milliseconds: 10, against: large, parameters_share: 30, memory_saved: 50, speed_gained: 10,
            convention: thuml, not_comparable: {fvd: its clips are not printed}}
"""


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    path = tmp_path / "digits.yaml"
    path.write_text(DIGITS)
    return path


def test_costs_are_counted_and_perceptual_scores_take_weights(digits: Path, tmp_path: Path) -> None:
    trunk, video = write_trunk(tmp_path / "alexnet.pth"), write_i3d(tmp_path / "i3d.pt")
    arguments = ["reproduce", str(digits), "--out", str(tmp_path / "runs"), "--lpips", str(trunk)]
    message = CliRunner().invoke(app, [*arguments, "--lpips", str(LINEAR), "--fvd", str(video), "--json"])
    assert message.exit_code == 0, message.output
    scores = {each["score"]: each for each in json.loads(message.stdout)["result"]["scores"]}
    for name in ("lpips", "fvd"):
        assert scores[name]["value"] > 0
        assert scores[name]["direction"] == "lower"
    assert scores["fvd"]["verdict"].endswith("its clips are not printed")
    small, large = (read(f"{digits}#{row}").model for row in ("small", "large"))
    shape = FrameShape(1, 32, 32, 3, 3)
    counts = [parameters(model.build(shape)) for model in (small, large)]
    assert scores["parameters"]["value"] == pytest.approx(counts[0] / 1e6)
    assert scores["multiply_accumulates"]["value"] == pytest.approx(multiply_accumulates(small, shape) / 1e9)
    assert scores["parameters_share"]["value"] == pytest.approx(100 * counts[0] / counts[1])
    assert 0 < scores["memory_saved"]["value"] < 100
    assert np.isfinite(scores["speed_gained"]["value"])
    assert scores["training_hours"]["verdict"] == "not comparable: it was measured on another machine"
    assert scores["parameters"]["verdict"].endswith(("above", "below")), "it does not depend on the data"


def test_without_weights_the_option_is_named(digits: Path, tmp_path: Path) -> None:
    message = CliRunner().invoke(app, ["reproduce", str(digits), "--out", str(tmp_path / "runs"), "--json"])
    assert message.exit_code == 0, message.output
    scores = {each["score"]: each for each in json.loads(message.stdout)["result"]["scores"]}
    assert scores["lpips"]["verdict"] == "not computed: weights needed (--lpips FILE)"
    assert scores["fvd"]["verdict"] == "not computed: weights needed (--fvd FILE)"


def test_wrong_weights_and_levels_are_refused_before_training(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lin0"):
        reproduce(digits, out=tmp_path / "runs", lpips=(write_trunk(tmp_path / "alexnet.pth"),), console=QUIET)
    digits.write_text(DIGITS.replace("fvd: 20", "csi_30: 0.2, level_units: feet"))
    with pytest.raises(ConfigError, match="unknown units 'feet'"):
        reproduce(digits, out=tmp_path / "runs", console=QUIET)
    assert not (tmp_path / "runs").exists()


SAMPLED = """
base:
  data: {name: moving_digits, size: 16, digits: 1, context: 3, horizon: 2, train: 4, validation: 2, test: 3}
  model: {name: svg, width: 4, levels: 2, features: 6, hidden: 6, layers: 1, latent: 2}
  curriculum: {name: teacher_forced}
  training: {iterations: 1, batch_size: 2, accelerator: cpu, workers: 0}
rows:
  best: {paper: {mse: 1, ssim: 1, convention: thuml, horizon: 4, best_of: 3, best_by: ssim}}
  mean: {paper: {mse: 1, convention: thuml, mean_of: 2}}
  other: {model: {name: convlstm, hidden: [4], kernel: 3, patch: 4}, paper: {mse: 1, convention: thuml, mean_of: 2}}
"""


def test_scores_of_samples_are_of_the_best_of_each_window_or_of_all(tmp_path: Path) -> None:
    (tmp_path / "table.yaml").write_text(SAMPLED)
    results = reproduce(tmp_path / "table.yaml", out=tmp_path / "runs", console=QUIET)
    computed = {(each.row, each.score): each for each in results}
    run = tmp_path / "runs" / "table" / "best"
    samples = [framecast.load(run, members=1, seed=seed) for seed in range(3)]
    source = read(f"{tmp_path / 'table.yaml'}#best", ["data.horizon=4"]).data.open().test
    assert source is not None
    scores = [framecast.verify([sample], source, convention="thuml") for sample in samples]
    each = {
        name: np.array([[one.subset(np.arange(3) == k).frame("svg", name).value for k in range(3)] for one in scores])
        for name in ("mse", "ssim")
    }
    best = each["ssim"].argmax(0)
    for name in each:
        ours = computed["best", name]
        assert ours.ours is not None
        assert ours.ours.value == pytest.approx(each[name][best, range(3)].mean(), rel=1e-12)
        assert ours.ours.value != np.mean(each[name])
        assert "the best of 3 samples for each window, by SSIM; of one forecast, without noise" in ours.how
    run = tmp_path / "runs" / "table" / "mean"
    single = evaluate(run, baselines=(), convention="thuml").frame("svg", "mse")
    assert computed["mean", "mse"].how.startswith("the mean over 2 samples of each window")
    assert computed["mean", "mse"].how.endswith(f"{single.value:.4g}")
    assert computed["other", "mse"].how == "of one forecast: the model draws no samples"


@pytest.mark.parametrize("wrong", ["best_of: 0", "mean_of: -1", "best_of: 2, mean_of: 2", "best_of: 2, best_by: ssim"])
def test_a_number_of_samples_that_is_none(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "table.yaml").write_text(SAMPLED.replace("mean_of: 2", wrong))
    with pytest.raises(ConfigError, match="sample"):
        reproduce(tmp_path / "table.yaml", out=tmp_path / "runs", console=QUIET)
    assert not (tmp_path / "runs").exists()
