"""A training run so small that it takes a second."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from framecast.config.experiment import Experiment, Optimiser, Training
from framecast.curriculum import ReverseScheduled
from framecast.data.datasets import MovingDigits
from framecast.models import PredRNNV2

TRAINING = Training(
    iterations=12,
    batch_size=2,
    workers=0,
    log_every=2,
    validate_every=5,
    validation_windows=2,
    checkpoint_every=4,
    accelerator="cpu",
)


def small() -> Experiment:
    return Experiment(
        data=MovingDigits(size=16, digits=1, context=3, horizon=3, train=9, validation=2, test=2),
        model=PredRNNV2.tiny(),
        curriculum=ReverseScheduled(start=2, stop=8, alpha=3.0),
        optimiser=Optimiser(learning_rate=1e-2, schedule="one_cycle"),
        training=TRAINING,
    )


@pytest.fixture
def experiment() -> Experiment:
    return small()


def changed(experiment: Experiment, **training: Any) -> Experiment:
    """The same experiment with other training settings."""
    return replace(experiment, training=replace(experiment.training, **training))


def weights_of(run: Path) -> torch.Tensor:
    """All weights of the last model of a run, in one vector."""
    weights = load_file(run / "last" / "weights.safetensors")
    return torch.cat([weights[name].flatten() for name in sorted(weights)])
