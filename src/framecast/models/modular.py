"""The modular design: a frozen autoencoder around any predictor.

"Modular design with VQ-VAE" (the paper gives no code), equations 2-6: each frame is encoded by itself, the predictor
learns the latents of the next frames from those of the last, and what it predicts is decoded:

    Z_t = Encoder(X_t)        Z~ = argmin p(Z_{S+1..T} | Z_{1..S})        X~_t = Decoder(z_q(Z~_t))

The autoencoder (van den Oord et al. 2017) is trained first and then frozen: no gradient of it is ever computed. The loss
of the predictor compares latents.

Deviations (docs/specification.md, section 6): the paper leaves open whether the predictor sees z_e or z_q; by default it sees z_e
and its prediction is quantised before it is decoded; with `latents="quantised"` it sees z_q and is compared with it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from framecast.errors import ConfigError
from framecast.models.autoencoders import REDUCTION, VAE, VQVAE, Autoencoder
from framecast.models.convlstm import ConvLSTM
from framecast.models.modernn_slots import ModeRNN
from framecast.models.motionrnn import MotionRNN
from framecast.models.parts.capabilities import Pretraining, why_unrecordable
from framecast.models.parts.sizes import check_sizes
from framecast.models.predrnn import PredRNN, PredRNNV2
from framecast.models.predrnn_m import PredRNNMOnly
from framecast.models.predrnnpp import PredRNNPlusPlus
from framecast.models.tctn import TCTN
from framecast.types import FrameShape, Prediction, config


class Modular(nn.Module):
    """`predictor` in the space of the latents of `autoencoder`, which is frozen and always in evaluation mode."""

    def __init__(self, autoencoder: Autoencoder, predictor: nn.Module, *, quantised: bool) -> None:
        super().__init__()
        self.autoencoder = autoencoder.requires_grad_(False).eval()
        self.predictor: Any = predictor
        self.quantised = quantised

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the predictor; the autoencoder stays in evaluation mode."""
        super().train(mode)
        self.autoencoder.eval()
        return self

    def forward(self, frames: Tensor, teacher: Tensor, actions: Tensor | None = None) -> Prediction:
        """Predict the frames at 1..T-1: `frames (B, T or fewer, C, H, W)`, `teacher (B, T - 1)` bool. In training, the
        predictions and their target are latents."""
        latents = self.encode(frames)
        predicted, losses, _ = self.predictor(latents, teacher, actions)
        if self.training:
            return Prediction(predicted, losses, target=latents[:, -predicted.shape[1] :])
        return Prediction(self.autoencoder.decode(predicted), losses)

    def forecast(self, context: Tensor, horizon: int, actions: Tensor | None = None) -> Tensor:
        """`context (B, T, C, H, W)` -> the `horizon` frames after it, `(B, horizon, C, H, W)`."""
        return self.autoencoder.decode(self.predictor.forecast(self.encode(context), horizon, actions))

    def unrecordable(self) -> str | None:
        """As the predictor: the autoencoder does not learn here."""
        return why_unrecordable(self.predictor)

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        """`frames (B, T, C, H, W)` -> the input of the predictor, `(B, T, D, H/4, W/4)`."""
        latents = self.autoencoder.encode(frames)
        if not self.quantised:
            return latents
        return self.autoencoder.snap(latents.flatten(0, 1)).reshape(latents.shape)


Predictor = ConvLSTM | PredRNN | PredRNNV2 | PredRNNMOnly | PredRNNPlusPlus | MotionRNN | ModeRNN | TCTN


@config
class FirstStage:
    """Settings to train the autoencoder if no trained one is given."""

    iterations: int = 20_000
    batch_size: int = 8
    learning_rate: float = 3e-4

    def __post_init__(self) -> None:
        check_sizes(self, "model.first")
        if not self.learning_rate > 0:
            raise ConfigError(f"{self.learning_rate} must be greater than 0", where="model.first.learning_rate")


@config
class ModularDesign:
    """`predictor` on the latents of `autoencoder`. `trained` is the folder of a saved autoencoder or of its run; without
    it, training begins with that, as `first` says. With `cache` the latents of all training windows are computed once and
    kept in the folder of the run."""

    name: Literal["modular"] = "modular"
    autoencoder: VQVAE | VAE = VQVAE()
    predictor: Predictor = PredRNN(hidden=(64, 64, 64, 64), patch=1)
    latents: Literal["encoded", "quantised"] = "encoded"
    trained: str | None = None
    first: FirstStage = FirstStage()
    cache: bool = False

    @classmethod
    def tiny(cls) -> Self:
        """A model of some thousand weights, for tests and demonstrations."""
        return cls(autoencoder=VQVAE.tiny(), predictor=PredRNN(hidden=(6, 6), kernel=3, patch=1))

    @property
    def tied_to_size(self) -> bool:
        """As its predictor."""
        return self.predictor.tied_to_size

    @property
    def multiple(self) -> int:
        """Latents are a quarter of the frames, and may be cut into patches again."""
        return REDUCTION * self.predictor.multiple

    @property
    def caches_latents(self) -> bool:
        """As `cache` says."""
        return self.cache

    def pretraining(self) -> Pretraining:
        """The training of the autoencoder."""
        first = self.first
        return Pretraining(
            self.autoencoder, "autoencoder", self.trained, first.iterations, first.batch_size, first.learning_rate
        )

    def pretrained(self, folder: str) -> Self:
        """The same with the autoencoder in `folder`."""
        return replace(self, trained=folder)

    def trained_part(self, network: Modular) -> nn.Module:
        """The predictor."""
        predictor: nn.Module = network.predictor
        return predictor

    def check(self, shape: FrameShape) -> None:
        """Raise `ConfigError` if this cannot be built for `shape`."""
        self.autoencoder.check(shape)
        self.predictor.check(self._latent(shape))

    def build(self, shape: FrameShape) -> Modular:
        """A forecaster with new weights for frames of `shape`."""
        self.check(shape)
        predictor = self.predictor.build(self._latent(shape))
        return Modular(self.autoencoder.build(shape), predictor, quantised=self.latents == "quantised")

    def _latent(self, shape: FrameShape) -> FrameShape:
        """The shape of the latents of frames of `shape`."""
        return shape._replace(
            channels=self.autoencoder.latent, height=shape.height // REDUCTION, width=shape.width // REDUCTION
        )
