"""A context of any strides, byte order, precision or flags gives the forecast of the same values as plain float32."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from framecast.checkpoints.model_folder import ModelCard
from framecast.data.quantities import RAIN_RATE
from framecast.data.scaling import RainLog
from framecast.errors import ArgumentError
from framecast.forecasting.protocol import MOST_STEPS, Context
from framecast.forecasting.trained_model import TrainedModel
from framecast.models import ConvLSTM
from framecast.types import FrameShape

SHAPE = FrameShape(1, 8, 8, 2, 2)


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    torch.manual_seed(0)
    config = ConvLSTM(hidden=(4,), kernel=3)
    return TrainedModel(config.build(SHAPE), ModelCard(config, RainLog(), RAIN_RATE, SHAPE, 300.0))


def read_only(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values.flags.writeable = False
    return values


FORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "negative strides": lambda values: values[..., ::-1, ::-1].copy()[..., ::-1, ::-1],
    "big endian": lambda values: values.astype(">f4"),
    "big endian, double": lambda values: values.astype(">f8"),
    "long double": lambda values: values.astype(np.longdouble),
    "double": lambda values: values.astype(np.float64),
    "read-only": read_only,
    "Fortran order": np.asfortranarray,
    "broadcast": lambda values: np.broadcast_to(values, values.shape),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("error")
def test_arrays_of_all_kinds_are_forecast(model: TrainedModel, form: str) -> None:
    values = np.random.default_rng(0).gamma(0.5, 2, (1, 2, 1, 8, 8)).astype(np.float32)
    expected = model.forecast(Context(values), 2)
    odd = model.forecast(Context(FORMS[form](values)), 2)
    np.testing.assert_allclose(odd, expected, rtol=1e-5, atol=1e-5)


def test_a_horizon_without_bound_is_refused(model: TrainedModel) -> None:
    context = Context(np.zeros((1, 2, 1, 8, 8), np.float32))
    for horizon in (MOST_STEPS + 1, 10**8, 2**63, 10**20, True):
        with pytest.raises(ArgumentError):
            model.forecast(context, horizon)
