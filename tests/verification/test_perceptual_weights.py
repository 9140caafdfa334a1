"""LPIPS and FVD from files of weights: read in their published layout, named with checksums, never replaced by anything else."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from perceptual_files import LINEAR, write_i3d, write_trunk

from command_line import run_command
from framecast.config.experiment import Experiment, Optimiser, Training
from framecast.data.datasets import ArchiveData
from framecast.errors import DataError
from framecast.models import ConvLSTM
from framecast.scores.i3d import I3D
from framecast.training import train
from framecast.verification.perceptual_weights import PerceptualWeights
from framecast.verification.result import Verification
from framecast.workflows.evaluation import evaluate

UNITS = {
    "Conv3d_1a_7x7": (64, 3, 7),
    "Conv3d_2b_1x1": (64, 64, 1),
    "Conv3d_2c_3x3": (192, 64, 3),
    "Mixed_3b.b0": (64, 192, 1),
    "Mixed_3b.b1a": (96, 192, 1),
    "Mixed_3b.b1b": (128, 96, 3),
    "Mixed_4f.b2b": (128, 32, 3),
    "Mixed_5c.b3b": (128, 832, 1),
}
"""Some of the units of the published I3D file, with channels out and in and the side of the kernel."""


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_trunk(tmp_path_factory.mktemp("trunk") / "alexnet.pth")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_i3d(tmp_path_factory.mktemp("video") / "i3d.pt")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run on grey squares that move."""
    folder = tmp_path_factory.mktemp("squares")
    frames = np.zeros((60, 1, 40, 40), dtype=np.float32)
    for k in range(60):
        frames[k, 0, 10:20, k % 30 : k % 30 + 10] = 1
    np.save(folder / "squares.npy", frames)
    experiment = Experiment(
        data=ArchiveData(path=str(folder / "squares.npy"), units="0-1", context=3, horizon=3),
        model=ConvLSTM(hidden=(4,), kernel=3),
        optimiser=Optimiser(),
        training=Training(iterations=1, batch_size=2, validate_every=1, checkpoint_every=1, validation_windows=2),
    )
    return train(experiment, out=folder / "run")


def test_units_of_the_published_network(video: Path) -> None:
    weights = torch.load(video, weights_only=True)
    for name, (outer, inner, side) in UNITS.items():
        assert tuple(weights[f"{name}.conv3d.weight"].shape) == (outer, inner, side, side, side)
        assert tuple(weights[f"{name}.bn.running_mean"].shape) == (outer,)
    assert tuple(weights["logits.conv3d.weight"].shape) == (400, 1024, 1, 1, 1)
    count = sum(value.numel() for value in I3D().parameters())
    assert count == pytest.approx(12.7e6, rel=0.01), "12 million, as the paper says, with 400 classes"


def test_features_see_time(video: Path) -> None:
    network = I3D(torch.load(video, weights_only=True))
    generator = torch.Generator().manual_seed(1)
    clips = torch.rand(2, 10, 1, 32, 32, generator=generator)
    features = network(clips)
    assert features.shape == (2, 400)
    assert (features[0] - features[1]).abs().max() > 1e-3
    assert (network(clips[:1].flip(1)) - features[:1]).abs().max() > 1e-3
    short = clips[:1, :4]
    torch.testing.assert_close(network(short), network(torch.cat([short, short[:, 3:].expand(-1, 5, -1, -1, -1)], 1)))


def test_scores_are_computed_where_weights_are_given_and_nowhere_else(
    run: Path,
    trunk: Path,
    video: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain = evaluate(run, limit=2, baselines=("persistence",))
    assert "LPIPS" not in {metric.title for metric in plain.metrics()}
    assert "not computed" in plain.definitions()["LPIPS"]
    assert "not computed" in plain.definitions()["FVD"]
    # on the command line
    weights = ["--lpips", str(trunk), "--lpips", str(LINEAR), "--fvd", str(video)]
    arguments = ("--limit", "2", "--baselines", "persistence", *weights, "--out", tmp_path)
    code, printed, errors = run_command(monkeypatch, capsys, "evaluate", run, *arguments)
    assert code == 0, errors
    assert "LPIPS" in printed
    assert "FVD of 2 clips" in printed
    assert ">FVD ↓</th>" in (tmp_path / "report.html").read_text()
    # what was written
    seen = Verification.open(tmp_path / "cases.nc")
    lpips = seen.metric("lpips")
    assert seen.score("persistence", lpips).value > 0
    assert seen.frame("persistence", "fvd").value > 0
    message = seen.definitions()
    assert hashlib.sha256(LINEAR.read_bytes()).hexdigest() in message["LPIPS"]
    assert hashlib.sha256(video.read_bytes()).hexdigest() in message["FVD"]
    assert "from -1 to 1" in message["LPIPS"]
    as_published = evaluate(run, limit=2, baselines=("persistence",), lpips=(trunk, LINEAR), convention="thuml")
    assert "from 0 to 1" in as_published.definitions()["LPIPS"]
    assert as_published.score("persistence", lpips).value != seen.score("persistence", lpips).value


def test_weights_of_something_else_are_refused(trunk: Path, video: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lin0"):
        PerceptualWeights((str(trunk),)).networks()
    with pytest.raises(DataError, match="Conv3d"):
        PerceptualWeights(fvd=str(trunk)).networks()
    named = tmp_path / "alexnet-owt-7be5be79.pth"
    named.write_bytes(trunk.read_bytes())
    with pytest.raises(DataError, match="not what its name says"):
        PerceptualWeights((str(named), str(LINEAR))).networks()
    wrong = torch.load(video, weights_only=True) | {"logits.conv3d.weight": torch.zeros(10, 1024, 1, 1, 1)}
    torch.save(wrong, tmp_path / "wrong.pt")
    with pytest.raises(DataError, match=r"logits.conv3d.weight has shape \(10"):
        PerceptualWeights(fvd=str(tmp_path / "wrong.pt")).networks()
