"""Heads: any model predicts distributions, starts at extrapolation as a probability, and never sees the future."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from framecast.config.experiment import Experiment
from framecast.data.datasets import ArchiveData
from framecast.data.quantities import RAIN_RATE
from framecast.errors import ConfigError
from framecast.forecasting.from_logits import forecasts_from_logits
from framecast.losses import BrierSum, CrossEntropy
from framecast.models import VAE, ConvLSTM, Model, MotionRNN, SimVP, UNet
from framecast.models.heads import Exceedance
from framecast.models.parts.capabilities import Autoregressive
from framecast.models.parts.exceedance import (
    KNOTS,
    LADDER,
    ExtrapolationPrior,
    descending,
    interpolation_weights,
    probabilities,
    smooth,
)
from framecast.ops import free_running
from framecast.types import FrameShape
from models.test_contract import shape_for

SHAPE = FrameShape(channels=1, height=16, width=16, context=3, horizon=3)
LEVELS = (0.0, *(k / 10 for k in range(1, len(LADDER) + 1)))


def refusal(config: Any) -> str:
    """Why the head refuses a model; nothing where it does not."""
    try:
        Exceedance().check(config)
    except ConfigError as error:
        return str(error)
    return ""


CATALOGUE = [each.tiny() for each in get_args(Model)]
FORECASTERS = [config for config in CATALOGUE if not refusal(config)]


def windows(steps: int = 6, seed: int = 0) -> Tensor:
    """Windows `(2, T, 4, 16, 16)`: values, and the planes of conditions."""
    frames = torch.rand(2, steps, 1, 16, 16, generator=torch.Generator().manual_seed(seed)) ** 3
    planes = [torch.full_like(frames, value) for value in (1.0, 5.0, 1.0)]
    return torch.cat([frames, *planes], dim=2)


def network(config: Any, *, trained: bool = True) -> Any:
    """The network of a model under the head; `trained`, its own part says something."""
    torch.manual_seed(0)
    shape = shape_for(config, SHAPE)
    built: Any = Exceedance().build(config, shape, LEVELS).eval()
    if trained:
        torch.nn.init.normal_(built.readout, std=0.3)
    if shape.actions:
        predict = built._predict
        built._predict = lambda frames, horizon, teacher, _: predict(frames, horizon, teacher, actions(horizon))
    return built


def actions(horizon: int) -> Tensor:
    """Actions `(2, T, 2)`, the same at the same time for any horizon."""
    return torch.arange(2.0 * (SHAPE.context + horizon)).sin().reshape(1, -1, 2).expand(2, -1, -1)


def move_from_the_start(built: Any) -> None:
    """Weights that differ from those of the start, at which some models predict nearly the same whatever they read."""
    with torch.no_grad():
        for weight in built.network.parameters():
            weight.add_(0.05 * torch.randn_like(weight))


def outputs(built: Any, run: Any) -> Tensor:
    """What the network itself predicts while `run` runs, `(B, T - 1, D, H, W)`."""
    records: list[Tensor] = []
    hook = built.network.register_forward_hook(lambda module, arguments, output: records.append(output.frames))
    run()
    hook.remove()
    (predicted,) = records
    return predicted


def test_where_no_rain_is_near_it_cannot_rain() -> None:
    prior, known = ExtrapolationPrior(), torch.ones(1, 16, 16, dtype=torch.bool)
    features = prior.features(torch.full((1, 16, 16), -9.0), known, [1.0])
    dry = prior(features, torch.tensor([[5.0, 60.0]])).detach()
    forecasts = forecasts_from_logits(dry, LADDER, RAIN_RATE, np.zeros((1, 3, 1, 16, 16)), [], [], None)
    assert forecasts.distribution is not None
    assert (dry > -12).all()
    assert (forecasts.distribution.probability == 0).all()
    assert (probabilities(torch.tensor([-20.0, 0.0, 20.0])) == torch.tensor([0.0, 0.5, 1.0])).all()


def test_the_gradient_of_descending_logits_is_that_of_their_minima() -> None:
    logits = torch.randn(2, 3, 6, 4, 5, generator=torch.Generator().manual_seed(0)).round(decimals=0).requires_grad_()
    weight = torch.rand(logits.shape, generator=torch.Generator().manual_seed(1))
    rungs = [*logits.unbind(2)]
    for k in range(1, len(rungs)):
        rungs[k] = torch.minimum(rungs[k - 1], rungs[k])
    (expected,) = torch.autograd.grad((torch.stack(rungs, 2) * weight).sum(), logits)
    (gradient,) = torch.autograd.grad((descending(logits) * weight).sum(), logits)
    torch.testing.assert_close(gradient, expected)
    assert (logits[:, :, 1:] == logits[:, :, :-1]).any()


@pytest.mark.parametrize("config", FORECASTERS, ids=lambda config: config.name)
class TestAnyModel:
    def test_an_untrained_model_equals_extrapolation_as_a_probability(self, config: Any) -> None:
        built = network(config, trained=False)
        frames = windows()
        log_rate = built._log_rate(frames[:, 2, 0])
        prior = ExtrapolationPrior()
        features = prior.features(log_rate, torch.ones(2, 16, 16, dtype=torch.bool), torch.ones(2))
        expected = prior(features, torch.tensor([[5.0, 10.0, 15.0]]).expand(2, 3))
        with torch.no_grad():
            torch.testing.assert_close(built.forecast(frames[:, :3], 3), descending(expected))

    def test_probabilities_fall_along_the_ladder(self, config: Any) -> None:
        with torch.no_grad():
            logits = network(config).forecast(windows()[:, :3], 5)
        assert logits.shape == (2, 5, len(LADDER), 16, 16)
        assert (logits.diff(dim=2) <= 0).all()

    def test_another_future_changes_nothing(self, config: Any) -> None:
        built = network(config)
        frames, other = windows(), windows(seed=1)
        other[:, :3] = frames[:, :3]
        teacher = free_running(2, 3, 3)
        with torch.no_grad():
            one, two = (built(each, teacher) for each in (frames, other))
            forecast = built.forecast(frames[:, :3], 3)
        torch.testing.assert_close(one.frames, two.frames, rtol=0, atol=0)
        torch.testing.assert_close(one.frames, forecast, rtol=1e-4, atol=1e-5)

    def test_the_loss_reaches_the_weights_of_the_model(self, config: Any) -> None:
        built = network(config).train()
        prediction = built(windows(), free_running(2, 3, 3))
        loss = CrossEntropy()(prediction.frames, prediction.target, torch.ones(2, 3, 1, 16, 16, dtype=torch.bool))
        loss.backward()
        reached = [weight.grad is not None and bool(weight.grad.any()) for weight in built.network.parameters()]
        assert sum(reached) > len(reached) / 2


@pytest.mark.parametrize(
    "config", [each for each in FORECASTERS if isinstance(network(each).network, Autoregressive)], ids=lambda c: c.name
)
class TestFrameByFrame:
    def test_it_is_fed_expectations_beyond_the_horizon_of_training_too(self, config: Any) -> None:
        built = network(config)
        move_from_the_start(built)
        context, horizon = windows()[:, :3], 2 * SHAPE.horizon
        feedback, fed = built._feedback, []

        def recorded(*arguments: Any) -> Any:
            expectation = feedback(*arguments)

            def record(output: Tensor, t: int) -> Tensor:
                if t + 1 >= SHAPE.context:
                    fed.append(expectation(output, t))
                return expectation(output, t)

            return record

        def blank(*arguments: Any) -> Any:
            return lambda output, t: torch.zeros_like(output)

        with torch.no_grad():
            built._feedback = recorded
            own = outputs(built, lambda: built.forecast(context, horizon))[:, -horizon:]
            built._feedback = blank
            other = outputs(built, lambda: built.forecast(context, horizon))[:, -horizon:]
        assert len(fed) >= horizon - 1
        for frame in fed:
            ladder, conditions = frame[:, : len(LADDER)], frame[:, len(LADDER) :]
            assert (ladder.diff(dim=1) <= 0).all()
            assert ((ladder >= 0) & (ladder <= 1)).all()
            assert torch.equal(conditions, built._encode(context)[:, -1, len(LADDER) :])
        assert torch.equal(own[:, 0], other[:, 0])
        assert (own - other)[:, 1:].flatten(2).any(dim=2).all(), "what is fed back is read at each step"
        assert own.diff(dim=1).flatten(2).any(dim=2).all(), "each lead time is predicted by itself"

    def test_segments_change_nothing(self, config: Any) -> None:
        def run(config: Any) -> list[Any]:
            built = network(config)
            torch.manual_seed(1)
            prediction = built.train()(windows(), free_running(2, 3, 3))
            prediction.frames.square().mean().backward()
            return [prediction.frames, *(weight.grad for weight in built.parameters())]

        if isinstance(config, MotionRNN):
            cut: Any = replace(config, backbone=replace(config.backbone, segment=2))
        elif hasattr(config, "segment"):
            cut = replace(config, segment=2)
        else:
            pytest.skip("the model has no segments")
        plain, segmented = run(config), run(cut)
        assert torch.equal(segmented[0], plain[0])
        for one, other in zip(segmented[1:], plain[1:], strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_every_other_model_is_of_one_pass_and_asked_for_its_horizon_of_training() -> None:
    one_pass = [each for each in FORECASTERS if not isinstance(network(each).network, Autoregressive)]
    assert {config.name for config in one_pass} == {"simvp", "tau", "unet"}
    for config in one_pass:
        built = network(config)
        move_from_the_start(built)
        horizons: list[int] = []
        forecast = built.network.forecast
        built.network.forecast = lambda context, horizon, actions, f=forecast, h=horizons: (
            h.append(horizon) or f(context, horizon, actions)
        )
        with torch.no_grad():
            assert built.forecast(windows()[:, :3], 8).isfinite().all()
        assert horizons == [3]


@pytest.mark.parametrize("config", [each for each in CATALOGUE if refusal(each)], ids=lambda config: config.name)
def test_a_model_that_predicts_no_frames_is_refused_before_it_is_built(config: Any) -> None:
    assert config.name in ("modular", "vqvae", "vae")
    with pytest.raises(ConfigError, match=refusal(config)) as caught:
        Exceedance().build(config, SHAPE, LEVELS)
    assert "head.name=values" in str(caught.value.remedy)
    with pytest.raises(ConfigError, match=refusal(config)):
        Experiment(data=ArchiveData(path="x"), model=config, head=Exceedance(), loss=CrossEntropy())


def test_a_recurrent_model_is_fed_the_expectation_of_its_distribution() -> None:
    """With probabilities of 0 or 1 that is the encoding of a frame at the rungs, whatever the cells say of it."""
    built = network(ConvLSTM.tiny(), trained=False)
    frames = windows()
    fed: list[Tensor] = []
    step = built.network.core.step
    built.network.core.step = lambda x, *rest: fed.append(x) or step(x, *rest)
    with torch.no_grad():
        logits = built.forecast(frames[:, :3], 3)
    probability = torch.sigmoid(logits[:, 0])
    expected = torch.cat([probability[:, :1], (probability[:, :-1] + probability[:, 1:]) / 2], dim=1)
    after_context = built.network.codec.decode(fed[3][:, None])[:, 0]
    torch.testing.assert_close(after_context[:, : len(LADDER)], expected)
    torch.testing.assert_close(after_context[:, -2:], torch.zeros(2, 2, 16, 16))  # log 5/5 and log 1/1


def test_events_are_reached_at_the_rates_of_the_ladder() -> None:
    built = network(UNet.tiny())
    frames = torch.tensor([0.0, 0.1, 0.35, 0.9]).reshape(1, 4, 1, 1, 1)
    assert built.events(frames).sum(2).flatten().tolist() == [0, 1, 3, 9]


def test_what_forecasts_nothing_or_several_channels_has_no_distribution() -> None:
    with pytest.raises(ConfigError, match="forecasts nothing"):
        Exceedance().build(VAE.tiny(), SHAPE, LEVELS)
    with pytest.raises(ConfigError, match="2 channels"):
        Exceedance().build(SimVP.tiny(), SHAPE._replace(channels=2), LEVELS)
    with pytest.raises(ConfigError, match="rising rates"):
        Exceedance(rates=(2.0, 1.0))


def test_weights_of_lead_times_are_those_of_the_knots_around_them() -> None:
    at_knots = interpolation_weights(torch.tensor(KNOTS))
    torch.testing.assert_close(at_knots, torch.eye(len(KNOTS)))
    between = interpolation_weights(torch.tensor([1.0, 7.0, 500.0]))
    torch.testing.assert_close(between.sum(-1), torch.ones(3))
    assert between[0].argmax() == 0
    assert between[2].argmax() == len(KNOTS) - 1


@pytest.mark.parametrize("width", [0.7, 3.0, 9.0])
def test_a_neighbourhood_keeps_the_mean_and_has_its_width(width: float) -> None:
    field = torch.zeros(1, 1, 129, 129)
    field[..., 64, 64] = 1
    spread = smooth(field, width)[0, 0]
    assert spread.sum() == pytest.approx(1, abs=0.02)
    rows = torch.arange(129.0) - (spread.sum(1) * torch.arange(129.0)).sum() / spread.sum()
    assert float((spread.sum(1) * rows**2).sum().sqrt()) == pytest.approx(width, rel=0.15)


def test_the_probability_of_a_shower_spreads_with_lead_time() -> None:
    log_rate = torch.full((1, 65, 65), -4.0)
    log_rate[:, 28:37, 28:37] = 2.0
    prior = ExtrapolationPrior()
    with torch.no_grad():
        features = prior.features(log_rate, torch.ones(1, 65, 65, dtype=torch.bool), torch.ones(1))
        probability = torch.sigmoid(prior(features, torch.tensor([[5.0, 60.0]])))[0, :, 2]
    assert probability[0, 32, 32] > 0.95
    assert 0.02 < probability[1, 32, 32] < probability[0, 32, 32]
    assert probability[1, 32, 50] > probability[0, 32, 50]


class TestLosses:
    def test_weights_are_one_a_rate(self) -> None:
        logits, truth = torch.zeros(1, 1, 3, 4, 4), torch.zeros(1, 1, 3, 4, 4)
        valid = torch.ones(1, 1, 1, 4, 4, dtype=torch.bool)
        for loss, each in ((CrossEntropy, torch.tensor(2.0).log()), (BrierSum, torch.tensor(0.25))):
            torch.testing.assert_close(loss()(logits, truth, valid), 3 * each)
            torch.testing.assert_close(loss(weights=(1, 0, 3))(logits, truth, valid), 4 * each)
            with pytest.raises(ConfigError, match="2 weights for 3 rates"):
                loss(weights=(1, 2))(logits, truth, valid)

    def test_pixels_without_data_do_not_count(self) -> None:
        logits = torch.randn(1, 2, 3, 4, 4)
        truth = (torch.rand(1, 2, 3, 4, 4) > 0.5).float()
        valid = torch.rand(1, 2, 1, 4, 4) > 0.3
        for loss in (CrossEntropy(), BrierSum()):
            other = torch.where(valid, logits, torch.full_like(logits, 7.0))
            torch.testing.assert_close(loss(logits, truth, valid), loss(other, truth, valid))

    @pytest.mark.parametrize("loss", [CrossEntropy(), BrierSum()])
    def test_they_are_proper(self, loss: CrossEntropy | BrierSum) -> None:
        """The expected loss of events with probability 0.3 is least for a forecast of 0.3."""
        truth = (torch.arange(1000) < 300).float().reshape(1, 1, 1, 10, 100)
        valid = torch.ones(1, 1, 1, 10, 100, dtype=torch.bool)
        losses = {p: float(loss(torch.logit(torch.full_like(truth, p)), truth, valid)) for p in (0.2, 0.3, 0.4)}
        assert min(losses, key=lambda p: losses[p]) == 0.3


def test_a_network_of_one_pass_reads_means_of_pixels_that_are_finer_than_those_of_training() -> None:
    """Pixels of half the size that say what those of 1 km say are forecast as these are; the prior alone reads fine pixels."""
    built = network(UNet.tiny())
    coarse = windows()[:, :3]
    fine = coarse.repeat_interleave(2, -1).repeat_interleave(2, -2)
    fine[:, :, -1] = 0.5
    with torch.no_grad():
        expected, output = (
            built._forecast(built._encode(frames), 3, frames[:, 0, -1].amax((1, 2)), None) for frames in (coarse, fine)
        )
        doubled = functional.interpolate(expected.flatten(0, 1), scale_factor=2, mode="bilinear", align_corners=False)
        torch.testing.assert_close(output.flatten(0, 1), doubled)
        assert built.forecast(fine[..., :31, :29], 3).shape == (2, 3, len(LADDER), 31, 29)
