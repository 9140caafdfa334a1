"""Models that predict distributions, in coordinates that move: forecasts, members, files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from test_trained_model import frames as gamma_frames

import framecast
from framecast.checkpoints.model_folder import ModelCard, load, save
from framecast.data.motion.coordinates import Eulerian, Lagrangian
from framecast.data.quantities import INTENSITY, RAIN_RATE, REFLECTIVITY
from framecast.data.scaling import DBZ, RainLog, Unit
from framecast.errors import ArgumentError, ConfigError, DataError
from framecast.forecasting.protocol import Context, Forecasts, forecast_cases
from framecast.forecasting.trained_model import TrainedModel
from framecast.models import ConvLSTM, UNet
from framecast.models.heads import Exceedance, Values
from framecast.types import FrameShape

SHAPE = FrameShape(1, 32, 32, 4, 3)
CARD = ModelCard(
    UNet.tiny(),
    RainLog(),
    RAIN_RATE,
    SHAPE,
    300.0,
    coordinates=Lagrangian(),
    head=Exceedance(),
    step_range=(120.0, 900.0),
)


def rain(count: int = 6, shift: int = 1, minutes: int = 5) -> xr.DataArray:
    """A shower that moves `shift` columns a frame."""
    rows, columns = np.mgrid[0:48, 0:40]
    values = np.stack(
        [12 * np.exp(-((rows - 24) ** 2 + (columns - 12 - shift * time) ** 2) / 40) for time in range(count)]
    )
    like = gamma_frames(count, 48, 40, minutes)
    return like.copy(data=np.where(values > 0.05, values, 0)[:, None].astype(np.float32))


def trained(card: ModelCard = CARD, **options: Any) -> TrainedModel:
    torch.manual_seed(0)
    return TrainedModel(card.build(), card, **options)


def context(frames: xr.DataArray) -> Context:
    return Context(frames.values[None, -4:])


def test_probabilities_move_with_the_rain() -> None:
    forecast = trained().forecast(rain(shift=2), 3)
    assert isinstance(forecast, xr.Dataset)
    probability = forecast["exceedance_probability"].sel(threshold=2).values[0, :, 0]
    newest = 12 + 2 * 5
    peaks = [int(np.unravel_index(np.nanargmax(each), each.shape)[1]) for each in probability]
    assert all(abs(peak - (newest + 2 * lead)) <= 1 for lead, peak in enumerate(peaks, 1))


def test_a_forecast_of_distributions_is_a_dataset(tmp_path: Path) -> None:
    forecast = trained().forecast(rain(), 3, rates=(1.0, 4.0))
    assert isinstance(forecast, xr.Dataset)
    assert dict(forecast["exceedance_probability"].sizes) == {
        "init_time": 1,
        "threshold": 2,
        "lead_time": 3,
        "channel": 1,
        "y": 48,
        "x": 40,
    }
    assert set(np.unique(forecast["likely_event"].values[~np.isnan(forecast["likely_event"].values)])) <= {0, 1}
    framecast.write(forecast, tmp_path / "nowcast.nc")
    with xr.open_dataset(tmp_path / "nowcast.nc", engine="h5netcdf") as written:
        np.testing.assert_allclose(written["exceedance_probability"], forecast["exceedance_probability"], atol=1e-4)
        np.testing.assert_array_equal(written["likely_event"], forecast["likely_event"])
        np.testing.assert_array_equal(written["rain"], forecast["rain"])
        assert written["exceedance_probability"].attrs["grid_mapping"] == "crs" or "crs" in written.variables


@pytest.mark.parametrize("name", ["nowcast.zarr", "nowcast.gif"])
def test_it_is_written_to_every_format_and_drawn(tmp_path: Path, name: str) -> None:
    forecast = trained(members=2).forecast(rain(), 3)
    framecast.write(forecast, tmp_path / name)
    assert (tmp_path / name).exists()
    assert len(framecast.plot(forecast).axes) >= 3


def test_no_data_has_no_basis_and_what_comes_from_it_neither() -> None:
    frames = rain(shift=2)
    frames.values[:, :, :, :6] = np.nan
    result = forecast_cases(trained(), context(frames), 3)
    assert result.distribution is not None
    missing = np.isnan(result.distribution.probability[0, 0])
    assert missing[:, :, :6].all()
    np.testing.assert_array_equal(np.isnan(result.values[0, 0, :, 0]), missing)


def test_members_follow_the_distribution_and_their_seed() -> None:
    frames = rain()
    one, two, other = (forecast_cases(trained(members=80, seed=seed), context(frames), 3).values for seed in (0, 0, 1))
    assert one.shape == (80, 1, 3, 1, 48, 40)
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)
    distribution = forecast_cases(trained(), context(frames), 3).distribution
    assert distribution is not None
    share = (one[:, 0, :, 0] >= 1.0).mean(0)
    expected = distribution.exceedance([1.0])[0, 0]
    assert abs(np.nanmean(share) - np.nanmean(expected)) < 0.02


@pytest.mark.parametrize("coordinates", [Eulerian(), Lagrangian()])
@pytest.mark.parametrize("config", [UNet.tiny(), ConvLSTM.tiny()], ids=lambda config: config.name)
def test_tiles_equal_the_whole(config: Any, coordinates: Any) -> None:
    """An untrained model is the prior, whose neighbourhoods reach beyond a tile: near enough."""
    card = replace(CARD, model=config, coordinates=coordinates)
    whole, tiled = (
        forecast_cases(trained(card, **tile), context(rain()), 2) for tile in ({}, {"tile": 40, "overlap": 24})
    )
    assert whole.distribution is not None
    assert tiled.distribution is not None
    difference = np.abs(whole.distribution.probability - tiled.distribution.probability)
    assert np.nanmax(difference[:, :, 0]) < 0.05
    np.testing.assert_array_equal(np.isnan(whole.values), np.isnan(tiled.values))


@pytest.mark.parametrize("config", [UNet.tiny(), ConvLSTM.tiny()], ids=lambda config: config.name)
def test_values_work_in_moving_coordinates_too(config: Any) -> None:
    card = replace(CARD, model=config, head=Values(), step_range=None)
    forecast = trained(card).forecast(rain(), 4)
    assert isinstance(forecast, xr.DataArray)
    assert forecast.shape == (1, 4, 1, 48, 40)
    with pytest.raises(ArgumentError, match=r"predicts values, from which no members"):
        trained(card, members=3)


def test_reflectivity_is_converted_for_a_model_of_rain_rates() -> None:
    rates = rain()
    dbz = np.where(rates.values > 0, 10 * np.log10(223 * np.maximum(rates.values, 1e-3) ** 1.53), -32)
    reflectivity = rates.copy(data=dbz.astype(np.float32))
    reflectivity.attrs |= {"units": "dBZ", "quantity": "reflectivity", "dry": -32.0}
    one, two = (trained().forecast(each, 2) for each in (rates, reflectivity))
    assert isinstance(one, xr.Dataset)
    assert isinstance(two, xr.Dataset)
    np.testing.assert_allclose(one["exceedance_probability"], two["exceedance_probability"], atol=1e-3)
    assert two.attrs["units"] == "mm h-1"


def test_steps_within_those_of_training_are_forecast() -> None:
    for minutes in (2, 5, 15):
        trained().forecast(rain(minutes=minutes), 2)
    with pytest.raises(DataError, match="30 minutes, but the model was trained on 2 to 15"):
        trained().forecast(rain(minutes=30), 2)


def test_the_card_keeps_coordinates_and_head(tmp_path: Path) -> None:
    save(tmp_path / "model", CARD.build(), CARD)
    _, card = load(tmp_path / "model")
    assert card == CARD


def test_reflectivity_has_a_ladder_of_its_own() -> None:
    card = replace(CARD, scaling=DBZ(), quantity=REFLECTIVITY)
    rates = rain()
    dbz = np.where(rates.values > 0, 10 * np.log10(223 * np.maximum(rates.values, 1e-3) ** 1.53), -32)
    result = forecast_cases(trained(card), Context(dbz[None, -4:].astype(np.float32)), 2)
    assert isinstance(result, Forecasts)
    assert np.nanmin(result.values) == -32
    with pytest.raises(ConfigError, match="no rain rates"):
        replace(CARD, scaling=Unit(), quantity=INTENSITY).build()
