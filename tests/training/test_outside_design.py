"""A design of two stages that framecast does not know is trained as the modular one is."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from torch import Tensor, nn

import framecast
from framecast.config.experiment import Experiment
from framecast.errors import ConfigError
from framecast.forecasting.protocol import Context
from framecast.models import VAE
from framecast.models.parts.capabilities import Pretraining
from framecast.training.cuda_graph import check_recordable
from framecast.types import FrameShape, Prediction, config

QUIET = Console(quiet=True)


class Sum(nn.Module):
    """The next latent is a 1x1 convolution of this one."""

    def __init__(self, still: Any, latent: int) -> None:
        super().__init__()
        self.still = still.requires_grad_(False)
        self.mix = nn.Conv2d(latent, latent, 1)

    def encode(self, frames: Tensor) -> Tensor:
        latents: Tensor = self.still.encode(frames)
        return latents

    def forward(self, frames: Tensor, teacher: Tensor, actions: Tensor | None = None) -> Prediction:
        with torch.no_grad():
            latents = self.encode(frames)
        predicted = self.mix(latents[:, :-1].flatten(0, 1)).reshape(latents[:, 1:].shape)
        if self.training:
            return Prediction(predicted, {}, target=latents[:, 1:])
        return Prediction(self.still.decode(predicted), {})

    def forecast(self, context: Tensor, horizon: int, actions: Tensor | None = None) -> Tensor:
        last, latents = self.encode(context)[:, -1], []
        for _ in range(horizon):
            last = self.mix(last)
            latents.append(last)
        forecast: Tensor = self.still.decode(torch.stack(latents, dim=1))
        return forecast

    def unrecordable(self) -> str:
        return "sums cannot be recorded"


@config
class Design:
    name: Literal["test_outside_design:Design"] = "test_outside_design:Design"
    still: VAE = VAE(width=8, latent=4)
    folder: str | None = None

    tied_to_size = False
    multiple = 4
    caches_latents = False

    def check(self, shape: FrameShape) -> None:
        self.still.check(shape)

    def build(self, shape: FrameShape) -> Sum:
        return Sum(self.still.build(shape), self.still.latent)

    def pretraining(self) -> Pretraining:
        return Pretraining(self.still, "still", self.folder, iterations=4, batch_size=2, learning_rate=1e-3)

    def pretrained(self, folder: str) -> Self:
        return replace(self, folder=folder)

    def trained_part(self, network: Sum) -> nn.Module:
        return network.mix


def test_both_stages_in_one_call(experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "test_outside_design", sys.modules[__name__])
    design: Any = Design()
    run = framecast.train(replace(experiment, model=design), out=tmp_path / "run", console=QUIET)
    first = load_file(tmp_path / "run-still" / "last" / "weights.safetensors")
    best = load_file(tmp_path / "run-still" / "best" / "weights.safetensors")
    whole = load_file(run / "last" / "weights.safetensors")
    assert first.keys() == best.keys()
    assert all(torch.equal(whole[f"still.{name}"], weight) for name, weight in best.items())
    context = Context(torch.rand(1, 3, 1, 16, 16).numpy())
    forecast = framecast.load(run).forecast(context, 4)[0]
    assert forecast.shape == (1, 4, 1, 16, 16)
    with pytest.raises(ConfigError, match="sums cannot be recorded"):
        check_recordable(design.build(FrameShape(1, 16, 16, 3, 3)))
