"""Measures the speed of a forecast on this CPU against plain.py and extrapolation, and the start-up time of the program.

    python benchmarks/forecasting.py [--repeats 5]

PredRNN-V2: four layers of 64 on 64 x 64 (batch 1 and 8, 10 -> 10), and two layers on a radar composite of 640 x 710 (5 -> 12).
Start-up: `framecast --help`, `import framecast`, and a process that loads a saved model and forecasts.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from measuring import alternating, line, machine, seconds
from plain import PlainPredRNNV2, copy_weights

from framecast.checkpoints.model_folder import ModelCard, save
from framecast.data.quantities import INTENSITY, RAIN_RATE
from framecast.data.scaling import Unit
from framecast.forecasting.baselines.extrapolation import Extrapolation
from framecast.forecasting.protocol import Context
from framecast.models import PredRNNV2
from framecast.models.parts.flops import multiply_accumulates
from framecast.ops import free_running
from framecast.ops.convolution import Transforms, share_transforms
from framecast.types import FrameShape

CASES = {
    "4 x 64, 64x64, batch 1": ((64,) * 4, FrameShape(1, 64, 64, 10, 10), 1),
    "4 x 64, 64x64, batch 8": ((64,) * 4, FrameShape(1, 64, 64, 10, 10), 8),
    "2 x 32, 640x712": ((32, 32), FrameShape(1, 640, 712, 5, 12), 1),
    "2 x 64, 640x712": ((64, 64), FrameShape(1, 640, 712, 5, 12), 1),
}


@torch.no_grad()
def compare(name: str, repeats: int) -> None:
    """Print the times of one case."""
    hidden, shape, batch = CASES[name]
    config = PredRNNV2(hidden=hidden)
    model = config.build(shape).eval()
    plain = PlainPredRNNV2(1, hidden, config.kernel, config.patch, 0.0).eval()
    copy_weights(plain, model)
    context = torch.rand(batch, shape.context, 1, shape.height, shape.width)
    mask = free_running(batch, shape.context, shape.horizon)
    transforms: Transforms = {}  # a loaded model reuses them from one forecast to the next

    def ours() -> torch.Tensor:
        with share_transforms(transforms):
            return model.forecast(context, shape.horizon)

    forms = {"framecast": ours, "plain": lambda: plain(context, mask)}
    if shape.height > 64:
        advected = np.stack([np.roll(np.random.default_rng(0).gamma(0.3, 2.0, (1, 640, 710)), t, -1) for t in range(5)])
        extrapolation = Extrapolation(RAIN_RATE)
        rain = Context(advected.astype(np.float32)[None])
        forms["extrapolation"] = lambda: extrapolation.forecast(rain, shape.horizon)
    theirs = plain(context, mask)[0][:, -shape.horizon :]
    difference = float((ours() - theirs).norm() / theirs.norm())
    times = alternating(forms, repeats)
    work = 2 * batch * multiply_accumulates(config, shape) / 1e9 / min(times["plain"])
    print(line(name, times), f"- direct work {work:.0f} GFLOP/s, relative difference {difference:.0e}", flush=True)


def starts(repeats: int) -> None:
    """Print the start-up times."""
    with tempfile.TemporaryDirectory() as folder:
        shape = FrameShape(1, 64, 64, 10, 10)
        config = PredRNNV2(hidden=(64, 64))
        save(Path(folder) / "model", config.build(shape), ModelCard(config, Unit(), INTENSITY, shape, None))
        forecast = (
            "import framecast, numpy as np; "
            "from framecast.forecasting.protocol import Context; "
            f"framecast.load('{folder}/model').forecast(Context(np.zeros((1, 10, 1, 64, 64), np.float32)), 10)"
        )
        commands = {
            "framecast --help": [str(Path(sys.executable).with_name("framecast")), "--help"],
            "import framecast": [sys.executable, "-c", "import framecast"],
            "first forecast": [sys.executable, "-c", forecast],
        }
        for name, command in commands.items():
            run = partial(subprocess.run, command, check=True, capture_output=True)
            times = [seconds(run) for _ in range(repeats)]
            print(f"{name:<28} {sorted(times)[len(times) // 2]:.2f} s ({min(times):.2f}-{max(times):.2f})")


def main() -> None:
    """Print one line for each case."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(machine())
    for name in CASES:
        compare(name, options.repeats)
    starts(options.repeats)


if __name__ == "__main__":
    main()
