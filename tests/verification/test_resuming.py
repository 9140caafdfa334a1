"""An evaluation that is interrupted continues, with the result of an undisturbed one to the last bit; or begins anew."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from moving_rain import write_rain

import framecast
from framecast.checkpoints.model_folder import find, save
from framecast.checkpoints.model_folder import load as load_saved
from framecast.config.experiment import Experiment, Optimiser, Training
from framecast.data.datasets import ArchiveData
from framecast.models import ConvLSTM
from framecast.training import train
from framecast.verification import stored_parts
from framecast.verification.evaluate import Evaluation, Job, run_job
from framecast.verification.result import Verification
from framecast.verification.settings import EvaluationSettings
from framecast.verification.stored_parts import FOLDER
from framecast.workflows.evaluation import DEFAULT, compare, evaluate

NONE = EvaluationSettings(baselines=())


@pytest.fixture(scope="module")
def rain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rain") / "rain.nc"
    return write_rain(path, "2020-01-01T21:00", frames=60, height=16, width=20, speed=0.3)


@pytest.fixture(scope="module")
def run(rain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    experiment = Experiment(
        data=ArchiveData(path=str(rain), context=3, horizon=3),
        model=ConvLSTM(hidden=(4,), kernel=3),
        optimiser=Optimiser(),
        training=Training(iterations=1, batch_size=2, validate_every=1, checkpoint_every=1, validation_windows=2),
    )
    return train(experiment, out=tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("new") / "new.nc"
    return write_rain(path, "2021-01-01T21:00", frames=24, height=16, width=20, speed=0.4)


@pytest.fixture(autouse=True)
def written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_parts, "_EVERY", -1.0)


def interrupt_after(cases: int, error: type[BaseException] = KeyboardInterrupt) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done >= cases:
            raise error

    return progress


def evaluation(run: Path, data: Path, out: Path, progress: Callable[[int, int], None] | None = None) -> Evaluation:
    job = Job.of(run, str(data), DEFAULT, EvaluationSettings(baselines=("persistence",)))
    return run_job(job, out=out, progress=progress)


def assert_same(one: Verification, other: Verification) -> None:
    """Sums to the last bit, and the cases for figures with all their frames."""
    xr.testing.assert_identical(one.sums, other.sums)
    assert {name: each.dtype for name, each in one.sums.variables.items()} == {
        name: each.dtype for name, each in other.sums.variables.items()
    }
    assert [(each.case, each.why) for each in one.examples] == [(each.case, each.why) for each in other.examples]
    for mine, theirs in zip(one.examples, other.examples, strict=True):
        np.testing.assert_array_equal(mine.truth, theirs.truth)
        for name, frames in mine.forecasts.items():
            np.testing.assert_array_equal(frames, theirs.forecasts[name])


@pytest.mark.parametrize("cases", [4, 16])
def test_an_interrupted_evaluation_continues(run: Path, new: Path, tmp_path: Path, cases: int) -> None:
    expected = evaluation(run, new, tmp_path / "undisturbed").verification
    with pytest.raises(KeyboardInterrupt):
        evaluation(run, new, tmp_path / "out", interrupt_after(cases))
    counts: list[int] = []
    result = evaluation(run, new, tmp_path / "out", lambda done, total: counts.append(done)).verification
    assert_same(result, expected)
    assert counts[0] >= (4 if cases == 16 else 0)  # parts with a case for figures are scored again
    assert (tmp_path / "out" / "cases.nc").is_file()
    assert not (tmp_path / "out" / FOLDER).exists()
    assert (tmp_path / "out" / "cases.nc").read_bytes() == (tmp_path / "undisturbed" / "cases.nc").read_bytes()


def test_a_damaged_part_is_scored_again(run: Path, new: Path, tmp_path: Path) -> None:
    expected = evaluation(run, new, tmp_path / "undisturbed").verification
    with pytest.raises(KeyboardInterrupt):
        evaluation(run, new, tmp_path / "out", interrupt_after(12))
    first, second, third = sorted((tmp_path / "out" / FOLDER).glob("*.npz"))
    first.write_bytes(first.read_bytes()[:-100])
    second.write_bytes(b"")
    third.write_bytes(b"PK" + bytes(200))
    assert_same(evaluation(run, new, tmp_path / "out").verification, expected)


def test_parts_of_another_evaluation_are_not_used(
    run: Path, new: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Other settings, other data at the same path, another model."""
    data = tmp_path / "data.nc"
    data.write_bytes(new.read_bytes())

    def interrupted() -> None:
        caplog.clear()
        with pytest.raises(KeyboardInterrupt):
            evaluation(run, data, tmp_path / "out", interrupt_after(12))

    interrupted()
    result = evaluate(run, str(data), NONE, out=tmp_path / "out")
    assert_same(result, evaluate(run, str(data), NONE))
    assert "with other settings: begun anew" in caplog.text

    interrupted()
    write_rain(data, "2021-01-01T21:00", frames=24, height=16, width=20, speed=0.2)
    assert_same(
        evaluation(run, data, tmp_path / "out").verification, evaluation(run, data, tmp_path / "x").verification
    )
    assert "with other data: begun anew" in caplog.text

    interrupted()
    network, card = load_saved(find(run))
    with torch.no_grad():
        next(network.parameters()).mul_(1.5)
    save(tmp_path / "changed", network, card)
    evaluation(tmp_path / "changed", data, tmp_path / "out")
    assert "with other models: begun anew" in caplog.text


def test_frames_in_memory(run: Path, new: Path, tmp_path: Path) -> None:
    frames = framecast.open(new).load()
    with pytest.raises(KeyboardInterrupt):
        evaluate(run, frames, NONE, out=tmp_path, progress=interrupt_after(16))
    changed = frames.copy(data=frames.values * 2)
    assert_same(evaluate(run, changed, NONE, out=tmp_path), evaluate(run, changed, NONE))


def test_a_comparison_continues(run: Path, rain: Path, new: Path, tmp_path: Path) -> None:
    runs = {"one": run, "two": run}
    expected = compare(runs, str(new), NONE, out=tmp_path / "undisturbed")
    with pytest.raises(KeyboardInterrupt):
        compare(runs, str(new), NONE, out=tmp_path / "out", progress=interrupt_after(12))
    assert_same(compare(runs, str(new), NONE, out=tmp_path / "out").verification, expected.verification)


@pytest.mark.slow
def test_kills_at_random_moments(run: Path, new: Path, tmp_path: Path) -> None:
    expected = evaluation(run, new, tmp_path / "undisturbed").verification
    rng, ends = np.random.default_rng(0), 0
    command = [sys.executable, "-m", "framecast.cli", "evaluate", str(run), "--data", str(new), "--out"]
    command += [str(tmp_path / "out"), "--baselines", "persistence"]
    while True:
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        time.sleep(float(rng.uniform(2, 6)) + ends / 2)
        if process.poll() is not None:
            assert process.returncode == 0, process.communicate()[1]
            break
        os.kill(process.pid, [signal.SIGKILL, signal.SIGTERM, signal.SIGINT][ends % 3])
        process.wait()
        ends += 1
    assert ends > 1
    stored = Verification.open(tmp_path / "out" / "cases.nc")
    expected.save(tmp_path / "expected.nc")
    xr.testing.assert_identical(stored.sums, Verification.open(tmp_path / "expected.nc").sums)
