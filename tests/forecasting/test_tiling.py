"""Forecasts in tiles: without a seam where the model does not look further than the tiles overlap."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from framecast.checkpoints.model_folder import ModelCard
from framecast.data.quantities import INTENSITY
from framecast.data.scaling import Unit
from framecast.errors import ConfigError, DataError, RunError
from framecast.forecasting.protocol import Context
from framecast.forecasting.tiling import check_overlap, forecast_tiles
from framecast.forecasting.trained_model import TrainedModel
from framecast.models import MIM, ConvLSTM
from framecast.types import FrameShape


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    tile=st.integers(8, 20),
    overlap=st.integers(0, 4),
    multiple=st.sampled_from([None, 1, 2, 4]),
)
def test_what_looks_at_one_pixel_is_the_same_in_tiles(
    height: int, width: int, tile: int, overlap: int, multiple: int | None
) -> None:
    contexts = np.random.default_rng(0).random((2, 3, 1, height, width), dtype=np.float32)
    contexts[..., 0, 0] = np.nan
    result = forecast_tiles(lambda part: 2 * part[:, -1:], contexts, tile, overlap, multiple)
    np.testing.assert_allclose(result, 2 * contexts[:, -1:], rtol=1e-6)


def model(config: ConvLSTM | MIM, side: int, **options: int) -> TrainedModel:
    torch.manual_seed(0)
    shape = FrameShape(1, side, side, 2, 2)
    return TrainedModel(config.build(shape), ModelCard(config, Unit(), INTENSITY, shape, None), **options)


def test_seams_are_invisible_where_the_overlap_is_as_wide_as_the_model_looks() -> None:
    config = ConvLSTM(hidden=(6,), kernel=3, patch=2)
    context = np.random.default_rng(0).random((2, 1, 60, 52), dtype=np.float32)
    whole = model(config, 60).forecast(Context(context[None]), 2)[0, 0]
    # three steps of one 3x3 convolution on patches of 2 x 2 pixels look three patches far: 6 pixels, a third of 18
    in_tiles = model(config, 60, tile=32, overlap=18).forecast(Context(context[None]), 2)[0, 0]
    np.testing.assert_allclose(in_tiles, whole, atol=1e-6)
    narrow = model(config, 60, tile=32, overlap=0).forecast(Context(context[None]), 2)[0, 0]
    assert np.abs(narrow - whole).max() > 1e-4, "the test can fail"


def test_tiles_lead_a_model_of_one_size_to_larger_frames() -> None:
    context = np.random.default_rng(0).random((2, 1, 40, 24), dtype=np.float32)
    with pytest.raises(ConfigError, match="works for frames of"):
        model(MIM.tiny(), 16).forecast(Context(context[None]), 3)
    forecast = model(MIM.tiny(), 16, tile=16, overlap=4).forecast(Context(context[None]), 3)[0, 0]
    assert forecast.shape == (3, 1, 40, 24)
    assert np.isfinite(forecast).all()


def test_an_overlap_as_large_as_a_tile_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"overlap: 4 pixels in tiles of 4 x 4\n.*choose a smaller overlap"):
        check_overlap(4, 4, 1)
    with pytest.raises(ConfigError, match="overlap: 16 pixels in tiles of 16 x 16"):
        model(MIM.tiny(), 16, tile=16, overlap=16)


def test_a_model_with_spoilt_weights_is_not_taken_for_missing_data() -> None:
    trained = model(ConvLSTM(hidden=(6,), kernel=3, patch=2), 16)
    context = np.random.default_rng(0).random((2, 1, 16, 16), dtype=np.float32)
    context[:, :, :4] = np.nan
    assert np.isnan(trained.forecast(Context(context[None]), 2)[0, 0][:, :, :4]).all()
    infinite = context.copy()
    infinite[0, 0, 8, 8] = np.inf
    with pytest.raises(DataError, match="infinite values"):
        trained.forecast(Context(infinite[None]), 2)
    for weight in trained.model.parameters():
        weight.data.fill_(float("nan"))
    with pytest.raises(RunError, match="not finite where there are data"):
        trained.forecast(Context(context[None]), 2)
