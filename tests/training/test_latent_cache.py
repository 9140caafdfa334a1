"""Latents that are kept on disk are those that would be computed, and a run with them is resumed like any other."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from rich.console import Console
from safetensors.torch import load_file

from framecast.config.experiment import Experiment, Optimiser
from framecast.config.parsing import plain
from framecast.data.datasets import ArchiveData
from framecast.errors import ConfigError
from framecast.models import ModularDesign
from framecast.models.modular import FirstStage
from framecast.ops import all_valid
from framecast.training import resume, train

QUIET = Console(quiet=True)


def modular(experiment: Experiment, *, cache: bool) -> Experiment:
    model = replace(ModularDesign.tiny(), first=FirstStage(iterations=4, batch_size=2), cache=cache)
    return replace(experiment, model=model, optimiser=Optimiser(learning_rate=1e-2))


def test_a_cached_run_ends_at_the_same_weights(experiment: Experiment, tmp_path: Path) -> None:
    plain = train(modular(experiment, cache=False), out=tmp_path / "plain", console=QUIET)
    kept = train(modular(experiment, cache=True), out=tmp_path / "kept", console=QUIET)
    assert (kept / "latents" / "latents.npy").is_file()
    one, other = (load_file(run / "last" / "weights.safetensors") for run in (plain, kept))
    for name, weight in one.items():
        torch.testing.assert_close(other[name], weight, rtol=1e-4, atol=1e-6)

    latents = np.load(kept / "latents" / "latents.npy", mmap_mode="r")
    written = (kept / "latents" / "latents.npy").stat().st_mtime_ns
    resume(kept, experiment.training.iterations + 2, console=QUIET)
    assert (kept / "latents" / "latents.npy").stat().st_mtime_ns == written
    assert len(latents) == 20 or len(latents) > 0
    longer = replace(experiment, training=replace(experiment.training, iterations=experiment.training.iterations + 2))
    whole = train(modular(longer, cache=True), out=tmp_path / "whole", console=QUIET)
    one, other = (load_file(run / "last" / "weights.safetensors") for run in (whole, kept))
    assert all(torch.equal(weight, other[name]) for name, weight in one.items())


def test_random_crops_cannot_be_cached(experiment: Experiment, tmp_path: Path) -> None:
    np.save(tmp_path / "clips.npy", np.random.default_rng(0).integers(0, 255, (12, 8, 1, 24, 24), dtype=np.uint8))
    data = ArchiveData(path=str(tmp_path / "clips.npy"), context=3, horizon=3, crop=16)
    with pytest.raises(ConfigError, match="cannot be cached"):
        train(replace(modular(experiment, cache=True), data=data), out=tmp_path / "run", console=QUIET)
    assert {path.name for path in tmp_path.iterdir()} == {"clips.npy"}, "said before the autoencoder is trained"


def test_a_place_of_a_latent_is_valid_where_all_its_pixels_are() -> None:
    valid = torch.ones(1, 1, 1, 8, 8, dtype=torch.bool)
    valid[..., 5, 2] = False
    assert all_valid(valid, (2, 2)).flatten().tolist() == [True, True, False, True]


@pytest.mark.slow
def test_both_stages_in_two_processes_are_those_of_one(experiment: Experiment, tmp_path: Path) -> None:
    """Two processes with half the batch, in one command: the autoencoder, then the predictor."""
    tiny = ModularDesign.tiny()
    model = replace(
        tiny, first=FirstStage(iterations=4, batch_size=4), autoencoder=replace(tiny.autoencoder, revive=0.0)
    )
    settings = replace(experiment.training, batch_size=4, validation_windows=0)
    one = replace(experiment, model=model, training=settings, optimiser=Optimiser(learning_rate=1e-3))
    train(one, out=tmp_path / "one", console=QUIET)
    halved = replace(model, first=FirstStage(iterations=4, batch_size=2))
    two = replace(one, model=halved, training=replace(settings, batch_size=2, devices=2, strategy="ddp"))
    (tmp_path / "two.yaml").write_text(yaml.safe_dump({"base": plain(two)}))
    command = [
        sys.executable,
        "-m",
        "framecast.cli",
        "train",
        str(tmp_path / "two.yaml"),
        "--out",
        str(tmp_path / "two"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    for name in ("one", "one-autoencoder"):
        ours = load_file(tmp_path / name / "last" / "weights.safetensors")
        theirs = load_file(tmp_path / name.replace("one", "two") / "last" / "weights.safetensors")
        for key, weight in ours.items():
            torch.testing.assert_close(theirs[key], weight, rtol=1e-3, atol=1e-4)
