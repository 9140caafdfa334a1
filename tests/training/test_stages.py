"""A modular design trains in one call: the autoencoder first, where there is none, then the predictor."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

import framecast
from conftest import changed
from framecast.errors import ConfigError, RunError
from framecast.experiment import Experiment, Optimiser
from framecast.models import VAE, ModularDesign
from framecast.models.modular import FirstStage
from framecast.training import train
from framecast.training.stages import adopt_autoencoder, first_stage, second_stage
from framecast.types import FrameShape

QUIET = Console(quiet=True)


def test_both_stages_in_one_call_and_the_first_is_reused(experiment: Experiment, tmp_path: Path) -> None:
    model = replace(ModularDesign.tiny(), first=FirstStage(iterations=6, batch_size=2, learning_rate=1e-3))
    experiment = replace(experiment, model=model, optimiser=Optimiser(learning_rate=1e-2))
    out = train(experiment, out=tmp_path / "run", console=QUIET)
    first = tmp_path / "run-autoencoder"
    trained = load_file(first / "best" / "weights.safetensors")
    both = load_file(out / "last" / "weights.safetensors")
    for name, weight in trained.items():
        assert torch.equal(both[f"autoencoder.{name}"], weight), name

    forecaster = framecast.load(out)
    context = torch.rand(1, 3, 1, 16, 16).numpy()
    assert forecaster.forecast_arrays(context, 5).shape == (1, 5, 1, 16, 16)

    written = (first / "log.csv").stat().st_mtime_ns
    shutil.rmtree(out)
    train(experiment, out=out, console=QUIET)
    assert (first / "log.csv").stat().st_mtime_ns == written
    again = load_file(out / "last" / "weights.safetensors")
    assert all(torch.equal(weight, again[name]) for name, weight in both.items())

    shutil.rmtree(out)
    with pytest.raises(ConfigError):
        train(changed(experiment, seed=1), out=out, console=QUIET)


def test_an_autoencoder_that_is_missing_or_another_is_named(experiment: Experiment, tmp_path: Path) -> None:
    model = ModularDesign.tiny()
    network = model.build(FrameShape(1, 16, 16, 3, 3))
    with pytest.raises(ConfigError, match="no trained autoencoder"):
        adopt_autoencoder(network, model)
    with pytest.raises(RunError, match="no trained model here"):
        adopt_autoencoder(network, replace(model, trained=str(tmp_path)))
    stage = first_stage(replace(experiment, model=replace(model, first=FirstStage(iterations=1, batch_size=1))))
    assert stage is not None
    trained = str(train(stage, out=tmp_path / "stage", console=QUIET))
    adopt_autoencoder(network, replace(model, trained=trained))
    with pytest.raises(ConfigError, match="not VAE"):
        adopt_autoencoder(network, replace(model, autoencoder=VAE.tiny(), trained=trained))


def test_an_experiment_of_one_stage_is_left_as_it_is(experiment: Experiment, tmp_path: Path) -> None:
    assert first_stage(experiment) is None
    assert second_stage(experiment, tmp_path / "run")[0] == experiment
