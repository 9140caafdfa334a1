"""The training loop: what it leaves behind, and that it resumes exactly where it stopped."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
import yaml
from kill_runs import start
from torch import Tensor

import framecast
from conftest import changed, weights_of
from framecast.config.experiment import Experiment, Optimiser
from framecast.config.parsing import plain
from framecast.config.recipes import read
from framecast.data.datasets import ArchiveData, MovingDigits
from framecast.data.windows.splits import ByBlocks
from framecast.errors import ConfigError, FramecastError, RunError
from framecast.models import ModularDesign
from framecast.models.modular import FirstStage
from framecast.ops.native.library import Status
from framecast.training.decoding import describe_decoding
from framecast.training.events import Finished, ModelSaved, Progress, Started, Validated, Warned
from framecast.training.loop import train
from framecast.training.run import SLOW
from framecast.training.run_folder import read_experiment
from framecast.training.step import update


def finish(experiment: Experiment, out: Path, **options: Any) -> list[Any]:
    return list(train(experiment, out, **options))


def stop_after(experiment: Experiment, out: Path, iteration: int, *, resume: bool = False) -> list[Any]:
    """Train, and raise SIGTERM at the first progress event at or after `iteration`."""
    seen = []
    for event in train(experiment, out, resume=resume):
        seen.append(event)
        if isinstance(event, Progress) and event.iteration >= iteration:
            signal.raise_signal(signal.SIGTERM)
    return seen


def test_a_run_leaves_everything_behind(experiment: Experiment, tmp_path: Path) -> None:
    events = finish(experiment, tmp_path / "run")
    assert isinstance(events[0], Started)
    assert events[-1] == Finished(tmp_path / "run", 12, interrupted=False)
    assert [event.iteration for event in events if isinstance(event, Progress)] == [2, 4, 6, 8, 10, 12]
    assert [event.iteration for event in events if isinstance(event, Validated)] == [5, 10, 12]
    assert any(isinstance(event, ModelSaved) for event in events)
    for name in (
        "experiment.yaml",
        "log.csv",
        "best/card.json",
        "last/weights.safetensors",
        "pictures/validation-0000005.png",
    ):
        assert (tmp_path / "run" / name).is_file(), name
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    assert [path.name for path in sorted((tmp_path / "run" / "checkpoints").glob("*.pt"))] == [
        "iteration-000000008.pt",
        "iteration-000000012.pt",
    ]
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    losses = [event.loss for event in events if isinstance(event, Progress)]
    assert [float(row["loss"]) for row in rows if row["loss"]] == pytest.approx(losses)


def test_it_is_said_where_training_is_slow(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framecast.training.run.status", lambda: Status("AVX2", None, "no compiler"))
    events = finish(changed(experiment, iterations=1), tmp_path / "run")
    assert [event.message for event in events if isinstance(event, Warned)] == [f"{SLOW} (no compiler)"]


def test_frames_decoded_whole_for_small_crops_are_told_of(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rain, times = tmp_path / "rain.nc", np.datetime64("2020-01-01", "ns") + np.arange(12) * np.timedelta64(5, "m")
    values = np.random.default_rng(0).gamma(1, 2, (12, 64, 80)).astype(np.float32)
    frames = xr.DataArray(values, dims=("time", "y", "x"), coords={"time": times}, attrs={"units": "mm/h"}, name="rain")
    frames.to_netcdf(rain, engine="h5netcdf")
    framecast.convert(rain, tmp_path / "rain.zarr")
    data = ArchiveData(path=str(rain), context=2, horizon=2, crop=8, split=ByBlocks(validation=0, test=0))

    def messages(data: ArchiveData) -> list[str]:
        return describe_decoding(replace(experiment, data=data), data.open())

    monkeypatch.setattr("framecast.training.decoding._SLOW", 0.0)
    assert messages(data) == []  # kept in memory
    monkeypatch.setattr("framecast.data.lazy.FRAME_CACHE_BYTES", 0)
    (message,) = messages(data)
    assert "a crop of 8 x 8 takes" in message
    assert f"from a frame of 64 x 80, so the {4 * experiment.training.batch_size} frames of an iteration" in message
    assert f"convert {rain} once" in message
    for other in (replace(data, crop=20), replace(data, crop=None), replace(data, path=str(tmp_path / "rain.zarr"))):
        assert messages(other) == []


def test_training_learns(experiment: Experiment, tmp_path: Path) -> None:
    longer = changed(experiment, iterations=120, batch_size=8, validate_every=60)
    validated = [event.loss for event in finish(longer, tmp_path / "run") if isinstance(event, Validated)]
    first = finish(changed(experiment, iterations=1), tmp_path / "one")
    untrained = next(event.loss for event in first if isinstance(event, Validated))
    assert validated[-1] < 0.85 * untrained


@pytest.mark.parametrize("stop", [2, 6, 10])
def test_a_stopped_run_goes_on_to_the_same_weights(experiment: Experiment, tmp_path: Path, stop: int) -> None:
    varied = replace(
        changed(experiment, ema=0.9, reverse_time=True, workers=1), optimiser=Optimiser(clip=0.1, weight_decay=0.01)
    )
    finish(varied, tmp_path / "whole")
    stopped = stop_after(varied, tmp_path / "parts", stop)
    assert stopped[-1].interrupted
    assert stopped[-1].iteration == stop + 1
    events = finish(varied, tmp_path / "parts", resume=True)
    assert events[0].iteration == stop + 1
    assert torch.equal(weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts"))
    losses = [(tmp_path / name / "log.csv").read_text() for name in ("whole", "parts")]
    columns = [[(row["iteration"], row["loss"]) for row in csv.DictReader(text.splitlines())] for text in losses]
    assert [row[0] for row in columns[0]] == [row[0] for row in columns[1]]
    assert columns[0][-1] == columns[1][-1]


def test_a_longer_run_may_be_asked_for_and_nothing_else(experiment: Experiment, tmp_path: Path) -> None:
    constant = replace(experiment, optimiser=Optimiser(learning_rate=1e-2))
    finish(constant, tmp_path / "parts")
    finish(changed(constant, iterations=15), tmp_path / "parts", resume=True)
    finish(changed(constant, iterations=15), tmp_path / "whole")
    assert torch.equal(weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts"))
    with pytest.raises(ConfigError, match="settings differ"):
        finish(changed(constant, iterations=15, batch_size=3), tmp_path / "parts", resume=True)
    with pytest.raises(ConfigError, match="15 iterations are done, more than 12"):
        finish(constant, tmp_path / "parts", resume=True)


def test_a_longer_run_that_stops_knows_its_new_length(experiment: Experiment, tmp_path: Path) -> None:
    finish(experiment, tmp_path / "run")
    stop_after(changed(experiment, iterations=18), tmp_path / "run", 14, resume=True)
    again = read_experiment(tmp_path / "run")
    assert again.training.iterations == 18
    assert finish(again, tmp_path / "run", resume=True)[-1] == Finished(tmp_path / "run", 18, interrupted=False)


def test_an_existing_run_is_never_overwritten(experiment: Experiment, tmp_path: Path) -> None:
    finish(changed(experiment, iterations=1), tmp_path / "run")
    before = (tmp_path / "run" / "last" / "weights.safetensors").read_bytes()
    with pytest.raises(RunError, match="exists and is not empty"):
        finish(experiment, tmp_path / "run")
    assert (tmp_path / "run" / "last" / "weights.safetensors").read_bytes() == before
    (tmp_path / "my run").mkdir()
    (tmp_path / "my run" / "notes.txt").touch()
    with pytest.raises(RunError, match="resume this run"):
        finish(experiment, tmp_path / "my run")


def test_devices_that_this_machine_has_not_are_said(experiment: Experiment, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="devices: -1 given"):
        finish(changed(experiment, devices=-1), tmp_path / "run")


def test_a_bad_model_leaves_nothing_behind(experiment: Experiment, tmp_path: Path) -> None:
    wrong = replace(experiment, model=replace(experiment.model, patch=5))
    with pytest.raises(ConfigError, match="patches of 5 x 5"):
        finish(wrong, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("damage", ["cut", "flip", "no sum"])
def test_a_damaged_checkpoint_is_passed_over(experiment: Experiment, tmp_path: Path, damage: str) -> None:
    finish(experiment, tmp_path / "run")
    finish(experiment, tmp_path / "whole")
    newest = tmp_path / "run" / "checkpoints" / "iteration-000000012.pt"
    content = bytearray(newest.read_bytes())
    if damage == "cut":
        newest.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        content[len(content) // 2] ^= 1
        newest.write_bytes(content)
    else:
        newest.with_suffix(".sha256").unlink()
    events = finish(experiment, tmp_path / "run", resume=True)
    assert events[0].iteration == 8
    assert any(isinstance(event, Warned) and "damaged" in event.message for event in events)
    assert torch.equal(weights_of(tmp_path / "whole"), weights_of(tmp_path / "run"))


class SometimesBroken:
    """A loss that is not finite at some calls."""

    name = "broken"

    def __init__(self, broken: set[int]) -> None:
        self.broken, self.calls = broken, 0

    def __call__(self, prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        self.calls += 1
        value = ((prediction - truth) ** 2).mean()
        return value * float("nan") if self.calls in self.broken else value


def test_a_loss_that_is_not_finite_is_skipped_and_counted(
    experiment: Experiment, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(
        "framecast.training.run_folder.plain", lambda settings: plain(replace(settings, loss=experiment.loss))
    )
    broken = replace(changed(experiment, validation_windows=0), loss=SometimesBroken({3, 4}))  # type: ignore[arg-type]
    events = finish(broken, tmp_path / "run")
    messages = [event.message for event in events if isinstance(event, Warned) and not event.message.startswith(SLOW)]
    assert [message[-8:] for message in messages] == ["1 in a row"[-8:], "2 in a row"[-8:]]
    assert torch.isfinite(weights_of(tmp_path / "run")).all()


def test_too_many_in_a_row_stop_training_with_the_checkpoint_intact(
    experiment: Experiment, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(
        "framecast.training.run_folder.plain", lambda settings: plain(replace(settings, loss=experiment.loss))
    )
    broken = replace(
        changed(experiment, validation_windows=0, max_skipped=3),
        loss=SometimesBroken(set(range(6, 100))),  # type: ignore[arg-type]
    )
    with pytest.raises(RunError, match=r"not finite 3 times in a row(?s:.*)learning_rate"):
        finish(broken, tmp_path / "run")
    events = finish(changed(experiment, validation_windows=0, max_skipped=3), tmp_path / "run", resume=True)
    assert events[0].iteration == 4


def recipe(experiment: Experiment, path: Path) -> Path:
    path.write_text(yaml.safe_dump({"base": plain(experiment)}))
    return path


def test_killed_at_random_and_resumed_is_as_if_nothing_had_happened(experiment: Experiment, tmp_path: Path) -> None:
    """SIGKILL at random moments, also while a checkpoint is being written: every iteration writes one."""
    long = changed(experiment, iterations=40, checkpoint_every=1, validate_every=20)
    finish(long, tmp_path / "whole")
    file, run = recipe(long, tmp_path / "recipe.yaml"), tmp_path / "killed"
    rng = random.Random(1)
    for _ in range(3):
        begin = ["--resume", str(run)] if (run / "checkpoints").is_dir() else [str(file), "--out", str(run)]
        process = start("train", *begin)
        _wait_for_checkpoints(run, process, 4 + rng.randrange(6))
        time.sleep(rng.random() * 0.05)
        os.kill(process, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    finish(long, run, resume=True)
    assert torch.equal(weights_of(tmp_path / "whole"), weights_of(run))
    assert not list((run / "checkpoints").glob("*.tmp*"))


def _wait_for_checkpoints(run: Path, process: int, more: int) -> None:
    """Wait until a running process has written `more` checkpoints."""

    def newest() -> int:
        return max((int(path.stem.split("-")[1]) for path in (run / "checkpoints").glob("*.pt")), default=0)

    target = newest() + more
    while newest() < target and not os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        time.sleep(0.005)


def test_sigterm_saves_and_exits_cleanly(experiment: Experiment, tmp_path: Path) -> None:
    endless = changed(experiment, iterations=100_000, checkpoint_every=5, validate_every=100_000)
    run, output = tmp_path / "run", tmp_path / "output"
    process = start("train", str(recipe(endless, tmp_path / "recipe.yaml")), "--out", str(run), output=output)
    _wait_for_checkpoints(run, process, 5)
    os.kill(process, signal.SIGTERM)
    code, message = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), output.read_text()
    assert code == 0, message
    assert "everything is saved" in message
    assert f"resume {run}" in message


def test_two_processes_are_one_with_twice_the_batch(experiment: Experiment, tmp_path: Path) -> None:
    """Distributed data parallel over gloo on the CPU, in both stages of a design of two, which go to one folder without a name:
    the same losses within 1e-5."""

    def batches_of(size: int) -> Experiment:
        first = FirstStage(iterations=2, batch_size=size, learning_rate=1e-3)
        staged = replace(experiment, model=replace(ModularDesign.tiny(), first=first))
        every = changed(staged, iterations=6, batch_size=size, validation_windows=0, log_every=1)
        return replace(every, optimiser=Optimiser(learning_rate=1e-3))

    framecast.train(batches_of(4), out=tmp_path / "one")
    two = recipe(changed(batches_of(2), devices=2, strategy="ddp"), tmp_path / "two.yaml")
    command = [sys.executable, "-m", "framecast.cli", "train", str(two)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shared, first_stage = sorted((tmp_path / "runs").iterdir())
    assert first_stage.name == f"{shared.name}-autoencoder"
    rows = [list(csv.DictReader((run / "log.csv").read_text().splitlines())) for run in (tmp_path / "one", shared)]
    losses = [[float(row["loss"]) for row in part] for part in rows]
    assert len(losses[0]) == 6
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    torch.testing.assert_close(weights_of(tmp_path / "one"), weights_of(shared), atol=1e-5, rtol=1e-4)


def test_frames_in_memory_are_trained_on(experiment: Experiment, tmp_path: Path) -> None:
    import numpy as np

    np.save(tmp_path / "frames.npy", np.random.default_rng(0).integers(0, 255, (40, 16, 16), dtype=np.uint8))
    frames = framecast.open(tmp_path / "frames.npy")

    own = replace(changed(experiment, iterations=2), data=ArchiveData(path="(in memory)", context=2, horizon=2))
    assert finish(own, tmp_path / "run", frames=[frames])[-1].iteration == 2
    with pytest.raises(ConfigError, match="take no frames"):
        finish(replace(own, data=MovingDigits(size=16)), tmp_path / "other", frames=[frames])


def test_what_is_given_beside_an_experiment_is_used_or_refused(experiment: Experiment, tmp_path: Path) -> None:
    import numpy as np

    np.save(tmp_path / "frames.npy", np.random.default_rng(0).integers(0, 255, (40, 16, 16), dtype=np.uint8))
    own = replace(changed(experiment, iterations=1), data=ArchiveData(path="/nowhere", context=2, horizon=2))
    run = framecast.train(own, data=tmp_path / "frames.npy", out=tmp_path / "run")
    assert read(run / "experiment.yaml").data.path == str(tmp_path / "frames.npy")  # type: ignore[union-attr]
    run = framecast.train(own, data=framecast.open(tmp_path / "frames.npy"), out=tmp_path / "other")
    with pytest.raises(RunError, match="was trained on frames in memory"):
        framecast.resume(run)
    with pytest.raises(ConfigError, match=r"'training\.seed=1' cannot change an Experiment"):
        framecast.train(own, ["training.seed=1"])
    with pytest.raises(ConfigError, match="moving_digits takes no other data"):
        framecast.train(experiment, data=tmp_path / "frames.npy")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(plain(experiment)))
    for data in (tmp_path / "frames.npy", framecast.open(tmp_path / "frames.npy")):
        with pytest.raises(ConfigError, match=r"moving_digits is generated(.|\n)*data\.name=archive"):
            framecast.train(recipe, data=data)
        settings = ["data.name=archive", "data.context=2", "data.horizon=2", "training.iterations=1"]
        framecast.train(recipe, settings, data=data, out=tmp_path / f"as-{type(data).__name__}")


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        ((3,), {}, "3 given, expected the folder of a run"),
        (("run", "5"), {}, "iterations: '5' given"),
        (("run", 0), {}, "iterations: 0 given"),
        (("run",), {"data": "archive/"}, "'archive/' given, expected frames"),
    ],
)
def test_what_no_run_goes_on_with_is_said(
    arguments: tuple[Any, ...],
    options: dict[str, Any],
    said: str,
    experiment: Experiment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    own = replace(experiment, data=ArchiveData(path="(frames in memory)", context=2, horizon=2))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "experiment.yaml").write_text(yaml.safe_dump(plain(own)))
    with pytest.raises(FramecastError, match=said):
        framecast.resume(*arguments, **options)


def test_an_interrupted_run_says_how_it_goes_on(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    import numpy as np
    from rich.console import Console

    def interrupted(experiment: Experiment, out: Path, **options: Any) -> Any:
        yield Finished(out, 3, interrupted=True)

    monkeypatch.setattr("framecast.training.api.train_events", interrupted)
    np.save(tmp_path / "frames.npy", np.zeros((9, 16, 16), dtype=np.uint8))
    own = replace(experiment, data=ArchiveData(path=str(tmp_path / "frames.npy")))
    for data, said in (
        (None, f"continue with: framecast.resume({str(tmp_path / 'run')!r})"),
        (framecast.open(own.data.path), ", data=frames)"),
    ):
        console = Console(file=io.StringIO(), width=200)
        framecast.train(own, data=data, out=tmp_path / "run", console=console)
        assert said in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_skipped_step_leaves_the_statistics_of_norms(experiment: Experiment) -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2))
    before = {name: values.clone() for name, values in model.state_dict().items()}

    def gradients(batch: Any, teacher: Tensor) -> dict[str, Tensor]:
        loss = model(torch.full((2, 1, 3, 3), torch.inf)).mean()
        loss.backward()
        return {"loss": loss.detach()}

    optimiser = torch.optim.SGD(model.parameters())
    assert update(experiment, model, optimiser, gradients, None, torch.ones(1)) is None  # type: ignore[arg-type]
    for name, values in model.state_dict().items():
        assert torch.equal(values, before[name]), name


def test_other_precisions_are_refused(experiment: Experiment, tmp_path: Path) -> None:
    settings = plain(experiment)
    settings["training"]["precision"] = "16-mixed"
    (tmp_path / "half.yaml").write_text(yaml.safe_dump({"base": settings}))
    with pytest.raises(ConfigError, match="precision"):
        read(tmp_path / "half.yaml")
