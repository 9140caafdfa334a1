"""Inputs beside the frames: static fields and other variables, from file to forecast, never from the future."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import framecast
from command_line import run_command
from framecast.config.experiment import Experiment, Optimiser, Training
from framecast.data import lazy as stored
from framecast.data.datasets import ArchiveData
from framecast.data.region import Region
from framecast.data.scaling import Unit
from framecast.data.windows.batches import Batches, evaluation_batches
from framecast.data.windows.inputs import Field, Input, with_paths
from framecast.data.windows.splits import ByBlocks
from framecast.errors import ConfigError, DataError
from framecast.forecasting.protocol import Context
from framecast.forecasting.trained_model import load
from framecast.models import ConvLSTM, SimVP
from framecast.training import train
from framecast.workflows.evaluation import evaluate

STEP = np.timedelta64(5, "m")
TERRAIN = Input(path="terrain.nc", variable="height", low=0, high=3000)
CLOUDS = Input(variable="tb", low=200, high=300)


def dataset(folder: Path, frames: int = 60, seed: int = 0) -> Path:
    """Rain that falls where the clouds were one frame before, twice as strong above mountains; both in one file, the mountains in
    another."""
    chance = np.random.default_rng(seed)
    clouds = chance.random((frames + 1, 16, 20)).astype(np.float32)
    height = np.where(np.arange(20) < 10, 0.0, 3000.0).astype(np.float32) * np.ones((16, 1), dtype=np.float32)
    rain = 2 * clouds[:-1] * (1 + height / 3000)
    y, x = np.arange(16) * 1000.0, np.arange(20) * 1000.0
    time = np.datetime64("2020-06-01", "ns") + np.arange(frames) * STEP
    both = xr.Dataset(
        {
            "rain": (("time", "y", "x"), rain.astype(np.float32), {"units": "mm/h"}),
            "tb": (("time", "y", "x"), 200 + 100 * clouds[1:], {"units": "K"}),
        },
        coords={"time": time, "y": y, "x": x},
    )
    folder.mkdir(parents=True, exist_ok=True)
    both.to_netcdf(folder / "both.nc", engine="h5netcdf")
    land = xr.Dataset({"height": (("y", "x"), height, {"units": "m"})}, coords={"y": y, "x": x})
    land.to_netcdf(folder / "terrain.nc", engine="h5netcdf")
    return folder / "both.nc"


def data(path: Path, **changes: Any) -> ArchiveData:
    terrain = replace(TERRAIN, path=str(path.with_name("terrain.nc")))
    settings = ArchiveData(
        path=str(path), variable="rain", context=3, horizon=3, scaling=Unit(high=4), inputs=(terrain, CLOUDS)
    )
    return replace(settings, **changes)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("inputs"))


@pytest.mark.parametrize("kept", [0, 2**30])
def test_inputs_are_scaled_and_stay_as_they_were_last(
    archive: Path, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "FRAME_CACHE_BYTES", kept)
    source = data(archive).open().train
    assert source is not None
    assert source.shape == (3, 16, 20, 3, 3, 0, 2)
    assert source.shape.predicted == 1
    window = source.windows[4]  # type: ignore[attr-defined]
    inputs = source.inputs(4)
    assert inputs.shape == (6, 2, 16, 20)
    np.testing.assert_array_equal(inputs[:, 0, :, :10], 0)
    np.testing.assert_array_equal(inputs[:, 0, :, 10:], 1)
    with xr.open_dataset(archive) as file:
        clouds = file["tb"].values[window.start : window.start + 3]
    np.testing.assert_allclose(inputs[:3, 1], (clouds - 200) / 100, atol=1e-6)
    np.testing.assert_array_equal(inputs[3:, 1], np.repeat(inputs[2:3, 1], 3, axis=0))
    region = Region(2, 5, 8, 9)
    np.testing.assert_array_equal(source.inputs(4, region), inputs[..., 2:10, 5:14])
    assert source.read(4).shape == (6, 1, 16, 20)


@pytest.mark.parametrize("turned", [{}, {"flips": True}, {"flips": True, "rotations": True}])
def test_frames_and_inputs_are_cropped_and_turned_alike(archive: Path, turned: dict[str, bool]) -> None:
    """Rain is of the clouds one frame before, twice as strong above mountains, wherever a crop lies."""
    sources = data(archive).open()
    assert sources.train is not None
    batch = Batches(sources.train, sources.scaling, batch_size=6, crop=(8, 8), seed=3, **turned).batch(0)
    assert batch.inputs is not None
    assert batch.seen.shape == (6, 6, 3, 8, 8)
    terrain, clouds = batch.inputs[:, :2, 0], batch.inputs[:, :2, 1]
    expected = 2 * clouds * (1 + terrain) / 4
    torch.testing.assert_close(batch.frames[:, 1:3, 0], expected, atol=1e-5, rtol=1e-5)
    whole = next(evaluation_batches(sources.train, sources.scaling, 2))[1]
    assert whole.inputs is not None
    assert whole.inputs.shape == (2, 6, 2, 16, 20)


def test_a_time_that_an_input_lacks_is_0(archive: Path, tmp_path: Path) -> None:
    with xr.open_dataset(archive) as file:
        file[["tb"]].isel(time=[0, 2, 3]).to_netcdf(tmp_path / "some.nc", engine="h5netcdf")
    frames = framecast.open(archive, variable="rain")
    field = Field(replace(CLOUDS, path=str(tmp_path / "some.nc")), frames, str(tmp_path / "some.nc"))
    seen = field.read(frames["time"].values[:6], 4)
    assert (seen[1] == 0).all()
    assert (seen[[0, 2, 3, 4, 5]] > 0).mean() > 0.99
    late = field.read(frames["time"].values[10:13], 2)
    assert (late == 0).all()


def test_what_does_not_fit_is_refused(archive: Path, tmp_path: Path) -> None:
    frames = framecast.open(archive, variable="rain")
    with xr.open_dataset(archive.with_name("terrain.nc")) as file:
        file.isel(x=slice(0, 12)).to_netcdf(tmp_path / "small.nc", engine="h5netcdf")
    with pytest.raises(DataError, match=r"another grid \(16 x 12 pixels\).*\n.*convert it, with crop"):
        Field(TERRAIN, frames, str(tmp_path / "small.nc"))
    with pytest.raises(DataError, match="no variable 'depth'"):
        data(archive, inputs=(Input(variable="depth"),)).open()
    with pytest.raises(ConfigError, match="neither a path nor a variable"):
        Input()
    with pytest.raises(ConfigError, match="empty"):
        Input(variable="tb", low=3, high=3)
    with pytest.raises(ConfigError, match="2 paths for 1 archives"):
        data(archive, inputs=(Input(path=("a.nc", "b.nc")),)).open()
    with pytest.raises(ConfigError, match="1 inputs given, the model has 2: input height, input tb"):
        with_paths((TERRAIN, CLOUDS), ["somewhere.nc"])
    np.save(tmp_path / "numbers.npy", np.zeros((5, 16, 20), dtype=np.float32))
    with pytest.raises(DataError, match="another grid"):
        Field(Input(path="x"), frames, str(tmp_path / "numbers.npy"))
    with xr.open_dataset(archive) as file:
        numbered = file[["tb"]].assign_coords(time=("time", np.arange(60), {"units": "1"}))
        numbered.drop_encoding().to_netcdf(tmp_path / "numbered.nc", engine="h5netcdf")
    with pytest.raises(DataError, match="different clocks"):
        Field(CLOUDS, frames, str(tmp_path / "numbered.nc"))


def experiment(settings: ArchiveData, model: Any, iterations: int = 250) -> Experiment:
    return Experiment(
        data=settings,
        model=model,
        optimiser=Optimiser(learning_rate=1e-2),
        training=Training(
            iterations=iterations,
            batch_size=8,
            validate_every=iterations,
            checkpoint_every=iterations,
            validation_windows=4,
        ),
    )


@pytest.fixture(scope="module")
def runs(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model that sees clouds and mountains, and one that does not."""
    folder = tmp_path_factory.mktemp("runs")
    settings = data(archive, split=ByBlocks(validation=0.2, test=0.2), horizon=1)
    model = ConvLSTM(hidden=(12,), kernel=3, patch=1)
    return {
        name: train(experiment(replace(settings, inputs=inputs), model), out=folder / name)
        for name, inputs in (("seeing", settings.inputs), ("blind", ()))
    }


def test_what_is_seen_is_used_and_comparable(runs: dict[str, Path]) -> None:
    """The next rain is known from the clouds; without them only its mean is."""
    both = evaluate({name: run for name, run in runs.items()}, baselines=())
    errors = {name: both.frame(name, "mse").value for name in runs}
    assert errors["seeing"] < 0.2 * errors["blind"]
    other_way = evaluate({name: runs[name] for name in ("blind", "seeing")}, baselines=())
    assert other_way.frame("seeing", "mse").value == pytest.approx(errors["seeing"])


def test_the_card_says_what_is_seen(runs: dict[str, Path]) -> None:
    card = load(runs["seeing"]).card
    assert [each.label for each in card.inputs] == ["input height", "input tb"]
    assert (card.shape.channels, card.shape.inputs, card.shape.predicted) == (3, 2, 1)
    assert load(runs["blind"]).card.inputs == ()


def test_a_forecast_sees_them_from_where_they_are(runs: dict[str, Path], archive: Path, tmp_path: Path) -> None:
    trained = load(runs["seeing"])
    frames = framecast.open(archive, variable="rain")
    forecast = trained.forecast(frames.isel(time=slice(0, 20)), 2)
    assert forecast.shape == (1, 2, 1, 16, 20)
    truth = frames.isel(time=20).values
    blind = load(runs["blind"]).forecast(frames.isel(time=slice(0, 20)), 1)
    seen, unseen = (float(((each.values[0, 0] - truth) ** 2).mean()) for each in (forecast, blind))
    assert seen < 0.3 * unseen
    elsewhere = dataset(tmp_path / "new", seed=5)
    moved_inputs = with_paths(trained.card.inputs, [str(elsewhere.with_name("terrain.nc")), str(elsewhere)])
    new = framecast.open(elsewhere, variable="rain")
    again = trained.forecast(new, 1, inputs=moved_inputs)
    assert np.isfinite(again.values).all()
    tiled = load(runs["seeing"], tile=16, overlap=10).forecast(frames.isel(time=slice(0, 20)), 1)
    np.testing.assert_allclose(tiled.values[0, 0, :, :, 3:-3], forecast.values[0, 0, :, :, 3:-3], atol=1e-4)
    with pytest.raises(ConfigError, match="needs 2 extra inputs"):
        trained.forecast(Context(frames.values[None, :3]), 1)
    with pytest.raises(DataError, match=r"inputs: .*\(1, 3, 2, 16, 20\)"):
        trained.forecast(Context(frames.values[None, :3], inputs=np.zeros((1, 2, 2, 16, 20), np.float32)), 1)


def test_nothing_of_the_future_is_seen(runs: dict[str, Path], archive: Path, tmp_path: Path) -> None:
    """Clouds after the last frame change nothing."""
    trained = load(runs["seeing"])
    frames = framecast.open(archive, variable="rain").isel(time=slice(0, 20))
    with xr.open_dataset(archive) as file:
        other = file.load()
    other["tb"][20:] = 250.0
    other.to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    changed = with_paths(trained.card.inputs, [str(archive.with_name("terrain.nc")), str(tmp_path / "other.nc")])
    np.testing.assert_array_equal(
        trained.forecast(frames, 3).values, trained.forecast(frames, 3, inputs=changed).values
    )


def test_on_the_command_line(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    new = dataset(tmp_path / "new", seed=9)
    given = ["--input", str(new.with_name("terrain.nc")), "--input", str(new)]

    def run(*arguments: str) -> tuple[int, str]:
        code, printed, errors = run_command(monkeypatch, capsys, *arguments)
        return code, printed + errors

    seeing = str(runs["seeing"])
    base = ("--data", str(new), "--variable", "rain")
    code, said = run("forecast", seeing, *base, *given, "--horizon", "2", "--out", str(tmp_path / "nowcast.nc"))
    assert code == 0, said
    code, said = run("evaluate", seeing, *base, *given, "--out", str(tmp_path / "out"), "--limit", "4")
    assert code == 0, said
    code, said = run("forecast", seeing, *base, *given[:2], "--horizon", "2", "--out", str(tmp_path / "other.nc"))
    assert code == 2
    assert "1 inputs given, the model has 2" in said
    assert not (tmp_path / "other.nc").exists()


def test_one_shot_models_see_them_too(archive: Path, tmp_path: Path) -> None:
    settings = data(archive, split=ByBlocks(validation=0.2, test=0.2))
    model = SimVP(spatial=4, hidden=16, layers=2, blocks=2, mlp_ratio=2.0)
    run = train(experiment(settings, model, iterations=3), out=tmp_path / "run")
    assert evaluate(run, limit=2).frame("simvp", "mse").value > 0


def test_what_cannot_be_done_with_inputs_is_said(archive: Path, tmp_path: Path) -> None:
    reversed_ = experiment(data(archive), ConvLSTM(hidden=(4,), kernel=3, patch=1), iterations=1)
    reversed_ = replace(reversed_, training=replace(reversed_.training, reverse_time=True))
    with pytest.raises(ConfigError, match="inputs cannot be reversed"):
        train(reversed_, out=tmp_path / "run")
