"""From files to a forecast in one call, and forecasters of others against baselines."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from test_trained_model import SHAPE, frames, save_trained, trained

import framecast
from framecast.checkpoints.model_folder import save
from framecast.errors import ConfigError, DataError
from framecast.models import PredRNN


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder."""
    return save_trained(tmp_path / "model")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Twelve frames, of which one has values that cannot be."""
    observed = frames(12)
    observed[11, 0, 3, 3] = -5.0
    observed.drop_attrs().assign_attrs(units="mm h-1").drop_vars("crs").to_netcdf(
        tmp_path / "rain.nc", engine="h5netcdf"
    )
    return tmp_path / "rain.nc"


def test_one_call_opens_forecasts_and_writes(model: Path, archive: Path, tmp_path: Path) -> None:
    forecast = framecast.forecast(model, archive, 4, out=tmp_path / "out.nc")
    expected = framecast.load(model).forecast(framecast.open(archive), horizon=4)
    np.testing.assert_array_equal(forecast.values, expected.values)
    assert "below 0 mm/h" in forecast.attrs["warnings"]
    with xr.open_dataset(tmp_path / "out.nc", engine="h5netcdf") as written:
        np.testing.assert_array_equal(written["rain"].values, forecast.values)
        assert written["rain"].attrs["warnings"] == forecast.attrs["warnings"]
    opened = framecast.forecast(str(model), framecast.open(archive), 4)
    np.testing.assert_array_equal(opened.values, forecast.values)


def test_what_is_repaired_is_recorded(model: Path, archive: Path) -> None:
    observed = framecast.open(archive).assign_attrs(repairs=["left out one file", "and another"])
    assert framecast.forecast(model, observed, 1).attrs["repairs"].splitlines() == observed.attrs["repairs"]
    assert "repairs" not in framecast.forecast(model, observed.assign_attrs(repairs=[]), 1).attrs


def test_a_target_that_cannot_be_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a format"):
        framecast.forecast("nowhere", "nowhere", 1, out=tmp_path / "out.bmp")


def test_actions_may_be_in_a_file(tmp_path: Path) -> None:
    from framecast.models import ActionPredRNN

    shape = SHAPE._replace(actions=2)
    card = replace(trained().card, model=ActionPredRNN.tiny(), shape=shape)
    save(tmp_path / "model", card.model.build(shape), card)
    actions = np.random.default_rng(0).random((4, 2)).astype(np.float32)
    np.save(tmp_path / "actions.npy", actions)
    given = [
        framecast.forecast(tmp_path / "model", frames(), 2, actions=each)
        for each in (actions, tmp_path / "actions.npy")
    ]
    np.testing.assert_array_equal(given[0].values, given[1].values)
    with pytest.raises(DataError, match="actions of 4 steps"):
        framecast.forecast(tmp_path / "model", frames(), 2)


class Twice:
    """Twice the newest frame, in two members."""

    name = "twice"
    context_length = 2

    def forecast(self, context: framecast.Context, /, horizon: int) -> np.ndarray:
        forecast = 2 * context.frames[:, -1:].repeat(horizon, axis=1)
        return np.stack([forecast, forecast])


def test_verify_takes_frames_or_their_path_and_names_of_baselines(model: Path, archive: Path) -> None:
    options: dict[str, Any] = {"context": 4, "horizon": 2, "baselines": ("persistence", "extrapolation")}
    one = framecast.verify([Twice(), framecast.load(model)], archive, **options)
    assert one.forecasters == ["twice", "predrnn", "persistence", "extrapolation"]
    assert one.cases == 7
    assert one.members("twice") == 2
    assert one.sums["lead_time"].values.tolist() == [300_000_000_000, 600_000_000_000]
    other = framecast.verify({"twice": Twice(), "predrnn": framecast.load(model)}, framecast.open(archive), **options)
    xr.testing.assert_identical(one.sums, other.sums)
    assert any("below 0 mm/h" in repair for repair in one.repairs)
    assert framecast.verify([Twice()], archive, horizon=2, stride=3).cases == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": None}, "horizon: no horizon given"),
        ({"baselines": ("persistance",)}, "unknown baseline 'persistance'"),
        ({"baselines": ("twice",)}, "unknown baseline 'twice'"),
        ({"forecasters": []}, "no forecaster given"),
        ({"forecasters": [Twice(), Twice()]}, "two forecasters have one name"),
        ({"forecasters": {"persistence": Twice()}, "baselines": ("persistence",)}, "a forecaster and a baseline"),
        ({"context": 1}, "twice needs a context of 2 frames, 1 given"),
    ],
)
def test_what_cannot_be_verified_is_refused(options: dict[str, Any], message: str, archive: Path) -> None:
    arguments: dict[str, Any] = {"forecasters": [Twice()], "data": archive, "horizon": 2} | options
    with pytest.raises(ConfigError, match=message):
        framecast.verify(**arguments)


def test_no_climatology_without_training(archive: Path) -> None:
    with pytest.raises(DataError, match="no training window"):
        framecast.verify([Twice()], archive, horizon=2, baselines=("climatology",))


def test_what_load_gives_is_a_forecaster(model: Path) -> None:
    """Labels in, labels out; arrays in, arrays out."""
    loaded: framecast.Forecaster = framecast.load(model)
    values = loaded.forecast(framecast.Context(frames(3).values[None]), 2)
    labelled = framecast.load(model).forecast(frames(3), horizon=2)
    assert isinstance(values, np.ndarray)
    np.testing.assert_array_equal(values[0], labelled.values)
    assert framecast.load(model).name == PredRNN.tiny().name
