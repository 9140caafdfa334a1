"""Compares the scores of models trained in bf16 and in float32.

    python benchmarks/precision.py [--iterations 300] [--seeds 3] [--images FOLDER_OF_MNIST]

PredRNN-V2 with two layers of 16 on moving digits of 32 x 32, 10 -> 10, with the same seeds for both; the spread over seeds is the
noise of a difference. Weights, the optimiser and the loss are float32 in both.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
from pathlib import Path
from typing import Literal

from rich.console import Console

from framecast.config.experiment import Experiment, Optimiser, Training
from framecast.curriculum import ReverseScheduled
from framecast.data.synthetic.moving_mnist import MovingDigits
from framecast.forecasting.trained_model import load
from framecast.losses import L1L2
from framecast.models import PredRNNV2
from framecast.training import train
from framecast.verification.verify import verify

PRECISIONS: tuple[Literal["32-true"], Literal["bf16-mixed"]] = ("32-true", "bf16-mixed")
SCORES = ("mse", "ssim")


def experiment(images: str, iterations: int) -> Experiment:
    """The experiment of both precisions and all seeds."""
    return Experiment(
        data=MovingDigits(images=images, size=32, train=20_000, validation=16, test=200),
        model=PredRNNV2(hidden=(16, 16), decoupling=0.02),
        curriculum=ReverseScheduled(start=iterations // 8, stop=iterations // 2, alpha=iterations / 12),
        loss=L1L2(alpha=0.1),
        optimiser=Optimiser(learning_rate=2e-3, schedule="one_cycle", clip=1.0),
        training=Training(
            iterations=iterations, validate_every=iterations, checkpoint_every=iterations, accelerator="cpu"
        ),
    )


def main() -> None:
    """Print a line for each run, then the difference of each score."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", default=MovingDigits().images)
    options = parser.parse_args()
    settings = experiment(options.images, options.iterations)
    test = settings.data.open().test
    assert test is not None
    values: dict[str, dict[str, list[float]]] = {precision: {score: [] for score in SCORES} for precision in PRECISIONS}
    for seed in range(options.seeds):
        for precision in PRECISIONS:
            training = dataclasses.replace(settings.training, seed=seed, precision=precision)
            with tempfile.TemporaryDirectory() as folder:
                one = dataclasses.replace(settings, training=training)
                run = train(one, out=Path(folder) / "run", console=Console(quiet=True))
                scores = verify({"model": load(run)}, test, batch_size=8)
            for score in SCORES:
                values[precision][score].append(scores.frame("model", score).value)
            print(seed, precision, {score: round(values[precision][score][-1], 5) for score in SCORES}, flush=True)
    for score in SCORES:
        single, half = (values[precision][score] for precision in PRECISIONS)
        differences = [b - a for a, b in zip(single, half, strict=True)]
        print(
            f"{score}: float32 {statistics.mean(single):.5f}, bf16 {statistics.mean(half):.5f}; "
            f"difference {statistics.mean(differences):+.5f}, spread over seeds {statistics.stdev(single):.5f} (float32) "
            f"and {statistics.stdev(half):.5f} (bf16)"
        )


if __name__ == "__main__":
    main()
