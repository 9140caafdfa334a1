"""Actions from files, through training, verification and forecast."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from rich.console import Console
from typer.testing import CliRunner

import framecast
from conftest import changed
from framecast.cli import app
from framecast.config.experiment import Experiment
from framecast.data.datasets import ArchiveData
from framecast.data.windows.splits import ByBlocks
from framecast.diagnosis.probes import features
from framecast.errors import ConfigError, DataError
from framecast.forecasting.protocol import Context
from framecast.models import ActionPredRNN, PredRNNV2
from framecast.training import train
from framecast.training.cost import estimate

QUIET = Console(quiet=True)


def pushed(clips: int, length: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Clips `(N, T, 1, 16, 16)` of a square that goes where it is pushed, and the pushes `(N, T, 2)` in pixels."""
    chance = np.random.default_rng(seed)
    actions = chance.integers(-2, 3, (clips, length, 2))
    places = 6 + np.concatenate([np.zeros((clips, 1, 2), dtype=int), actions[:, :-1].cumsum(1)], axis=1)
    frames = np.zeros((clips, length, 1, 16, 16), dtype=np.uint8)
    for clip, t in np.ndindex(clips, length):
        rows, columns = (np.arange(4) + place for place in places[clip, t])
        frames[clip, t, 0, rows[:, None] % 16, columns % 16] = 255
    return frames, actions.astype(np.float32)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    frames, actions = pushed(40, 6)
    np.savez(tmp_path / "pushed.npz", frames=frames, actions=actions)
    return tmp_path / "pushed.npz"


@pytest.fixture
def pushing(experiment: Experiment, archive: Path) -> Experiment:
    data = ArchiveData(path=str(archive), context=3, horizon=3, actions=True)
    return replace(experiment, data=data, model=ActionPredRNN.tiny())


def test_actions_lead_from_the_file_to_the_forecast(pushing: Experiment, archive: Path, tmp_path: Path) -> None:
    run = train(pushing, out=tmp_path / "run", console=QUIET)
    model = framecast.load(run)
    assert model.card.shape.actions == 2
    verification = framecast.evaluate(run)
    assert set(verification.forecasters) == {"predrnn_action", "persistence", "extrapolation"}
    with pytest.raises(DataError, match="was trained on"):
        framecast.evaluate(run, str(archive))

    frames, actions = pushed(1, 12, seed=9)
    np.save(tmp_path / "one.npy", frames[0, :3])
    still, moved = np.zeros((5, 2), dtype=np.float32), actions[0, :5]
    opened = framecast.open(tmp_path / "one.npy")
    assert not np.allclose(model.forecast(opened, 3, still).values, model.forecast(opened, 3, moved).values)

    np.save(tmp_path / "actions.npy", moved)
    files = {"--data": "one.npy", "--actions": "actions.npy", "--out": "out.nc"}
    options = [part for name, file in files.items() for part in (name, str(tmp_path / file))]
    said = CliRunner().invoke(app, ["forecast", str(run), "--horizon", "3", *options])
    assert said.exit_code == 0, said.exception
    with xr.open_dataarray(tmp_path / "out.nc") as written:
        np.testing.assert_allclose(written.values, model.forecast(opened, 3, moved).values, atol=1e-6)

    for wrong in (None, moved[:4], moved[:, :1], moved[0], actions[0]):
        with pytest.raises(DataError, match="actions of 5 steps, 2 numbers each"):
            model.forecast(opened, 3, wrong)
    for given in (moved.tolist(), np.array("x")):
        with pytest.raises(DataError, match=r"actions of 5 steps, 2 numbers each; found (list|an array of <U1)"):
            model.forecast(opened, 3, given)
    context = frames[:1, :3].astype(np.float32) / 255
    for given in (None, moved[None, :4], moved[None, :, :1], moved):
        with pytest.raises(DataError, match=r"actions: .* given, expected \(1, 5, 2\), or more steps"):
            model.forecast(Context(context, given), 3)
    assert "training step" in estimate(pushing)


def test_an_action_at_a_step_changes_only_what_comes_after(pushing: Experiment, tmp_path: Path) -> None:
    model = framecast.load(train(pushing, out=tmp_path / "run", console=QUIET))
    frames, actions = pushed(1, 6)
    context = frames[:, :3].astype(np.float32) / 255
    others = actions.copy()
    others[:, 3] += 2
    one, other = (model.forecast(Context(context, each), 3)[0] for each in (actions, others))
    assert np.array_equal(one[:, 0], other[:, 0]), "the action at frame 3 leads to frame 4"
    assert not np.allclose(one[:, 1], other[:, 1])
    # what a diagnosis sees depends on the actions too
    for kind in ("collapse", "gradients", "decoupling"):
        assert framecast.diagnose(tmp_path / "run", kind)[0].figures
    with pytest.raises(ConfigError, match=r"(?s)response is not for models with actions.*collapse"):
        framecast.diagnose(tmp_path / "run", "response")
    context, *moved = (torch.from_numpy(np.asarray(each)) for each in (context, actions, others))
    one, other = (features(model.model, context, 3, actions=each).latent for each in moved)
    assert not torch.allclose(one, other)


def test_actions_are_taken_only_where_they_are_asked_for(pushing: Experiment, archive: Path, tmp_path: Path) -> None:
    without = replace(pushing.data, actions=False)  # type: ignore[type-var]
    with pytest.raises(ConfigError, match="needs actions"):
        train(replace(pushing, data=without), out=tmp_path / "a", console=QUIET)
    with pytest.raises(ConfigError, match="does not take"):
        train(replace(pushing, model=PredRNNV2.tiny()), out=tmp_path / "b", console=QUIET)
    train(replace(pushing, data=without, model=PredRNNV2.tiny()), out=tmp_path / "c", console=QUIET)
    frames, _ = pushed(10, 6)
    np.save(tmp_path / "frames.npy", frames)
    with pytest.raises(DataError, match="have no actions"):
        train(replace(pushing, data=replace(pushing.data, path=str(tmp_path / "frames.npy"))), out=tmp_path / "d")  # type: ignore[type-var]


def test_netcdf_brings_actions_and_windows_of_a_long_clip_keep_theirs(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((12, 8, 8)).astype(np.float32)
    actions = np.arange(24.0).reshape(12, 2)
    dataset = xr.Dataset(
        {"frames": (("time", "y", "x"), values, {"units": "1"}), "actions": (("time", "action"), actions)},
        coords={"time": np.datetime64("2020-01-01", "ns") + np.arange(12) * np.timedelta64(60, "s")},
    )
    dataset.to_netcdf(tmp_path / "clip.nc", engine="h5netcdf")
    data = ArchiveData(path=str(tmp_path / "clip.nc"), context=2, horizon=2, actions=True)
    sources = replace(data, split=ByBlocks(validation=0, test=0)).open()
    assert sources.train is not None
    assert np.array_equal(sources.train.actions(1), actions[1:5])


def test_as_many_actions_as_frames(tmp_path: Path) -> None:
    np.savez(tmp_path / "clip.npz", frames=np.zeros((6, 8, 8), dtype=np.uint8), actions=np.zeros((5, 2)))
    with pytest.raises(DataError, match="one row of actions for each frame"):
        framecast.open(tmp_path / "clip.npz")


def test_actions_in_a_file_are_numbers_in_rows(tmp_path: Path) -> None:
    frames = np.zeros((6, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "clip.npz", frames=frames, actions=np.full((6, 2), "left"))
    with pytest.raises(DataError, match="actions of <U4, not numbers"):
        framecast.open(tmp_path / "clip.npz")
    np.savez(tmp_path / "clip.npz", frames=frames, actions=np.zeros(6))
    with pytest.raises(DataError, match=r"actions of shape \(6,\)(.|\n)*actions\[\.\.\., None\]"):
        framecast.open(tmp_path / "clip.npz")
    np.savez(tmp_path / "clip.npz", frames=frames, actions=np.zeros((6, 2)))
    assert (
        framecast.inspect(framecast.open(tmp_path / "clip.npz"), context=2, horizon=2).facts["actions"].startswith("2 ")
    )


@pytest.mark.parametrize(
    ("name", "said"), [("none.npy", "no such file"), ("clip.npz", "is no .npy"), ("a.txt", "is no")]
)
def test_a_file_without_actions_is_named(
    pushing: Experiment, archive: Path, tmp_path: Path, name: str, said: str
) -> None:
    run = train(changed(pushing, iterations=1), out=tmp_path / "run", console=QUIET)
    np.save(tmp_path / "one.npy", pushed(1, 12)[0][0, :3])
    np.savez(tmp_path / "clip.npz", actions=np.zeros((5, 2)))
    (tmp_path / "a.txt").write_text("0 0")
    options = {"--data": "one.npy", "--actions": name, "--out": "out.nc"}
    given = [part for option, file in options.items() for part in (option, str(tmp_path / file))]
    result = CliRunner().invoke(app, ["forecast", str(run), "--horizon", "3", *given])
    assert result.exit_code == 2
    assert f"{name}: {said}" in result.output


def test_actions_that_are_no_numbers_or_too_few_of_them_are_named(
    pushing: Experiment, archive: Path, tmp_path: Path
) -> None:
    run = train(pushing, out=tmp_path / "run", console=QUIET)
    frames, actions = pushed(4, 6)
    actions[2, 3, 1] = np.nan
    np.savez(tmp_path / "gap.npz", frames=frames, actions=actions)
    gap = replace(pushing.data, path=str(tmp_path / "gap.npz"))  # type: ignore[type-var]
    with pytest.raises(DataError, match="not a number, first at frame 3"):
        train(replace(pushing, data=gap), out=tmp_path / "gap", console=QUIET)
    with pytest.raises(DataError, match="not a number, first at frame 3"):
        framecast.evaluate(run, str(tmp_path / "gap.npz"))
    opened = framecast.open(archive).isel(sequence=0)
    with pytest.raises(DataError, match="the action of step 3 is not a number"):
        framecast.load(run).forecast(opened, 3, actions[2])

    np.savez(tmp_path / "narrow.npz", frames=frames, actions=np.zeros((4, 6, 1)))
    with pytest.raises(DataError, match="actions of 1 numbers, but predrnn_action was trained on actions of 2"):
        framecast.evaluate(run, str(tmp_path / "narrow.npz"))


def test_a_model_without_actions_is_given_none(pushing: Experiment, archive: Path, tmp_path: Path) -> None:
    data = replace(pushing.data, actions=False)  # type: ignore[type-var]
    run = train(replace(pushing, data=data, model=PredRNNV2.tiny()), out=tmp_path / "run", console=QUIET)
    with pytest.raises(DataError, match="predrnn_v2 takes no actions"):
        framecast.load(run).forecast(framecast.open(archive).isel(sequence=0), 3, np.zeros((5, 2)))
