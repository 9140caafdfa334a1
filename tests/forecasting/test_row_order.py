"""A model keeps the order of the rows it was trained on: frames of the other order give the same field and the same scores."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import framecast
from framecast.checkpoints.model_folder import load, save
from framecast.config.experiment import Experiment
from framecast.data.datasets import ArchiveData
from framecast.data.scale import ASSUMED
from framecast.forecasting.api import forecast
from framecast.forecasting.baselines import BaselineData, build_all
from framecast.forecasting.film import film_of
from framecast.forecasting.protocol import Context
from framecast.forecasting.trained_model import TrainedModel
from framecast.models import ConvLSTM, PredRNN
from framecast.models.heads import Exceedance
from framecast.training.validation import build_card
from framecast.types import FrameShape


def rain(ascending: bool) -> xr.Dataset:
    """A shower in the north of the frame that drifts to the south-east."""
    time, y, x = np.arange(20)[:, None, None], np.arange(12)[:, None], np.arange(16)
    values = 20 * np.exp(-((y - 2 - 0.1 * time) ** 2 + (x - 4 - 0.4 * time) ** 2) / 6)
    array = xr.DataArray(
        values.astype(np.float32),
        dims=("time", "y", "x"),
        coords={
            "time": np.datetime64("2020-01-01", "ns") + np.arange(20) * np.timedelta64(5, "m"),
            "y": ("y", 1000.0 * np.arange(12)[::-1], {"units": "m", "standard_name": "projection_y_coordinate"}),
            "x": ("x", 1000.0 * np.arange(16), {"units": "m", "standard_name": "projection_x_coordinate"}),
        },
        attrs={"units": "mm h-1"},
        name="rain",
    )
    return (array.isel(y=slice(None, None, -1)) if ascending else array).to_dataset()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of both orders, and a model of each, as training writes it."""
    folder = tmp_path_factory.mktemp("orders")
    for name in ("north", "south"):
        rain(name == "south").to_netcdf(folder / f"{name}.nc", engine="h5netcdf")
        data = ArchiveData(path=str(folder / f"{name}.nc"), context=2, horizon=2)
        card = build_card(Experiment(data=data, model=ConvLSTM(hidden=(4,))), data.open())
        torch.manual_seed(0)
        save(folder / f"of_{name}", card.build(), card)
    return folder


@pytest.mark.parametrize("trained", ["north", "south"])
def test_both_orders_give_the_same_field(folder: Path, trained: str) -> None:
    run = folder / f"of_{trained}"
    assert json.loads((run / "card.json").read_text())["row_order"] == f"{trained}_first"
    north, south = (forecast(run, folder / f"{name}.nc") for name in ("north", "south"))
    assert south["y"].values[0] < south["y"].values[-1]
    xr.testing.assert_equal(north, south.isel(y=slice(None, None, -1)))
    assert float(abs(north - north.isel(y=slice(None, None, -1)).assign_coords(y=north["y"])).max()) > 0.01


@pytest.mark.parametrize("trained", ["north", "south"])
def test_both_orders_have_the_same_scores_and_pages(folder: Path, trained: str) -> None:
    run = folder / f"of_{trained}"
    north, south = (framecast.evaluate(run, data=folder / f"{name}.nc", baselines=()) for name in ("north", "south"))
    for name in ("mse", "mae"):
        own = [scores.sums[name].isel(forecaster=0) for scores in (north, south)]
        np.testing.assert_allclose(own[0], own[1], rtol=1e-6)
    for one, other in zip(north.examples, south.examples, strict=True):
        np.testing.assert_array_equal(one.upright.truth, other.upright.truth)
        np.testing.assert_array_equal(one.upright.forecasts["convlstm"], other.upright.forecasts["convlstm"])
        assert one.upright.truth[0, 0, :6].sum() > one.upright.truth[0, 0, 6:].sum()


def test_films_are_the_same(folder: Path) -> None:
    films = [
        film_of(forecast(folder / "of_north", folder / f"{name}.nc"), framecast.open(folder / f"{name}.nc"))
        for name in ("north", "south")
    ]
    for one, other in zip(*films, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_card_without_the_order_is_used_as_before(folder: Path, tmp_path: Path) -> None:
    model, card = load(folder / "of_north")
    save(tmp_path / "older", model, dataclasses.replace(card, row_order=None))
    content = json.loads((tmp_path / "older/card.json").read_text())
    assert content["row_order"] is None
    south = framecast.open(folder / "south.nc")
    numbered = south.drop_vars(["y", "x"])
    one, other = (framecast.load(tmp_path / "older").forecast(frames, 2) for frames in (south, numbered))
    np.testing.assert_array_equal(one.values, other.values)
    assert not np.array_equal(one.values, framecast.load(folder / "of_north").forecast(south, 2).values)


def test_distributions_and_extra_inputs_are_turned_too(folder: Path) -> None:
    _, card = load(folder / "of_north")
    card = dataclasses.replace(
        card, model=PredRNN.tiny(), head=Exceedance(), shape=FrameShape(2, 12, 16, 2, 2, inputs=1), inputs=()
    )
    torch.manual_seed(0)
    model = TrainedModel(card.build(), card)
    rng = np.random.default_rng(0)
    frames, inputs = (rng.gamma(0.5, 4, (2, 2, 1, 12, 16)).astype(np.float32) for _ in range(2))
    north = model.forecast(Context(frames, None, inputs, (ASSUMED._replace(row_order="north_first"),) * 2), 2)
    scales = (ASSUMED._replace(row_order="north_first"), ASSUMED._replace(row_order="south_first"))
    frames[1], inputs[1] = frames[1][..., ::-1, :].copy(), inputs[1][..., ::-1, :].copy()
    mixed = model.forecast(Context(frames, None, inputs, scales), 2)
    np.testing.assert_array_equal(mixed.values[:, 0], north.values[:, 0])
    np.testing.assert_array_equal(mixed.values[:, 1], north.values[:, 1, ..., ::-1, :])
    np.testing.assert_array_equal(
        mixed.distribution.probability[:, 1], north.distribution.probability[:, 1, ..., ::-1, :]
    )


def test_archives_of_both_orders_are_trained_on_in_one(folder: Path) -> None:
    paths = (str(folder / "south.nc"), str(folder / "north.nc"))
    data = ArchiveData(path=paths, context=2, horizon=2)
    splits = data.open()
    assert [frames["y"].values[0] for frames in splits.frames] == [0, 0]
    assert any("rows were turned" in repair for repair in splits.repairs)


def test_the_climatology_is_turned_to_the_frames(folder: Path) -> None:
    training = ArchiveData(path=str(folder / "north.nc"), context=2, horizon=2).open()
    means = []
    for name in ("north", "south"):
        frames = framecast.open(folder / f"{name}.nc")
        data = BaselineData(training.train.quantity, training.step, (frames,), lambda: training)
        means.append(build_all(["climatology"], data)["climatology"].mean)
    assert np.ptp(means[0]) > 1
    np.testing.assert_array_equal(means[0], means[1][:, ::-1])
