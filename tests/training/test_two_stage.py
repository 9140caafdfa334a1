"""A modular design trains in one call: the autoencoder first, where there is none, then the predictor."""

import io
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

import framecast
from conftest import changed
from framecast.config.experiment import Experiment, Optimiser
from framecast.errors import ConfigError, RunError
from framecast.forecasting.protocol import Context
from framecast.models import VAE, ModularDesign, PredRNN
from framecast.models.modular import FirstStage
from framecast.training import resume, train
from framecast.training.two_stage import first_stage, load_first_stage, second_stage
from framecast.types import FrameShape
from framecast.workflows.reproduce import check_row

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
    assert forecaster.forecast(Context(context), 5).shape == (1, 1, 5, 1, 16, 16)

    written = (first / "log.csv").stat().st_mtime_ns
    shutil.rmtree(out)
    train(experiment, out=out, console=QUIET)
    assert (first / "log.csv").stat().st_mtime_ns == written
    again = load_file(out / "last" / "weights.safetensors")
    assert all(torch.equal(weight, again[name]) for name, weight in both.items())

    shutil.rmtree(out)
    with pytest.raises(ConfigError):
        train(changed(experiment, seed=1), out=out, console=QUIET)


def test_a_run_may_be_where_one_is(experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train(changed(experiment, iterations=1), out=Path("."), console=QUIET)
    resume(".", iterations=2, console=QUIET)
    assert (tmp_path / "last").is_dir()


class Stopping(io.StringIO):
    """A console's file that ends training where `text` is printed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def write(self, text: str) -> int:
        if self.text in text:
            signal.raise_signal(signal.SIGTERM)
        return super().write(text)


def _moved(run: Path, folder: Path) -> Path:
    """Move both stages of a run into a new folder."""
    folder.mkdir()
    for each in run.parent.glob(f"{run.name}*"):
        shutil.move(each, folder)
    return folder / run.name


def test_both_stages_go_on_where_they_were_interrupted_and_where_they_were_moved(
    experiment: Experiment, tmp_path: Path
) -> None:
    model = replace(ModularDesign.tiny(), first=FirstStage(iterations=8, batch_size=2, learning_rate=1e-3))
    experiment = replace(experiment, model=model)
    whole = train(experiment, out=tmp_path / "whole", console=QUIET)

    said = Stopping("4/8 ")
    out = train(experiment, out=tmp_path / "run", console=Console(file=said, width=200))
    assert out == tmp_path / "run"
    assert (
        f"iteration 5 of the first stage, everything is saved; continue with: framecast.resume({str(out)!r})"
        in " ".join(said.getvalue().split())
    )
    assert not (tmp_path / "run-autoencoder" / "last").exists()
    with pytest.raises(RunError, match="no trained model"):
        framecast.load(out)
    out = _moved(out, tmp_path / "waiting")
    said = Stopping("6/12 ")
    assert resume(out, console=Console(file=said, width=200)) == out
    assert "interrupted at iteration 7, everything" in said.getvalue()
    out = _moved(out, tmp_path / "begun")
    resume(out, console=QUIET)
    out = _moved(out, tmp_path / "finished")
    check_row(experiment, out)
    with pytest.raises(ConfigError, match=r"model\.trained"):
        check_row(replace(experiment, model=replace(model, trained=str(whole))), out)
    for folder in ("-autoencoder", ""):
        expected, found = (load_file(f"{run}{folder}/last/weights.safetensors") for run in (whole, out))
        assert all(torch.equal(weight, found[name]) for name, weight in expected.items())


def test_the_command_that_was_interrupted_goes_on_as_well(experiment: Experiment, tmp_path: Path) -> None:
    model = replace(ModularDesign.tiny(), first=FirstStage(iterations=4, batch_size=2))
    experiment = replace(experiment, model=model)
    train(experiment, out=tmp_path / "run", console=Console(file=Stopping("2/4 ")))
    assert (train(experiment, out=tmp_path / "run", console=QUIET) / "last").is_dir()


def test_what_is_wrong_is_said_before_the_first_stage(experiment: Experiment, tmp_path: Path) -> None:
    model = ModularDesign.tiny()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    with pytest.raises(RunError, match="exists and is not empty"):
        train(replace(experiment, model=model), out=tmp_path / "full", console=QUIET)
    patches = replace(model, predictor=PredRNN(hidden=(4,), patch=3))
    with pytest.raises(ConfigError, match="cannot be cut into patches"):
        train(replace(experiment, model=patches), out=tmp_path / "patches", console=QUIET)
    with pytest.raises(ConfigError, match="graph"):
        train(changed(replace(experiment, model=model), graph=True), out=tmp_path / "graph", console=QUIET)
    with pytest.raises(ConfigError, match=r"model\.first\.iterations: 0"):
        train(replace(experiment, model=replace(model, first=FirstStage(iterations=0))), console=QUIET)
    assert [each.name for each in tmp_path.iterdir()] == ["full"]


def test_an_autoencoder_that_is_missing_or_another_is_named(experiment: Experiment, tmp_path: Path) -> None:
    model = ModularDesign.tiny()
    network = model.build(FrameShape(1, 16, 16, 3, 3))
    with pytest.raises(ConfigError, match="no trained autoencoder"):
        load_first_stage(network, model)
    with pytest.raises(RunError, match="no trained model here"):
        load_first_stage(network, replace(model, trained=str(tmp_path)))
    stage = first_stage(replace(experiment, model=replace(model, first=FirstStage(iterations=1, batch_size=1))))
    assert stage is not None
    trained = str(train(stage, out=tmp_path / "stage", console=QUIET))
    load_first_stage(network, replace(model, trained=trained))
    with pytest.raises(ConfigError, match="name vqvae, not vae"):
        load_first_stage(network, replace(model, autoencoder=VAE.tiny(), trained=trained))
    wider = replace(model.autoencoder, width=64)
    with pytest.raises(ConfigError, match="width 16, not 64"):
        load_first_stage(network, replace(model, autoencoder=wider, trained=trained))


def test_an_experiment_of_one_stage_is_left_as_it_is(experiment: Experiment, tmp_path: Path) -> None:
    assert first_stage(experiment) is None
    assert second_stage(experiment, tmp_path / "run")[0] == experiment
