"""Measures the speed of a training step on a GPU against plain.py in float32, and as a fraction of the peak rate of the GPU.

    python benchmarks/gpu.py [--repeats 20] [--batches 8 64] [--hidden 128] [--device cuda]

PredRNN-V2: four layers, 5x5 kernels, frames of 64 x 64 in patches of 4, 10 -> 10. A step is forward, backward and AdamW. Forms:
the plain one; framecast in float32; in bf16 (float32 weights and loss), with one weight gradient for all steps of a rollout and
with one for each step; and in bf16 with a CUDA graph of the step. `--device cpu` tests the script, without the graph.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from lightning_fabric import Fabric
from plain import PlainPredRNNV2, copy_weights
from torch import Tensor

from framecast.config.experiment import Experiment, Optimiser
from framecast.data.synthetic.moving_mnist import MovingDigits
from framecast.models import PredRNNV2
from framecast.models.parts.flops import multiply_accumulates
from framecast.models.parts.layers import channels_last
from framecast.ops.gpu import deferred
from framecast.training.cuda_graph import RecordedStep, cuda_graph
from framecast.training.optimiser import build
from framecast.training.step import gradients_of, update
from framecast.types import Batch, FrameShape

SHAPE = FrameShape(1, 64, 64, 10, 10)


def synchronise(device: str) -> None:
    """Wait until the GPU is idle."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds(work: Callable[[], object], repeats: int, device: str) -> list[float]:
    """The durations of `repeats` calls, after three warm-up calls."""
    times = []
    for number in range(repeats + 3):
        synchronise(device)
        start = time.perf_counter()
        work()
        synchronise(device)
        if number >= 3:
            times.append(time.perf_counter() - start)
    return times


def batch_of(size: int, device: str) -> tuple[Batch, Tensor]:
    """Random frames, and a random teacher mask."""
    frames = torch.rand(size, SHAPE.context + SHAPE.horizon, 1, SHAPE.height, SHAPE.width, device=device)
    teacher = torch.rand(size, frames.shape[1] - 1) < 0.5
    teacher[:, 0] = True
    return Batch(frames, torch.ones_like(frames, dtype=torch.bool)), teacher


def plain(config: PredRNNV2, size: int, device: str) -> Callable[[], object]:
    """Build a training step of the plain form in float32."""
    model = PlainPredRNNV2(1, config.hidden, config.kernel, config.patch, config.decoupling).to(device).train()
    copy_weights(model, config.build(SHAPE))
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
    batch, teacher = batch_of(size, device)
    teacher = teacher.to(device)

    def step() -> None:
        optimiser.zero_grad()
        predicted, loss = model(batch.frames, teacher)
        ((predicted - batch.frames[:, 1:]).square().mean() + loss).backward()
        optimiser.step()

    return step


def ours(config: PredRNNV2, size: int, device: str, precision: Any, recorded: bool) -> Callable[[], object]:
    """Build a training step of framecast."""
    fabric = Fabric(accelerator=device, devices=1, precision=precision)
    experiment = Experiment(data=MovingDigits(), model=config, optimiser=Optimiser(learning_rate=1e-4))
    network = config.build(SHAPE).to(device)
    if device == "cuda":
        channels_last(network)
    model, optimiser = fabric.setup(network, build(experiment.optimiser, network.parameters()))
    model.train()
    batch, teacher = batch_of(size, device)
    gradients = gradients_of(experiment, fabric, model)
    if recorded:
        gradients, teacher = RecordedStep(gradients, model, cuda_graph), teacher.to(device)
    return lambda: update(experiment, model, optimiser, gradients, batch, teacher)


def step_by_step(work: Callable[[], object]) -> Callable[[], object]:
    """The same step, with one weight gradient for each step of the rollout."""

    def run() -> None:
        devices = deferred.DEVICES
        deferred.DEVICES = ()
        try:
            work()
        finally:
            deferred.DEVICES = devices

    return run


def matrix_rate(device: str) -> float:
    """The rate of a large matrix product in bf16, in TFLOP/s."""
    side = 8192 if device == "cuda" else 512
    a = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    return 2 * side**3 / min(seconds(lambda: a @ a, 10, device)) / 1e12


def main() -> None:
    """Print one line for each form and batch size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    options = parser.parse_args()
    config, device = PredRNNV2(hidden=(options.hidden,) * 4), options.device
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    rate = matrix_rate(device)
    print(f"{name}, torch {torch.__version__}, bf16 matrix product {rate:.1f} TFLOP/s")
    for size in options.batches:
        forms = {
            "plain, float32": plain(config, size, device),
            "framecast, float32": ours(config, size, device, "32-true", False),
            "framecast, bf16": ours(config, size, device, "bf16-mixed", False),
            "gradients of each step": step_by_step(ours(config, size, device, "bf16-mixed", False)),
        }
        if device == "cuda":
            forms["framecast, bf16, CUDA graph"] = ours(config, size, device, "bf16-mixed", True)
        work = 3 * 2 * size * multiply_accumulates(config, SHAPE) / 1e12
        first = None
        for form, step in forms.items():
            times = seconds(step, options.repeats, device)
            median = statistics.median(times)
            first = first or median
            print(
                f"batch {size}, {form:<26} {median * 1e3:.1f} ms ({min(times) * 1e3:.1f}-{max(times) * 1e3:.1f}): "
                f"{first / median:.2f} x, {work / median:.1f} TFLOP/s ({work / median / rate:.0%}), "
                f"80,000 steps in {80_000 * median / 60:.0f} min",
                flush=True,
            )


if __name__ == "__main__":
    main()
