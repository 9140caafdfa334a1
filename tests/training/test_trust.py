"""Nothing of a run is lost: one writer, the last good checkpoint, settings that stay, and ends by kills and signals."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import framecast
from conftest import changed, small, weights_of
from framecast.config.experiment import Experiment, Optimiser
from framecast.config.parsing import plain
from framecast.errors import FramecastError, RunError
from framecast.training import resume_state
from framecast.training.events import Progress, Warned
from framecast.training.loop import train
from framecast.training.run_folder import settings_of
from framecast.training.step import update


def finish(experiment: Experiment, out: Path, **options: Any) -> list[Any]:
    return list(train(experiment, out, **options))


def rows(run: Path) -> list[dict[str, str]]:
    """The log without the speed."""
    with (run / "log.csv").open(newline="") as file:
        return [{**row, "frames_per_second": ""} for row in csv.DictReader(file)]


def checkpoints(run: Path) -> list[int]:
    return sorted(int(path.stem.split("-")[1]) for path in (run / "checkpoints").glob("*.pt"))


def contents(run: Path) -> dict[str, bytes]:
    """The models of a run."""
    return {
        str(path.relative_to(run)): path.read_bytes() for part in ("best", "last") for path in (run / part).iterdir()
    }


def rewrite(run: Path, iteration: int, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the content of a checkpoint, with a right checksum."""
    path = run / "checkpoints" / f"iteration-{iteration:09d}.pt"
    content = torch.load(path, weights_only=True)
    content = change(content) or content
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path.write_bytes(buffer.getvalue())
    path.with_suffix(".sha256").write_text(resume_state._sha256(path) + "\n")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run of the experiment, not to be changed."""
    run = tmp_path_factory.mktemp("whole") / "run"
    finish(small(), run)
    return run


# One writer


def test_a_run_has_one_writer(experiment: Experiment, whole: Path, tmp_path: Path) -> None:
    first = train(experiment, tmp_path / "run")
    next(first)
    before = sorted(path.name for path in (tmp_path / "run").iterdir())
    for resume in (False, True):
        with pytest.raises(RunError, match="is being written by another process"):
            finish(changed(experiment, seed=5), tmp_path / "run", resume=resume)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == before
    assert list(first)[-1].iteration == 12
    assert contents(tmp_path / "run") == contents(whole)
    assert not (tmp_path / "run" / ".lock").exists()


# Before the first checkpoint


@pytest.mark.parametrize("left", ["settings", "log", "temporary"])
def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(
    left: str, experiment: Experiment, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    events = train(experiment, run)
    next(events)
    del events  # it has saved nothing yet
    if left != "settings":
        (run / "log.csv").write_text("iteration,loss,learning_rate,frames_per_second,validation_loss,terms\r\n2,0.3,")
    if left == "temporary":
        (run / "checkpoints").mkdir()
        (run / "checkpoints" / "iteration-000000000.sha256").write_text("")
    shutil.copytree(run, tmp_path / "other")
    framecast.resume(run)
    framecast.train(experiment, out=tmp_path / "other")
    for folder in (run, tmp_path / "other"):
        assert contents(folder) == contents(whole)
        assert rows(folder) == rows(whole)
    with pytest.raises(RunError, match="not empty"):
        framecast.train(experiment, out=run)


def test_other_settings_do_not_take_the_place_of_a_run_that_has_not_begun(
    experiment: Experiment, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "experiment.yaml").write_text(yaml.safe_dump(plain(experiment)))
    with pytest.raises(RunError, match=r"has not begun, with other settings: training\.seed 0, now 5"):
        finish(changed(experiment, seed=5), tmp_path / "run")


# Settings and content of checkpoints


def test_settings_that_were_edited_are_refused_with_the_difference(whole: Path, tmp_path: Path) -> None:
    run = shutil.copytree(whole, tmp_path / "run")
    written = (run / "experiment.yaml").read_text()
    before = contents(run)
    for old, new, message in (
        ("learning_rate: 0.01", "learning_rate: 0.5", r"optimiser\.learning_rate 0\.01, now 0\.5"),
        ("seed: 0\n  workers", "seed: 5\n  workers", r"training\.seed 0, now 5"),
        ("size: 16", "size: 32", r"data\.size 16, now 32"),
        ("alpha: 3.0", "alpha: 4.0", r"curriculum\.alpha 3, now 4"),
    ):
        assert old in written
        (run / "experiment.yaml").write_text(written.replace(old, new))
        for call in (lambda: framecast.resume(run, 15), lambda: framecast.evaluate(run)):
            with pytest.raises(FramecastError, match=message):
                call()
    (run / "experiment.yaml").write_text(written)
    assert contents(run) == before
    framecast.resume(run, 15)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("optimiser"),
        lambda content: [1, 2],
        lambda content: content.update(iteration=8),
        lambda content: content.update(skipped="1"),
        lambda content: content["model"].popitem(),
        lambda content: content["settings"]["training"].update(seed=5),
        lambda content: next(iter(content["optimiser"]["state"].values())).update(exp_avg=torch.zeros(3, 3)),
    ],
)
def test_a_checkpoint_of_another_content_is_passed_over(
    change: Callable[[dict[str, Any]], Any], experiment: Experiment, whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole, tmp_path / "run")
    rewrite(tmp_path / "run", 12, lambda content: value if isinstance(value := change(content), list) else None)
    events = finish(experiment, tmp_path / "run", resume=True)
    assert events[0].iteration == 8
    assert any(
        "000012" in event.message or "iteration 12" in event.message for event in events if isinstance(event, Warned)
    )
    assert torch.equal(weights_of(whole), weights_of(tmp_path / "run"))
    assert rows(tmp_path / "run") == rows(whole)


def test_checkpoints_of_another_model_are_an_error(experiment: Experiment, whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "run")
    for iteration in checkpoints(tmp_path / "run"):
        rewrite(tmp_path / "run", iteration, lambda content: content.update(model={"weight": torch.zeros(2)}))
    with pytest.raises(RunError, match=r"of iteration 12 does not fit the model(.|\n)*of iteration 8 does not fit"):
        finish(experiment, tmp_path / "run", resume=True)


@pytest.mark.parametrize("damage", [b"\xff\xfe\x00garbage", None])
def test_a_damaged_log_is_restored_from_the_checkpoint(
    damage: bytes | None, experiment: Experiment, whole: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(whole, tmp_path / "run")
    (run / "checkpoints" / "iteration-000000012.pt").unlink()
    if damage is None:
        (run / "log.csv").unlink()
    else:
        (run / "log.csv").write_bytes(damage)
    events = finish(experiment, run, resume=True)
    assert any("log.csv was damaged" in event.message for event in events if isinstance(event, Warned))
    assert rows(run) == rows(whole)


def test_a_checkpoint_of_an_earlier_version_is_resumed_with_a_warning(
    experiment: Experiment, whole: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(whole, tmp_path / "run")
    (run / "checkpoints" / "iteration-000000012.pt").unlink()
    rewrite(run, 8, lambda content: {name: content[name] for name in resume_state._CONTENT_1})
    (run / "data.json").unlink()
    events = finish(experiment, run, resume=True)
    messages = " ".join(event.message for event in events if isinstance(event, Warned))
    assert "is of an earlier framecast" in messages
    assert "no record of its data" in messages
    assert torch.equal(weights_of(whole), weights_of(run))
    assert rows(run) == rows(whole)


# Training that diverges


def diverging(experiment: Experiment, **training: Any) -> Experiment:
    """An experiment whose first step destroys the weights."""
    return replace(changed(experiment, **training), optimiser=Optimiser(learning_rate=1e30))


def test_skipped_steps_never_replace_the_last_good_checkpoint(experiment: Experiment, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"not finite 10 times in a row(.|\n)*last good checkpoint is untouched"):
        finish(diverging(experiment, iterations=30, checkpoint_every=3, max_skipped=10), tmp_path / "run")
    assert checkpoints(tmp_path / "run") == [0]
    assert not (tmp_path / "run" / "last").exists()
    state, _ = resume_state.read(
        tmp_path / "run" / "checkpoints",
        settings_of(diverging(experiment, iterations=30, checkpoint_every=3, max_skipped=10)),
    )
    assert all(torch.isfinite(weight).all() for weight in state["model"].values())


@pytest.mark.parametrize("windows", [0, 2])
def test_a_run_that_ends_with_skipped_steps_has_failed(windows: int, experiment: Experiment, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"was not finite in the last 7 steps") as failed:
        finish(diverging(experiment, iterations=8, validation_windows=windows), tmp_path / "run")
    assert failed.value.exit_code == 2
    assert not (tmp_path / "run" / "last").exists()
    assert checkpoints(tmp_path / "run") == [0]


def test_weights_that_are_not_finite_are_never_saved(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 0

    def destroy(*arguments: Any) -> Any:
        nonlocal steps
        steps += 1
        losses = update(*arguments)
        if steps == 6:
            next(arguments[1].parameters()).data.fill_(torch.inf)
        return losses

    monkeypatch.setattr("framecast.training.run.update", destroy)
    with pytest.raises(RunError, match="weights are not finite, at iteration 6"):
        finish(changed(experiment, checkpoint_every=2, validate_every=100), tmp_path / "run")
    assert checkpoints(tmp_path / "run") == [2, 4]


# Kills and signals


def test_a_resumed_run_stays_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from framecast.cli import main

    monkeypatch.setattr(
        sys, "argv", ["framecast", "train", "--resume", str(tmp_path), "--out", str(tmp_path / "other")]
    )
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "a resumed run stays in its folder" in capsys.readouterr().err


def test_signals_save_and_the_run_goes_on_exactly(experiment: Experiment, tmp_path: Path) -> None:
    varied = changed(experiment, ema=0.9, log_every=5)
    finish(varied, tmp_path / "whole")
    for number, iteration in ((signal.SIGHUP, 5), (signal.SIGINT, 10)):
        for event in train(varied, tmp_path / "run", resume=iteration > 5):
            if isinstance(event, Progress) and event.iteration == iteration:
                signal.raise_signal(number)
    finish(varied, tmp_path / "run", resume=True)
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")
    assert rows(tmp_path / "run") == rows(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(int(os.environ.get("FRAMECAST_KILLS", "2"))))
def test_kills_and_signals_at_random_leave_no_trace(seed: int, experiment: Experiment, tmp_path: Path) -> None:
    """From the start of the process on, so before the first checkpoint too."""
    long = changed(experiment, iterations=150, checkpoint_every=7, validate_every=20, log_every=3, ema=0.9)
    finish(long, tmp_path / "whole")
    recipe, run = tmp_path / "recipe.yaml", tmp_path / "run"
    recipe.write_text(yaml.safe_dump({"base": plain(long)}))
    script = [sys.executable, str(Path(__file__).with_name("kill_runs.py")), str(recipe), str(run), str(seed)]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    ends = json.loads(done.stdout)
    assert ends["early"] > 0
    assert sum(count for name, count in ends.items() if name.startswith("SIGKILL")) > 0
    assert contents(run) == contents(tmp_path / "whole")
    assert rows(run) == rows(tmp_path / "whole")
    assert not list(run.rglob(".writing-*"))
