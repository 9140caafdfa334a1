"""VQ-VAE and VAE: still-image autoencoders, the first stage of the modular design.

Aaron van den Oord, Oriol Vinyals, Koray Kavukcuoglu: "Neural Discrete Representation Learning", NeurIPS 2017, equations
1-3, with the sizes of "Modular design with VQ-VAE" (its equations 3-6):

    z_e = Encoder(X)        z_q = e_k with k = argmin_j |z_e - e_j|        X~ = Decoder(z_e + sg[z_q - z_e])
    loss = |X - X~|^2 + |sg[z_e] - e|^2 + beta |z_e - sg[e]|^2

with sg the stop of the gradient, and Diederik P. Kingma, Max Welling: "Auto-Encoding Variational Bayes", ICLR 2014,
equation 10:

    mu, log s^2 = Encoder(X)     z = mu + s n, n ~ N(0, 1)     loss = |X - X~|^2 + weight KL(N(mu, s^2) || N(0, 1))

Deviations: the layers, which the modular paper does not print, are those that give its number of weights, 2.17 M
(docs/specification.md, section 6). With `codebook="ema"` the vectors follow the mean of what is assigned to them instead of a
gradient (appendix A.1 of the VQ-VAE paper). A vector that is hardly ever used is put on a random output of the encoder;
that is of neither paper, and `revive=0` leaves it out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from framecast.errors import ConfigError
from framecast.models.parts.recurrent import check_no_inputs, check_sides
from framecast.models.parts.sizes import check_sizes
from framecast.types import FrameShape, Prediction, config

DECAY = 0.99
REDUCTION = 4
"""By how much a latent is smaller than its frame, in both directions."""


class Residual(nn.Module):
    """x + 1x1(ReLU(3x3(ReLU(x))))."""

    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, narrow, 3, padding=1, bias=False)
        self.last = nn.Conv2d(narrow, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`x (N, width, h, w)`."""
        added: Tensor = x + self.last(functional.relu(self.conv(functional.relu(x))))
        return added


def _residuals(width: int) -> list[nn.Module]:
    return [Residual(width, max(width // 8, 1)) for _ in range(2)]


def _encoder(channels: int, width: int, latent: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width // 2, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(width // 2, width, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1),
        *_residuals(width),
        nn.ReLU(),
        nn.Conv2d(width, latent, 1),
    )


def _decoder(channels: int, width: int, latent: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(latent, width, 3, padding=1),
        *_residuals(width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(width // 2, channels, 4, stride=2, padding=1),
    )


class Codebook(nn.Module):
    """`size` vectors of `latent` numbers, and the use of each (a running mean of counts)."""

    used: Tensor
    sums: Tensor

    def __init__(self, size: int, latent: int, *, gradient: bool, revive: float) -> None:
        super().__init__()
        self.gradient = gradient
        self.revive = revive
        vectors = torch.empty(size, latent).uniform_(-1 / size, 1 / size)
        if gradient:
            self.vectors = nn.Parameter(vectors)
        else:
            self.register_buffer("vectors", vectors)
        self.register_buffer("used", torch.ones(size))
        self.register_buffer("sums", vectors.clone())

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """`z (N, D, h, w)` -> the nearest vectors, of the same shape, and their numbers `(N, h, w)`."""
        places = z.movedim(1, -1)
        with torch.no_grad():
            numbers = torch.cdist(places.flatten(0, 2), self.vectors).argmin(dim=1)
        return self.vectors[numbers].reshape(places.shape).movedim(-1, 1), numbers.reshape(places.shape[:3])

    @torch.no_grad()
    def learn(self, z: Tensor, numbers: Tensor) -> None:
        """Update the counts, move the vectors if no gradient does, and revive unused ones."""
        places = z.movedim(1, -1).flatten(0, 2).to(self.sums.dtype)
        counts = torch.bincount(numbers.flatten(), minlength=len(self.used)).to(places.dtype)
        sums = torch.zeros_like(self.sums).index_add_(0, numbers.flatten(), places)
        together = distributed.is_available() and distributed.is_initialized()
        if together:  # as if one process had seen the batch of all
            distributed.all_reduce(counts)
            distributed.all_reduce(sums)
        self.used.lerp_(counts, 1 - DECAY)
        self.sums.lerp_(sums, 1 - DECAY)
        if not self.gradient:
            self.vectors.copy_(self.sums / self.used.clamp_min(1e-5)[:, None])
        dead = self.used < self.revive
        if dead.any():
            samples = places[torch.randint(len(places), (int(dead.sum()),), device=places.device)]
            if together:
                distributed.broadcast(samples, 0)
            self.vectors[dead] = samples
            self.sums[dead] = samples
            self.used[dead] = 1.0


def perplexity(numbers: Tensor, size: int) -> float:
    """How many vectors are in use, as the exponential of the entropy: from 1 to `size`."""
    share = torch.bincount(numbers.flatten(), minlength=size).double()
    share = share / share.sum()
    return float(torch.exp(-(share * share.clamp_min(1e-12).log()).sum()))


class Autoencoder(nn.Module, ABC):
    """Encoder, bottleneck and decoder; subclasses define the bottleneck. It reconstructs frames and forecasts none.

    As a codec: `encode` frames to latents `(B, T, D, H/4, W/4)` and `decode` them.
    """

    def __init__(self, channels: int, width: int, latent: int, outputs: int) -> None:
        super().__init__()
        self.encoder = _encoder(channels, width, outputs)
        self.decoder = _decoder(channels, width, latent)

    def forward(self, frames: Tensor, teacher: Tensor, actions: Tensor | None = None) -> Prediction:
        """Reconstruct all of `frames (B, T, C, H, W)`; the teacher mask is not used."""
        latents, losses = self.bottleneck(self.encoder(frames.flatten(0, 1)))
        return Prediction(self.decoder(latents).reshape(frames.shape), losses)

    def forecast(self, context: Tensor, horizon: int, actions: Tensor | None = None) -> Tensor:
        """Raises `ConfigError`: a still-image autoencoder does not forecast."""
        raise ConfigError(
            "an autoencoder does not forecast", remedy="train a predictor on its latents: model.name=modular"
        )

    def reconstruct(self, frames: Tensor) -> Tensor:
        """`frames (B, T, C, H, W)` through the bottleneck and back."""
        return self.decode(self.encode(frames))

    def encode(self, frames: Tensor) -> Tensor:
        """`frames (B, T, C, H, W)` -> latents `(B, T, D, H/4, W/4)` before the bottleneck."""
        latents = self.code(self.encoder(frames.flatten(0, 1)))
        return latents.reshape(*frames.shape[:2], *latents.shape[1:])

    def decode(self, latents: Tensor) -> Tensor:
        """The inverse of `encode`, through the bottleneck."""
        frames: Tensor = self.decoder(self.snap(latents.flatten(0, 1)))
        return frames.reshape(*latents.shape[:2], *frames.shape[1:])

    @abstractmethod
    def bottleneck(self, encoded: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The input of the decoder in training, and the loss terms."""

    def code(self, encoded: Tensor) -> Tensor:
        """The latent part of the output of the encoder."""
        return encoded

    def snap(self, latents: Tensor) -> Tensor:
        """Map latents to valid inputs of the decoder."""
        return latents


class VectorQuantised(Autoencoder):
    """An autoencoder with a codebook as bottleneck."""

    def __init__(self, channels: int, width: int, latent: int, codebook: Codebook, commitment: float) -> None:
        super().__init__(channels, width, latent, latent)
        self.codebook = codebook
        self.commitment = commitment

    def bottleneck(self, encoded: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Quantised, with the gradient led straight through."""
        quantised, numbers = self.codebook(encoded)
        losses = {"commitment": self.commitment * functional.mse_loss(encoded, quantised.detach())}
        if self.codebook.gradient:
            losses["codebook"] = functional.mse_loss(quantised, encoded.detach())
        if self.training:
            self.codebook.learn(encoded, numbers)
        return encoded + (quantised - encoded).detach(), losses

    def unrecordable(self) -> str:
        """Never: see `Codebook.learn`."""
        return "a codebook revives vectors by how often they are used, which a recorded step cannot see"

    def snap(self, latents: Tensor) -> Tensor:
        """The nearest vectors."""
        quantised: Tensor = self.codebook(latents)[0]
        return quantised


class Variational(Autoencoder):
    """An autoencoder with a Gaussian as bottleneck."""

    def __init__(self, channels: int, width: int, latent: int, weight: float) -> None:
        super().__init__(channels, width, latent, 2 * latent)
        self.weight = weight

    def bottleneck(self, encoded: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Drawn in training, the mean otherwise."""
        mean, log_variance = torch.chunk(encoded, 2, dim=1)
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
        drawn = mean
        if self.training:
            drawn = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        return drawn, {"divergence": self.weight * divergence}

    def code(self, encoded: Tensor) -> Tensor:
        """The mean."""
        return torch.chunk(encoded, 2, dim=1)[0]


@config
class _Sizes:
    """`width` channels in the encoder and `latent` in what it returns."""

    reconstructs: ClassVar[Literal[True]] = True
    width: int = 256
    latent: int = 64

    @property
    def tied_to_size(self) -> bool:
        """Any size works."""
        return False

    @property
    def multiple(self) -> int:
        """Frames are reduced to a quarter."""
        return REDUCTION

    def __post_init__(self) -> None:
        check_sizes(self)
        if self.width % 2:
            raise ConfigError(f"{self.width} given, expected an even number of at least 2", where="model.width")

    def check(self, shape: FrameShape) -> None:
        """Raise `ConfigError` if this cannot be built for `shape`."""
        check_sides(shape, REDUCTION, "an autoencoder")
        check_no_inputs(shape, "an autoencoder")


@config
class VQVAE(_Sizes):
    """`size` vectors in the codebook, learned by "ema" or by "gradient"; `commitment` is beta; a vector used less often
    than `revive` times a batch, as a running mean, is put on a random output of the encoder."""

    name: Literal["vqvae"] = "vqvae"
    size: int = 512
    codebook: Literal["ema", "gradient"] = "ema"
    commitment: float = 0.25
    revive: float = 0.01

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(width=16, latent=4, size=8)

    def build(self, shape: FrameShape) -> VectorQuantised:
        """An autoencoder with new weights for frames of `shape`."""
        self.check(shape)
        codebook = Codebook(self.size, self.latent, gradient=self.codebook == "gradient", revive=self.revive)
        return VectorQuantised(shape.channels, self.width, self.latent, codebook, self.commitment)


@config
class VAE(_Sizes):
    """`weight` is that of the divergence."""

    name: Literal["vae"] = "vae"
    weight: float = 1e-3

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(width=16, latent=4)

    def build(self, shape: FrameShape) -> Variational:
        """An autoencoder with new weights for frames of `shape`."""
        self.check(shape)
        return Variational(shape.channels, self.width, self.latent, self.weight)
