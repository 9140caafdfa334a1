"""Measures the time of a verification: all scores of cases of 256 x 256 pixels and 12 frames of a radar event.

    python benchmarks/verifying.py FILE.nc [--cases 24]
    python benchmarks/verifying.py FILE.nc --before TREE [--cases 4] [--width 16]

Prints the seconds for 1,000 cases, with the forecasts, of persistence alone, and of a PredRNN-V2 (2 x 32 channels, or another
`--width`, untrained, at the same cost as trained) with persistence and extrapolation. With `--before` the same three on full
frames, in turn with the code of another tree (`git worktree add TREE COMMIT`, with its loops built): processor seconds a case on
one thread, with those of the forecasts and those of the verification itself.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from measuring import machine, seconds

from framecast.checkpoints.model_folder import ModelCard
from framecast.data.datasets import ArchiveData
from framecast.data.scaling import default_scaling
from framecast.data.windows.sources import WindowSource
from framecast.data.windows.splits import ByBlocks
from framecast.forecasting.baselines.extrapolation import Extrapolation
from framecast.forecasting.baselines.persistence import Persistence
from framecast.forecasting.protocol import Forecaster
from framecast.forecasting.trained_model import TrainedModel
from framecast.models import PredRNNV2
from framecast.verification.verify import verify

CONTEXT, HORIZON, SIDE = 5, 12, 256


def windows(path: str, side: int | None = SIDE) -> WindowSource:
    """The windows of the central pixels of an event, or of all."""
    data = ArchiveData(path=path, context=CONTEXT, horizon=HORIZON, split=ByBlocks(validation=0, test=0))
    frames = data.open_archives()[0]
    if side is None:
        source = data.open(frames=[frames]).train
        assert source is not None
        return source
    top, left = ((frames.sizes[axis] - side) // 2 for axis in ("y", "x"))
    middle = frames.isel(y=slice(top, top + side), x=slice(left, left + side))
    source = data.open(frames=[middle]).train
    assert source is not None
    return source


def processor_seconds(path: str, cases: int, width: int) -> tuple[float, float]:
    """The processor seconds of a case on full frames, on one thread, and those of its forecasts."""
    torch.set_num_threads(1)
    source = windows(path, side=None)
    forecasters = forecasters_of(source, width)
    verify(forecasters, source, limit=1)
    spent = 0.0

    def timed(forecast: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            nonlocal spent
            begin = time.process_time()
            result = forecast(*arguments, **keywords)
            spent += time.process_time() - begin
            return result

        return call

    for each in forecasters.values():
        vars(each)["forecast"] = timed(each.forecast)
    begin = time.process_time()
    verify(forecasters, source, limit=cases)
    return (time.process_time() - begin) / cases, spent / cases


def compare_trees(path: str, before: str, cases: int, width: int, rounds: int = 3) -> None:
    """Print the processor seconds of both trees, measured in turn."""
    here = Path(__file__).resolve().parents[1]
    for _ in range(rounds):
        for name, tree in (("before", Path(before)), ("now", here)):
            command = [sys.executable, __file__, path, "--cases", str(cases), "--width", str(width), "--measure"]
            environment = os.environ | {"PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}
            printed = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
            total, forecasts = map(float, printed.split())
            own = total - forecasts
            print(f"{name}: {total:.2f} s a case, forecasts {forecasts:.2f}, verification {own:.2f}", flush=True)


def forecasters_of(source: WindowSource, width: int) -> dict[str, Forecaster]:
    """The model and two baselines."""
    config = PredRNNV2(hidden=(width, width))
    torch.manual_seed(0)
    shape = source.shape._replace(height=SIDE, width=SIDE)
    card = ModelCard(config, default_scaling(source.quantity), source.quantity, shape, None)
    return {
        "predrnn_v2": TrainedModel(config.build(shape), card),
        "persistence": Persistence(),
        "extrapolation": Extrapolation(source.quantity),
    }


def main() -> None:
    """Print seconds for 1,000 cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--cases", type=int, default=24)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--before", help="another tree of framecast")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(*processor_seconds(arguments.file, arguments.cases, arguments.width))
        return
    if arguments.before:
        compare_trees(arguments.file, arguments.before, arguments.cases, arguments.width)
        return
    source = windows(arguments.file)
    forms: dict[str, dict[str, Forecaster]] = {
        "persistence": {"persistence": Persistence()},
        "PredRNN-V2, persistence, extrapolation": forecasters_of(source, arguments.width),
    }
    source.read(0)  # the first read decodes an archive of this size
    print(machine())
    for name, forecasters in forms.items():
        duration = seconds(partial(verify, forecasters, source, limit=arguments.cases))
        print(f"{name}: {duration / min(arguments.cases, len(source)) * 1000:.0f} s for 1,000 cases")


if __name__ == "__main__":
    main()
