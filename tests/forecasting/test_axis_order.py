"""A model keeps the order of the rows and of the columns that it was trained on: frames of another order give the same field and
the same scores."""

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
from framecast.forecasting.baselines import BaselineData, build_all
from framecast.forecasting.film import film_of
from framecast.forecasting.protocol import Context
from framecast.forecasting.trained_model import TrainedModel
from framecast.models import ConvLSTM, PredRNN
from framecast.models.heads import Exceedance
from framecast.training.validation import build_card
from framecast.types import FrameShape

ORDERS = {"north_west": {}, "south_west": {"y": -1}, "north_east": {"x": -1}, "south_east": {"y": -1, "x": -1}}
"""The steps by which the axes are stored, where these are not those of `north_west`."""
ROWS, COLUMNS = ("row_order", "south_west"), ("column_order", "north_east")
"""The name of an order, and the frames of which that alone is another."""
EACH_AXIS = pytest.mark.parametrize(("order", "turned"), [ROWS, COLUMNS], ids=["rows", "columns"])
TRAINED = pytest.mark.parametrize("trained", ["north_west", "south_west", "north_east"])


def rain(name: str) -> xr.Dataset:
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
    return array.isel({axis: slice(None, None, step) for axis, step in ORDERS[name].items()}).to_dataset()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of all orders, and models of them, as training writes them."""
    folder = tmp_path_factory.mktemp("orders")
    for name in ORDERS:
        rain(name).to_netcdf(folder / f"{name}.nc", engine="h5netcdf")
        data = ArchiveData(path=str(folder / f"{name}.nc"), context=2, horizon=2)
        card = build_card(Experiment(data=data, model=ConvLSTM(hidden=(4,))), data.open())
        torch.manual_seed(0)
        save(folder / f"of_{name}", card.build(), card)
    return folder


@TRAINED
def test_all_orders_give_the_same_field(folder: Path, trained: str) -> None:
    run = folder / f"of_{trained}"
    card = load(run)[1]
    assert [card.row_order, card.column_order] == [f"{side}_first" for side in trained.split("_")]
    usual, *others = (forecast(run, folder / f"{name}.nc") for name in ORDERS)
    for other, steps in zip(others, list(ORDERS.values())[1:], strict=True):
        assert ("y" in steps) == (other["y"].values[0] < other["y"].values[-1])
        assert ("x" in steps) == (other["x"].values[0] > other["x"].values[-1])
        xr.testing.assert_equal(usual, other.sortby("x").sortby("y", ascending=False))
    for axis in ("y", "x"):
        mirrored = usual.isel({axis: slice(None, None, -1)}).assign_coords({axis: usual[axis]})
        assert float(abs(usual - mirrored).max()) > 0.01


@TRAINED
def test_all_orders_have_the_same_scores_and_pages(folder: Path, trained: str) -> None:
    run = folder / f"of_{trained}"
    usual, *others = (framecast.evaluate(run, data=folder / f"{name}.nc", baselines=()) for name in ORDERS)
    for other in others:
        for name in ("mse", "mae"):
            own = [scores.sums[name].isel(forecaster=0) for scores in (usual, other)]
            np.testing.assert_allclose(own[0], own[1], rtol=1e-6)
        for one, example in zip(usual.examples, other.examples, strict=True):
            np.testing.assert_array_equal(one.upright.truth, example.upright.truth)
            np.testing.assert_array_equal(one.upright.forecasts["convlstm"], example.upright.forecasts["convlstm"])
    for example in usual.examples:
        assert example.upright.truth[0, 0, :6].sum() > example.upright.truth[0, 0, 6:].sum()


def test_films_are_the_same(folder: Path) -> None:
    usual, *others = (
        film_of(forecast(folder / "of_north_west", folder / f"{name}.nc"), framecast.open(folder / f"{name}.nc"))
        for name in ORDERS
    )
    for other in others:
        np.testing.assert_array_equal(usual, other)


@pytest.mark.parametrize(
    ("order", "turned", "unknown"),
    [(*ROWS, {"row_order": None}), (*COLUMNS, {"grid": {}})],
    ids=["rows", "columns"],
)
def test_a_card_without_the_order_is_used_as_before(
    folder: Path, order: str, turned: str, unknown: dict[str, object], tmp_path: Path
) -> None:
    model, card = load(folder / "of_north_west")
    save(tmp_path / "older", model, dataclasses.replace(card, **unknown))
    assert getattr(load(tmp_path / "older")[1], order) is None
    frames = framecast.open(folder / f"{turned}.nc")
    numbered = frames.drop_vars(["y", "x"])
    one, other = (framecast.load(tmp_path / "older").forecast(each, 2) for each in (frames, numbered))
    np.testing.assert_array_equal(one.values, other.values)
    assert not np.array_equal(one.values, framecast.load(folder / "of_north_west").forecast(frames, 2).values)


@EACH_AXIS
def test_distributions_and_extra_inputs_are_turned_too(folder: Path, order: str, turned: str) -> None:
    _, card = load(folder / "of_north_west")
    card = dataclasses.replace(
        card, model=PredRNN.tiny(), head=Exceedance(), shape=FrameShape(2, 12, 16, 2, 2, inputs=1), inputs=()
    )
    torch.manual_seed(0)
    model = TrainedModel(card.build(), card)
    rng = np.random.default_rng(0)
    frames, inputs = (rng.gamma(0.5, 4, (2, 2, 1, 12, 16)).astype(np.float32) for _ in range(2))
    known = ASSUMED._replace(row_order="north_first", column_order="west_first")
    usual = model.forecast(Context(frames, None, inputs, (known,) * 2), 2)
    axis = -2 if order == "row_order" else -1
    frames[1], inputs[1] = np.flip(frames[1], axis), np.flip(inputs[1], axis)
    other = known._replace(**{order: getattr(load(folder / f"of_{turned}")[1], order)})
    mixed = model.forecast(Context(frames, None, inputs, (known, other)), 2)
    np.testing.assert_array_equal(mixed.values[:, 0], usual.values[:, 0])
    np.testing.assert_array_equal(mixed.values[:, 1], np.flip(usual.values[:, 1], axis))
    np.testing.assert_array_equal(
        mixed.distribution.probability[:, 1], np.flip(usual.distribution.probability[:, 1], axis)
    )


@pytest.mark.parametrize(
    ("turned", "axis", "first", "repair"),
    [("south_west", "y", 0, "rows were turned"), ("north_east", "x", 15000, "columns were turned")],
)
def test_archives_of_both_orders_are_trained_on_in_one(
    folder: Path, turned: str, axis: str, first: int, repair: str
) -> None:
    paths = (str(folder / f"{turned}.nc"), str(folder / "north_west.nc"))
    splits = ArchiveData(path=paths, context=2, horizon=2).open()
    assert [frames[axis].values[0] for frames in splits.frames] == [first, first]
    assert any(repair in each for each in splits.repairs)


def test_the_climatology_is_turned_to_the_frames(folder: Path) -> None:
    training = ArchiveData(path=str(folder / "north_west.nc"), context=2, horizon=2).open()
    means = {}
    for name in ORDERS:
        frames = framecast.open(folder / f"{name}.nc")
        data = BaselineData(training.train.quantity, training.step, (frames,), lambda: training)
        means[name] = build_all(["climatology"], data)["climatology"].mean
    usual = means["north_west"]
    assert np.ptp(usual) > 1
    for name, steps in ORDERS.items():
        np.testing.assert_array_equal(means[name], usual[:, :: steps.get("y", 1), :: steps.get("x", 1)])
