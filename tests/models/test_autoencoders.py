"""Autoencoders give back what they are shown; the modular design never moves them."""

import math

import pytest
import torch

from framecast.errors import ConfigError
from framecast.models import VAE, VQVAE, ModularDesign, PredRNN
from framecast.models.autoencoders import Codebook, perplexity
from framecast.models.parts.flops import parameters
from framecast.ops import free_running
from framecast.types import FrameShape

SHAPE = FrameShape(1, 16, 12, 3, 2)


def blobs(batch: int = 2) -> torch.Tensor:
    """Frames with something on them."""
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(12.0), indexing="ij")
    centres = torch.rand(batch, 5, 2, 1, 1, generator=torch.Generator().manual_seed(0)) * 10
    return torch.exp(-((rows - centres[:, :, 0]) ** 2 + (columns - centres[:, :, 1]) ** 2) / 8)[:, :, None]


@pytest.mark.parametrize("config", [VQVAE.tiny(), VQVAE(width=16, latent=4, size=8, codebook="gradient"), VAE.tiny()])
def test_it_learns_to_give_back_what_it_is_shown(config: VQVAE | VAE) -> None:
    torch.manual_seed(0)
    model = config.build(SHAPE).train()
    frames, mask = blobs(), free_running(2, 3, 2)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    errors = []
    for _ in range(150):
        prediction = model(frames, mask)
        assert prediction.frames.shape == frames.shape
        error = ((prediction.frames - frames) ** 2).mean()
        optimiser.zero_grad()
        (error + sum(prediction.losses.values())).backward()
        optimiser.step()
        errors.append(error.item())
    assert errors[-1] < 0.5 * errors[0]
    shown = model.eval().reconstruct(frames)
    assert ((shown - frames) ** 2).mean() < 0.6 * errors[0]
    torch.testing.assert_close(shown, model(frames, mask).frames, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("config", [VQVAE.tiny(), VAE.tiny()])
def test_it_forecasts_nothing_and_takes_frames_of_fours(config: VQVAE | VAE) -> None:
    with pytest.raises(ConfigError, match="does not forecast"):
        config.build(SHAPE).forecast(blobs()[:, :3], 2)
    with pytest.raises(ConfigError, match="crop to 16 x 12"):
        config.build(SHAPE._replace(height=18))
    assert config.build(SHAPE).encode(blobs()).shape == (2, 5, 4, 4, 3)


def test_the_nearest_vector_is_found_and_the_gradient_goes_straight_through() -> None:
    book = Codebook(3, 2, gradient=True, revive=0.0)
    with torch.no_grad():
        book.vectors.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 5.0]]))
    z = torch.tensor([0.7, 0.2]).reshape(1, 2, 1, 1)
    nearest, numbers = book(z)
    assert numbers.item() == 1
    assert nearest.flatten().tolist() == [1.0, 0.0]
    model = VQVAE.tiny().build(SHAPE)
    encoded = torch.randn(2, 4, 3, 3, requires_grad=True)
    through, _ = model.bottleneck(encoded)
    through.sum().backward()
    assert torch.equal(encoded.grad, torch.ones_like(encoded))  # type: ignore[arg-type]


def test_vectors_that_nobody_uses_are_put_where_somebody_is() -> None:
    torch.manual_seed(0)
    book = Codebook(8, 2, gradient=False, revive=0.5)
    z = 10 + torch.rand(4, 2, 5, 5)
    for _ in range(200):
        _, numbers = book(z)
        book.learn(z, numbers)
    assert book.vectors.min() > 9, "all vectors have come to where the data is"
    _, numbers = book(z)
    assert perplexity(numbers, 8) > 3


def test_perplexity_counts_what_is_in_use() -> None:
    assert perplexity(torch.zeros(10, dtype=torch.int64), 8) == pytest.approx(1)
    assert perplexity(torch.arange(8), 8) == pytest.approx(8)
    assert not math.isnan(perplexity(torch.tensor([0, 1, 1]), 4))


def test_counts_of_the_modular_paper() -> None:
    shape = FrameShape(1, 64, 64, 10, 10)
    with torch.device("meta"):
        assert parameters(VQVAE(codebook="gradient").build(shape)) == 2_167_873
        assert parameters(ModularDesign().build(shape)) == 6_590_464


def test_the_second_stage_compares_latents_and_moves_nothing_of_the_first() -> None:
    model = ModularDesign.tiny().build(SHAPE).train()
    assert not model.autoencoder.training
    before = {name: weight.clone() for name, weight in model.autoencoder.state_dict().items()}
    frames = blobs()
    prediction = model(frames, free_running(2, 3, 2))
    assert prediction.target is not None
    assert prediction.target.shape == prediction.frames.shape == (2, 4, 4, 4, 3)
    torch.testing.assert_close(prediction.target, model.autoencoder.encode(frames)[:, 1:])
    assert not prediction.target.requires_grad
    ((prediction.frames - prediction.target) ** 2).mean().backward()
    assert all(weight.grad is None for weight in model.autoencoder.parameters())
    assert all(weight.grad is not None for weight in model.predictor.parameters())
    torch.optim.Adam(model.parameters(), 0.1).step()
    for name, weight in model.autoencoder.state_dict().items():
        assert torch.equal(weight, before[name]), name


def test_quantised_latents_are_vectors_of_the_codebook() -> None:
    config = ModularDesign(autoencoder=VQVAE.tiny(), predictor=PredRNN.tiny(), latents="quantised")
    with pytest.raises(ConfigError):
        config.check(SHAPE._replace(height=20))
    model = config.build(SHAPE._replace(height=16, width=16))
    latents = model.encode(torch.rand(1, 2, 1, 16, 16))
    torch.testing.assert_close(model.autoencoder.snap(latents.flatten(0, 1)), latents.flatten(0, 1))


@pytest.mark.parametrize("gradient", [False, True])
def test_a_codebook_learns_in_float32_whatever_it_is_shown(gradient: bool) -> None:
    codebook = Codebook(8, 4, gradient=gradient, revive=0.5)
    z = torch.randn(2, 4, 3, 3)
    _, numbers = codebook(z)
    codebook.learn(z.bfloat16(), numbers)
    assert codebook.sums.dtype == codebook.used.dtype == codebook.vectors.dtype == torch.float32
    assert codebook.sums.isfinite().all()
