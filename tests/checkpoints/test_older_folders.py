"""Folders that were written before cards had a version 2: they load, forecast, and are resumed to the same weights as then.

`folders_0_1` holds a run on radar frames and the second stage of a modular design, each with an earlier checkpoint and the model
it ended with, without pictures and TensorBoard.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

import framecast
from framecast.checkpoints.model_folder import CARD, load
from framecast.errors import RunError
from framecast.forecasting.protocol import Context
from framecast.training import resume_state

STORED = Path(__file__).parent / "folders_0_1"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(STORED, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)  # the experiment names its data beside it
    return tmp_path


@pytest.mark.parametrize(("name", "size"), [("run", 24), ("modular", 16)])
def test_a_model_of_before_loads_and_forecasts(name: str, size: int) -> None:
    assert "format_version" not in json.loads((STORED / name / "last" / CARD).read_text())
    model = framecast.load(STORED / name)
    context = np.random.default_rng(0).random((1, 3, 1, size, size), dtype=np.float32)
    forecast = model.forecast(Context(context), 4)[0]
    assert forecast.shape == (1, 4, 1, size, size)
    assert np.isfinite(forecast).all()


def test_how_its_files_were_read_is_taken_over(folders: Path) -> None:
    where = folders / "run" / "last" / CARD
    card = json.loads(where.read_text())
    card["reading"] |= {"time_step": 5.0, "grey": True}
    where.write_text(json.dumps(card))
    options = load(folders / "run" / "last")[1].read_options
    assert (options.time_step, options.grey, options.units) == (5.0, True, None)


@pytest.mark.parametrize("name", ["run", "modular"])
def test_a_run_of_before_goes_on_to_the_same_weights(folders: Path, name: str) -> None:
    stored = load_file(STORED / name / "last" / "weights.safetensors")
    shutil.rmtree(folders / name / "last")
    framecast.resume(folders / name, console=Console(quiet=True))
    resumed = load_file(folders / name / "last" / "weights.safetensors")
    assert stored.keys() == resumed.keys()
    for key, weight in stored.items():  # processors differ in rounding
        torch.testing.assert_close(resumed[key], weight, atol=1e-5, rtol=1e-5, msg=key)


def test_a_checkpoint_of_a_newer_framecast_is_refused(folders: Path) -> None:
    resume_state.write(folders / "checkpoints", 1, {"iteration": 1, "format_version": 99, "proven": 0})
    with pytest.raises(RunError, match="a checkpoint of version 99"):
        resume_state.read(folders / "checkpoints", {})
