"""Exports the small form of models as ONNX and as programs of torch.export, and prints how far they differ from framecast.

    python benchmarks/exported.py [MODEL ...] > benchmarks/results/exported.txt      # all models unless named

Frames of 16 x 16, 4 of context and 3 lead times, new weights. A model that reads actions is exported with them; what cannot be
exported is printed with the reason.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import framecast
from framecast.checkpoints.model_folder import ModelCard, save
from framecast.data.quantities import RAIN_RATE
from framecast.data.scaling import RainLog
from framecast.errors import ConfigError, FramecastError
from framecast.models import Model
from framecast.types import FrameShape


def main(names: list[str]) -> None:
    print(f"{'model':22}{'onnxruntime':>14}{'torch.export':>14}")
    for kind in get_args(Model):
        settings = kind.tiny()
        if names and settings.name not in names:
            continue
        card = ModelCard(settings, RainLog(), RAIN_RATE, shape_of(settings), 300.0)
        with TemporaryDirectory() as folder:
            path = Path(folder)
            try:
                save(path / "run", card.build(), card)
                result = framecast.export(path / "run", onnx=path / "model.onnx", program=path / "model.pt2")
            except FramecastError as error:
                print(f"{settings.name:22}{error.what.splitlines()[0]}", flush=True)
                continue
        onnx, program = (result.differences[name] for name in ("onnx", "program"))
        print(f"{settings.name:22}{onnx:14.1e}{program:14.1e}", flush=True)


def shape_of(settings: Model) -> FrameShape:
    """The shape of the frames, with actions for a model that needs them."""
    shape = FrameShape(1, 16, 16, 4, 3)
    try:
        settings.check(shape)
    except ConfigError:
        return shape._replace(actions=2)
    return shape


if __name__ == "__main__":
    main(sys.argv[1:])
