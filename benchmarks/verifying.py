"""Measures the time of a verification: all scores of cases of 256 x 256 pixels and 12 frames of a radar event.

    python benchmarks/verifying.py FILE.nc [--cases 24]

Prints the seconds for 1,000 cases, with the forecasts, of persistence alone, and of a PredRNN-V2 (2 x 32 channels, untrained,
at the same cost as trained) with persistence and extrapolation.
"""

from __future__ import annotations

import argparse

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


def windows(path: str) -> WindowSource:
    """The windows of the central pixels of an event."""
    data = ArchiveData(path=path, context=CONTEXT, horizon=HORIZON, split=ByBlocks(validation=0, test=0))
    frames = data.open_archives()[0]
    top, left = ((frames.sizes[axis] - SIDE) // 2 for axis in ("y", "x"))
    middle = frames.isel(y=slice(top, top + SIDE), x=slice(left, left + SIDE))
    source = data.open(frames=[middle]).train
    assert source is not None
    return source


def main() -> None:
    """Print seconds for 1,000 cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--cases", type=int, default=24)
    arguments = parser.parse_args()
    source = windows(arguments.file)
    config = PredRNNV2(hidden=(32, 32))
    torch.manual_seed(0)
    card = ModelCard(config, default_scaling(source.quantity), source.quantity, source.shape, None)
    model = TrainedModel(config.build(source.shape), card)
    forms: dict[str, dict[str, Forecaster]] = {
        "persistence": {"persistence": Persistence()},
        "PredRNN-V2, persistence, extrapolation": {
            "predrnn_v2": model,
            "persistence": Persistence(),
            "extrapolation": Extrapolation(source.quantity),
        },
    }
    source.read(0)  # the first read decodes an archive of this size
    print(machine())
    for name, forecasters in forms.items():
        duration = seconds(lambda forecasters=forecasters: verify(forecasters, source, limit=arguments.cases))
        print(f"{name}: {duration / min(arguments.cases, len(source)) * 1000:.0f} s for 1,000 cases")


if __name__ == "__main__":
    main()
