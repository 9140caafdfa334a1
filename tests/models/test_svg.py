"""SVG: the posterior of training, the prior of forecasts, and the layouts of its encoders."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from framecast.errors import ConfigError
from framecast.models import SVG, ActionSVG
from framecast.models.parts.flops import parameters
from framecast.models.svg import Gaussian, divergence
from framecast.ops import free_running
from framecast.types import FrameShape

SHAPE = FrameShape(channels=1, height=16, width=16, context=3, horizon=3)
TEACHER = torch.ones(2, 5, dtype=torch.bool)


def model(**settings: Any) -> Any:
    torch.manual_seed(0)
    built = replace(SVG.tiny(), **settings).build(SHAPE)
    with torch.no_grad():
        for weight in built.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return built


def windows() -> torch.Tensor:
    return torch.rand(2, 6, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def test_the_divergence_is_that_of_two_normal_distributions() -> None:
    torch.manual_seed(0)
    one, other = (Gaussian(torch.randn(3, 4), torch.randn(3, 4)) for _ in range(2))
    normal, second = (Normal(each.mean, (each.log_variance / 2).exp()) for each in (one, other))
    torch.testing.assert_close(divergence(one, other), kl_divergence(normal, second).sum(-1))
    assert divergence(one, one).abs().max() < 1e-6


def test_a_sample_without_noise_is_the_forecast_and_noise_changes_it_from_the_first_frame_on() -> None:
    svg, context = model().eval(), windows()[:, :3]
    forecast = svg.forecast(context, 4)
    noise = torch.zeros(2, 6, svg.noise_size)
    assert torch.equal(svg.sample(context, 4, noise), forecast)
    noise[0, 2] = 1.0  # of the step after the context
    changed = (svg.sample(context, 4, noise) - forecast).abs().amax((2, 3, 4))
    assert (changed[0] > 1e-6).all()
    assert not changed[1].any()


def test_a_frame_is_seen_by_its_own_prediction_in_training_only() -> None:
    """By way of the posterior, and outside of training by the predictions after it."""
    frames, other = windows(), windows()
    other[:, 2] += 1
    differences = {}
    for training in (True, False):
        predictions = []
        for each in (frames, other):
            svg = model().train(training)
            torch.manual_seed(1)
            predictions.append(svg(each, TEACHER).frames.detach())
        differences[training] = (predictions[0] - predictions[1]).abs().amax((0, 2, 3, 4))
    assert differences[True][1] > 1e-6
    assert not differences[False][:2].any()
    assert (differences[False][2:] > 1e-6).all()


def test_the_state_follows_the_posterior_of_the_context() -> None:
    svg, context = model().eval(), windows()[:, :3]
    before = svg.forecast(context, 2)
    with torch.no_grad():
        svg.recurrent.core.posterior.head.bias += 1
    assert (svg.forecast(context, 2) - before).abs().max() > 1e-6


def test_the_divergence_is_a_loss_of_training_only() -> None:
    svg = model(beta=0.5)
    assert set(svg(windows(), TEACHER).losses) == {"divergence"}
    assert not svg.eval()(windows(), TEACHER).losses


def test_after_the_context_the_decoder_has_the_maps_of_its_last_frame() -> None:
    """Then what it is given of the newest frame is the vector of it alone."""
    frames = windows()
    for skip, count in (("context", 3), ("newest", 5)):
        seen = []
        svg = model(skip=skip).eval()
        svg.recurrent.core.decoder.register_forward_hook(lambda _, inputs, __, seen=seen: seen.append(inputs[1][0]))
        svg(frames, TEACHER)
        assert len({each.sum().item() for each in seen}) == count


def test_a_batch_of_one_sequence_cannot_be_trained() -> None:
    svg = model()
    with pytest.raises(ConfigError, match=r"training\.batch_size"):
        svg(windows()[:1], TEACHER[:1])
    svg.eval()(windows()[:1], TEACHER[:1])


@pytest.mark.parametrize(
    ("encoder", "size", "levels", "count"),
    # the sums over the layers of the published files, without the biases of convolutions before a BatchNorm
    [("dcgan", 64, 4, 12_612_009), ("vgg", 128, 5, 39_275_817)],
)
def test_the_layouts_have_the_published_numbers_of_weights(encoder: Any, size: int, levels: int, count: int) -> None:
    with torch.device("meta"):
        svg = SVG(encoder=encoder, levels=levels).build(FrameShape(1, size, size, 5, 10))
    assert parameters(svg) == count


def test_a_frame_after_the_context_may_be_anything_in_a_forecast() -> None:
    svg, frames = model().eval(), windows()
    frames[:, 3:] = torch.nan
    assert torch.isfinite(svg(frames, free_running(2, 3, 3)).frames).all()


def test_an_action_changes_what_comes_after_it_only() -> None:
    torch.manual_seed(0)
    svg = ActionSVG.tiny().build(SHAPE._replace(actions=2)).eval()
    context, actions = windows()[:, :3], torch.zeros(2, 5, 2)
    pushed = actions.clone()
    pushed[:, 3] = 1
    noise = torch.randn(2, 5, svg.noise_size)
    for forecast in (svg.forecast, lambda *given: svg.sample(*given[:2], noise, given[2])):
        one, other = (forecast(context, 3, each) for each in (actions, pushed))
        assert torch.equal(one[:, 0], other[:, 0]), "the action at frame 3 leads to frame 4"
        assert (one[:, 1] - other[:, 1]).abs().max() > 1e-9
    with pytest.raises(ConfigError, match="needs the actions"):
        svg.forecast(context, 3)


@pytest.mark.slow
def test_samples_of_a_coin_are_heads_or_tails() -> None:
    """Each frame is one of two at random, which no single forecast can know: its best error is a quarter. In training the
    posterior says which came; samples of the prior are one or the other, and not their mean."""
    torch.manual_seed(0)
    settings = SVG(width=8, levels=2, features=16, hidden=32, layers=1, latent=2)
    svg = settings.build(SHAPE)
    optimiser = torch.optim.Adam(svg.parameters(), 2e-3)
    faces = torch.zeros(2, 1, 16, 16)
    faces[0, :, :8], faces[1, :, 8:] = 1, 1
    for _ in range(300):
        frames = faces[torch.randint(2, (16, 6))]
        prediction = svg(frames, TEACHER[:1].expand(16, -1))
        error = ((prediction.frames - frames[:, 1:]) ** 2).mean()
        optimiser.zero_grad()
        (error + prediction.losses["divergence"]).backward()
        optimiser.step()
    assert error < 0.01
    context = faces[torch.randint(2, (1, 3))].expand(100, -1, -1, -1, -1)
    with torch.no_grad():
        samples = svg.eval().sample(context, 3, torch.randn(100, 5, 2))
    distance = ((samples[:, :, None] - faces) ** 2).mean((3, 4, 5))  # of each sample and lead time from each face
    assert (distance.amin(2) < 0.05).float().mean() > 0.8
    heads = (distance[..., 0] < distance[..., 1]).float().mean(0)
    assert ((heads > 0.2) & (heads < 0.8)).all()
