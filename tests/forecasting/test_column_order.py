"""A model keeps the order of the columns it was trained on: frames stored east first give the same field and the same scores."""

import dataclasses
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
from framecast.forecasting.protocol import Context
from framecast.forecasting.trained_model import TrainedModel
from framecast.models import ConvLSTM, PredRNN
from framecast.models.heads import Exceedance
from framecast.training.validation import build_card
from framecast.types import FrameShape

ORDERS = {"west": (False, False), "east": (False, True), "south_east": (True, True)}


def rain(south: bool, east: bool) -> xr.Dataset:
    """A shower in the north-west of the frame that drifts to the south-east."""
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
    return array.isel(y=slice(None, None, -1 if south else 1), x=slice(None, None, -1 if east else 1)).to_dataset()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of all orders, and models of those of both column orders, as training writes them."""
    folder = tmp_path_factory.mktemp("orders")
    for name, order in ORDERS.items():
        rain(*order).to_netcdf(folder / f"{name}.nc", engine="h5netcdf")
    for name in ("west", "east"):
        data = ArchiveData(path=str(folder / f"{name}.nc"), context=2, horizon=2)
        card = build_card(Experiment(data=data, model=ConvLSTM(hidden=(4,))), data.open())
        torch.manual_seed(0)
        save(folder / f"of_{name}", card.build(), card)
    return folder


@pytest.mark.parametrize("trained", ["west", "east"])
def test_all_orders_give_the_same_field(folder: Path, trained: str) -> None:
    run = folder / f"of_{trained}"
    west, *others = (forecast(run, folder / f"{name}.nc") for name in ORDERS)
    for other in others:
        assert other["x"].values[0] > other["x"].values[-1]
        xr.testing.assert_equal(west, other.sortby("x").sortby("y", ascending=False))
    assert float(abs(west - west.isel(x=slice(None, None, -1)).assign_coords(x=west["x"])).max()) > 0.01


def test_all_orders_have_the_same_scores_and_pages(folder: Path) -> None:
    west, *others = (
        framecast.evaluate(folder / "of_west", data=folder / f"{name}.nc", baselines=()) for name in ORDERS
    )
    for other in others:
        for name in ("mse", "mae"):
            own = [scores.sums[name].isel(forecaster=0) for scores in (west, other)]
            np.testing.assert_allclose(own[0], own[1], rtol=1e-6)
        for one, example in zip(west.examples, other.examples, strict=True):
            np.testing.assert_array_equal(one.upright.truth, example.upright.truth)
            np.testing.assert_array_equal(one.upright.forecasts["convlstm"], example.upright.forecasts["convlstm"])


def test_a_card_without_the_order_is_used_as_before(folder: Path, tmp_path: Path) -> None:
    model, card = load(folder / "of_west")
    assert card.column_order == "west_first"
    save(tmp_path / "older", model, dataclasses.replace(card, grid={}))
    east = framecast.open(folder / "east.nc")
    one, other = (
        framecast.load(tmp_path / "older").forecast(frames, 2) for frames in (east, east.drop_vars(["y", "x"]))
    )
    np.testing.assert_array_equal(one.values, other.values)


def test_distributions_and_extra_inputs_are_turned_too(folder: Path) -> None:
    _, card = load(folder / "of_west")
    card = dataclasses.replace(
        card, model=PredRNN.tiny(), head=Exceedance(), shape=FrameShape(2, 12, 16, 2, 2, inputs=1), inputs=()
    )
    torch.manual_seed(0)
    model = TrainedModel(card.build(), card)
    rng = np.random.default_rng(0)
    frames, inputs = (rng.gamma(0.5, 4, (2, 2, 1, 12, 16)).astype(np.float32) for _ in range(2))
    known = ASSUMED._replace(row_order="north_first", column_order="west_first")
    west = model.forecast(Context(frames, None, inputs, (known,) * 2), 2)
    frames[1], inputs[1] = frames[1][..., ::-1].copy(), inputs[1][..., ::-1].copy()
    mixed = model.forecast(Context(frames, None, inputs, (known, known._replace(column_order="east_first"))), 2)
    np.testing.assert_array_equal(mixed.values[:, 0], west.values[:, 0])
    np.testing.assert_array_equal(mixed.values[:, 1], west.values[:, 1, ..., ::-1])
    np.testing.assert_array_equal(mixed.distribution.probability[:, 1], west.distribution.probability[:, 1, ..., ::-1])


def test_archives_of_both_orders_are_trained_on_in_one(folder: Path) -> None:
    splits = ArchiveData(path=(str(folder / "east.nc"), str(folder / "west.nc")), context=2, horizon=2).open()
    assert [frames["x"].values[0] for frames in splits.frames] == [15000, 15000]
    assert any("columns were turned" in repair for repair in splits.repairs)
