"""Training as the papers' code does it: schedules, decay, reversed steps, and what the loss compares."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from framecast.config.experiment import Experiment, Optimiser, Training
from framecast.curriculum import TeacherForced
from framecast.data.synthetic.moving_mnist import MovingDigits
from framecast.errors import ConfigError
from framecast.losses import L1L2, L2
from framecast.models import ConvLSTM
from framecast.training.optimiser import build, learning_rate
from framecast.training.step import frame_loss, training_passes
from framecast.types import Batch, Prediction
from framecast.workflows.reproduce import scale_experiment


def tiny() -> Experiment:
    return Experiment(data=MovingDigits(context=3, horizon=2), model=ConvLSTM(hidden=(2,), kernel=3))


def test_warm_restarts_count_optimiser_steps() -> None:
    """The rates of the released TCTN: two steps an iteration, 37,500 iterations are four whole cycles."""
    settings = Optimiser(learning_rate=1e-4, schedule="warm_restarts")
    published = {0: 1e-4, 2_500: 5e-5, 4_999: 9.87e-12, 5_000: 1e-4, 10_000: 5e-5, 15_000: 1e-4, 35_000: 1e-4}
    for step, rate in (published | {55_000: 5e-5, 74_999: 1.54e-13, 75_000: 1e-4}).items():
        assert learning_rate(settings, step // 2, 37_500, step) == pytest.approx(rate, rel=2e-3), step
    assert learning_rate(settings, 2_500, 37_500) == pytest.approx(5e-5)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_warm_restarts_are_those_of_pytorch(factor: int) -> None:
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimiser, 7, factor, eta_min=0.01)
    settings = Optimiser(learning_rate=0.3, schedule="warm_restarts", cycle=7, cycle_factor=factor, minimum=0.01)
    for step in range(60):
        assert learning_rate(settings, step, 60, step) == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()


def test_a_cosine_once_an_epoch_falls_to_its_minimum() -> None:
    """As in the released MoDeRNN: 400 epochs of 200 iterations, from 1e-3 to 1e-6."""
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 400, eta_min=1e-6)
    settings = Optimiser(learning_rate=1e-3, schedule="cosine", hold=200, minimum=1e-6)
    for epoch in range(400):
        rates = [learning_rate(settings, epoch * 200 + inside, 80_000) for inside in (0, 1, 199)]
        assert rates == pytest.approx([optimiser.param_groups[0]["lr"]] * 3)
        optimiser.step()
        schedule.step()
    assert learning_rate(Optimiser(schedule="cosine"), 50, 100) == pytest.approx(1.5e-4)


def test_a_scaled_experiment_shrinks_its_schedule() -> None:
    whole = replace(tiny(), optimiser=Optimiser(schedule="warm_restarts", warmup=100, hold=200))
    small = scale_experiment(whole, 0.01).optimiser
    assert (small.cycle, small.hold, small.warmup, small.cycle_factor) == (50, 2, 1, 2)


def test_decay_is_decoupled_from_the_gradient() -> None:
    weight = nn.Parameter(torch.tensor([2.0]))
    optimiser = build(Optimiser(learning_rate=0.1, weight_decay=0.01), [weight])
    weight.grad = torch.zeros(1)
    optimiser.step()
    assert weight.item() == pytest.approx(2.0 * (1 - 0.1 * 0.01))


def test_the_second_step_reverses_actions_with_the_frames() -> None:
    frames, valid = torch.rand(2, 5, 1, 4, 4), torch.rand(2, 5, 1, 4, 4) > 0.2
    actions = torch.rand(2, 5, 3)
    first, second = training_passes(Batch(frames, valid, actions), True)
    assert first.actions is actions
    assert second.actions is not None
    for t in range(5):
        assert torch.equal(second.frames[:, t], frames[:, 4 - t])
        assert torch.equal(second.valid[:, t], valid[:, 4 - t])
        assert torch.equal(second.actions[:, t], actions[:, 4 - t])
    assert len(training_passes(Batch(frames, valid, actions), False)) == 1


def test_the_loss_can_leave_out_the_first_predictions() -> None:
    """The released MoDeRNN compares frames 2 to T - 1: a quarter of the sums."""
    frames, predicted = torch.rand(2, 5, 1, 4, 4), torch.rand(2, 4, 1, 4, 4)
    batch = Batch(frames, torch.ones_like(frames, dtype=torch.bool))
    experiment = replace(tiny(), loss=L1L2(reduction="sum"), training=Training(loss_start=2))
    error = predicted[:, 1:] - frames[:, 2:]
    expected = (error.square().sum() + error.abs().sum()) / 4
    torch.testing.assert_close(frame_loss(experiment, Prediction(predicted, {}), batch), expected)
    one_shot = Prediction(predicted[:, -2:], {})  # predicts the horizon only, which is never left out
    whole = replace(experiment, loss=L2())
    torch.testing.assert_close(frame_loss(whole, one_shot, batch), (predicted[:, -2:] - frames[:, -2:]).square().mean())


def test_settings_without_meaning_are_refused() -> None:
    for wrong in ({"cycle": 0}, {"cycle_factor": 0}, {"hold": 0}, {"minimum": -1.0}, {"minimum": 1.0}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            Optimiser(**wrong)  # type: ignore[arg-type]
    for start in (0, 4):
        with pytest.raises(ConfigError, match="loss_start"):
            replace(tiny(), training=Training(loss_start=start), curriculum=TeacherForced())
