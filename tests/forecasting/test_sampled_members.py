"""Members of a model that draws samples: as many as asked for, the same again, and scored as an ensemble."""

from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from test_trained_model import frames

import framecast
from framecast.checkpoints.model_folder import ModelCard, save
from framecast.config.experiment import Experiment, Training
from framecast.curriculum import TeacherForced
from framecast.data.datasets import MovingDigits
from framecast.data.quantities import RAIN_RATE
from framecast.data.scaling import RainLog
from framecast.forecasting.protocol import Context
from framecast.forecasting.trained_model import TrainedModel
from framecast.models import SVG
from framecast.training import train
from framecast.types import FrameShape

SHAPE = FrameShape(1, 16, 16, 3, 2)
CARD = ModelCard(SVG.tiny(), RainLog(), RAIN_RATE, SHAPE, 300.0)


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    built = CARD.build()
    with torch.no_grad():
        for weight in built.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return built


def draw(members: int | None, cases: int = 2, seed: int = 0, tile: int | None = None, width: int = 16) -> np.ndarray:
    model = TrainedModel(network(), CARD, members=members, seed=seed, tile=tile, overlap=4)
    contexts = np.stack([frames(3 + case, width=width).values[-3:] for case in range(cases)])
    values = model.forecast(Context(contexts), 2)
    assert isinstance(values, np.ndarray)
    return values


def test_members_differ_and_come_again_and_do_not_depend_on_their_number() -> None:
    three = draw(3)
    assert three.shape == (3, 2, 2, 1, 16, 16)
    assert np.isfinite(three).all()
    assert len({member.tobytes() for member in three}) == 3
    np.testing.assert_array_equal(draw(2), three[:2])
    np.testing.assert_allclose(draw(3, cases=1), three[:, :1], rtol=1e-4, atol=1e-5)
    assert not np.allclose(draw(3, seed=1), three)


def test_without_members_the_forecast_is_one_and_none_of_them() -> None:
    alone = draw(None)
    assert alone.shape == (1, 2, 2, 1, 16, 16)
    assert not any(np.allclose(alone[0], member) for member in draw(3))


def test_members_of_larger_frames_are_drawn_in_tiles() -> None:
    assert draw(2, tile=16, width=28).shape == (2, 2, 2, 1, 16, 28)


def test_a_forecast_has_the_dimension_member(tmp_path: Path) -> None:
    save(tmp_path, network(), CARD)
    forecast = framecast.load(tmp_path, members=2)(frames(), 2)
    assert forecast.sizes == {"init_time": 1, "member": 2, "lead_time": 2, "channel": 1, "y": 16, "x": 16}


def test_another_model_of_values_says_which_models_have_members() -> None:
    other = framecast.models.PredRNN.tiny()
    card = ModelCard(other, RainLog(), RAIN_RATE, SHAPE, 300.0)
    with pytest.raises(framecast.errors.ArgumentError, match=r"model\.name=svg"):
        TrainedModel(other.build(SHAPE), card, members=2)


def test_a_trained_run_is_scored_as_an_ensemble(tmp_path: Path) -> None:
    data = MovingDigits(size=16, context=3, horizon=2, train=4, validation=2, test=2)
    training = Training(iterations=1, batch_size=2, accelerator="cpu")
    settings = Experiment(data=data, model=SVG.tiny(), curriculum=TeacherForced(), training=training)
    run = train(settings, out=tmp_path / "run", console=Console(quiet=True))
    scores = framecast.evaluate(run, members=3)
    assert scores.members("svg") == 3
    assert scores.frame("svg", "crps").value < scores.frame("svg", "mae").value
